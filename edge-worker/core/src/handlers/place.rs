//! `POST /api/calls`: placing a call. The room is opened before Twilio is asked, so that no callback can come too early; what
//! became of the request is told to the room, and a repeated request gets the same answer. `POST /Calls` itself is sent at
//! most once per call.

use super::Outcome;
use super::auth::{Who, random_hex};
use super::lookup::call_of_key;
use super::refusal::{Refusal, read_json};
use super::twilio::addresses;
use crate::call_room::{Opened, Opening, Placement, PlacementOutcome, RoomRequest, RoomResponse};
use crate::config::Config;
use crate::http::{Reply, Request, Response};
use crate::ports::{Level, Ports, Record};
use crate::switchboard::{Lookup, SwitchboardRequest, SwitchboardResponse};
use crate::twilio_rest;
use shared::agent::Agent;
use shared::api::{PlaceCall, PlacedCall};
use shared::call::{CallStatus, Direction};
use shared::ids::{AgentId, CallId, Party, PhoneNumber};
use shared::secret::{hex, sha256};
use shared::time::UnixMillis;
use shared::twilio::rest::{self, CreateCall, Created};
use std::collections::BTreeMap;

/// Longest ringing, seconds.
const RING_S: u32 = 60;
/// How much longer than the agent's limit Twilio lets a call last, seconds: the node ends it politely before.
const LIMIT_MARGIN_S: u32 = 60;
/// Bounds of the variables.
const MOST_VARIABLES: usize = 50;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 4_000;
/// Most bytes of all variables together, as JSON: they travel to the node with the agent and the conversation.
const MOST_VARIABLE_BYTES: usize = 16 * 1024;
/// How often one key may be left to another call.
const MOST_SPENT: u32 = 16;
/// Longest idempotency key.
const LONGEST_KEY: usize = 255;

/// Places a call.
pub(super) async fn place<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    request: &Request,
    who: &Who,
) -> Outcome {
    let wanted: PlaceCall = read_json(&request.body)?;
    check_variables(&wanted.variables)?;
    let from = wanted.from.clone().or_else(|| config.caller_id.clone());
    let from = from.ok_or_else(|| {
        Refusal::field("from", "no caller id is configured (TWILIO_CALLER_ID): say which number calls").status(422)
    })?;
    let key = idempotency_key(request)?;
    let digest = digest(&wanted)?;
    let call = match &key {
        Some(key) => match recall(ports, &who.scope(), key, &digest).await? {
            Earlier::Answered(call, placement) => {
                return answer(call, &placement).map(replayed).map_err(replayed_refusal);
            }
            Earlier::Free(call) => call,
        },
        None => {
            let mut entropy = [0; 10];
            ports.fill(&mut entropy);
            CallId::new(now.0, entropy)
        }
    };
    let agent = find_agent(ports, wanted.agent.clone()).await?;
    let opening = Opening {
        call: call.clone(),
        direction: Direction::Outbound,
        from: Party::Phone(from.clone()),
        to: Party::Phone(wanted.to.clone()),
        call_sid: None,
        status: CallStatus::Queued,
        agent: Some(agent.clone()),
        variables: wanted.variables.clone(),
        digest: Some(digest),
        attempt: random_hex::<16>(ports),
    };
    let RoomResponse::Opened(opened) = ports.room(&call, RoomRequest::Open(Box::new(opening))).await? else {
        return Err(Refusal::unavailable());
    };
    match opened {
        Opened::New => {}
        // Somebody was faster with the same key.
        Opened::Known { placement: Some(placement) } => {
            return answer(call, &placement).map(replayed).map_err(replayed_refusal);
        }
        Opened::Known { placement: None } | Opened::Spent => return Err(Refusal::unavailable()),
        Opened::Conflict => return Err(conflict()),
    }
    let placement = dial(config, ports, &call, &wanted, from, &agent).await;
    let outcome = PlacementOutcome { placement: placement.clone(), repeatable: key.is_some() };
    // When the room cannot be told, it finds out by itself: from a callback, or by looking for the call.
    let told = ports.room(&call, RoomRequest::Placed(outcome)).await;
    match (told, placement) {
        // A callback may have told the room more than Twilio's answer told us.
        (Ok(RoomResponse::Opened(Opened::Known { placement: Some(known) })), _) => answer(call, &known),
        (_, placement) => answer(call, &placement),
    }
}

/// What an idempotency key stands for.
enum Earlier {
    /// A call that was placed, or is being placed.
    Answered(CallId, Placement),
    /// Nothing yet: this call may be placed.
    Free(CallId),
}

/// Looks for what was asked with this key before. A call that Twilio had no room for and that was given up since leaves its
/// key to another one.
async fn recall<P: Ports>(ports: &P, scope: &str, key: &str, digest: &str) -> Result<Earlier, Refusal> {
    for attempt in 0..MOST_SPENT {
        let call = call_of_key(scope, key, attempt);
        match ports.room(&call, RoomRequest::Recall { digest: digest.to_owned() }).await? {
            RoomResponse::Unknown => return Ok(Earlier::Free(call)),
            RoomResponse::Opened(Opened::Spent) => {}
            RoomResponse::Opened(Opened::Known { placement: Some(Placement::Deferred) }) => {
                return Ok(Earlier::Free(call));
            }
            RoomResponse::Opened(Opened::Known { placement: Some(placement) }) => {
                return Ok(Earlier::Answered(call, placement));
            }
            RoomResponse::Opened(Opened::Conflict) => return Err(conflict()),
            RoomResponse::Opened(Opened::New | Opened::Known { placement: None })
            | RoomResponse::Done
            | RoomResponse::Answer(_)
            | RoomResponse::After(_)
            | RoomResponse::HangUp { .. }
            | RoomResponse::Call(_) => return Err(Refusal::unavailable()),
        }
    }
    Err(Refusal::too_many(60))
}

