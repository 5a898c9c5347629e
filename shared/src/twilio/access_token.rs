//! Access tokens: the JWT with which a browser or mobile client of the Voice SDK registers and calls. Signed HS256 with an
//! API key's secret; header and claims as Twilio's helpers write them (content type `twilio-fpa;v=1`).

use crate::ids::{AccountSid, ApiKeySid, AppSid, ClientIdentity};
use crate::secret::{Secret, constant_time_eq, hmac_sha256};
use crate::time::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest life that Twilio accepts, seconds.
pub const MAX_TTL_S: i64 = 86_400;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    cty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    twr: Option<String>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Unique: `<key sid>-<entropy>`.
    pub jti: String,
    /// What it allows.
    pub grants: Grants,
    /// Not before, unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Issued at, unix seconds.
    pub iat: i64,
    /// Expires, unix seconds.
    pub exp: i64,
    /// The API key.
    pub iss: ApiKeySid,
    /// The account.
    pub sub: AccountSid,
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// As whom.
    pub identity: ClientIdentity,
    /// Voice.
    pub voice: VoiceGrant,
}

/// The Voice grant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VoiceGrant {
    /// Present when the client may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Incoming>,
    /// Present when the client may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<Outgoing>,
    /// For push notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_credential_sid: Option<String>,
    /// The device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
}

/// The right to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// Always true: a token without the right has no such member.
    pub allow: bool,
}

/// The right to call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Through which TwiML application.
    pub application_sid: AppSid,
    /// Sent to it with every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<BTreeMap<String, String>>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a token of this kind.
    #[error("malformed access token")]
    Malformed,
    /// Signed with another secret.
    #[error("the access token's signature does not match")]
    Signature,
    /// Too old, or not valid yet.
    #[error("the access token is not valid at this time")]
    Time,
}

impl Claims {
    /// A token that lets `identity` call through `application` and be called, from `now` for `ttl_s` (at most
    /// [`MAX_TTL_S`]) seconds. `entropy` makes it unique.
    pub fn voice(
        key: &ApiKeySid,
        account: &AccountSid,
        identity: ClientIdentity,
        application: &AppSid,
        now: UnixMillis,
        ttl_s: i64,
        entropy: &str,
    ) -> Self {
        Self {
            jti: format!("{key}-{entropy}"),
            grants: Grants {
                identity,
                voice: VoiceGrant {
                    incoming: Some(Incoming { allow: true }),
                    outgoing: Some(Outgoing { application_sid: application.clone(), params: None }),
                    ..VoiceGrant::default()
                },
            },
            nbf: None,
            iat: now.seconds(),
            exp: now.seconds() + ttl_s.clamp(1, MAX_TTL_S),
            iss: key.clone(),
            sub: account.clone(),
        }
    }

