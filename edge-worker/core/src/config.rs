//! The Worker's variables, parsed once from a look-up (the runtime's environment, a map in tests). Everything is read before
//! anything is reported, so one start names every mistake. Values never stand in a message.

use shared::ids::{AccountSid, ApiKeySid, AppSid, PhoneNumber};
use shared::secret::Secret;
use shared::ticket::{TicketSigner, TicketVerifier};
use shared::twilio::rest;
use shared::twilio::signature::{Keys, SharedKey};
use std::fmt;

/// Everything that the deployment's owner decided.
#[derive(Debug, Clone)]
pub struct Config {
    /// `PUBLIC_BASE_URL`: scheme and authority, without a path or a slash at the end.
    pub public_base_url: String,
    /// `TWILIO_ACCOUNT_SID`.
    pub account: AccountSid,
    /// `TWILIO_CALLER_ID`; none: outgoing calls must name their caller id.
    pub caller_id: Option<PhoneNumber>,
    /// `TWILIO_TWIML_APP_SID`; none: no browser calls.
    pub twiml_app: Option<AppSid>,
    /// `TWILIO_API_KEY` and `TWILIO_API_SECRET`; none: access tokens cannot be made, REST uses the auth token.
    pub api_key: Option<(ApiKeySid, Secret)>,
    /// `TWILIO_API_BASE_URL`: scheme and authority.
    pub twilio_api_base_url: String,
    /// What Twilio's requests may be signed with: `TWILIO_AUTH_TOKEN`, `TWILIO_AUTH_TOKEN_SECONDARY`, `TWILIO_SHARED_KEYS`.
    pub twilio_keys: Keys,
    /// `Authorization` of REST requests: the API key's, else the auth token's.
    pub rest_authorization: Secret,
    /// `TICKET_SIGNING_KEY`.
    pub tickets: TicketSigner,
    /// The key that verifies what `TICKET_SIGNING_KEY_SECONDARY` signed: the former key while it is replaced.
    pub former_tickets: Option<TicketVerifier>,
    /// `NODE_SECRET`.
    pub node_secret: Secret,
    /// `SETUP_TOKEN`; none: no administrator can be made.
    pub setup_token: Option<Secret>,
}

/// A variable and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its name.
    pub variable: &'static str,
    /// What it must be; `missing` is said by [`Mistake::missing`].
    pub expected: &'static str,
    /// Whether it is absent rather than malformed.
    pub missing: bool,
}

/// All mistakes at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidConfig(pub Vec<Mistake>);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let lead = if n == 0 { "" } else { "; " };
            let verb = if mistake.missing { "is missing: it must be" } else { "must be" };
            write!(f, "{lead}{} {verb} {}", mistake.variable, mistake.expected)?;
        }
        Ok(())
    }
}

struct Reader<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// An empty variable counts as absent: that is how wrangler.toml writes "not set yet".
    fn text(&self, variable: &str) -> Option<String> {
        (self.look_up)(variable).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn optional<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(variable)?;
        let value = read(&text);
        if value.is_none() {
            self.mistakes.push(Mistake { variable, expected, missing: false });
        }
        value
    }

    fn required<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.text(variable).is_none() {
            self.mistakes.push(Mistake { variable, expected, missing: true });
            return None;
        }
        self.optional(variable, expected, read)
    }
}

