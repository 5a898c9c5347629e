//! A call's task from the accepted socket to the last delivered fact: arrival, driver, end. A panic in it ends this call
//! alone. The work between arrival and end is the driver's.

use crate::admission::Permit;
use crate::arrival::{self, Rejected};
use crate::clock;
use crate::config::Mode;
use crate::driver::{self, Call, MAX_AUDIO_WAITING, MAX_CONTROL_WAITING, Parts, Recorder};
use crate::edge::room::{RoomAddress, RoomLink};
use crate::leg::Leg;
use crate::metrics::word;
use crate::node::Shared;
use crate::outbox::Outbox;
use crate::provider_link::ProviderLink;
use crate::standalone::FactWriter;
use crate::wire::Wire;
use futures_util::FutureExt as _;
use session::Session;
use shared::call::{EndReason, Termination};
use shared::ids::CallId;
use shared::node_api::{CallPlan, ROOM_PATH};
use shared::time::UnixMillis;
use shared::twilio::media_stream::Start;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Carries a stream from its upgrade to its end.
pub(crate) async fn carry(socket: WebSocketStream<Wire>, mut permit: Permit, shared: Arc<Shared>) {
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
    let began = Instant::now();
    let (call_id, call_sid) = (who.call.clone(), start.call_sid.clone());
    tracing::info!(call = %call_id, call_sid = %call_sid, stream_sid = %start.stream_sid, "call started");

    // On the heap: a task's memory is as large as the largest moment of its life.
    let mut call = Box::new(assemble(leg, &start, who, began, &shared));
    let lived = AssertUnwindSafe(call.run()).catch_unwind().await;
    let verdict: Termination = lived.unwrap_or_else(|_| {
        shared.metrics.panics.inc();
        tracing::error!(call = %call_id, call_sid = %call_sid, "a fault of ours ended the call");
        call.record_fault()
    });
    let room = call.finish(verdict).await;
    shared.metrics.call_ended(verdict);
    let seconds = began.elapsed().as_secs();
    tracing::info!(call = %call_id, call_sid = %call_sid, reason = word(&verdict.reason), seconds, "call ended");
    drop(permit);
    if let Some(room) = room {
        shared.deliver(*room);
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
    let wall: UnixMillis = clock::wall();
    let mut call = Call::new(Parts {
        session: Session::new(start.stream_sid.clone(), shared.config.session.clone(), wall),
        began,
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
    tracing::warn!(reason = %rejected, "stream turned away");
    let _ = timeout(shared.config.timing.write_stalled, driver::close(leg, CloseCode::Policy)).await;
}
