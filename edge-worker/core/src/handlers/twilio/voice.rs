//! `/voice` for its three callers: somebody who calls one of our numbers, our own outbound call that was answered, and a
//! browser that wants to call somebody. `/voice/fallback` is the same question asked a last time.

use super::super::lookup::call_of_sid;
use super::super::refusal::Refusal;
use super::super::{auth, token};
use super::{SORRY, Webhook, addresses, malformed};
use crate::call_room::{Answer, Answering, NodeChoice, Offer, Opening, RoomRequest, RoomResponse};
use crate::config::Config;
use crate::ports::{Level, Ports, Record, Unavailable};
use crate::switchboard::{Lookup, SwitchboardRequest, SwitchboardResponse};
use shared::agent::Agent;
use shared::call::Direction;
use shared::ids::{CallId, ClientIdentity, Party, PhoneNumber};
use shared::ticket::{self, Audience, Claims};
use shared::time::UnixMillis;
use shared::twilio::twiml::{Beside, Dial, Noun, Response, Stream, Verb, parameter_fits};
use shared::twilio::webhook::VoiceRequest;
use std::collections::BTreeMap;

/// What the caller hears when no node has room.
const BUSY: &str = "All our lines are busy at the moment. Please call again in a few minutes.";
/// What a browser's caller hears when it may not call there.
const CANNOT_DIAL: &str = "This number cannot be called.";
/// How often a caller is asked to hold while something inside does not answer.
const MOST_TRIES: u32 = 2;
/// Longest call of a browser, seconds.
const BROWSER_LIMIT_S: u32 = 4 * 3600;

/// Answers a leg. `last`: nothing comes after this, so nothing is tried again.
pub(super) async fn answer<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    webhook: &Webhook<'_>,
    last: bool,
) -> Result<Response, Refusal> {
    let voice = VoiceRequest::read(&webhook.form).map_err(|invalid| malformed(ports, &invalid))?;
    let call = webhook.call.clone().unwrap_or_else(|| call_of_sid(&config.account, &voice.call.call_sid));
    let outcome = match (&webhook.call, &voice.from) {
        (Some(_), _) => placed(config, ports, &call, &voice).await,
        (None, Party::Client(identity)) => browser(config, ports, now, &call, &voice, identity).await,
        (None, Party::Phone(_) | Party::Sip(_) | Party::Unknown) => inbound(config, ports, &call, &voice).await,
    };
    Ok(outcome.unwrap_or_else(|Unavailable| {
        let message = "a call could not be answered at once: an object did not answer";
        ports.record(Record { level: Level::Error, message, call: Some(call.clone()), detail: None });
        if last || webhook.tries() >= MOST_TRIES { Response::apology(SORRY) } else { hold(config, webhook) }
    }))
}

/// Somebody calls one of our numbers.
async fn inbound<P: Ports>(
    config: &Config,
    ports: &P,
    call: &CallId,
    voice: &VoiceRequest,
) -> Result<Response, Unavailable> {
    let number = match &voice.to {
        Party::Phone(number) => Some(number.clone()),
        Party::Client(_) | Party::Sip(_) | Party::Unknown => None,
    };
    let lookup = Lookup { number, agent: None, with_node: true };
    let found = ports.switchboard(SwitchboardRequest::Lookup(lookup)).await?;
    let SwitchboardResponse::Found { agent: Some(agent), node } = found else { return Err(Unavailable) };
    let opening = opening(call, Direction::Inbound, voice, Some(*agent));
    ask_room(config, ports, call, voice, Some(opening), node).await
}

/// Our own call was answered.
async fn placed<P: Ports>(
    config: &Config,
    ports: &P,
    call: &CallId,
    voice: &VoiceRequest,
) -> Result<Response, Unavailable> {
    let picked = ports.switchboard(SwitchboardRequest::PickNode { avoid: None }).await?;
    let SwitchboardResponse::Node(node) = picked else { return Err(Unavailable) };
    ask_room(config, ports, call, voice, None, node).await
}

/// A page of ours calls somebody. Whoever holds a token may send any field, so only the identity counts: its session or key
/// must still live.
async fn browser<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    call: &CallId,
    voice: &VoiceRequest,
    identity: &ClientIdentity,
) -> Result<Response, Unavailable> {
    if !token::is_alive(ports, now, identity).await.map_err(|_| Unavailable)? {
        let message = "a browser's call was rejected: its session or key has ended";
        ports.record(Record { level: Level::Warn, message, call: Some(call.clone()), detail: None });
        return Ok(Response::new([Verb::Reject { busy: false }]));
    }
    let (Party::Phone(number), Some(caller_id)) = (&voice.to, &config.caller_id) else {
        return Ok(Response::apology(CANNOT_DIAL));
    };
    let opening = opening(call, Direction::Browser, voice, None);
    let answering = Answering {
        call_sid: voice.call.call_sid.clone(),
        opening: Some(opening),
        status: voice.status,
        node: None,
        nonce: auth::random_hex::<16>(ports),
    };
    match answer_of(ports, call, answering).await? {
        Answer::Dial => Ok(dial(config, call, number, caller_id)),
        Answer::Inert | Answer::Media(_) | Answer::NoCapacity | Answer::Unknown => Ok(Response::default()),
    }
}