impl Config {
    /// Reads every variable of the contract; [`InvalidConfig`] names all that are missing or malformed.
    pub fn read(look_up: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidConfig> {
        let mut r = Reader { look_up, mistakes: Vec::new() };
        let base = "an https address without a path (http on loopback only), such as https://calls.example.com";
        let public_base_url = r.required("PUBLIC_BASE_URL", base, read_origin);
        let account = r.required("TWILIO_ACCOUNT_SID", "AC and 32 hexadecimal digits", |t| AccountSid::parse(t).ok());
        let caller_id =
            r.optional("TWILIO_CALLER_ID", "a number in E.164, such as +15550100100", |t| PhoneNumber::parse(t).ok());
        let twiml_app = r.optional("TWILIO_TWIML_APP_SID", "AP and 32 hexadecimal digits", |t| AppSid::parse(t).ok());
        let key = r.optional("TWILIO_API_KEY", "SK and 32 hexadecimal digits", |t| ApiKeySid::parse(t).ok());
        let key_secret = r.optional("TWILIO_API_SECRET", "the secret of TWILIO_API_KEY", secret);
        if r.text("TWILIO_API_KEY").is_some() != r.text("TWILIO_API_SECRET").is_some() {
            let (variable, expected) = if key_secret.is_none() {
                ("TWILIO_API_SECRET", "the secret of TWILIO_API_KEY")
            } else {
                ("TWILIO_API_KEY", "the key that TWILIO_API_SECRET belongs to")
            };
            r.mistakes.push(Mistake { variable, expected, missing: true });
        }
        let api_base = r
            .optional("TWILIO_API_BASE_URL", base, read_origin)
            .or_else(|| r.text("TWILIO_API_BASE_URL").is_none().then(|| rest::BASE_URL.to_owned()));
        let token = r.required("TWILIO_AUTH_TOKEN", "the account's auth token", secret);
        let second = r.optional("TWILIO_AUTH_TOKEN_SECONDARY", "the account's secondary auth token", secret);
        let shared = r.optional("TWILIO_SHARED_KEYS", "pairs id=secret, separated by commas", read_shared_keys);
        let ticket_key = "32 bytes in base64 (openssl rand -base64 32)";
        let tickets = r.required("TICKET_SIGNING_KEY", ticket_key, TicketSigner::from_base64);
        let former =
            r.optional("TICKET_SIGNING_KEY_SECONDARY", ticket_key, TicketSigner::from_base64).map(|key| key.verifier());
        let node_secret = r.required("NODE_SECRET", "at least 16 characters, the same as on the nodes", long_secret);
        let setup_token = r.optional("SETUP_TOKEN", "at least 16 characters", long_secret);

        let invalid = InvalidConfig(r.mistakes);
        let (Some(public_base_url), Some(account), Some(twilio_api_base_url), Some(token), Some(tickets), Some(node)) =
            (public_base_url, account, api_base, token, tickets, node_secret)
        else {
            return Err(invalid);
        };
        if !invalid.0.is_empty() {
            return Err(invalid);
        }
        let api_key = key.zip(key_secret);
        let rest_authorization = match &api_key {
            Some((key, secret)) => rest::basic_auth(key.as_str(), secret),
            None => rest::basic_auth(account.as_str(), &token),
        };
        Ok(Self {
            public_base_url,
            account,
            caller_id,
            twiml_app,
            api_key,
            twilio_api_base_url,
            twilio_keys: Keys {
                tokens: std::iter::once(token).chain(second).collect(),
                shared: shared.unwrap_or_default(),
            },
            rest_authorization: Secret::new(rest_authorization),
            tickets,
            former_tickets: former,
            node_secret: node,
            setup_token,
        })
    }

    /// Whether the console is served over plain HTTP on loopback, where the browser takes no `__Host-` cookie.
    pub fn is_plain_loopback(&self) -> bool {
        self.public_base_url.starts_with("http://")
    }

    /// An absolute address of this deployment; `path` begins with `/`.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.public_base_url)
    }
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

fn long_secret(text: &str) -> Option<Secret> {
    (text.len() >= 16).then(|| Secret::new(text))
}

/// `id=secret` pairs.
fn read_shared_keys(text: &str) -> Option<Vec<SharedKey>> {
    text.split(',')
        .map(|pair| match pair.trim().split_once('=') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                Some(SharedKey { id: id.to_owned(), secret: Secret::new(secret) })
            }
            Some(_) | None => None,
        })
        .collect()
}

/// Scheme and authority in lower case, without the slash at the end and without the scheme's own port, as browsers write an
/// `Origin`. Plain HTTP only on loopback.
fn read_origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let sound = !authority.is_empty()
        && authority.len() <= 255
        && authority.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, _)| host)?,
        None => authority.split(':').next()?,
    };
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "::1");
    let without = |port: &str| text.strip_suffix(port).unwrap_or(&text).to_owned();
    match scheme {
        "https" if sound => Some(without(":443")),
        "http" if sound && loopback => Some(without(":80")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
