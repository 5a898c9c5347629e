//! Who is asking: a session's cookie (with its CSRF token and an Origin check) or a bearer API key. Keys and cookies are
//! random enough that their SHA-256 is all that is stored. Making sessions and keys is their own handlers' matter.

use super::refusal::Refusal;
use crate::config::Config;
use crate::http::Request;
use crate::passes::Pass;
use crate::ports::{Entropy, Ports, Row, Statement};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::secret::{constant_time_eq, hex, hmac_sha256, sha256};
use shared::time::UnixMillis;

/// A session ends after this long without a request.
pub(crate) const IDLE_MS: i64 = 30 * 60_000;
/// A session ends after this long in any case.
pub(crate) const ABSOLUTE_MS: i64 = 12 * 3_600_000;
/// A session's last request is noted to this precision.
pub(crate) const TOUCH_MS: i64 = 60_000;
/// What an API key begins with.
const KEY_PREFIX: &str = "tl_live_";
/// Random characters of a key, and of its checksum.
const KEY_RANDOM: usize = 30;
const KEY_CHECK: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const FIND_SESSION: &str = "SELECT s.tag AS tag, s.user AS user, s.created_at AS created_at, s.seen_at AS seen_at, \
    u.email AS email FROM sessions s JOIN users u ON u.id = s.user WHERE s.hash = ?1";
const TOUCH_SESSION: &str = "UPDATE sessions SET seen_at = ?2 WHERE hash = ?1 AND seen_at < ?2";
const FIND_KEY: &str = "SELECT id FROM keys WHERE hash = ?1";

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// A signed-in person.
    Person(Session),
    /// A program with an API key.
    Key {
        /// The key's name in addresses.
        id: String,
    },
}

impl Who {
    /// A name that no other principal has: idempotency keys are scoped by it.
    pub(super) fn scope(&self) -> String {
        match self {
            Self::Person(session) => format!("user:{}", session.user),
            Self::Key { id } => format!("key:{id}"),
        }
    }

    /// What a socket is opened with, and ends with.
    pub(super) fn pass(&self) -> Pass {
        match self {
            Self::Person(session) => Pass::Session(session.tag.clone()),
            Self::Key { id } => Pass::Key(id.clone()),
        }
    }
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Hash of the cookie.
    pub(super) hash: String,
    /// The session's public name.
    pub(super) tag: String,
    /// The account.
    pub(super) user: String,
    /// The account's address.
    pub(super) email: String,
    /// Expected with every unsafe request.
    pub(super) csrf: String,
}

/// Who is asking; the refusal is 401, or 403 when a session's request does not come from the console.
pub(super) async fn authenticate<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    request: &Request,
) -> Result<Who, Refusal> {
    if request.headers.iter().any(|(name, _)| name == "authorization") {
        let key =
            request.header("authorization").and_then(bearer).filter(|key| is_key(key)).ok_or_else(unauthorized)?;
        let find = Statement { sql: FIND_KEY, values: vec![digest(key).into()] };
        let rows = ports.run(vec![find]).await?;
        let id = rows.first().and_then(|rows| rows.first()).and_then(|row| row.text("id")).ok_or_else(unauthorized)?;
        return Ok(Who::Key { id: id.to_owned() });
    }
    let session = current_session(config, ports, now, request).await?.ok_or_else(unauthorized)?;
    check_origin(config, request)?;
    if request.method.is_unsafe() {
        let given = request.header("x-csrf-token").unwrap_or_default();
        if !constant_time_eq(given.as_bytes(), session.csrf.as_bytes()) {
            return Err(Refusal::new(403, "csrf", "the X-CSRF-Token header is missing or not this session's"));
        }
    }
    Ok(Who::Person(session))
}

/// The live session whose cookie the request carries, if any.
pub(super) async fn current_session<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    request: &Request,
) -> Result<Option<Session>, Refusal> {
    let Some(cookie) = cookie(config, request) else { return Ok(None) };
    let hash = digest(cookie);
    let find = Statement { sql: FIND_SESSION, values: vec![hash.as_str().into()] };
    let rows = ports.run(vec![find]).await?;
    let Some(row) = rows.first().and_then(|rows| rows.first()) else { return Ok(None) };
    if !lives(row, now) {
        return Ok(None);
    }
    if row.integer("seen_at").is_some_and(|seen| now.0 - seen >= TOUCH_MS) {
        let touch = Statement { sql: TOUCH_SESSION, values: vec![hash.as_str().into(), now.0.into()] };
        // Only the idle limit suffers when this is lost.
        let _ = ports.run(vec![touch]).await;
    }
    let text = |name| row.text(name).unwrap_or_default().to_owned();
    Ok(Some(Session { csrf: csrf(cookie), hash, tag: text("tag"), user: text("user"), email: text("email") }))
}

/// Whether a session's row is within both limits.
fn lives(row: &Row, now: UnixMillis) -> bool {
    let age = |name| row.integer(name).map(|at| now.0 - at);
    age("created_at").is_some_and(|age| age < ABSOLUTE_MS) && age("seen_at").is_some_and(|age| age < IDLE_MS)
}

