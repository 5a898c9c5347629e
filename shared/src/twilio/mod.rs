//! Twilio's wire formats, both ways, as values: signatures, webhook forms, TwiML, access tokens, Media Streams messages and
//! the few REST calls that Trunkline makes. Twilio's words are used as they are. Sending and receiving live elsewhere.

pub mod access_token;
pub mod media_stream;
pub mod rest;
pub mod signature;
pub mod twiml;
pub mod webhook;
