//! The line to the nodes: sockets are admitted with tickets, facts are stored once per (epoch, line) and acknowledged,
//! orders wait until they are carried out. The owner of the newest epoch is obeyed; from older epochs only what was said and
//! done is still taken, as history.

use super::desk::NodeSocket;
use super::machine::Turn;
use super::{Effect, NodeEntry, RoomStore, SocketId, StoreFault};
use shared::call::{CallEvent, CallStatus, Direction, EndReason};
use shared::console_api::{CallFact, ServerMessage};
use shared::ids::{Epoch, NodeId};
use shared::node_api::{
    CLOSE_BAD_MESSAGE, CLOSE_REFUSED, CLOSE_SUPERSEDED, CallPlan, HeardLine, MAX_MESSAGE_BYTES, NodeEvent, NodeFact,
    NodeMessage, NodeOrder, PROTOCOL_VERSION, RoomMessage, Speaker,
};
use shared::ticket::{Audience, Claims};

/// Most orders that wait at once.
const MOST_ORDERS: usize = 64;
/// Most of the conversation that a plan carries, bytes of JSON.
const MOST_HEARD_BYTES: usize = 24 * 1024;
/// How long an owner may come back with its resume token.
const RESUME_TTL_MS: i64 = 24 * 3_600_000;

impl<S: RoomStore> Turn<'_, S> {
    /// A node's socket was opened. The ticket's signature was checked before; here it is burnt.
    pub(super) fn node_opened(&mut self, socket: SocketId, entry: NodeEntry) -> Result<(), StoreFault> {
        let claims = entry.claims;
        if let Err(code) = self.admit(&claims)? {
            self.refuse(&socket, code);
            return Ok(());
        }
        // An owner has one socket: the newest. (An older one may have died without a word.)
        let desk = &mut self.room.desk;
        let old: Vec<SocketId> =
            desk.sockets.iter().filter(|(_, entry)| entry.epoch == claims.epoch).map(|(id, _)| id.clone()).collect();
        for socket in old {
            self.drop_socket(&socket);
            self.effects.push(Effect::Close { socket, code: CLOSE_SUPERSEDED, reason: "a newer socket took over" });
        }
        let desk = &mut self.room.desk;
        if claims.epoch == desk.view.epoch {
            desk.current = Some(socket.clone());
        }
        let entry = NodeSocket { node: claims.node, epoch: claims.epoch, greeted: false, farewell: None };
        self.room.desk.sockets.insert(socket, entry);
        self.sign_of_life();
        Ok(())
    }

    /// Whether this credential opens a socket; else the code for `refused`.
    fn admit(&mut self, claims: &Claims) -> Result<Result<(), &'static str>, StoreFault> {
        let Some(brief) = &self.room.brief else { return Ok(Err("unknown_call")) };
        let view = &self.room.desk.view;
        if brief.call != claims.call || view.call_sid.as_ref() != Some(&claims.call_sid) {
            return Ok(Err("ticket_invalid"));
        }
        match claims.audience {
            Audience::Resume => Ok(match claims.epoch {
                epoch if epoch > view.epoch || epoch == Epoch(0) => Err("ticket_invalid"),
                epoch if epoch == view.epoch && view.owner.as_ref() != Some(&claims.node) => Err("ticket_invalid"),
                _ => Ok(()),
            }),
            Audience::Stream => {
                let over = view.state.is_over() || self.room.desk.hang_up_asked;
                let Some(offered) = &mut self.room.desk.offer else { return Ok(Err("ticket_invalid")) };
                let offer = &offered.offer;
                if claims.epoch < offer.epoch {
                    return Ok(Err("superseded"));
                }
                if claims.epoch != offer.epoch || claims.nonce != offer.nonce || claims.node != offer.to.node {
                    return Ok(Err("ticket_invalid"));
                }
                if offered.redeemed && offered.taken {
                    // It has heard `begin` and has a resume token: whoever comes with the ticket saw it somewhere.
                    self.note("a ticket was shown a second time, after its call had begun, and was refused");
                    return Ok(Err("ticket_used"));
                }
                if offered.redeemed {
                    // The same node with the same ticket: its first socket broke before it heard `begin`.
                    return Ok(Ok(()));
                }
                if over {
                    return Ok(Err("call_over"));
                }
                offered.redeemed = true;
                let source = format!("owner:{}", claims.epoch.0);
                self.record(&source, CallFact::Owner { node: claims.node.clone(), epoch: claims.epoch })?;
                // Orders were for the former owner.
                self.room.desk.orders.clear();
                Ok(Ok(()))
            }
        }
    }

    /// A node sent a message.
    pub(super) fn node_text(&mut self, socket: &SocketId, text: &str) -> Result<(), StoreFault> {
        let Some(entry) = self.room.desk.sockets.get(socket).cloned() else {
            self.effects.push(Effect::Close {
                socket: socket.clone(),
                code: CLOSE_SUPERSEDED,
                reason: "not known here",
            });
            return Ok(());
        };
        let message = if text.len() <= MAX_MESSAGE_BYTES { serde_json::from_str(text).ok() } else { None };
        let Some(message) = message else {
            self.drop_socket(socket);
            self.effects.push(Effect::Close {
                socket: socket.clone(),
                code: CLOSE_BAD_MESSAGE,
                reason: "the message could not be understood",
            });
            return Ok(());
        };
        self.sign_of_life();
        if entry.greeted
            && let Some(offered) = &mut self.room.desk.offer
        {
            offered.taken |= offered.offer.epoch == entry.epoch;
        }
        match message {
            NodeMessage::Hello { node, last_line, .. } => {
                if node == entry.node {
                    self.hello(socket, entry.epoch, &entry.node, last_line);
                } else {
                    self.drop_socket(socket);
                    self.refuse(socket, "ticket_invalid");
                }
            }
            NodeMessage::Facts { epoch, facts } => {
                if entry.greeted && epoch == entry.epoch {
                    self.facts(socket, &entry, facts)?;
                }
            }
            NodeMessage::Live { epoch, speaker, item, text, started_at } => {
                if epoch == entry.epoch && epoch == self.room.desk.view.epoch && !self.room.desk.settled {
                    let key = format!("{}:{item}", epoch.0);
                    self.broadcast(&ServerMessage::Live { speaker, key, text, started_at });
                }
            }
            NodeMessage::OrderDone { id, .. } => {
                if entry.epoch == self.room.desk.view.epoch {
                    self.room.desk.orders.remove(&id);
                }
            }
            NodeMessage::Unknown => {}
        }
        Ok(())
    }

    fn hello(&mut self, socket: &SocketId, epoch: Epoch, node: &NodeId, last_line: u64) {
        if let Some(entry) = self.room.desk.sockets.get_mut(socket) {
            entry.greeted = true;
        }
        let acked = self.room.desk.view.acked(epoch);
        let former = epoch < self.room.desk.view.epoch;
        if former && acked >= last_line {
            self.dismiss(socket);
            return;
        }
        let Some((plan, resume_token)) = self.plan(epoch, node) else {
            self.drop_socket(socket);
            self.refuse(socket, "ticket_invalid");
            return;
        };
        let plan = Box::new(plan);
        let begin = RoomMessage::Begin { protocol: PROTOCOL_VERSION, plan, epoch, resume_token, acked_line: acked };
        self.send(socket, &begin);
        if former {
            // It may hand in what it says it has; then it is sent away. Orders are for the owner.
            if let Some(entry) = self.room.desk.sockets.get_mut(socket) {
                entry.farewell = Some(last_line);
            }
            return;
        }
        let orders: Vec<(u64, NodeOrder)> = self.room.desk.orders.iter().map(|(id, o)| (*id, o.clone())).collect();
        for (id, order) in orders {
            self.send(socket, &RoomMessage::Order { id, order });
        }
    }

    /// What the owner of this epoch must know, and its resume token.
    fn plan(&self, epoch: Epoch, node: &NodeId) -> Option<(CallPlan, String)> {
        let brief = self.room.brief.as_ref()?;
        let view = &self.room.desk.view;
        let opened = view.opened.as_ref()?;
        let agent = brief.agent.clone()?;
        let call_sid = view.call_sid.clone()?;
        let offered = self.room.desk.offer.as_ref()?;
        let since = view.state.answered_at.unwrap_or(opened.at).max(opened.at);
        let gone_s = u32::try_from(self.now.since(since).max(0) / 1000).unwrap_or(u32::MAX);
        let heard = self.room.transcript.heard();
        let greeted = heard.iter().any(|line| line.speaker == Speaker::Agent);
        let claims = Claims {
            audience: Audience::Resume,
            call: brief.call.clone(),
            call_sid: call_sid.clone(),
            node: node.clone(),
            epoch,
            nonce: offered.offer.nonce.clone(),
            expires: offered.at.plus(RESUME_TTL_MS),
        };
        let plan = CallPlan {
            call: brief.call.clone(),
            call_sid,
            direction: opened.direction,
            caller: match opened.direction {
                Direction::Inbound | Direction::Browser => opened.from.clone(),
                Direction::Outbound => opened.to.clone(),
            },
            remaining_s: agent.limits.max_duration_s.saturating_sub(gone_s).max(1),
            agent,
            variables: brief.variables.clone(),
            greeted,
            heard: newest(heard),
        };
        Some((plan, self.room.tickets.sign(&claims)))
    }

    fn facts(&mut self, socket: &SocketId, entry: &NodeSocket, facts: Vec<NodeFact>) -> Result<(), StoreFault> {
        for fact in facts {
            let expected = self.room.desk.view.acked(entry.epoch) + 1;
            if fact.line < expected {
                continue;
            }
            if fact.line > expected {
                // The node resends from the acknowledged line; nothing beyond a gap is taken.
                break;
            }
            let ended = match &fact.event {
                NodeEvent::Ended { reason } => Some(*reason),
                NodeEvent::StreamStarted { .. }
                | NodeEvent::ProviderReady { .. }
                | NodeEvent::ProviderLost { .. }
                | NodeEvent::Said { .. }
                | NodeEvent::Heard { .. }
                | NodeEvent::BargedIn { .. }
                | NodeEvent::Digit { .. }
                | NodeEvent::Unknown => None,
            };
            // Twilio streams only from an answered leg, and tells of an inbound call's status no earlier than its end.
            let answers = matches!(fact.event, NodeEvent::StreamStarted { .. });
            let source = format!("node:{}:{}", entry.epoch.0, fact.line);
            self.record(&source, CallFact::Node { epoch: entry.epoch, line: fact.line, event: fact.event })?;
            if answers {
                let event =
                    CallEvent::Status { status: CallStatus::InProgress, at: fact.at, duration_s: None, sip_code: None };
                self.record(&format!("streamed:{}", entry.epoch.0), CallFact::Life { event })?;
            }
            if let Some(reason) = ended.filter(|r| is_verdict(*r) && entry.epoch == self.room.desk.view.epoch) {
                self.live(CallEvent::Ended { reason, at: fact.at })?;
            }
        }
        let acked = self.room.desk.view.acked(entry.epoch);
        self.send(socket, &RoomMessage::Ack { line: acked });
        if entry.farewell.is_some_and(|last| acked >= last) {
            self.dismiss(socket);
        }
        Ok(())
    }

    /// Sends a former owner away.
    fn dismiss(&mut self, socket: &SocketId) {
        self.drop_socket(socket);
        self.refuse(socket, "superseded");
    }

    /// The call is over and long enough has passed: whoever is still here has not noticed.
    pub(super) fn dismiss_nodes(&mut self) {
        for socket in std::mem::take(&mut self.room.desk.sockets).into_keys() {
            self.refuse(&socket, "call_over");
        }
        self.room.desk.current = None;
    }

    /// A node's socket is gone; its call goes on, the node will come back.
    pub(super) fn node_closed(&mut self, socket: &SocketId) {
        self.drop_socket(socket);
    }

    fn drop_socket(&mut self, socket: &SocketId) {
        let desk = &mut self.room.desk;
        desk.sockets.remove(socket);
        if desk.current.as_ref() == Some(socket) {
            desk.current = None;
        }
    }

    fn refuse(&mut self, socket: &SocketId, code: &str) {
        self.send(socket, &RoomMessage::Refused { code: code.to_owned() });
        self.effects.push(Effect::Close { socket: socket.clone(), code: CLOSE_REFUSED, reason: "refused" });
    }

    /// Gives the owner an order; it waits when the owner is not there.
    pub(super) fn order(&mut self, order: NodeOrder) {
        let desk = &mut self.room.desk;
        if desk.orders.len() >= MOST_ORDERS {
            desk.orders.pop_first();
        }
        desk.last_order += 1;
        let id = desk.last_order;
        desk.orders.insert(id, order.clone());
        let current = desk.current.clone().filter(|s| desk.sockets.get(s).is_some_and(|entry| entry.greeted));
        if let Some(socket) = current {
            self.send(&socket, &RoomMessage::Order { id, order });
        }
    }

    pub(super) fn send(&mut self, socket: &SocketId, message: &RoomMessage) {
        let text = serde_json::to_string(message).unwrap_or_default();
        self.effects.push(Effect::Send { socket: socket.clone(), text });
    }
}

