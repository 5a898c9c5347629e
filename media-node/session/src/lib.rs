//! A call on a media node as a pure machine: what Twilio, the provider, the room and the clock say goes in, what must be
//! said to them comes out. No I/O, no clock, no randomness and no task lives here; time is an argument of every input.
//!
//! Drive contract: one [`Session::handle`], then [`Session::poll_action`] until it is empty, then [`Session::poll_timeout`];
//! deliver [`Input::Timeout`] at or after that moment. Actions are carried out in the order in which they come out.
//!
//! Nothing from a wire can panic this crate, every buffer in it is bounded, and after [`Action::Ended`] no action follows.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod audio;
mod carrier;
mod config;
mod drive;
mod history;
mod phase;
mod playback;
pub mod provider;
mod responses;
mod scan;
mod script;
mod session;
mod stats;
mod timers;
mod turns;
mod uplink;

pub use config::SessionConfig;
pub use drive::{Action, DialFailure, Input, Now};
pub use session::Session;
pub use stats::Stats;
