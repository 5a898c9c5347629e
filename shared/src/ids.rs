//! Identifiers and telephone addresses, parsed once at the border and carried as types from there on. Nothing here knows
//! what an identifier's owner does; a value that exists is well-formed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not the identifier it was taken for. The text itself is not kept: it may be private.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {expected}")]
pub struct InvalidId {
    /// The identifier's name, for example `CallSid`.
    pub kind: &'static str,
    /// What would have been accepted.
    pub expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr, $debug:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "ts", derive(ts_rs::TS))]
        #[cfg_attr(feature = "ts", ts(type = "string"))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// Reads the identifier from its text; [`InvalidId`] when it has another shape.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { kind: stringify!($name), expected: $expected })
                }
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&str) -> String = $debug;
                f.write_str(&show(&self.0))
            }
        }
    };
}

macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.len() == 34
        && text.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_slug(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

text_id!(
    /// A Twilio account, `AC` and 32 hexadecimal digits.
    AccountSid, "AC and 32 hexadecimal digits", |t| is_sid(t, "AC"), str::to_owned);
text_id!(
    /// A Twilio call leg, `CA` and 32 hexadecimal digits.
    CallSid, "CA and 32 hexadecimal digits", |t| is_sid(t, "CA"), str::to_owned);
text_id!(
    /// A Media Stream, `MZ` and 32 hexadecimal digits.
    StreamSid, "MZ and 32 hexadecimal digits", |t| is_sid(t, "MZ"), str::to_owned);
text_id!(
    /// A recording, `RE` and 32 hexadecimal digits.
    RecordingSid, "RE and 32 hexadecimal digits", |t| is_sid(t, "RE"), str::to_owned);
text_id!(
    /// A real-time transcription, `GT` and 32 hexadecimal digits.
    TranscriptionSid, "GT and 32 hexadecimal digits", |t| is_sid(t, "GT"), str::to_owned);
text_id!(
    /// A Twilio API key, `SK` and 32 hexadecimal digits.
    ApiKeySid, "SK and 32 hexadecimal digits", |t| is_sid(t, "SK"), str::to_owned);
text_id!(
    /// A TwiML application, `AP` and 32 hexadecimal digits.
    AppSid, "AP and 32 hexadecimal digits", |t| is_sid(t, "AP"), str::to_owned);
text_id!(
    /// A telephone number in E.164: `+`, then 2 to 15 digits of which the first is not 0 (Twilio error 13223's pattern).
    /// `Debug` shows only the last two digits; there is no `Display`, so a log line cannot show one by accident.
    PhoneNumber, "a number in E.164, such as +15550100123",
    |t| t.strip_prefix('+').is_some_and(|d| (2..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()) && !d.starts_with('0')),
    |t| format!("+•••{}", t.get(t.len().saturating_sub(2)..).unwrap_or_default()));
text_id!(
    /// A browser client's identity: letters, digits and underscores, at most 121 (the Voice SDK's limit).
    ClientIdentity, "1 to 121 letters, digits or underscores",
    |t| !t.is_empty() && t.len() <= 121 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
    |_| "client:•••".to_owned());
text_id!(
    /// A media node's name: on Fly the platform's machine id; letters, digits, `-`, `_`, `.`, at most 64.
    NodeId, "1 to 64 letters, digits, -, _ or .", |t| is_slug(t, 64), str::to_owned);
text_id!(
    /// An agent's name in addresses and configuration: letters, digits, `-`, `_`, `.`, at most 64.
    AgentId, "1 to 64 letters, digits, -, _ or .", |t| is_slug(t, 64), str::to_owned);
text_id!(
    /// Trunkline's own name of a call: `call_` and 26 characters of Crockford's base 32 in lower case (128 bits). Ids made by
    /// [`CallId::new`] sort by time. It stands in every callback URL as `?call=` and names the call's room.
    CallId, "call_ and 26 characters of base 32",
    |t| t.strip_prefix("call_").is_some_and(|r| r.len() == 26 && r.bytes().all(|b| CROCKFORD.contains(&b)) && matches!(r.as_bytes().first(), Some(b'0'..=b'7'))),
    str::to_owned);
shown!(AccountSid, CallSid, StreamSid, RecordingSid, TranscriptionSid, ApiKeySid, AppSid, NodeId, AgentId, CallId);

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl CallId {
    /// A new id: 48 bits of `unix_ms`, then 80 bits of entropy that the caller supplies.
    pub fn new(unix_ms: i64, entropy: [u8; 10]) -> Self {
        let ms = u128::from(unix_ms.max(0) as u64 & 0xffff_ffff_ffff);
        let mut tail = 0u128;
        for byte in entropy {
            tail = tail << 8 | u128::from(byte);
        }
        Self::from_bits(ms << 80 | tail)
    }

    /// The id that belongs to a digest, the same for ever: how a repeated `Idempotency-Key` meets the same room.
    pub fn derived(digest: [u8; 16]) -> Self {
        Self::from_bits(u128::from_be_bytes(digest))
    }

    fn from_bits(bits: u128) -> Self {
        let mut text = String::with_capacity(31);
        text.push_str("call_");
        for position in (0..26).rev() {
            let digit = (bits >> (position * 5)) as usize & 31;
            text.push(CROCKFORD.get(digit).copied().map_or('0', char::from));
        }
        Self(text)
    }
}

/// Who is on an end of a leg, as Twilio's `From` and `To` say it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "ts", ts(type = "string"))]
pub enum Party {
    /// A telephone.
    Phone(PhoneNumber),
    /// A browser or mobile client, `client:<identity>`.
    Client(ClientIdentity),
    /// A SIP address; the text begins with `sip:` or `sips:`.
    Sip(SipAddress),
    /// A withheld, empty or odd address (`anonymous`, `+266696687` is a number and stays one).
    Unknown,
}

text_id!(
    /// A SIP address as Twilio sends it: `sip:` or `sips:`, then printable characters, at most 255 in all.
    SipAddress, "a sip: or sips: address of at most 255 printable characters",
    |t| t.len() <= 255 && (t.starts_with("sip:") || t.starts_with("sips:")) && t.bytes().all(|b| b.is_ascii_graphic()),
    |_| "sip:•••".to_owned());

impl Party {
    /// Reads a Twilio `From` or `To`. Every text is a party: what cannot be recognised is [`Party::Unknown`].
    pub fn read(text: &str) -> Self {
        if let Ok(number) = PhoneNumber::parse(text) {
            return Self::Phone(number);
        }
        if let Some(identity) = text.strip_prefix("client:").and_then(|i| ClientIdentity::parse(i).ok()) {
            return Self::Client(identity);
        }
        SipAddress::parse(text).map_or(Self::Unknown, Self::Sip)
    }

    /// The address as Twilio writes it; `anonymous` when unknown.
    pub fn to_text(&self) -> String {
        match self {
            Self::Phone(number) => number.as_str().to_owned(),
            Self::Client(identity) => format!("client:{}", identity.as_str()),
            Self::Sip(address) => address.as_str().to_owned(),
            Self::Unknown => "anonymous".to_owned(),
        }
    }
}
impl From<String> for Party {
    fn from(text: String) -> Self {
        Self::read(&text)
    }
}
impl From<Party> for String {
    fn from(party: Party) -> String {
        party.to_text()
    }
}

/// Which owner of a call's media this is: 0 before any node, then raised by one with every new owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch that the next owner gets.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_sort_by_time_and_read_back() {
        let early = CallId::new(1_767_225_600_000, [255; 10]);
        let late = CallId::new(1_767_225_600_001, [0; 10]);
        assert!(early < late);
        assert_eq!(CallId::parse(early.as_str()), Ok(early.clone()));
        assert_eq!(early.as_str().len(), 31);
        assert_eq!(CallId::derived([255; 16]).as_str(), "call_7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn shapes_are_strict() {
        assert!(CallSid::parse("CA00000000000000000000000000000001").is_ok());
        for bad in [
            "",
            "CA",
            "CA0000000000000000000000000000000g",
            "AC00000000000000000000000000000001",
            "CA000000000000000000000000000000011",
        ] {
            assert!(CallSid::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "+", "15550100123", "+05550100123", "+1555010012345678", "+1555 0100123"] {
            assert!(PhoneNumber::parse(bad).is_err(), "{bad}");
        }
        for bad in ["call_8zzzzzzzzzzzzzzzzzzzzzzzzz", "call_", "call_0123456789abcdefghijklmnop"] {
            assert!(CallId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn private_addresses_do_not_print() {
        let number = Party::read("+15550100123");
        assert_eq!(format!("{number:?}"), "Phone(+•••23)");
        assert_eq!(format!("{:?}", Party::read("client:rep_7")), "Client(client:•••)");
    }

    #[test]
    fn parties_read_as_twilio_writes_them() {
        for text in ["+15550100123", "client:agent_42", "sip:a@b.example", "anonymous"] {
            assert_eq!(Party::read(text).to_text(), text);
        }
        assert_eq!(Party::read("Restricted"), Party::Unknown);
        assert_eq!(Party::read(""), Party::Unknown);
    }
}