/// The newest lines that fit, oldest first: an agent that takes a call over needs the last minutes of it, not all.
fn newest(mut heard: Vec<HeardLine>) -> Vec<HeardLine> {
    let mut room = MOST_HEARD_BYTES;
    let kept = heard.iter().rev().take_while(|line| {
        let size = serde_json::to_string(line).map_or(usize::MAX, |text| text.len() + 1);
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let kept = kept.count();
    heard.split_off(heard.len() - kept)
}

/// Whether a node's reason ends the call. A node that must stop or has lost its stream only ends its own part: Twilio asks
/// how to go on, and another node may take over.
fn is_verdict(reason: EndReason) -> bool {
    match reason {
        EndReason::StreamLost | EndReason::NodeStopped => false,
        EndReason::CarrierReported
        | EndReason::NoAnswer
        | EndReason::Busy
        | EndReason::Canceled
        | EndReason::DialFailed
        | EndReason::NoCapacity
        | EndReason::CallerHungUp
        | EndReason::AgentHungUp
        | EndReason::OperatorHungUp
        | EndReason::Silence
        | EndReason::MaxDuration
        | EndReason::InvalidStream
        | EndReason::ProviderRefused
        | EndReason::ProviderUnavailable
        | EndReason::InternalError => true,
    }
}
