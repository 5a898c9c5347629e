//! Reports of Twilio's: statuses, streams, recordings, transcriptions, machine detection. Each is read by its fields, handed
//! to its room and answered 204. Twilio cannot do anything about a fault of ours: a report that its room cannot take is
//! parked, and what is lost all the same the room makes up for by asking Twilio when it has heard nothing.

use super::super::lookup::call_of_sid;
use super::super::refusal::Refusal;
use super::{Webhook, malformed};
use crate::call_room::{Report, Reported, RoomRequest, RoomResponse};
use crate::config::Config;
use crate::http::Response;
use crate::parking;
use crate::ports::{Level, Ports, Record};
use shared::call::CallEvent;
use shared::time::UnixMillis;
use shared::twilio::webhook::{Callback, CallbackRequest, Words};

/// Takes a report.
pub(super) async fn take<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    webhook: &Webhook<'_>,
) -> Result<Response, Refusal> {
    let callback = CallbackRequest::read(&webhook.form, now).map_err(|invalid| malformed(ports, &invalid))?;
    let call_sid = callback.call.call_sid;
    let call = webhook.call.clone().unwrap_or_else(|| call_of_sid(&config.account, &call_sid));
    let what = match callback.callback {
        // The status of a leg that one of our legs dialled says nothing about ours.
        Callback::Life(CallEvent::Status { .. }) if webhook.form.given("ParentCallSid").is_some() => {
            return Ok(Response::empty(204));
        }
        Callback::Life(event) => Reported::Life { event },
        Callback::Words(Words { transcription_sid, track, sequence, is_final, text, at }) => {
            Reported::Words { transcription_sid, track, sequence, is_final, text, at }
        }
        Callback::AnsweredBy(who) => Reported::AnsweredBy { who },
    };
    let report = Report { call_sid, what };
    let note = |level, message| ports.record(Record { level, message, call: Some(call.clone()), detail: None });
    match ports.room(&call, RoomRequest::Report(Box::new(report.clone()))).await {
        Ok(RoomResponse::Unknown) => note(Level::Info, "a report about a call that is not known here was ignored"),
        Ok(_) => {}
        Err(_) => match parking::park(ports, now, &call, &report).await {
            Ok(()) => note(Level::Warn, "a report of Twilio's was parked: its room did not answer"),
            Err(_) => note(Level::Error, "a report of Twilio's was lost: neither its room nor D1 answered"),
        },
    }
    Ok(Response::empty(204))
}
