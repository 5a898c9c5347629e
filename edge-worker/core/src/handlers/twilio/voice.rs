//! `/voice` for its three callers: somebody who calls one of our numbers, our own outbound call that was answered, and a
//! browser that wants to call somebody. `/voice/fallback` is the same question asked a last time.

use super::super::lookup::call_of_sid;
use super::super::{auth, token};
use super::{SORRY, Webhook, addresses, after_stream, in_time, malformed};
use crate::call_room::{After, Answer, Answering, Interlude, Offer, Opening, RoomRequest, RoomResponse, Seat};
use crate::config::Config;
use crate::ports::{Level, Ports, Record, Unavailable};
use crate::switchboard::{Lookup, SwitchboardRequest, SwitchboardResponse};
use shared::agent::Agent;
use shared::call::Direction;
use shared::ids::{CallId, ClientIdentity, Party, PhoneNumber};
use shared::ticket::{self, Audience, Claims};
use shared::time::UnixMillis;
use shared::twilio::twiml::{Beside, Dial, Noun, Response, Stream, Verb, parameter_fits};
use shared::twilio::webhook::{InvalidForm, TwilioDirection, VoiceRequest};
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
) -> Response {
    let voice = match VoiceRequest::read(&webhook.form) {
        Ok(voice) => voice,
        Err(invalid) => {
            malformed(ports, &invalid);
            return Response::apology(SORRY);
        }
    };
    // The address of a call of ours names it. Without the name it is another request's copy with its address cut off.
    if webhook.call.is_none() && voice.direction != TwilioDirection::Inbound {
        malformed(ports, &InvalidForm::Missing("call"));
        return Response::apology(SORRY);
    }
    let call = webhook.call.clone().unwrap_or_else(|| call_of_sid(&config.account, &voice.call.call_sid));
    let leg = Leg { config, ports, call: &call, voice: &voice, last };
    let outcome = match (&webhook.call, &voice.from) {
        (Some(_), _) => in_time(ports, leg.placed()).await,
        (None, Party::Client(identity)) => in_time(ports, leg.browser(now, identity)).await,
        (None, Party::Phone(_) | Party::Sip(_) | Party::Unknown) => in_time(ports, leg.inbound()).await,
    };
    outcome.unwrap_or_else(|Unavailable| {
        let message = "a call could not be answered at once: an object did not answer";
        ports.record(Record { level: Level::Error, message, call: Some(call.clone()), detail: None });
        if last || webhook.tries() >= MOST_TRIES { Response::apology(SORRY) } else { hold(config, webhook) }
    })
}

/// A leg that wants to be answered.
struct Leg<'a, P> {
    config: &'a Config,
    ports: &'a P,
    call: &'a CallId,
    voice: &'a VoiceRequest,
    last: bool,
}

impl<P: Ports> Leg<'_, P> {
    /// Somebody calls one of our numbers. The room is asked first: only a call that wants a node takes a seat on one, so a
    /// repeated or replayed question costs nobody a place.
    async fn inbound(&self) -> Result<Response, Unavailable> {
        let known = self.ask_room(None, None).await?;
        if !matches!(known, Answer::Unknown | Answer::NeedsNode) {
            return self.document(known).await;
        }
        let number = match &self.voice.to {
            Party::Phone(number) => Some(number.clone()),
            Party::Client(_) | Party::Sip(_) | Party::Unknown => None,
        };
        let lookup = Lookup { number, agent: None, with_node: true };
        let found = self.ports.switchboard(SwitchboardRequest::Lookup(lookup)).await?;
        let SwitchboardResponse::Found { agent: Some(agent), node } = found else { return Err(Unavailable) };
        let opening = self.opening(Direction::Inbound, Some(*agent));
        let answer = self.ask_room(Some(opening), Some(Seat { node })).await?;
        self.document(answer).await
    }

    /// Our own call was answered.
    async fn placed(&self) -> Result<Response, Unavailable> {
        let mut answer = self.ask_room(None, None).await?;
        if answer == Answer::NeedsNode {
            let picked = self.ports.switchboard(SwitchboardRequest::PickNode { avoid: None }).await?;
            let SwitchboardResponse::Node(node) = picked else { return Err(Unavailable) };
            answer = self.ask_room(None, Some(Seat { node })).await?;
        }
        self.document(answer).await
    }

    /// A page of ours calls somebody. Whoever holds a token may send any field, so only the identity counts: its session or
    /// key must still live.
    async fn browser(&self, now: UnixMillis, identity: &ClientIdentity) -> Result<Response, Unavailable> {
        if !token::is_alive(self.ports, now, identity).await.map_err(|_| Unavailable)? {
            self.note(Level::Warn, "a browser's call was rejected: its session or key has ended");
            return Ok(Response::new([Verb::Reject { busy: false }]));
        }
        let (Party::Phone(number), Some(caller_id)) = (&self.voice.to, &self.config.caller_id) else {
            return Ok(Response::apology(CANNOT_DIAL));
        };
        match self.ask_room(Some(self.opening(Direction::Browser, None)), None).await? {
            Answer::Dial => Ok(dial(self.config, self.call, number, caller_id)),
            Answer::Inert
            | Answer::Media(_)
            | Answer::NeedsNode
            | Answer::GoOn { .. }
            | Answer::NoCapacity
            | Answer::Unknown => Ok(Response::default()),
        }
    }

    fn opening(&self, direction: Direction, agent: Option<Agent>) -> Opening {
        Opening {
            call: self.call.clone(),
            direction,
            from: self.voice.from.clone(),
            to: self.voice.to.clone(),
            call_sid: Some(self.voice.call.call_sid.clone()),
            status: self.voice.status,
            agent,
            variables: BTreeMap::new(),
            digest: None,
            attempt: String::new(),
        }
    }

    async fn ask_room(&self, opening: Option<Opening>, seat: Option<Seat>) -> Result<Answer, Unavailable> {
        let answering = Answering {
            call_sid: self.voice.call.call_sid.clone(),
            opening,
            status: self.voice.status,
            seat,
            nonce: auth::random_hex::<16>(self.ports),
            last: self.last,
        };
        let answered = self.ports.room(self.call, RoomRequest::Answer(Box::new(answering))).await?;
        let RoomResponse::Answer(answer) = answered else { return Err(Unavailable) };
        Ok(answer)
    }

    async fn document(&self, answer: Answer) -> Result<Response, Unavailable> {
        match answer {
            Answer::Media(offer) => Ok(connect(self.config, &offer)),
            Answer::NoCapacity => {
                self.note(Level::Error, "a call was turned away: no media node has room");
                Ok(Response::apology(BUSY))
            }
            Answer::GoOn { epoch } => {
                self.note(Level::Error, "Twilio fell back in the middle of a call: its last question failed");
                let ended = Interlude::Stream { epoch, rescue: None };
                let (call_sid, status) = (self.voice.call.call_sid.clone(), self.voice.status);
                after_stream::ask(self.config, self.ports, self.call, After { call_sid, status, ended }).await
            }
            Answer::Inert | Answer::Dial => Ok(Response::default()),
            Answer::Unknown | Answer::NeedsNode => Ok(Response::apology(SORRY)),
        }
    }

    fn note(&self, level: Level, message: &'static str) {
        self.ports.record(Record { level, message, call: Some(self.call.clone()), detail: None });
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
        nouns: vec![Noun::Number {
            number: number.clone(),
            status_callback_event: Some("initiated ringing answered completed".to_owned()),
            status_callback: Some(addresses::status(config, call)),
        }],
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
