//! The first administrator, signing in and out. Passwords are hashed and checked by the vault, which also counts attempts.

use super::Outcome;
use super::auth::{self, Session, Who};
use super::refusal::{Refusal, read_json};
use crate::config::Config;
use crate::http::{Reply, Request, Response};
use crate::ports::{Level, Ports, Record, Statement};
use crate::switchboard::{Password, SwitchboardRequest, SwitchboardResponse};
use shared::api::{SessionView, SetUp, SignIn};
use shared::secret::constant_time_eq;
use shared::time::UnixMillis;
use std::net::IpAddr;

const ANY_USER: &str = "SELECT id FROM users LIMIT 1";
const FIRST_USER: &str = "INSERT INTO users (id, email, password, created_at) SELECT ?1, ?2, ?3, ?4 \
    WHERE NOT EXISTS (SELECT 1 FROM users) RETURNING id";
const FIND_USER: &str = "SELECT id, email, password FROM users WHERE email = ?1";
const NEW_SESSION: &str = "INSERT INTO sessions (hash, tag, user, created_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?4)";
/// At most five sessions of a person; the oldest go.
const PRUNE_SESSIONS: &str = "DELETE FROM sessions WHERE created_at < ?2 OR (user = ?1 AND hash NOT IN \
    (SELECT hash FROM sessions WHERE user = ?1 ORDER BY created_at DESC, hash LIMIT 5))";
const END_SESSION: &str = "DELETE FROM sessions WHERE hash = ?1";

/// `GET /api/session`.
pub(super) async fn show<P: Ports>(config: &Config, ports: &P, now: UnixMillis, request: &Request) -> Outcome {
    let session = auth::current_session(config, ports, now, request).await?;
    let needs_setup = session.is_none() && !has_user(ports).await?;
    let view = match session {
        Some(Session { email, csrf, .. }) => SessionView { email: Some(email), csrf_token: Some(csrf), needs_setup },
        None => SessionView { email: None, csrf_token: None, needs_setup },
    };
    Ok(Reply::Respond(Response::json(200, &view)))
}

/// `POST /api/setup`.
pub(super) async fn set_up<P: Ports>(config: &Config, ports: &P, now: UnixMillis, request: &Request) -> Outcome {
    auth::check_origin(config, request)?;
    let body: SetUp = read_json(&request.body)?;
    let Some(token) = &config.setup_token else {
        return Err(Refusal::new(403, "setup_disabled", "set the secret SETUP_TOKEN to make the first administrator"));
    };
    if !constant_time_eq(token.bytes(), body.token.as_bytes()) {
        // A wrong guess costs as much as a wrong password, and counts.
        let password = Password(String::new());
        let buckets = vec!["setup".to_owned(), format!("network:{}", network(request))];
        let check = SwitchboardRequest::CheckPassword { password, hash: None, buckets };
        if let SwitchboardResponse::TooMany { retry_after_s } = ports.switchboard(check).await? {
            return Err(Refusal::too_many(retry_after_s));
        }
        ports.record(Record {
            level: Level::Warn,
            message: "a set-up with a wrong token was refused",
            call: None,
            detail: None,
        });
        return Err(Refusal::new(403, "wrong_token", "this is not the deployment's SETUP_TOKEN").about("token"));
    }
    if has_user(ports).await? {
        return Err(already_done());
    }
    let email = read_email(&body.email)?;
    if !(12..=128).contains(&body.password.chars().count()) {
        return Err(Refusal::field("password", "the password must have 12 to 128 characters"));
    }
    let hash = SwitchboardRequest::HashPassword { password: Password(body.password) };
    let hashed = ports.switchboard(hash).await?;
    let SwitchboardResponse::Hashed(password) = &hashed else { return Err(not_checked(&hashed)) };
    let user = format!("user_{}", auth::random_hex::<8>(ports));
    let values = vec![user.as_str().into(), email.as_str().into(), password.as_str().into(), now.0.into()];
    let rows = ports.run(vec![Statement { sql: FIRST_USER, values }]).await?;
    if rows.first().is_none_or(Vec::is_empty) {
        return Err(already_done());
    }
    ports.record(Record { level: Level::Info, message: "the first administrator was made", call: None, detail: None });
    begin(config, ports, now, &user, email, 201).await
}

