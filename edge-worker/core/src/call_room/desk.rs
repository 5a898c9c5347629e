//! What a room knows: the view that its facts add up to and nothing else, the brief that was fixed at the opening, and the
//! desk with everything that is not history (offers, sockets, outbox, deadlines). Deciding lives in the other parts.

use super::outbox::Outbox;
use super::{Offer, Placement, SocketId};
use serde::{Deserialize, Serialize};
use shared::agent::Agent;
use shared::call::{CallEvent, CallState, Direction, EndReason};
use shared::console_api::{CallFact, StampedFact};
use shared::ids::{AgentId, CallId, CallSid, Epoch, NodeId, Party};
use shared::node_api::{NodeEvent, NodeOrder};
use shared::time::UnixMillis;
use std::collections::BTreeMap;

/// What the facts of a call add up to: replaying the log gives the same value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// How it began; none: the room was never opened.
    pub opened: Option<Beginning>,
    /// Twilio's name.
    pub call_sid: Option<CallSid>,
    /// Its life.
    pub state: CallState,
    /// Who owns the media.
    pub owner: Option<NodeId>,
    /// The owner's epoch; 0: nobody has owned it yet.
    pub epoch: Epoch,
    /// The highest line stored, by epoch.
    pub lines: BTreeMap<Epoch, u64>,
    /// How the current owner said that its part ended.
    pub node_ended: Option<EndReason>,
    /// When that was stored.
    #[serde(default)]
    pub node_ended_at: Option<UnixMillis>,
    /// The last fact.
    pub seq: u64,
}

/// How a call began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beginning {
    /// Which way.
    pub direction: Direction,
    /// Twilio's `From`.
    pub from: Party,
    /// Twilio's `To`.
    pub to: Party,
    /// Who answers.
    pub agent: Option<AgentId>,
    /// When.
    pub at: UnixMillis,
}

/// What kind of change a fact made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// The call's life, its name or its owner: the board and the history want to know at once.
    Life,
    /// What was said: the history wants to know soon.
    Words,
    /// Nothing that anybody but a watcher of the call sees.
    Detail,
}

impl CallView {
    /// The view after all these facts.
    pub fn replay<'a>(facts: impl IntoIterator<Item = &'a StampedFact>) -> Self {
        let mut view = Self::default();
        for fact in facts {
            view.apply(fact);
        }
        view
    }

    /// Takes a stored fact in.
    pub(super) fn apply(&mut self, stamped: &StampedFact) -> Moved {
        self.seq = self.seq.max(stamped.seq);
        match &stamped.fact {
            CallFact::Opened { direction, from, to, agent } => {
                self.opened = Some(Beginning {
                    direction: *direction,
                    from: from.clone(),
                    to: to.clone(),
                    agent: agent.clone(),
                    at: stamped.at,
                });
                Moved::Life
            }
            CallFact::Bound { call_sid } => {
                self.call_sid = Some(call_sid.clone());
                Moved::Life
            }
            CallFact::Life { event } => {
                self.state.apply(event);
                Moved::Life
            }
            CallFact::Owner { node, epoch } => {
                if *epoch > self.epoch {
                    self.epoch = *epoch;
                    self.owner = Some(node.clone());
                    self.node_ended = None;
                    self.node_ended_at = None;
                }
                Moved::Life
            }
            CallFact::Node { epoch, line, event } => {
                let acked = self.lines.entry(*epoch).or_default();
                *acked = (*acked).max(*line);
                match event {
                    NodeEvent::Ended { reason } => {
                        if *epoch == self.epoch {
                            self.node_ended = Some(*reason);
                            self.node_ended_at = Some(stamped.at);
                        }
                        Moved::Detail
                    }
                    NodeEvent::Said { .. } | NodeEvent::Heard { .. } => Moved::Words,
                    NodeEvent::StreamStarted { .. }
                    | NodeEvent::ProviderReady { .. }
                    | NodeEvent::ProviderLost { .. }
                    | NodeEvent::BargedIn { .. }
                    | NodeEvent::Digit { .. }
                    | NodeEvent::Unknown => Moved::Detail,
                }
            }
            CallFact::Transcribed { .. } => Moved::Words,
        }
    }

    /// The highest line stored of an epoch.
    pub fn acked(&self, epoch: Epoch) -> u64 {
        self.lines.get(&epoch).copied().unwrap_or_default()
    }
}