async fn answer_of<P: Ports>(ports: &P, call: &CallId, answering: Answering) -> Result<Answer, Unavailable> {
    let answered = ports.room(call, RoomRequest::Answer(Box::new(answering))).await?;
    let RoomResponse::Answer(answer) = answered else { return Err(Unavailable) };
    Ok(answer)
}

fn opening(call: &CallId, direction: Direction, voice: &VoiceRequest, agent: Option<Agent>) -> Opening {
    Opening {
        call: call.clone(),
        direction,
        from: voice.from.clone(),
        to: voice.to.clone(),
        call_sid: Some(voice.call.call_sid.clone()),
        status: voice.status,
        agent,
        variables: BTreeMap::new(),
        digest: None,
    }
}

async fn ask_room<P: Ports>(
    config: &Config,
    ports: &P,
    call: &CallId,
    voice: &VoiceRequest,
    opening: Option<Opening>,
    node: Option<NodeChoice>,
) -> Result<Response, Unavailable> {
    let answering = Answering {
        call_sid: voice.call.call_sid.clone(),
        opening,
        status: voice.status,
        node,
        nonce: auth::random_hex::<16>(ports),
    };
    match answer_of(ports, call, answering).await? {
        Answer::Media(offer) => Ok(connect(config, &offer)),
        Answer::NoCapacity => {
            let message = "a call was turned away: no media node has room";
            ports.record(Record { level: Level::Error, message, call: Some(call.clone()), detail: None });
            Ok(Response::apology(BUSY))
        }
        Answer::Inert | Answer::Dial => Ok(Response::default()),
        Answer::Unknown => Ok(Response::apology(SORRY)),
    }
}

/// Hands the call's media to a node. The ticket follows from the offer alone, so that the same offer gives the same
/// document.
pub(super) fn connect(config: &Config, offer: &Offer) -> Response {
    let claims = Claims {
        audience: Audience::Stream,
        call: offer.call.clone(),
        call_sid: offer.call_sid.clone(),
        node: offer.to.node.clone(),
        epoch: offer.epoch,
        nonce: offer.nonce.clone(),
        expires: offer.expires,
    };
    let text = config.tickets.sign(&claims);
    if text.len() > ticket::MAX_LENGTH || !parameter_fits(ticket::PARAMETER, &text) {
        return Response::apology(SORRY);
    }
    let stream = Stream {
        url: format!("{}/media/{}", offer.to.url, offer.to.node),
        name: None,
        status_callback: Some(addresses::stream_status(config, &offer.call)),
        parameters: vec![(ticket::PARAMETER.to_owned(), text)],
    };
    let action = Some(addresses::after_stream(config, &offer.call, offer.epoch));
    Response::new([Verb::Connect { action, stream }])
}

/// Calls somebody for a browser, with live transcription of both sides.
fn dial(config: &Config, call: &CallId, number: &PhoneNumber, caller_id: &PhoneNumber) -> Response {
    let transcription = Beside::Transcription {
        name: None,
        status_callback_url: addresses::transcription(config, call),
        language_code: None,
        partial_results: false,
    };
    let dial = Dial {
        action: Some(addresses::after_dial(config, call)),
        answer_on_bridge: true,
        caller_id: Some(caller_id.clone()),
        time_limit: Some(BROWSER_LIMIT_S),
        nouns: vec![Noun::Number { number: number.clone(), status_callback_event: None, status_callback: None }],
        ..Dial::default()
    };
    Response::new([Verb::Start(transcription), Verb::Dial(dial)])
}

/// Asks the caller to hold and Twilio to ask again.
fn hold(config: &Config, webhook: &Webhook<'_>) -> Response {
    let tries = webhook.tries() + 1;
    let call = webhook.call.as_ref().map(|call| format!("call={call}&")).unwrap_or_default();
    Response::new([
        Verb::Say { text: "One moment, please.".to_owned(), voice: None, language: None },
        Verb::Pause { seconds: 1 },
        Verb::Redirect(config.address(&format!("/voice?{call}try={tries}"))),
    ])
}
