//! `GET` and `POST /api/token`: an access token with which a page of ours becomes a telephone. Its identity names the session
//! or key that asked, so that `/voice` can check that it still lives.

use super::Outcome;
use super::auth::{self, Who};
use super::refusal::Refusal;
use crate::config::Config;
use crate::http::{Reply, Response};
use crate::ports::{DatabaseFault, Ports, Statement};
use shared::api::VoiceToken;
use shared::ids::ClientIdentity;
use shared::time::UnixMillis;
use shared::twilio::access_token::Claims;

/// How long a token lives, seconds.
const TTL_S: i64 = 3600;
/// A session may have been idle for this long while one of its tokens still lives.
const SESSION_IDLE_MS: i64 = auth::IDLE_MS + TTL_S * 1000;

const SESSION_ALIVE: &str = "SELECT tag FROM sessions WHERE tag = ?1 AND created_at > ?2 AND seen_at > ?3";
const KEY_ALIVE: &str = "SELECT id FROM keys WHERE id = ?1";

/// Makes a token.
pub(super) fn mint<P: Ports>(config: &Config, ports: &P, now: UnixMillis, who: &Who) -> Outcome {
    let (Some((key, secret)), Some(application)) = (&config.api_key, &config.twiml_app) else {
        let message = "browser calls need TWILIO_API_KEY, TWILIO_API_SECRET and TWILIO_TWIML_APP_SID";
        return Err(Refusal::new(503, "not_configured", message));
    };
    let identity = match who {
        Who::Person(session) => format!("s_{}", session.tag),
        Who::Key { id } => format!("k_{id}_{}", auth::random_hex::<8>(ports)),
    };
    let identity = ClientIdentity::parse(&identity).map_err(|_| Refusal::unavailable())?;
    let entropy = auth::random_hex::<16>(ports);
    let claims = Claims::voice(key, &config.account, identity.clone(), application, now, TTL_S, &entropy);
    let token = VoiceToken {
        token: claims.sign(secret, None),
        identity: identity.into(),
        expires_at: UnixMillis(claims.exp * 1000).to_rfc3339(),
    };
    Ok(Reply::Respond(Response::json(200, &token)))
}

/// Whether the session or key behind an identity still lives.
pub(super) async fn is_alive<P: Ports>(
    ports: &P,
    now: UnixMillis,
    identity: &ClientIdentity,
) -> Result<bool, DatabaseFault> {
    let text = identity.as_str();
    let statement = if let Some(tag) = text.strip_prefix("s_") {
        let (created, seen) = (now.plus(-auth::ABSOLUTE_MS).0, now.plus(-SESSION_IDLE_MS).0);
        Statement { sql: SESSION_ALIVE, values: vec![tag.into(), created.into(), seen.into()] }
    } else if let Some((id, _)) = text.strip_prefix("k_").and_then(|rest| rest.split_once('_')) {
        Statement { sql: KEY_ALIVE, values: vec![id.into()] }
    } else {
        return Ok(false);
    };
    let rows = ports.run(vec![statement]).await?;
    Ok(rows.first().is_some_and(|rows| !rows.is_empty()))
}