/// What was fixed when the room was opened; written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Brief {
    /// Ours.
    pub(super) call: CallId,
    /// Who speaks, in the version of that moment.
    pub(super) agent: Option<Agent>,
    /// Values for its instructions.
    pub(super) variables: BTreeMap<String, String>,
    /// Of the request that placed the call.
    pub(super) digest: Option<String>,
}

/// Everything that a room keeps beside its facts and its brief.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Desk {
    /// What the facts add up to.
    pub view: CallView,
    /// Where `POST /Calls` stands, for a placed call.
    pub(super) placement: Option<Placed>,
    /// The newest offer of media.
    pub(super) offer: Option<Offered>,
    /// How many streams replaced one that was lost.
    pub(super) rescues: u32,
    /// Open node sockets.
    pub(super) sockets: BTreeMap<SocketId, NodeSocket>,
    /// The socket of the current owner.
    pub(super) current: Option<SocketId>,
    /// Orders that the owner has not carried out yet, oldest first.
    pub(super) orders: BTreeMap<u64, NodeOrder>,
    /// The last order's id.
    pub(super) last_order: u64,
    /// An operator wants the call to end.
    pub(super) hang_up_asked: bool,
    /// A person or a machine, as Twilio found.
    pub(super) answered_by: Option<String>,
    /// What must happen outside.
    pub(super) outbox: Outbox,
    /// When anything was last heard of the call (to about [`super::reconcile::SIGN_STEP_MS`]).
    pub(super) last_sign: UnixMillis,
    /// When the room saw that the call is over.
    pub(super) over_at: Option<UnixMillis>,
    /// Over, and nothing that was said is still on its way; the watchers have been told.
    pub(super) settled: bool,
}

/// Where a placed call stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Placed {
    /// Where.
    pub(super) placement: Placement,
    /// Since when.
    pub(super) since: UnixMillis,
    /// Whose attempt it is ([`super::Opening::attempt`]).
    #[serde(default)]
    pub(super) attempt: String,
}

/// An offer and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offered {
    /// It.
    pub(super) offer: Offer,
    /// When it was made.
    pub(super) at: UnixMillis,
    /// Its ticket was burnt.
    pub(super) redeemed: bool,
    /// Its owner has shown that it heard `begin`: from now on it comes with its resume token.
    #[serde(default)]
    pub(super) taken: bool,
}

/// An open node socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeSocket {
    /// Who.
    pub(super) node: NodeId,
    /// The epoch whose facts it brings.
    pub(super) epoch: Epoch,
    /// It has said hello.
    pub(super) greeted: bool,
    /// It came back as a former owner: the line after whose arrival it is sent away. (A socket that was the owner's when
    /// it was opened may go on until its node closes it.)
    pub(super) farewell: Option<u64>,
}

/// The key under which an event of the call's life is stored once. Twilio's repetitions carry the same values; the same
/// status with a duration that was not known before is another report.
pub(super) fn life_source(event: &CallEvent) -> String {
    match event {
        CallEvent::Status { status, duration_s, sip_code, .. } => {
            let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            format!("status:{}:{}:{}", status.as_str(), number(*duration_s), number(sip_code.map(u32::from)))
        }
        CallEvent::Stream { stream_sid, phase } => format!("stream:{stream_sid}:{phase:?}"),
        CallEvent::Recording { recording_sid, phase, duration_s } => {
            format!("recording:{recording_sid}:{phase:?}:{}", duration_s.unwrap_or_default())
        }
        CallEvent::Transcription { transcription_sid, phase } => format!("transcription:{transcription_sid}:{phase:?}"),
        CallEvent::Ended { reason, .. } => format!("verdict:{reason:?}"),
    }
}
