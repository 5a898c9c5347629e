//! The addresses that Twilio is given. Each names its call, so that what comes back finds its room. Reports are retried by
//! Twilio when they fail ([`RETRY_FRAGMENT`]; Twilio strips it before it requests and signs).

use crate::config::Config;
use shared::ids::{CallId, Epoch};
use shared::twilio::webhook::RETRY_FRAGMENT;

pub(in crate::handlers) fn voice(config: &Config, call: &CallId) -> String {
    config.address(&format!("/voice?call={call}{RETRY_FRAGMENT}"))
}

pub(in crate::handlers) fn fallback(config: &Config, call: &CallId) -> String {
    config.address(&format!("/voice/fallback?call={call}{RETRY_FRAGMENT}"))
}

/// Asked when a stream has ended.
pub(in crate::handlers) fn after_stream(config: &Config, call: &CallId, epoch: Epoch) -> String {
    config.address(&format!("/voice/after-stream?call={call}&epoch={}{RETRY_FRAGMENT}", epoch.0))
}

/// Asked when a dialled leg has ended.
pub(in crate::handlers) fn after_dial(config: &Config, call: &CallId) -> String {
    config.address(&format!("/voice/after-stream?call={call}{RETRY_FRAGMENT}"))
}

pub(in crate::handlers) fn status(config: &Config, call: &CallId) -> String {
    report(config, "status", call)
}

pub(in crate::handlers) fn stream_status(config: &Config, call: &CallId) -> String {
    report(config, "stream-status", call)
}

pub(in crate::handlers) fn machine_detection(config: &Config, call: &CallId) -> String {
    report(config, "amd", call)
}

pub(in crate::handlers) fn recording(config: &Config, call: &CallId) -> String {
    report(config, "recording-status", call)
}

pub(in crate::handlers) fn transcription(config: &Config, call: &CallId) -> String {
    config.address(&format!("/api/transcriptions/realtime?call={call}{RETRY_FRAGMENT}"))
}

fn report(config: &Config, name: &str, call: &CallId) -> String {
    config.address(&format!("/api/calls/{name}?call={call}{RETRY_FRAGMENT}"))
}
