//! Tickets: one-call credentials that the edge signs with Ed25519 and nodes verify, so that a stolen node cannot mint one.
//! A stream ticket travels through Twilio as `<Parameter name="ticket">`; a resume token lets the owner of a call open
//! further sockets to the room. That a ticket is used once is the room's to remember.
//!
//! Form: `v1.` + base64url(JSON claims) + `.` + base64url(signature over everything before the last dot), no padding.

use crate::ids::{CallId, CallSid, Epoch, NodeId};
use crate::time::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of the `<Parameter>` that carries a stream ticket.
pub const PARAMETER: &str = "ticket";
/// How long a stream ticket may be used.
pub const STREAM_TTL_MS: i64 = 60_000;
/// Longest text of a ticket; with its name it stays under Twilio's 500 characters per parameter.
pub const MAX_LENGTH: usize = 480;
/// How far the clocks of edge and node may differ.
pub const CLOCK_SKEW_MS: i64 = 30_000;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// To take over a call's media with a new stream.
    Stream,
    /// To open a further socket for media that this node already owns.
    Resume,
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// What it is for.
    #[serde(rename = "a")]
    pub audience: Audience,
    /// The call.
    #[serde(rename = "c")]
    pub call: CallId,
    /// Twilio's leg; `start.callSid` must equal it.
    #[serde(rename = "s")]
    pub call_sid: CallSid,
    /// The only node that may use it.
    #[serde(rename = "n")]
    pub node: NodeId,
    /// The epoch that redeeming it creates (stream), or that it belongs to (resume).
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// 16 bytes of entropy in hexadecimal.
    #[serde(rename = "j")]
    pub nonce: String,
    /// Not to be used after this moment, unix milliseconds.
    #[serde(rename = "x")]
    pub expires: UnixMillis,
}

/// Why a ticket is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a ticket's form.
    #[error("malformed ticket")]
    Malformed,
    /// Signed by somebody else, or changed.
    #[error("the ticket's signature does not match")]
    Signature,
    /// Too old.
    #[error("the ticket has expired")]
    Expired,
    /// Meant for something else.
    #[error("the ticket is for another use")]
    Audience,
    /// Meant for another node.
    #[error("the ticket is for another node")]
    Node,
}

/// The edge's signing key.
#[derive(Clone)]
pub struct TicketSigner(SigningKey);

/// What nodes verify with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TicketVerifier(VerifyingKey);

impl fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSigner(•••)")
    }
}
impl fmt::Debug for TicketVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketVerifier")
    }
}

impl TicketSigner {
    /// From the 32-byte seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }
    /// From `TICKET_SIGNING_KEY`: the seed in standard base64.
    pub fn from_base64(text: &str) -> Option<Self> {
        let seed: [u8; 32] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self::from_seed(seed))
    }
    /// The key that verifies what this one signs.
    pub fn verifier(&self) -> TicketVerifier {
        TicketVerifier(self.0.verifying_key())
    }
    /// Signs.
    pub fn sign(&self, claims: &Claims) -> String {
        let json = serde_json::to_vec(claims).unwrap_or_default();
        let mut text = format!("v1.{}", URL_SAFE_NO_PAD.encode(json));
        let signature = self.0.sign(text.as_bytes());
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        text
    }
}

impl TicketVerifier {
    /// From `TICKET_PUBLIC_KEY`: 32 bytes in standard base64.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(Self)
    }
    /// The form that [`TicketVerifier::from_base64`] reads.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }
    /// Checks signature, audience and age. Which call, node and epoch it must be for is checked by whoever knows.
    pub fn verify(&self, text: &str, audience: Audience, now: UnixMillis) -> Result<Claims, Refused> {
        if text.len() > MAX_LENGTH {
            return Err(Refused::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refused::Malformed)?;
        let claims = signed.strip_prefix("v1.").ok_or(Refused::Malformed)?;
        let signature: [u8; 64] = decode(signature)?.try_into().map_err(|_| Refused::Malformed)?;
        self.0.verify_strict(signed.as_bytes(), &Signature::from_bytes(&signature)).map_err(|_| Refused::Signature)?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| Refused::Malformed)?;
        if claims.audience != audience {
            return Err(Refused::Audience);
        }
        if now.since(claims.expires) > CLOCK_SKEW_MS {
            return Err(Refused::Expired);
        }
        Ok(claims)
    }
    /// [`TicketVerifier::verify`], and the ticket must name this node.
    pub fn verify_for(
        &self,
        text: &str,
        audience: Audience,
        node: &NodeId,
        now: UnixMillis,
    ) -> Result<Claims, Refused> {
        let claims = self.verify(text, audience, now)?;
        if claims.node == *node { Ok(claims) } else { Err(Refused::Node) }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            audience: Audience::Stream,
            call: CallId::derived([7; 16]),
            call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
            node: NodeId::parse("e2865013f44908").unwrap(),
            epoch: Epoch(3),
            nonce: "00112233445566778899aabbccddeeff".into(),
            expires: UnixMillis(1_767_225_660_000),
        }
    }

    #[test]
    fn a_ticket_is_read_back_and_fits_a_parameter() {
        let signer = TicketSigner::from_seed([1; 32]);
        let text = signer.sign(&claims());
        assert!(text.len() <= MAX_LENGTH, "{}", text.len());
        let now = UnixMillis(1_767_225_600_000);
        let verifier = TicketVerifier::from_base64(&signer.verifier().to_base64()).unwrap();
        assert_eq!(verifier.verify_for(&text, Audience::Stream, &claims().node, now), Ok(claims()));
        assert_eq!(verifier.verify(&text, Audience::Resume, now), Err(Refused::Audience));
        assert_eq!(
            verifier.verify(&text, Audience::Stream, claims().expires.plus(CLOCK_SKEW_MS + 1)),
            Err(Refused::Expired)
        );
        assert_eq!(
            verifier.verify_for(&text, Audience::Stream, &NodeId::parse("other").unwrap(), now),
            Err(Refused::Node)
        );
        let stranger = TicketSigner::from_seed([2; 32]).verifier();
        assert_eq!(stranger.verify(&text, Audience::Stream, now), Err(Refused::Signature));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let signer = TicketSigner::from_seed([1; 32]);
        let text = signer.sign(&claims());
        for position in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[position] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(
                    signer.verifier().verify(&changed, Audience::Stream, UnixMillis(0)).is_err(),
                    "{position}.{bit}"
                );
            }
        }
        assert_eq!(signer.verifier().verify("", Audience::Stream, UnixMillis(0)), Err(Refused::Malformed));
    }
}
