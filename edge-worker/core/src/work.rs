//! Doing what a room's outbox asks for, over the ports: the one place where a room's work meets D1, the Switchboard and
//! Twilio. Whether and when it is tried again is the room's decision.

use crate::call_room::{RoomInput, Task, Work, WorkOutcome};
use crate::config::Config;
use crate::ports::{Database, Ports};
use crate::switchboard::SwitchboardRequest;
use crate::twilio_rest;

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
        Task::Twilio(order) => match ports.send(twilio_rest::request(config, &order)).await {
            Ok(incoming) => twilio_rest::read(&order, &incoming).map_or(WorkOutcome::Failed, WorkOutcome::Twilio),
            Err(_) => WorkOutcome::Failed,
        },
    };
    RoomInput::WorkDone { key: work.key, version: work.version, outcome }
}
