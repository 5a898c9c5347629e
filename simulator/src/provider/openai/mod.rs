//! The twin of OpenAI's Realtime API in its GA form, over WebSocket: [`Twin`] is one session as a pure machine,
//! [`listen`] a server of them, [`Options`] and [`Script`] say how it behaves, [`Record`] what happened. It is strict: what
//! the documentation forbids is refused as the vendor refuses it, and noted. There is no model in it, and no product code.

mod admission;
mod client_event;
mod detector;
mod gallery;
mod ids;
mod input;
mod items;
mod options;
mod record;
pub mod rehearsal;
mod response;
mod schema;
mod script;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod twin;

pub use admission::{Admission, Request, Turned, admit};
pub use gallery::{SERVER_EVENTS, gallery, line};
pub use options::{Fault, FaultKind, Keep, LateDeltas, Moment, Options, OptionsError, Persona};
pub use record::{
    Arrival, End, Exchanged, Record, ResponseRecord, SpokenItem, ToolOutput, Truncation, Turn, Violation,
};
pub use schema::Refusal;
pub use script::{Answer, Script, ScriptError, ToolCall};
pub use server::{Server, Stats, listen};
pub use session::Format;
pub use twin::{Output, Twin, expected_audio};
