//! Reports of Twilio's: statuses, streams, recordings, transcriptions, machine detection. Each is read by its fields, handed
//! to its room and answered 204. Twilio cannot do anything about a fault of ours: a report that its room cannot take is
//! parked, and what is lost all the same the room makes up for by asking Twilio when it has heard nothing.

use super::super::lookup::call_of_sid;
use super::{PARKING_MS, Webhook, in_time, malformed};
use crate::call_room::{Report, Reported, RoomRequest, RoomResponse};
use crate::config::Config;
use crate::http::Response;
use crate::parking;
use crate::ports::{Level, Ports, Record, within};
use shared::call::CallEvent;
use shared::ids::CallSid;
use shared::time::UnixMillis;
use shared::twilio::webhook::{Callback, CallbackRequest, Words};

/// Takes a report.
pub(super) async fn take<P: Ports>(config: &Config, ports: &P, now: UnixMillis, webhook: &Webhook<'_>) -> Response {
    let callback = match CallbackRequest::read(&webhook.form, now) {
        Ok(callback) => callback,
        Err(invalid) => {
            malformed(ports, &invalid);
            return Response::empty(204);
        }
    };
    let mut call_sid = callback.call.call_sid;
    let call = webhook.call.clone().unwrap_or_else(|| call_of_sid(&config.account, &call_sid));
    let what = match callback.callback {
        // A leg that one of ours dialled: how far it got is the far end's life.
        Callback::Life(CallEvent::Status { status, at, .. }) if webhook.form.given("ParentCallSid").is_some() => {
            let parent = webhook.form.given("ParentCallSid").and_then(|sid| CallSid::parse(sid).ok());
            let Some(parent) = parent.filter(|_| webhook.call.is_some()) else { return Response::empty(204) };
            call_sid = parent;
            Reported::Dialled { status, at }
        }
        Callback::Life(event) => Reported::Life { event },
        Callback::Words(Words { transcription_sid, track, sequence, is_final, text, at }) => {
            Reported::Words { transcription_sid, track, sequence, is_final, text, at }
        }
        Callback::AnsweredBy(who) => Reported::AnsweredBy { who },
    };
    let report = Report { call_sid, what };
    let note = |level, message| ports.record(Record { level, message, call: Some(call.clone()), detail: None });
    let asked = in_time(ports, ports.room(&call, RoomRequest::Report(Box::new(report.clone()))));
    match asked.await {
        Ok(RoomResponse::Unknown) => note(Level::Info, "a report about a call that is not known here was ignored"),
        Ok(_) => {}
        Err(_) => match within(ports, PARKING_MS, parking::park(ports, now, &call, &report)).await {
            Some(Ok(())) => note(Level::Warn, "a report of Twilio's was parked: its room did not answer"),
            Some(Err(_)) | None => {
                note(Level::Error, "a report of Twilio's was lost: neither its room nor D1 answered")
            }
        },
    }
    Response::empty(204)
}