fn conflict() -> Refusal {
    Refusal::new(409, "idempotency_conflict", "this Idempotency-Key was used for another request")
}

/// Asks Twilio, once.
async fn dial<P: Ports>(
    config: &Config,
    ports: &P,
    call: &CallId,
    wanted: &PlaceCall,
    from: PhoneNumber,
    agent: &Agent,
) -> Placement {
    let create = CreateCall {
        to: wanted.to.clone(),
        from,
        url: addresses::voice(config, call),
        fallback_url: addresses::fallback(config, call),
        status_callback: addresses::status(config, call),
        timeout_s: RING_S,
        time_limit_s: agent.limits.max_duration_s.saturating_add(LIMIT_MARGIN_S),
        recording_status_callback: wanted.record.then(|| addresses::recording(config, call)),
        amd_status_callback: wanted.machine_detection.then(|| addresses::machine_detection(config, call)),
    };
    let request = twilio_rest::post(config, &rest::calls_path(&config.account), &create.fields());
    let created = match ports.send(request).await {
        Ok(incoming) => Created::read(incoming.status, &incoming.body),
        Err(_) => Created::Unknown,
    };
    let note = |message, detail: String| {
        ports.record(Record { level: Level::Warn, message, call: Some(call.clone()), detail: Some(detail) });
    };
    match created {
        Created::Accepted(resource) => Placement::Accepted { call_sid: resource.sid, status: resource.status },
        Created::Refused(status, error) => {
            note("Twilio refused to place a call", format!("{status}/{}", error.code));
            Placement::Refused { status, code: error.code, message: error.message }
        }
        Created::TryLater => {
            note("Twilio had too many requests to place a call", "429".to_owned());
            Placement::Deferred
        }
        Created::Unknown => {
            note("nobody knows whether a call was placed; it is being looked for", "unknown".to_owned());
            Placement::Unknown
        }
    }
}

/// The answer that belongs to a placement.
fn answer(call: CallId, placement: &Placement) -> Outcome {
    let (status, body) = match placement {
        Placement::Accepted { call_sid, status } => {
            (201, PlacedCall { success: true, call_sid: Some(call_sid.clone()), call, status: status.clone() })
        }
        Placement::Unknown => (202, PlacedCall { success: false, call_sid: None, call, status: "unknown".to_owned() }),
        Placement::Pending => {
            return Err(Refusal::new(409, "in_progress", "the same request is being carried out at this moment")
                .with("retry-after", "2"));
        }
        Placement::Deferred => return Err(Refusal::too_many(1)),
        Placement::NeverMade => {
            let message = "nobody was called: Twilio never had this call";
            return Err(Refusal::new(422, "never_made", message));
        }
        Placement::Refused { status, code, message } => return Err(refused(*status, *code, message)),
    };
    Ok(Reply::Respond(Response::json(status, &body)))
}

/// Twilio's refusal as ours. Its 401 and 403 are about our credentials, not the client's.
fn refused(status: u16, code: u32, message: &str) -> Refusal {
    let said = if message.is_empty() { "Twilio refused the call" } else { message };
    let refusal = Refusal::new(if status == 400 { 400 } else { 422 }, format!("twilio_{code}"), said);
    match code {
        21201 | 21211 | 21214..=21217 | 21219 => refusal.about("to"),
        21210 | 21212 | 21213 => refusal.about("from"),
        _ => refusal,
    }
}

fn replayed(reply: Reply) -> Reply {
    match reply {
        Reply::Respond(response) => Reply::Respond(response.with("idempotent-replayed", "true")),
        Reply::Upgrade(_) | Reply::Stream { .. } => reply,
    }
}

fn replayed_refusal(refusal: Refusal) -> Refusal {
    refusal.with("idempotent-replayed", "true")
}

async fn find_agent<P: Ports>(ports: &P, agent: Option<AgentId>) -> Result<Agent, Refusal> {
    let lookup = Lookup { number: None, agent, with_node: false };
    let SwitchboardResponse::Found { agent, .. } = ports.switchboard(SwitchboardRequest::Lookup(lookup)).await? else {
        return Err(Refusal::unavailable());
    };
    agent.map(|agent| *agent).ok_or_else(super::agents::unknown_agent)
}

/// What was asked, so that the same key with another request is noticed. Written anew from what was read: another order of
/// members is the same request.
fn digest(wanted: &PlaceCall) -> Result<String, Refusal> {
    let text = serde_json::to_vec(wanted).map_err(|_| Refusal::unavailable())?;
    Ok(hex(&sha256(&text)))
}

fn idempotency_key(request: &Request) -> Result<Option<String>, Refusal> {
    if !request.headers.iter().any(|(name, _)| name == "idempotency-key") {
        return Ok(None);
    }
    let key = request.header("idempotency-key").unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(Refusal::field("Idempotency-Key", "this must be 1 to 255 printable ASCII characters, once"));
    }
    Ok(Some(key.to_owned()))
}

fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let sound = variables.len() <= MOST_VARIABLES
        && variables.iter().all(|(name, value)| {
            (1..=LONGEST_NAME).contains(&name.chars().count()) && value.chars().count() <= LONGEST_VALUE
        });
    let size = serde_json::to_string(variables).map_or(usize::MAX, |text| text.len());
    let message = "at most 50 variables of 16 KB in all; names of 1 to 64, values of at most 4000 characters";
    if sound && size <= MOST_VARIABLE_BYTES { Ok(()) } else { Err(Refusal::field("variables", message)) }
}