    /// The signed token. `region` is a Twilio region such as `ie1`; none: the United States.
    pub fn sign(&self, secret: &Secret, region: Option<&str>) -> String {
        let header = Header {
            alg: "HS256".to_owned(),
            typ: "JWT".to_owned(),
            cty: "twilio-fpa;v=1".to_owned(),
            twr: region.map(str::to_owned),
        };
        let part = |json: Result<Vec<u8>, _>| URL_SAFE_NO_PAD.encode(json.unwrap_or_default());
        let signed = format!("{}.{}", part(serde_json::to_vec(&header)), part(serde_json::to_vec(self)));
        let signature = hmac_sha256(secret.bytes(), &[signed.as_bytes()]);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Reads a token and checks its signature and time.
    pub fn verify(token: &str, secret: &Secret, now: UnixMillis) -> Result<Self, Refused> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Malformed);
        let expected = hmac_sha256(secret.bytes(), &[signed.as_bytes()]);
        if !constant_time_eq(&expected, &decode(signature)?) {
            return Err(Refused::Signature);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refused::Malformed)?;
        if header.alg != "HS256" || header.typ != "JWT" || header.cty != "twilio-fpa;v=1" {
            return Err(Refused::Malformed);
        }
        let claims: Self = serde_json::from_slice(&decode(claims)?).map_err(|_| Refused::Malformed)?;
        let now = now.seconds();
        if now >= claims.exp || claims.nbf.is_some_and(|nbf| now < nbf) {
            return Err(Refused::Time);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImN0eSI6InR3aWxpby1mcGE7dj0xIn0.eyJqdGkiOiJTSzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyLTE3NjcyMjU2MDAiLCJncmFudHMiOnsiaWRlbnRpdHkiOiJhZ2VudF80MiIsInZvaWNlIjp7ImluY29taW5nIjp7ImFsbG93Ijp0cnVlfSwib3V0Z29pbmciOnsiYXBwbGljYXRpb25fc2lkIjoiQVAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMyJ9fX0sImlhdCI6MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjI5MjAwLCJpc3MiOiJTSzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyIiwic3ViIjoiQUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMSJ9.PNM3B7RAyg4uUf8ExG6Zy130PqYqh6mkZJrJo0g6MFM";
    const T2: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImN0eSI6InR3aWxpby1mcGE7dj0xIiwidHdyIjoiaWUxIn0.eyJqdGkiOiJTSzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyLTE3NjcyMjU2MDAiLCJncmFudHMiOnsiaWRlbnRpdHkiOiJyZXBfNyIsInZvaWNlIjp7Im91dGdvaW5nIjp7ImFwcGxpY2F0aW9uX3NpZCI6IkFQMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDMiLCJwYXJhbXMiOnsiY2FtcGFpZ24iOiJzcHJpbmciLCJsZWFkIjoiNDIifX0sInB1c2hfY3JlZGVudGlhbF9zaWQiOiJDUjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA0IiwiZW5kcG9pbnRfaWQiOiJicm93c2VyMSJ9fSwibmJmIjoxNzY3MjI1NjAwLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzMxMjAwMCwiaXNzIjoiU0swMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMiIsInN1YiI6IkFDMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDEifQ.c0Z19V--INND_NP03sYaoNhQUSTCBKcydFyfVPiijuA";
    const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

    fn secret() -> Secret {
        Secret::new("fakeSecretFakeSecretFakeSecret00")
    }
    fn first() -> Claims {
        Claims::voice(
            &ApiKeySid::parse("SK00000000000000000000000000000002").unwrap(),
            &AccountSid::parse("AC00000000000000000000000000000001").unwrap(),
            ClientIdentity::parse("agent_42").unwrap(),
            &AppSid::parse("AP00000000000000000000000000000003").unwrap(),
            NOW,
            3600,
            "1767225600",
        )
    }

    #[test]
    fn the_first_vector_is_reproduced_to_the_byte() {
        assert_eq!(first().sign(&secret(), None), T1);
        assert_eq!(Claims::verify(T1, &secret(), NOW), Ok(first()));
    }

    #[test]
    fn the_second_vector_is_reproduced_to_the_byte() {
        let mut claims = first();
        claims.grants.identity = ClientIdentity::parse("rep_7").unwrap();
        claims.grants.voice = VoiceGrant {
            incoming: None,
            outgoing: Some(Outgoing {
                application_sid: AppSid::parse("AP00000000000000000000000000000003").unwrap(),
                params: Some(BTreeMap::from([("campaign".into(), "spring".into()), ("lead".into(), "42".into())])),
            }),
            push_credential_sid: Some("CR00000000000000000000000000000004".into()),
            endpoint_id: Some("browser1".into()),
        };
        claims.nbf = Some(NOW.seconds());
        claims.exp = NOW.seconds() + MAX_TTL_S;
        assert_eq!(Claims::verify(T2, &secret(), NOW), Ok(claims.clone()));
        assert_eq!(claims.sign(&secret(), Some("ie1")), T2);
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(Claims::verify(T1, &Secret::new("other"), NOW), Err(Refused::Signature));
        assert_eq!(Claims::verify(T1, &secret(), NOW.plus(3_600_000)), Err(Refused::Time));
        assert_eq!(Claims::verify(T2, &secret(), NOW.plus(-1000)), Err(Refused::Time));
        assert_eq!(Claims::verify("a.b", &secret(), NOW), Err(Refused::Malformed));
    }
}
