//! Keys and tokens made here: for a local run, good for that run only, and for a deployment when `setup` is asked to.

use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;

/// The two halves of the ticket key: the edge signs with one, nodes verify with the other.
pub(crate) struct TicketKeys {
    /// `TICKET_SIGNING_KEY`: base64 of the 32-byte Ed25519 seed.
    pub(crate) signing: String,
    /// `TICKET_PUBLIC_KEY`: base64 of the 32-byte public key.
    pub(crate) public: String,
}

impl TicketKeys {
    /// A new pair.
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self::from_seed(&random()?))
    }

    fn from_seed(seed: &[u8; 32]) -> Self {
        let public = SigningKey::from_bytes(seed).verifying_key();
        Self { signing: STANDARD.encode(seed), public: STANDARD.encode(public.as_bytes()) }
    }
}

/// A secret of 256 bits that needs no quoting anywhere.
pub(crate) fn token() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Random hex digits in lower case, like Twilio's secrets.
pub(crate) fn hex<const BYTES: usize>() -> Result<String> {
    Ok(random::<BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{TicketKeys, hex, token};

    #[test]
    fn the_public_half_is_that_of_the_seed() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
        };
        use base64::Engine as _;
        let encode = |hex| base64::engine::general_purpose::STANDARD.encode(bytes(hex));
        let keys = TicketKeys::from_seed(bytes(seed).as_slice().try_into().expect("32 bytes"));
        assert_eq!(keys.signing, encode(seed));
        assert_eq!(keys.public, encode(public));
    }

    #[test]
    fn two_tokens_differ_and_need_no_quoting() {
        let (one, other) = (token().expect("random"), token().expect("random"));
        assert_ne!(one, other);
        assert!(one.len() == 43 && one.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
        assert_eq!(hex::<16>().expect("random").len(), 32);
    }
}
