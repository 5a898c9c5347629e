//! `/voice/after-stream`: a stream or a dialled leg has ended, and Twilio asks how the call goes on. The room decides; when it
//! wants another node, the Switchboard is asked for one and the room once more.

use super::super::auth;
use super::voice::connect;
use super::{SORRY, Webhook, in_time, malformed};
use crate::call_room::{After, Interlude, NextStep, Rescue, RoomRequest, RoomResponse};
use crate::config::Config;
use crate::ports::{Level, Ports, Record, Unavailable};
use crate::switchboard::{SwitchboardRequest, SwitchboardResponse};
use shared::call::EndReason;
use shared::ids::{CallId, Epoch};
use shared::twilio::twiml::{Response, Verb};
use shared::twilio::webhook::{CallFields, Form, InvalidForm, asked_at};

/// What the caller hears when the call cannot go on.
const LOST: &str = "We are sorry, the connection was lost. Please call again.";
/// How often the question is asked again while the room does not answer.
const MOST_TRIES: u32 = 3;

/// Answers the question.
pub(super) async fn answer<P: Ports>(config: &Config, ports: &P, webhook: &Webhook<'_>) -> Response {
    let call = webhook.call.as_ref().ok_or(InvalidForm::Missing("call"));
    let (call, after) = match call.and_then(|call| Ok((call, read(&webhook.form, webhook)?))) {
        Ok(read) => read,
        Err(invalid) => {
            malformed(ports, &invalid);
            return Response::apology(SORRY);
        }
    };
    in_time(ports, ask(config, ports, call, after)).await.unwrap_or_else(|Unavailable| {
        let message = "the question after a stream could not be answered at once: an object did not answer";
        ports.record(Record { level: Level::Error, message, call: Some(call.clone()), detail: None });
        let tries = webhook.tries();
        if tries >= MOST_TRIES { Response::apology(SORRY) } else { again(config, call, webhook, tries + 1) }
    })
}

fn read(form: &Form, webhook: &Webhook<'_>) -> Result<After, InvalidForm> {
    let call_sid = CallFields::read(form)?.call_sid;
    let status = asked_at(form)?;
    let ended = match form.get("DialCallStatus") {
        Some(word) => Interlude::Dial { verdict: dial_verdict(word)? },
        None => {
            let epoch = webhook.ours("epoch").ok_or(InvalidForm::Missing("epoch"))?;
            let epoch = epoch.parse().map(Epoch).map_err(|_| InvalidForm::Field("epoch"))?;
            Interlude::Stream { epoch, rescue: None }
        }
    };
    Ok(After { call_sid, status, ended })
}

fn dial_verdict(word: &str) -> Result<Option<EndReason>, InvalidForm> {
    match word {
        "completed" | "answered" => Ok(None),
        "busy" => Ok(Some(EndReason::Busy)),
        "no-answer" => Ok(Some(EndReason::NoAnswer)),
        "canceled" => Ok(Some(EndReason::Canceled)),
        "failed" => Ok(Some(EndReason::DialFailed)),
        _ => Err(InvalidForm::Field("DialCallStatus")),
    }
}

pub(super) async fn ask<P: Ports>(
    config: &Config,
    ports: &P,
    call: &CallId,
    after: After,
) -> Result<Response, Unavailable> {
    let first = after_step(ports, call, after.clone()).await?;
    let (NextStep::NeedsNode { lost }, Interlude::Stream { epoch, .. }) = (&first, &after.ended) else {
        return Ok(document(config, first));
    };
    let message = "a call lost its stream and is given to another node";
    ports.record(Record { level: Level::Warn, message, call: Some(call.clone()), detail: None });
    let picked = ports.switchboard(SwitchboardRequest::PickNode { avoid: lost.clone() }).await?;
    let SwitchboardResponse::Node(node) = picked else { return Err(Unavailable) };
    let rescue = Some(Rescue { node, nonce: auth::random_hex::<16>(ports) });
    let ended = Interlude::Stream { epoch: *epoch, rescue };
    let second = after_step(ports, call, After { ended, ..after }).await?;
    Ok(document(config, second))
}

async fn after_step<P: Ports>(ports: &P, call: &CallId, after: After) -> Result<NextStep, Unavailable> {
    let RoomResponse::After(step) = ports.room(call, RoomRequest::After(Box::new(after))).await? else {
        return Err(Unavailable);
    };
    Ok(step)
}

fn document(config: &Config, step: NextStep) -> Response {
    match step {
        NextStep::Media(offer) => connect(config, &offer),
        NextStep::HangUp => Response::new([Verb::Hangup]),
        NextStep::Inert => Response::default(),
        NextStep::Apologise | NextStep::NeedsNode { .. } => Response::apology(LOST),
    }
}

/// The same question once more, after a second.
fn again(config: &Config, call: &CallId, webhook: &Webhook<'_>, tries: u32) -> Response {
    let Some(epoch) = webhook.ours("epoch").and_then(|e| e.parse::<u32>().ok()) else {
        return Response::apology(SORRY);
    };
    let path = format!("/voice/after-stream?call={call}&epoch={epoch}&try={tries}");
    Response::new([Verb::Pause { seconds: 1 }, Verb::Redirect(config.address(&path))])
}
