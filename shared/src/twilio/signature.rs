//! `X-Twilio-Signature`: base64 of an HMAC over the URL and the sorted form parameters, as Twilio's official helpers compute
//! it (`twilio` 6.2.0 for Node, 9.13.0 for Python). The data carries no delimiter and no time, so a valid signature alone
//! never proves which field a text stood in or that a request is new: strict forms ([`super::webhook`]) and idempotent
//! rooms do that.

use crate::secret::{Secret, constant_time_eq, hex, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// The request header that carries the signature; on WebSocket upgrades it arrives in lower case.
pub const HEADER: &str = "x-twilio-signature";
/// The header that names a shared key and its algorithm (shared keys, public beta).
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// The hash under the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// The only one for auth tokens, and the default of shared keys.
    #[default]
    HmacSha1,
    /// Selectable for shared keys.
    HmacSha256,
}

/// Computes the signature of a request: `url` exactly as Twilio requested it, `params` the decoded form fields (none for GET
/// and for WebSocket upgrades) in any order. Values of a repeated name are de-duplicated and sorted, as the helpers do.
pub fn sign(key: &[u8], algorithm: Algorithm, url: &str, params: &[(&str, &str)]) -> String {
    let mut sorted: Vec<&(&str, &str)> = params.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let parts = std::iter::once(url).chain(sorted.into_iter().flat_map(|(name, value)| [*name, *value]));
    match algorithm {
        Algorithm::HmacSha1 => mac::<Hmac<Sha1>>(key, parts),
        Algorithm::HmacSha256 => mac::<Hmac<Sha256>>(key, parts),
    }
}

fn mac<'a, M: Mac + KeyInit>(key: &[u8], parts: impl Iterator<Item = &'a str>) -> String {
    // An HMAC takes a key of any length, so this constructor has no failing case.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return String::new() };
    for part in parts {
        mac.update(part.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A secret that Twilio signs with instead of the auth token, named by its id.
#[derive(Debug, Clone)]
pub struct SharedKey {
    /// The id in the settings header.
    pub id: String,
    /// The secret.
    pub secret: Secret,
}

/// Everything that a request may be signed with at this moment.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Auth tokens: the primary, and during a rotation a second one.
    pub tokens: Vec<Secret>,
    /// Shared keys.
    pub shared: Vec<SharedKey>,
}

/// What a verifier looks at, apart from the body's fields.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The public URL, made from configuration (origin) and the request line (path and raw query); never from `Host`.
    pub url: &'a str,
    /// The value of [`HEADER`], if the request has it.
    pub signature: Option<&'a str>,
    /// The value of [`SETTINGS_HEADER`], if the request has it.
    pub settings: Option<&'a str>,
}

/// Why a request is not taken as Twilio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no signature.
    #[error("the request has no signature")]
    Missing,
    /// The settings header names an algorithm that does not exist, or is malformed.
    #[error("the signature's settings are not known")]
    Settings,
    /// No key's signature matches.
    #[error("the signature does not match")]
    Mismatch,
    /// A signed JSON body is not the one whose hash was signed.
    #[error("the body is not the one that was signed")]
    Body,
}

impl Keys {
    /// Checks a webhook: form POST with its decoded fields, or GET without.
    pub fn verify(&self, signed: Signed<'_>, params: &[(&str, &str)]) -> Result<(), Refused> {
        self.any(signed, params, &spellings(signed.url))
    }

    /// Checks a WebSocket upgrade. `signed.url` begins with `wss://` (`ws://` on loopback). The documentation asks to try
    /// again with a trailing slash; both ways are tried, with each spelling of the port.
    pub fn verify_upgrade(&self, signed: Signed<'_>) -> Result<(), Refused> {
        let mut urls = spellings(signed.url);
        for url in urls.clone() {
            let (path, query) = url.split_once('?').map_or((url.as_str(), None), |(p, q)| (p, Some(q)));
            let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
            urls.push(query.map_or_else(|| other.clone(), |q| format!("{other}?{q}")));
        }
        // `https` is added by the helpers' port rule only for that scheme; on the wire a `wss` port may also be 443.
        urls.extend(with_port(signed.url, ":443"));
        self.any(signed, &[], &urls)
    }

    /// Checks a JSON POST: the URL alone is signed and must carry `bodySHA256`, the lower-case hexadecimal hash of the body.
    pub fn verify_json(&self, signed: Signed<'_>, body: &[u8]) -> Result<(), Refused> {
        self.any(signed, &[], &spellings(signed.url))?;
        let query = signed.url.split_once('?').map_or("", |(_, q)| q);
        let hash = query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256=")).ok_or(Refused::Body)?;
        if constant_time_eq(hash.as_bytes(), hex(&sha256(body)).as_bytes()) { Ok(()) } else { Err(Refused::Body) }
    }

