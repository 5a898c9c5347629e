//! The access token with which a browser registers at Twilio, read as strictly as Twilio reads it. Source: the page "Access
//! tokens" and the error dictionary. Who mints one is the product's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::Alert;

/// Longest life, seconds.
const LONGEST: i64 = 86_400;

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceGrant {
    /// The browser's identity: letters, digits and underscores, at most 121.
    pub identity: String,
    /// The TwiML application that its calls go to.
    pub application_sid: Option<String>,
    /// Whether it can be called.
    pub incoming: bool,
}

/// Reads a token at `now_s` (Unix seconds). The signature is checked when `keys` (`SK…` and secret) knows the issuer; with no
/// key at all every issuer passes.
///
/// # Errors
/// 20101 no token, 20103 issuer or subject, 20104 expired or too long, 20105 not yet valid, 20107 signature, 20151 header,
/// 20157 grants.
pub fn read(token: &str, account_sid: &str, keys: &[(String, String)], now_s: i64) -> Result<VoiceGrant, Alert> {
    let refused = |code: u16, what: &str| Err(Alert::new(code, what));
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        return refused(20101, "not a token");
    };
    let decode = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (Some(head), Some(claims)) = (decode(header), decode(payload)) else { return refused(20101, "not a token") };
    if head["typ"] != "JWT" || head["alg"] != "HS256" || head["cty"] != "twilio-fpa;v=1" {
        return refused(20151, "a header that is not an access token's");
    }
    let issuer = claims["iss"].as_str().unwrap_or_default();
    if !issuer.starts_with("SK") || claims["sub"] != account_sid || claims["jti"].as_str().is_none_or(str::is_empty) {
        return refused(20103, "issuer, subject or id");
    }
    match keys.iter().find(|(sid, _)| sid == issuer) {
        Some((_, secret)) => {
            let given = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
                unreachable!("HMAC takes keys of any length")
            };
            mac.update(format!("{header}.{payload}").as_bytes());
            if mac.verify_slice(&given).is_err() {
                return refused(20107, "a wrong signature");
            }
        }
        None if keys.is_empty() => {}
        None => return refused(20103, "an issuer that does not exist"),
    }
    let number = |name: &str| claims[name].as_i64();
    let Some(expires) = number("exp") else { return refused(20104, "no expiry") };
    let issued = number("iat").or(number("nbf")).unwrap_or(now_s);
    if expires <= now_s || expires - issued > LONGEST {
        return refused(20104, "expired, or valid for more than 24 hours");
    }
    if number("nbf").is_some_and(|from| from > now_s) {
        return refused(20105, "not yet valid");
    }
    let grants = &claims["grants"];
    let identity = grants["identity"].as_str().unwrap_or_default();
    let sound = !identity.is_empty()
        && identity.len() <= 121
        && identity.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !sound || !grants["voice"].is_object() {
        return refused(20157, "grants without a voice grant or a usable identity");
    }
    let application_sid = grants["voice"]["outgoing"]["application_sid"].as_str();
    Ok(VoiceGrant {
        identity: identity.to_owned(),
        application_sid: application_sid.filter(|sid| sid.starts_with("AP")).map(str::to_owned),
        incoming: grants["voice"]["incoming"]["allow"] == true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Twilio's own Node helper at 2026-01-01T00:00:00Z.
    const T1: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImN0eSI6InR3aWxpby1mcGE7dj0xIn0.eyJqdGkiOiJTSzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyLTE3NjcyMjU2MDAiLCJncmFudHMiOnsiaWRlbnRpdHkiOiJhZ2VudF80MiIsInZvaWNlIjp7ImluY29taW5nIjp7ImFsbG93Ijp0cnVlfSwib3V0Z29pbmciOnsiYXBwbGljYXRpb25fc2lkIjoiQVAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMyJ9fX0sImlhdCI6MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjI5MjAwLCJpc3MiOiJTSzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyIiwic3ViIjoiQUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMSJ9.PNM3B7RAyg4uUf8ExG6Zy130PqYqh6mkZJrJo0g6MFM";
    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const NOW: i64 = 1_767_225_600;

    fn keys() -> Vec<(String, String)> {
        vec![("SK00000000000000000000000000000002".to_owned(), "fakeSecretFakeSecretFakeSecret00".to_owned())]
    }

    #[test]
    fn twilios_own_token_is_read() {
        let grant = VoiceGrant {
            identity: "agent_42".to_owned(),
            application_sid: Some("AP00000000000000000000000000000003".to_owned()),
            incoming: true,
        };
        assert_eq!(read(T1, ACCOUNT, &keys(), NOW), Ok(grant.clone()));
        assert_eq!(read(T1, ACCOUNT, &[], NOW), Ok(grant), "without a key the signature is not known");
    }

    #[test]
    fn anything_wrong_with_it_has_its_code() {
        let code = |token: &str, account: &str, keys: &[(String, String)], now| {
            read(token, account, keys, now).map_err(|alert| alert.code)
        };
        let wrong_secret = vec![(keys()[0].0.clone(), "another".to_owned())];
        let other_key = vec![("SK00000000000000000000000000000009".to_owned(), "another".to_owned())];
        assert_eq!(code(T1, ACCOUNT, &wrong_secret, NOW), Err(20107));
        assert_eq!(code(T1, ACCOUNT, &other_key, NOW), Err(20103));
        assert_eq!(code(T1, "AC00000000000000000000000000000002", &keys(), NOW), Err(20103));
        assert_eq!(code(T1, ACCOUNT, &keys(), NOW + 3600), Err(20104));
        assert_eq!(code("a.b", ACCOUNT, &keys(), NOW), Err(20101));
        assert_eq!(code("a.b.c", ACCOUNT, &keys(), NOW), Err(20101));
        let (head, _) = T1.split_once('.').unwrap_or_default();
        let forged = |claims: &str| format!("{head}.{}.x", URL_SAFE_NO_PAD.encode(claims));
        let claims = |grants: &str, exp: i64| {
            forged(&format!(r#"{{"jti":"x","iss":"SK1","sub":"{ACCOUNT}","iat":{NOW},"exp":{exp},"grants":{grants}}}"#))
        };
        assert_eq!(code(&claims(r#"{"identity":"a b","voice":{}}"#, NOW + 60), ACCOUNT, &[], NOW), Err(20157));
        assert_eq!(code(&claims(r#"{"identity":"a"}"#, NOW + 60), ACCOUNT, &[], NOW), Err(20157));
        assert_eq!(code(&claims(r#"{"identity":"a","voice":{}}"#, NOW + 86_401), ACCOUNT, &[], NOW), Err(20104));
    }
}
