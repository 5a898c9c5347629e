//! Who carries the call's media: offers to nodes and the questions after a stream has ended. An offer is made once per
//! question; the same question gets the same offer, so a repeated webhook gives the same TwiML and a replayed one gives none.
//! Burning a ticket is the node line's matter.

use super::desk::Offered;
use super::machine::Turn;
use super::{
    After, Answer, Answering, Interlude, NextStep, NodeChoice, Offer, RoomResponse, RoomStore, Seat, StoreFault,
    WorkKey,
};
use shared::call::EndReason;
use shared::node_api::NodeOrder;
use shared::ticket;

/// How often a lost stream is replaced.
pub(super) const MOST_RESCUES: u32 = 3;

impl<S: RoomStore> Turn<'_, S> {
    /// A leg wants TwiML.
    pub(super) fn answer(&mut self, answering: Answering) -> Result<Answer, StoreFault> {
        let Answering { call_sid, opening, status, seat, nonce, last } = answering;
        if self.room.brief.is_none() {
            let Some(opening) = opening else { return Ok(Answer::Unknown) };
            self.open(opening)?;
        }
        if !self.bind(&call_sid)? {
            return Ok(Answer::Inert);
        }
        self.sign_of_life();
        self.passing_status(status)?;
        let desk = &self.room.desk;
        if desk.view.state.is_over() {
            // Asked again before the busy sentence arrived: the same answer.
            let full = desk.view.state.verdict == Some(EndReason::NoCapacity) && desk.offer.is_none();
            return Ok(if full { Answer::NoCapacity } else { Answer::Inert });
        }
        if desk.hang_up_asked {
            return Ok(Answer::Inert);
        }
        if self.room.brief.as_ref().is_none_or(|brief| brief.agent.is_none()) {
            return Ok(Answer::Dial);
        }
        if let Some(offered) = &desk.offer {
            let epoch = offered.offer.epoch;
            let lost = last && offered.redeemed;
            let other = if lost { Answer::GoOn { epoch } } else { Answer::Inert };
            return Ok(self.repeat(offered).map_or(other, Answer::Media));
        }
        let Some(Seat { node }) = seat else { return Ok(Answer::NeedsNode) };
        let Some(to) = node else {
            self.verdict(EndReason::NoCapacity)?;
            return Ok(Answer::NoCapacity);
        };
        Ok(self.offer(to, nonce).map_or(Answer::Unknown, Answer::Media))
    }

    /// A stream or a dialled leg has ended.
    pub(super) fn after(&mut self, after: After) -> Result<NextStep, StoreFault> {
        if self.room.brief.is_none() {
            return Ok(NextStep::HangUp);
        }
        if !self.bind(&after.call_sid)? {
            return Ok(NextStep::Inert);
        }
        self.sign_of_life();
        let (epoch, rescue) = match after.ended {
            Interlude::Dial { verdict } => {
                // Our leg is up as soon as the dialling ends, connected or not: that is nobody's answer.
                if after.status.is_terminal() {
                    self.passing_status(after.status)?;
                }
                if let Some(reason) = verdict {
                    self.verdict(reason)?;
                }
                return Ok(NextStep::HangUp);
            }
            Interlude::Stream { epoch, rescue } => (epoch, rescue),
        };
        self.passing_status(after.status)?;
        let desk = &self.room.desk;
        let Some(offered) = &desk.offer else { return Ok(NextStep::HangUp) };
        if desk.view.state.is_over() || desk.hang_up_asked {
            return Ok(NextStep::HangUp);
        }
        // An offer that nobody took up in its time leaves the stream before it in its place.
        let asked_again = epoch.next() == offered.offer.epoch;
        let lapsed = asked_again && !offered.redeemed && self.now >= offered.offer.expires;
        if epoch != offered.offer.epoch && !lapsed {
            // The same question once more, before the answer was taken up: the same answer. Otherwise another verb has
            // taken the call over.
            let same = asked_again.then(|| self.repeat(offered)).flatten();
            return Ok(same.map_or(NextStep::Inert, NextStep::Media));
        }
        if desk.rescues >= MOST_RESCUES {
            self.verdict(EndReason::StreamLost)?;
            return Ok(NextStep::Apologise);
        }
        let lost = Some(offered.offer.to.node.clone());
        let Some(rescue) = rescue else { return Ok(NextStep::NeedsNode { lost }) };
        let offer = rescue.node.and_then(|to| self.offer(to, rescue.nonce));
        let Some(offer) = offer else {
            self.verdict(EndReason::NodeStopped)?;
            return Ok(NextStep::Apologise);
        };
        self.room.desk.rescues += 1;
        Ok(NextStep::Media(offer))
    }

    /// An operator wants the call to end: the owner is told, and Twilio.
    pub(super) fn hang_up(&mut self) -> Result<RoomResponse, StoreFault> {
        if self.room.brief.is_none() {
            return Ok(RoomResponse::Unknown);
        }
        let over = self.room.desk.view.state.is_over();
        if !over && !self.room.desk.hang_up_asked {
            self.room.desk.hang_up_asked = true;
            self.order(NodeOrder::End { reason: EndReason::OperatorHungUp });
            if self.room.desk.view.call_sid.is_some() {
                self.room.desk.outbox.want(WorkKey::HangUp, self.now);
            }
        }
        let view = &self.room.desk.view;
        Ok(RoomResponse::HangUp { call_sid: view.call_sid.clone(), status: view.state.status, over })
    }

    /// The offer again, if its ticket may still be used.
    fn repeat(&self, offered: &Offered) -> Option<Offer> {
        (!offered.redeemed && self.now < offered.offer.expires).then(|| offered.offer.clone())
    }

    /// Makes a new offer; it replaces an older one.
    fn offer(&mut self, to: NodeChoice, nonce: String) -> Option<Offer> {
        let desk = &mut self.room.desk;
        let call = self.room.brief.as_ref()?.call.clone();
        let last = desk.offer.as_ref().map_or(desk.view.epoch, |o| o.offer.epoch.max(desk.view.epoch));
        let offer = Offer {
            call,
            call_sid: desk.view.call_sid.clone()?,
            to,
            epoch: last.next(),
            nonce,
            expires: self.now.plus(ticket::STREAM_TTL_MS),
        };
        desk.offer = Some(Offered { offer: offer.clone(), at: self.now, redeemed: false, taken: false });
        Some(offer)
    }
}
