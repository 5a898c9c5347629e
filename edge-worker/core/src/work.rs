//! Doing what a room's outbox asks for, over the ports: the one place where a room's work meets D1, the Switchboard and
//! Twilio. Whether and when it is tried again is the room's decision.

use crate::call_room::{RoomInput, Task, Work, WorkOutcome};
use crate::config::Config;
use crate::history;
use crate::ports::{Database, Level, Ports, Record};
use crate::switchboard::{SwitchboardRequest, SwitchboardResponse};
use crate::twilio_rest::{self, TwilioOrder, TwilioOutcome};
use shared::ids::{CallId, CallSid};

/// Does one piece of work and says what the room must be told.
pub async fn perform<P: Ports>(config: &Config, ports: &P, work: Work) -> RoomInput {
    let outcome = match work.task {
        Task::Project(statements) => match Database::run(ports, statements).await {
            Ok(_) => WorkOutcome::Done,
            Err(_) => WorkOutcome::Failed,
        },
        Task::Board { call, over } => {
            match ports.switchboard(SwitchboardRequest::Report { call: Box::new(call), over }).await {
                Ok(_) => WorkOutcome::Done,
                Err(_) => WorkOutcome::Failed,
            }
        }
        Task::Twilio(order) => {
            order_of(config, ports, &work.call, &order).await.map_or(WorkOutcome::Failed, WorkOutcome::Twilio)
        }
        Task::Note(message) => {
            ports.record(Record { level: Level::Warn, message, call: Some(work.call), detail: None });
            WorkOutcome::Done
        }
    };
    RoomInput::WorkDone { key: work.key, version: work.version, outcome }
}

/// Carries an order out; none: nobody knows what came of it, it may be repeated.
async fn order_of<P: Ports>(config: &Config, ports: &P, call: &CallId, order: &TwilioOrder) -> Option<TwilioOutcome> {
    let note = |level, message, detail| ports.record(Record { level, message, call: Some(call.clone()), detail });
    if let TwilioOrder::HangUp { call_sid } = order
        && is_anothers(ports, call, call_sid).await == Some(true)
    {
        note(Level::Error, "a room wanted to end a leg that is another room's; it was not ended", None);
        return Some(TwilioOutcome::Foreign);
    }
    let incoming = ports.send(twilio_rest::request(config, order)).await.ok()?;
    let outcome = twilio_rest::read(order, &incoming);
    let credentials = matches!(incoming.status, 401 | 403);
    if credentials || matches!(outcome, Some(TwilioOutcome::Refused { .. })) {
        let message = match order {
            TwilioOrder::HangUp { .. } => "Twilio refused to end a call",
            TwilioOrder::Fetch { .. } => "Twilio refused to say where a call stands",
            TwilioOrder::Find { .. } => "Twilio refused to say which calls were made",
        };
        note(Level::Error, message, Some(incoming.status.to_string()));
    }
    match (outcome, order) {
        (Some(TwilioOutcome::Found(found)), TwilioOrder::Find { from, to, since }) => {
            let rivals = history::rivals(ports, call, from, to, *since).await.ok()?;
            let mut ours = Vec::new();
            for call_sid in found {
                if !rivals.named.contains(&call_sid) && !is_anothers(ports, call, &call_sid).await? {
                    ours.push(call_sid);
                }
            }
            if rivals.unnamed && !ours.is_empty() {
                note(Level::Warn, "a call was found that may be one of several; none of them takes it", None);
                ours.clear();
            }
            Some(TwilioOutcome::Found(ours))
        }
        (outcome, _) => outcome,
    }
}

/// Whether the Switchboard knows this leg as another call's; none: it does not answer.
async fn is_anothers<P: Ports>(ports: &P, call: &CallId, call_sid: &CallSid) -> Option<bool> {
    match ports.switchboard(SwitchboardRequest::Resolve { call_sid: call_sid.clone() }).await {
        Ok(SwitchboardResponse::Call(owner)) => Some(owner.is_some_and(|owner| owner != *call)),
        Ok(_) | Err(_) => None,
    }
}