    fn any(&self, signed: Signed<'_>, params: &[(&str, &str)], urls: &[String]) -> Result<(), Refused> {
        let given = signed.signature.filter(|s| !s.is_empty()).ok_or(Refused::Missing)?;
        let mut found = false;
        let mut check = |key: &[u8], algorithm| {
            for url in urls {
                found |= constant_time_eq(sign(key, algorithm, url, params).as_bytes(), given.as_bytes());
            }
        };
        match signed.settings.map(str::trim).filter(|s| !s.is_empty()) {
            None => {
                for token in &self.tokens {
                    check(token.bytes(), Algorithm::HmacSha1);
                }
            }
            Some(settings) => {
                let (id, algorithm) = read_settings(settings)?;
                for key in self.shared.iter().filter(|key| key.id == id) {
                    check(key.secret.bytes(), algorithm);
                }
            }
        }
        if found { Ok(()) } else { Err(Refused::Mismatch) }
    }
}

/// `key=<id>,algorithm=<name>`; the algorithm may be absent.
fn read_settings(text: &str) -> Result<(&str, Algorithm), Refused> {
    let (mut id, mut algorithm) = (None, Algorithm::default());
    for part in text.split(',') {
        match part.trim().split_once('=') {
            Some(("key", value)) if !value.is_empty() => id = Some(value),
            Some(("algorithm", "HMAC_SHA1" | "")) => algorithm = Algorithm::HmacSha1,
            Some(("algorithm", "HMAC_SHA256")) => algorithm = Algorithm::HmacSha256,
            Some(_) | None => return Err(Refused::Settings),
        }
    }
    id.map(|id| (id, algorithm)).ok_or(Refused::Settings)
}

/// The URLs whose signature counts for `url`, as the official helpers try them: without its port, with its port or else the
/// port they add (443 for `https`, 80 for anything else, `wss` included), and both with what a URL parser normalises: a bare
/// host gets its slash, an apostrophe in the query becomes `%27`. The other way too: a runtime's parser may have made `%27` of
/// an apostrophe before anybody could see it.
fn spellings(url: &str) -> Vec<String> {
    let mut urls = vec![without_port(url)];
    let default = if url.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://")) { ":443" } else { ":80" };
    urls.push(with_port(url, default).unwrap_or_else(|| url.to_owned()));
    let normalised: Vec<String> = urls.iter().map(|u| normalise(u)).collect();
    urls.extend(normalised);
    let raw: Vec<String> = urls.iter().filter_map(|u| with_raw_apostrophes(u)).collect();
    urls.extend(raw);
    urls.sort_unstable();
    urls.dedup();
    urls
}

/// Splits at the authority: everything before it, host, port with its colon (or empty), everything after.
fn split(url: &str) -> Option<(&str, &str, &str, &str)> {
    let start = url.find("://")? + 3;
    let (head, rest) = url.split_at_checked(start)?;
    let (authority, tail) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let (_, host_port) = authority.split_at_checked(host_start)?;
    let (head, _) = url.split_at_checked(head.len() + host_start)?;
    let after_bracket = host_port.rfind(']').map_or(0, |at| at + 1);
    let port_at = host_port.get(after_bracket..)?.find(':').map_or(host_port.len(), |at| at + after_bracket);
    let (host, port) = host_port.split_at_checked(port_at)?;
    Some((head, host, port, tail))
}

fn without_port(url: &str) -> String {
    split(url).map_or_else(|| url.to_owned(), |(head, host, _, tail)| format!("{head}{host}{tail}"))
}

/// The URL with `port` added; none when it has one already or is no URL.
fn with_port(url: &str, port: &str) -> Option<String> {
    let (head, host, own, tail) = split(url)?;
    own.is_empty().then(|| format!("{head}{host}{port}{tail}"))
}

fn normalise(url: &str) -> String {
    let Some((head, host, port, tail)) = split(url) else { return url.to_owned() };
    let slash = if tail.starts_with('/') { "" } else { "/" };
    let tail = match tail.split_once('?') {
        Some((path, query)) => format!("{path}?{}", query.replace('\'', "%27")),
        None => tail.to_owned(),
    };
    format!("{head}{host}{port}{slash}{tail}")
}

/// The URL with apostrophes for each `%27` of its query; none when there is no such thing.
fn with_raw_apostrophes(url: &str) -> Option<String> {
    let (path, query) = url.split_once('?')?;
    query.contains("%27").then(|| format!("{path}?{}", query.replace("%27", "'")))
}

#[cfg(test)]
mod tests;