/// A request that a page of another origin could have made is refused. Reads that are no socket need no Origin: their
/// answers stay unreadable to other origins.
pub(super) fn check_origin(config: &Config, request: &Request) -> Result<(), Refusal> {
    let foreign = || {
        let message = format!("requests with a session must come from {}", config.public_base_url);
        Refusal::new(403, "foreign_origin", message)
    };
    let stated = request.headers.iter().any(|(name, _)| name == "origin");
    let same = request.header("origin").is_some_and(|o| o.eq_ignore_ascii_case(&config.public_base_url));
    let must = request.method.is_unsafe() || request.is_websocket();
    if stated && !same && must {
        return Err(foreign());
    }
    let site = request.header("sec-fetch-site");
    if must && site.is_some_and(|site| site != "same-origin") {
        return Err(foreign());
    }
    if request.is_websocket() && !same {
        return Err(foreign());
    }
    Ok(())
}

/// The session cookie's name: browsers take `__Host-` only over HTTPS.
pub(super) fn cookie_name(config: &Config) -> &'static str {
    if config.is_plain_loopback() { "sid" } else { "__Host-sid" }
}

fn cookie<'a>(config: &Config, request: &'a Request) -> Option<&'a str> {
    let name = cookie_name(config);
    let mut values = request
        .headers
        .iter()
        .filter(|(n, _)| n == "cookie")
        .flat_map(|(_, line)| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('=').filter(|(n, _)| *n == name).map(|(_, value)| value));
    let first = values.next().filter(|value| value.len() == 43)?;
    // Two cookies of the name do not come from us.
    if values.next().is_some() { None } else { Some(first) }
}

/// A new session's cookie: 256 bits.
pub(super) fn new_cookie(entropy: &impl Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The CSRF token that belongs to a cookie.
pub(super) fn csrf(cookie: &str) -> String {
    hex(&hmac_sha256(cookie.as_bytes(), &[b"trunkline csrf 1"]))
}

/// What is stored of a cookie or key.
pub(super) fn digest(text: &str) -> String {
    hex(&sha256(text.as_bytes()))
}

/// So many random bytes in hexadecimal.
pub(super) fn random_hex<const N: usize>(entropy: &impl Entropy) -> String {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    hex(&bytes)
}

/// A new API key: `tl_live_`, 30 random characters of base 62 (about 178 bits), 6 of their CRC-32.
pub(super) fn new_key(entropy: &impl Entropy) -> String {
    let mut random = String::with_capacity(KEY_RANDOM);
    while random.len() < KEY_RANDOM {
        let mut bytes = [0; 48];
        entropy.fill(&mut bytes);
        // 248 is the largest multiple of 62 in a byte: what is above would favour the first characters.
        let fair = bytes.iter().filter(|b| **b < 248).map(|b| base62(u32::from(*b)));
        random.extend(fair.take(KEY_RANDOM - random.len()));
    }
    let check = checksum(&random);
    format!("{KEY_PREFIX}{random}{check}")
}

/// Whether a text has a key's form and checksum: a mistyped key costs no look-up.
pub(super) fn is_key(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(KEY_PREFIX) else { return false };
    if rest.len() != KEY_RANDOM + KEY_CHECK || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    rest.split_at_checked(KEY_RANDOM).is_some_and(|(random, check)| checksum(random) == check)
}

fn checksum(random: &str) -> String {
    let mut rest = crc32fast::hash(random.as_bytes());
    let mut digits: Vec<char> = Vec::with_capacity(KEY_CHECK);
    for _ in 0..KEY_CHECK {
        digits.push(base62(rest));
        rest /= 62;
    }
    digits.into_iter().rev().collect()
}

fn base62(value: u32) -> char {
    BASE62.get((value % 62) as usize).copied().map_or('0', char::from)
}

/// The token of `Bearer <token>`.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) fn unauthorized() -> Refusal {
    Refusal::new(401, "unauthorized", "sign in, or send an API key as Authorization: Bearer tl_live_…")
        .with("www-authenticate", "Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::cell::Cell<u8>);
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0.set(self.0.get().wrapping_mul(31).wrapping_add(17));
                *byte = self.0.get();
            }
        }
    }

    #[test]
    fn every_single_character_typo_of_a_key_is_seen_without_a_look_up() {
        let key = new_key(&Counting(std::cell::Cell::new(3)));
        assert!(is_key(&key), "{key}");
        assert_eq!(key.len(), 44);
        for position in KEY_PREFIX.len()..key.len() {
            for replacement in BASE62 {
                let mut bytes = key.clone().into_bytes();
                if bytes[position] == *replacement {
                    continue;
                }
                bytes[position] = *replacement;
                assert!(!is_key(std::str::from_utf8(&bytes).unwrap()), "{position}");
            }
        }
    }

    #[test]
    fn bearer_is_read_as_written() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
