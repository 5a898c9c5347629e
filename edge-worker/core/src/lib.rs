//! The control plane's decisions as values in, values out: routes, handlers, the room of a call, the Switchboard. No worker
//! runtime, no clock and no randomness: the time is an argument, everything else a port.
//!
//! What the shell around it does:
//! 1. reads [`config::Config`] once per isolate; when that fails it answers with [`handlers::misconfigured`];
//! 2. turns a runtime request into [`http::Request`] (body read up to [`route::body_cap`] + 1 bytes), calls
//!    [`handlers::handle`] and performs the [`http::Reply`];
//! 3. in the object `CALL_ROOM` (named by [`shared::ids::CallId`]): loads [`call_room::Room`] over
//!    [`call_room::SqlRoomStore`], hands it one event at a time and performs its effects, [`work::perform`] included;
//! 4. in the object `SWITCHBOARD` (named by [`switchboard::SwitchboardRequest::object`]): the same with
//!    [`switchboard::Switchboard`];
//! 5. implements [`ports`].

#![cfg_attr(
    test,
    expect(clippy::wildcard_enum_match_arm, reason = "a test names what it expects: everything else is one failure")
)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod call_room;
pub mod config;
pub mod event_stream;
pub mod handlers;
pub mod history;
pub mod http;
pub mod mirror;
pub mod pace;
pub mod parking;
pub mod passes;
pub mod ports;
pub mod route;
pub mod security;
pub mod switchboard;
#[cfg(test)]
mod testing;
pub mod twilio_rest;
#[cfg(any(test, feature = "twin"))]
pub mod twin;
pub mod work;
