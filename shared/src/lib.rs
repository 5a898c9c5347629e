//! Words and rules that both planes of Trunkline agree on: identifiers, the call's lifecycle, stream tickets, agents, the
//! messages between edge and node and between edge and browser, and Twilio's wire formats. No I/O, no clock and no
//! randomness lives here: time and entropy are arguments.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod agent;
pub mod api;
pub mod call;
pub mod console_api;
pub mod ids;
pub mod node_api;
pub mod node_auth;
pub mod secret;
pub mod ticket;
pub mod time;
pub mod transcript;
pub mod twilio;
