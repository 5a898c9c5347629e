//! Twilio as its customers see it: signed webhooks, TwiML, calls and their callbacks, Media Streams, the REST interface.
//! Written from Twilio's documentation and from nothing else: it shares no code with the product's own encoders, so that a
//! mistake in them shows. What people say on the telephone is [`crate::caller`]'s, and how a test run is put together
//! [`crate::world`]'s.

pub mod call;
pub mod exchange;
pub mod network;
pub mod player;
pub mod post;
pub mod rest;
pub mod sids;
pub mod signature;
pub mod socket;
pub mod stream;
pub mod token;
pub mod twiml;

use std::time::Duration;

/// Time since an origin that the user of a machine chooses, the same for all machines that are used together.
pub type Now = Duration;

/// Something that Twilio would write into its debugger, with Twilio's code for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Twilio's error or warning code.
    pub code: u16,
    /// What was wrong, in words; never contains audio, numbers or transcript text.
    pub what: String,
}

impl Alert {
    pub(crate) fn new(code: u16, what: impl Into<String>) -> Self {
        Self { code, what: what.into() }
    }
}

impl std::fmt::Display for Alert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.what)
    }
}