/// `POST /api/session`.
pub(super) async fn sign_in<P: Ports>(config: &Config, ports: &P, now: UnixMillis, request: &Request) -> Outcome {
    auth::check_origin(config, request)?;
    let body: SignIn = read_json(&request.body)?;
    let email = body.email.trim().to_lowercase();
    let rows = ports.run(vec![Statement { sql: FIND_USER, values: vec![email.as_str().into()] }]).await?;
    let row = rows.into_iter().flatten().next();
    let hash = row.as_ref().and_then(|r| r.text("password")).map(str::to_owned);
    // By account *and* network: who guesses elsewhere does not lock out the account's owner.
    let network = network(request);
    let buckets = vec![format!("account:{}@{network}", auth::digest(&email)), format!("network:{network}")];
    let check = SwitchboardRequest::CheckPassword { password: Password(body.password), hash, buckets };
    let checked = ports.switchboard(check).await?;
    let SwitchboardResponse::Checked(right) = checked else { return Err(not_checked(&checked)) };
    let user = row.as_ref().and_then(|r| r.text("id")).filter(|_| right);
    let Some(user) = user else {
        ports.record(Record { level: Level::Warn, message: "a sign-in was refused", call: None, detail: None });
        return Err(Refusal::new(401, "wrong_credentials", "the address or the password is not right"));
    };
    begin(config, ports, now, user, email, 200).await
}

/// `DELETE /api/session`.
pub(super) async fn sign_out<P: Ports>(config: &Config, ports: &P, who: &Who) -> Outcome {
    if let Who::Person(session) = who {
        ports.run(vec![Statement { sql: END_SESSION, values: vec![session.hash.as_str().into()] }]).await?;
    }
    let gone = set_cookie(config, "", 0);
    Ok(Reply::Respond(Response::empty(204).with("set-cookie", gone)))
}

/// Makes a new session; an old cookie of the browser is never taken over.
async fn begin<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    user: &str,
    email: String,
    status: u16,
) -> Outcome {
    let cookie = auth::new_cookie(ports);
    let tag = auth::random_hex::<8>(ports);
    let insert = vec![auth::digest(&cookie).into(), tag.into(), user.into(), now.0.into()];
    let prune = vec![user.into(), now.plus(-auth::ABSOLUTE_MS).0.into()];
    ports
        .run(vec![Statement { sql: NEW_SESSION, values: insert }, Statement { sql: PRUNE_SESSIONS, values: prune }])
        .await?;
    let view = SessionView { email: Some(email), csrf_token: Some(auth::csrf(&cookie)), needs_setup: false };
    let cookie = set_cookie(config, &cookie, auth::ABSOLUTE_MS / 1000);
    Ok(Reply::Respond(Response::json(status, &view).with("set-cookie", cookie)))
}

fn set_cookie(config: &Config, value: &str, max_age_s: i64) -> String {
    let secure = if config.is_plain_loopback() { "" } else { " Secure;" };
    format!("{}={value}; Path=/;{secure} HttpOnly; SameSite=Lax; Max-Age={max_age_s}", auth::cookie_name(config))
}

async fn has_user(ports: &impl Ports) -> Result<bool, Refusal> {
    let rows = ports.run(vec![Statement { sql: ANY_USER, values: Vec::new() }]).await?;
    Ok(rows.first().is_some_and(|rows| !rows.is_empty()))
}

/// What the vault's answer means when it did not do its work.
fn not_checked(answer: &SwitchboardResponse) -> Refusal {
    if let SwitchboardResponse::TooMany { retry_after_s } = answer {
        Refusal::too_many(*retry_after_s)
    } else {
        Refusal::unavailable()
    }
}

fn already_done() -> Refusal {
    Refusal::new(409, "already_set_up", "the first administrator exists already")
}

/// Where a request comes from, as far as one person can choose it: an IPv4 address, or the /64 of an IPv6 address.
fn network(request: &Request) -> String {
    let Some(address) = request.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()) else {
        return "unknown".to_owned();
    };
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// An address with one `@` and something on both sides; what else it must be, only its mail server knows.
fn read_email(text: &str) -> Result<String, Refusal> {
    let email = text.trim().to_lowercase();
    let sound = email.len() <= 254
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if sound { Ok(email) } else { Err(Refusal::field("email", "this must be an e-mail address")) }
}
