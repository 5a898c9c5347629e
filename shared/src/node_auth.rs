//! How a node proves itself to the edge (heartbeats, the opening of a room's socket): an HMAC over path, sender, time, nonce
//! and body with the shared `NODE_SECRET`. A room's socket needs a ticket besides ([`crate::ticket`]).

use crate::ids::NodeId;
use crate::secret::{Secret, constant_time_eq, hex, hmac_sha256, sha256};
use crate::time::UnixMillis;

/// Header: who sends.
pub const HEADER_NODE: &str = "x-trunkline-node";
/// Header: when, unix milliseconds in decimal.
pub const HEADER_TIME: &str = "x-trunkline-time";
/// Header: 16 to 64 characters that the sender never uses twice.
pub const HEADER_NONCE: &str = "x-trunkline-nonce";
/// Header: lower-case hexadecimal HMAC-SHA-256.
pub const HEADER_SIGNATURE: &str = "x-trunkline-signature";
/// How far the two clocks may differ.
pub const TOLERANCE_MS: i64 = 30_000;

/// Why a signed request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The sender's time is too far from ours.
    #[error("the time of the request is more than 30 seconds off")]
    Time,
    /// The nonce is too short, too long or has odd characters.
    #[error("the nonce must be 16 to 64 letters or digits")]
    Nonce,
    /// The signature does not match.
    #[error("the signature does not match")]
    Signature,
}

/// Signs a request: the hexadecimal text for [`HEADER_SIGNATURE`]. `path` is the request's path, for example
/// [`crate::node_api::HEARTBEAT_PATH`].
pub fn sign(secret: &Secret, path: &str, node: &NodeId, at: UnixMillis, nonce: &str, body: &[u8]) -> String {
    let head = format!("trunkline-1\n{path}\n{node}\n{}\n{nonce}\n{}", at.0, hex(&sha256(body)));
    hex(&hmac_sha256(secret.bytes(), &[head.as_bytes()]))
}

/// Checks a signed request. That a nonce is used once is the receiver's to remember, for [`TOLERANCE_MS`] both ways.
#[expect(clippy::too_many_arguments, reason = "each is one header or the body; a struct would only rename them")]
pub fn verify(
    secret: &Secret,
    path: &str,
    node: &NodeId,
    at: UnixMillis,
    nonce: &str,
    body: &[u8],
    signature: &str,
    now: UnixMillis,
) -> Result<(), Refused> {
    if now.since(at).abs() > TOLERANCE_MS {
        return Err(Refused::Time);
    }
    if !(16..=64).contains(&nonce.len()) || !nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Refused::Nonce);
    }
    let expected = sign(secret, path, node, at, nonce, body);
    if constant_time_eq(expected.as_bytes(), signature.as_bytes()) { Ok(()) } else { Err(Refused::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_part_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let (secret, node, now) = (Secret::new("s"), NodeId::parse("node-1")?, UnixMillis(1_000_000));
        let nonce = "0123456789abcdef";
        let good = sign(&secret, "/node/heartbeat", &node, now, nonce, b"{}");
        let check = |path: &str, at: i64, nonce: &str, body: &[u8]| {
            verify(&secret, path, &node, UnixMillis(at), nonce, body, &good, now)
        };
        assert_eq!(check("/node/heartbeat", now.0, nonce, b"{}"), Ok(()));
        assert_eq!(check("/prewarm", now.0, nonce, b"{}"), Err(Refused::Signature));
        assert_eq!(check("/node/heartbeat", now.0 + 1, nonce, b"{}"), Err(Refused::Signature));
        assert_eq!(check("/node/heartbeat", now.0 - 30_001, nonce, b"{}"), Err(Refused::Time));
        assert_eq!(check("/node/heartbeat", now.0, "short", b"{}"), Err(Refused::Nonce));
        assert_eq!(check("/node/heartbeat", now.0, nonce, b"{ }"), Err(Refused::Signature));
        Ok(())
    }
}
