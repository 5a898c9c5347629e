//! A call's task from the accepted socket to the last delivered fact: arrival, driver, end. A panic in it ends this call
//! alone. The work between arrival and end is the driver's.

use crate::admission::Permit;
use crate::arrival::{self, Rejected};
use crate::clock;
use crate::config::Mode;
use crate::driver::{self, Call, MAX_AUDIO_WAITING, MAX_CONTROL_WAITING, Parts, Recorder};
use crate::edge::room::{RoomAddress, RoomLink};
use crate::leg::{Leg, TWILIO_MESSAGE, limits};
use crate::metrics::word;
use crate::node::Shared;
use crate::outbox::Outbox;
use crate::provider_link::ProviderLink;
use crate::standalone::FactWriter;
use crate::wire::Wire;
use futures_util::FutureExt as _;
use session::Session;
use shared::call::{EndReason, Termination};
use shared::ids::{CallId, CallSid};
use shared::node_api::{CallPlan, ROOM_PATH};
use shared::twilio::media_stream::Start;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Takes a stream from its upgrade to its `start`. The call itself gets a task of its own: a task's memory is that of its
/// largest moment, and handshakes are larger than what a call needs for the next hour.
pub(crate) async fn arrive(stream: TcpStream, read: Vec<u8>, mut permit: Permit, shared: Arc<Shared>) {
    let limits = limits(TWILIO_MESSAGE);
    let socket = WebSocketStream::from_partially_read(Wire::new(stream), read, Role::Server, Some(limits)).await;
    let timing = &shared.config.timing;
    let outbox = Outbox::new(MAX_AUDIO_WAITING, MAX_CONTROL_WAITING);
    let mut leg = Leg::new(socket, outbox, shared.metrics.twilio.clone(), timing);
    let arrived = async {
        let mut start = arrival::start(&mut leg, timing.start).await?;
        let who = identify(&mut start, &shared)?;
        Ok((start, who))
    };
    let (start, who) = match arrived.await {
        Ok(arrived) => arrived,
        Err(rejected) => return turn_away(leg, rejected, &shared).await,
    };
    permit.started();
    shared.metrics.call_started();
    let (call_id, call_sid, began) = (who.call.clone(), start.call_sid.clone(), Instant::now());
    tracing::info!(call = %call_id, call_sid = %call_sid, stream_sid = %start.stream_sid, "call started");
    let call = Box::new(assemble(leg, &start, who, began, &shared));
    let calls = shared.calls.clone();
    calls.spawn(carry(call, call_id, call_sid, permit, shared));
}

/// Carries a call to its end.
async fn carry(mut call: Box<Call>, call_id: CallId, call_sid: CallSid, permit: Permit, shared: Arc<Shared>) {
    let began = Instant::now();
    let lived = AssertUnwindSafe(call.run()).catch_unwind().await;
    let verdict: Termination = lived.unwrap_or_else(|_| {
        shared.metrics.panics.inc();
        tracing::error!(call = %call_id, call_sid = %call_sid, "a fault of ours ended the call");
        call.record_fault()
    });
    // Boxed for the same reason for which the call has a task of its own.
    let room = Box::pin(call.finish(verdict)).await;
    shared.metrics.call_ended(verdict);
    let seconds = began.elapsed().as_secs();
    tracing::info!(call = %call_id, call_sid = %call_sid, reason = word(&verdict.reason), seconds, "call ended");
    drop(permit);
    if let Some(room) = room {
        shared.deliver(room);
    }
}

/// Who says what to do with the stream.
struct Who {
    call: CallId,
    says: Says,
}

enum Says {
    Room(RoomAddress),
    Plan(Box<CallPlan>),
}

fn identify(start: &mut Start, shared: &Shared) -> Result<Who, Rejected> {
    match &shared.config.mode {
        Mode::Edge(edge) => {
            let node = &shared.config.node;
            let (claims, ticket) = arrival::ticket(start, &edge.tickets, node, clock::wall())?;
            let scheme = if edge.url.scheme() == "https" { "wss" } else { "ws" };
            let address = RoomAddress {
                url: format!("{scheme}://{}{ROOM_PATH}{}", edge.url.authority(), claims.call),
                ticket,
                secret: edge.secret.clone(),
                epoch: claims.epoch,
                node: node.clone(),
                stream_sid: start.stream_sid.clone(),
            };
            Ok(Who { call: claims.call, says: Says::Room(address) })
        }
        Mode::Standalone(plan) => {
            let mut entropy = [0; 10];
            // Without entropy two calls of one millisecond share an id, which nothing in this mode relies on.
            let _ = getrandom::fill(&mut entropy);
            let call = CallId::new(clock::wall().0, entropy);
            let plan = plan.for_call(call.clone(), start.call_sid.clone());
            Ok(Who { call, says: Says::Plan(Box::new(plan)) })
        }
    }
}

fn assemble(leg: Leg<Wire>, start: &Start, who: Who, began: Instant, shared: &Arc<Shared>) -> Call {
    let (metrics, timing) = (&shared.metrics, &shared.config.timing);
    let (recorder, plan) = match who.says {
        Says::Room(address) => {
            let room = RoomLink::new(address, shared.dialler.clone(), timing.clone(), Arc::clone(metrics));
            (Recorder::Room(Box::new(room)), None)
        }
        Says::Plan(plan) => {
            let (call_sid, stream_sid) = (start.call_sid.clone(), start.stream_sid.clone());
            let lines = FactWriter::new(call_sid, stream_sid, shared.lines.clone(), Arc::clone(metrics));
            (Recorder::Lines(lines), Some(plan))
        }
    };
    let wall = clock::wall();
    let mut call = Call::new(Parts {
        session: Session::new(start.stream_sid.clone(), shared.config.session.clone(), wall),
        began,
        wall,
        twilio: leg,
        provider: ProviderLink::new(
            Arc::clone(&shared.endpoints),
            shared.dialler.clone(),
            timing.clone(),
            Arc::clone(metrics),
        ),
        recorder,
        stage: shared.stage.subscribe(),
        metrics: Arc::clone(metrics),
        fault: shared.config.fault,
    });
    if !start.media_format.is_mulaw_8000() {
        call.abort(EndReason::InvalidStream);
    } else if let Some(plan) = plan {
        call.begin(plan);
    }
    call
}

async fn turn_away(leg: Leg<Wire>, rejected: Rejected, shared: &Shared) {
    shared.metrics.call_refused(rejected.word());
    match rejected {
        Rejected::NoTicket | Rejected::Ticket(_) | Rejected::OtherCall => {
            tracing::warn!(reason = %rejected, "stream turned away");
        }
        // Anybody on the internet can cause these, thousands a second.
        Rejected::NoStart | Rejected::TooMuch | Rejected::Gone | Rejected::Malformed => {
            tracing::debug!(reason = %rejected, "stream turned away");
        }
    }
    let _ = timeout(shared.config.timing.write_stalled, driver::close(leg, CloseCode::Policy)).await;
}
