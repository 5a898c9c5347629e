//! The twin's rules as conversations: known answers from the vendor's documentation, and properties.

mod admission;
mod faults;
mod items;
mod judged;
mod properties;
mod responses;
mod server;
mod session;
mod turns;

use serde_json::{Value, json};

use super::options::Options;
use super::rehearsal::{Rehearsal, kind, telephone};

/// A twin without oddities, so that the exact events can be compared.
fn plain() -> Options {
    Options { unknown_event_every: 0, conversation_created: false, ..Options::default() }
}

/// A configured telephone session; what came so far is forgotten.
fn telephoned(options: Options) -> Rehearsal {
    let mut client = Rehearsal::open(options);
    let answer = client.configure();
    assert_eq!(answer.iter().map(kind).collect::<Vec<_>>(), ["session.updated"]);
    client.forget();
    client
}

/// The inside of the one event that came, which must be an `error`: its code and param.
fn refused(events: &[Value]) -> (String, Option<String>) {
    let [event] = events else { panic!("expected one error, got {events:?}") };
    assert_eq!(kind(event), "error", "{event}");
    let error = &event["error"];
    assert_eq!(error["type"], "invalid_request_error");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    (error["code"].as_str().unwrap_or_default().to_owned(), error["param"].as_str().map(str::to_owned))
}

fn code(code: &str) -> (String, Option<String>) {
    (code.to_owned(), None)
}

fn code_at(code: &str, param: &str) -> (String, Option<String>) {
    (code.to_owned(), Some(param.to_owned()))
}
