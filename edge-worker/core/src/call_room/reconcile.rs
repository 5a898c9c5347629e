//! What happens when nothing happens: callbacks may be lost, a stream may never come, the outcome of a dialling may be
//! unknown. Deadlines follow from the desk alone; when one has passed, Twilio is asked, and what it says is taken in like any
//! other report. A call that Twilio knows to be over becomes over here; one that should be over is ended.

use super::desk::Placed;
use super::machine::{Room, Turn};
use super::{Placement, RoomStore, StoreFault, WorkKey, WorkOutcome};
use crate::twilio_rest::TwilioOutcome;
use shared::call::{CallEvent, CallStatus, EndReason, TranscriptionPhase};
use shared::time::UnixMillis;

/// A sign of life is remembered to this precision, so that not every message writes the desk.
pub(super) const SIGN_STEP_MS: i64 = 15_000;
/// After this long without a sign, Twilio is asked.
const QUIET_MS: i64 = 60_000;
/// A stream that was offered must come within this.
const STREAM_MS: i64 = 30_000;
/// A call whose node is gone is given this long for Twilio's question and a new stream.
const ORPHANED_MS: i64 = 10_000;
/// When Twilio cannot be asked either, a stream that has not come by then is lost.
const STREAM_LOST_MS: i64 = 120_000;
/// A call with a verdict must end at Twilio within this; then it is looked after. Longer where the caller still hears a
/// sentence first.
const WIND_UP_MS: i64 = 5_000;
const LAST_WORDS_MS: i64 = 30_000;
/// What was said may arrive this long after the end; then the call is settled.
const SETTLE_MS: i64 = 15_000;
/// Whoever opened the room must have an outcome of `POST /Calls` within this.
const PLACING_MS: i64 = 20_000;
/// Pause between two looks for a call whose creation had no clear answer.
const FIND_MS: i64 = 15_000;
/// A call that was not found by then was never made.
const NEVER_MADE_MS: i64 = 300_000;
/// A deferred dialling may be repeated for this long.
const DEFERRED_MS: i64 = 600_000;
/// No call lasts longer (the longest agent's limit is four hours); a day is left for a queue at Twilio.
const LONGEST_MS: i64 = 29 * 3_600_000;

/// What a passed deadline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// Nobody said what became of the dialling.
    PlacingLost,
    /// Look for the call.
    Find,
    /// Declare that the call was never made.
    NeverMade,
    /// Ask Twilio where the leg stands.
    Fetch,
    /// The stream never came and Twilio cannot be asked.
    StreamLost,
    /// Nothing can be found out any more.
    GiveUp,
}

impl Room {
    /// The next deadline of the call itself and what it asks for.
    fn duty(&self) -> Option<(UnixMillis, Duty)> {
        let desk = &self.desk;
        let opened = desk.view.opened.as_ref()?;
        let state = &desk.view.state;
        if state.status.is_terminal() {
            return None;
        }
        let give_up = (opened.at.plus(LONGEST_MS), Duty::GiveUp);
        let fetching = desk.outbox.has(WorkKey::Fetch);
        if desk.view.call_sid.is_none() {
            if state.is_over() {
                return None;
            }
            let Some(Placed { placement, since, .. }) = &desk.placement else { return Some(give_up) };
            return Some(match placement {
                Placement::Pending => (since.plus(PLACING_MS), Duty::PlacingLost),
                Placement::Deferred => (since.plus(DEFERRED_MS), Duty::NeverMade),
                Placement::Unknown => {
                    let never = since.plus(NEVER_MADE_MS);
                    let find = desk.last_sign.max(*since).plus(FIND_MS);
                    if desk.outbox.has(WorkKey::Find) || never <= find {
                        (never, Duty::NeverMade)
                    } else {
                        (find, Duty::Find)
                    }
                }
                Placement::Accepted { .. } | Placement::Refused { .. } | Placement::NeverMade => give_up,
            });
        }
        if state.is_over() {
            // A verdict was given, Twilio has not said the same yet.
            let pending = fetching || desk.outbox.has(WorkKey::HangUp);
            let patience = match state.verdict {
                Some(EndReason::NoCapacity | EndReason::NodeStopped | EndReason::StreamLost) => LAST_WORDS_MS,
                _ => WIND_UP_MS,
            };
            let look = desk.over_at.unwrap_or(opened.at).max(desk.last_sign).plus(patience);
            return Some(if pending { give_up } else { (look, Duty::Fetch) }).map(|d| d.min_with(give_up));
        }
        let waiting = desk.offer.as_ref().filter(|offered| !offered.redeemed && !self.is_owned());
        let mut first = give_up;
        if let Some(offered) = waiting {
            first = first.min_with((offered.at.plus(STREAM_LOST_MS), Duty::StreamLost));
            if !fetching {
                let due = offered.at.plus(STREAM_MS).max(desk.last_sign.plus(FIND_MS));
                first = first.min_with((due, Duty::Fetch));
            }
        } else if !fetching {
            first = first.min_with((desk.last_sign.plus(QUIET_MS), Duty::Fetch));
        }
        Some(first)
    }

    /// Whether a node carries the call at this moment, whatever else was offered.
    fn is_owned(&self) -> bool {
        self.desk.current.is_some() && self.desk.view.node_ended.is_none()
    }

    /// When everything that was said must have arrived.
    fn settle_deadline(&self) -> Option<UnixMillis> {
        let desk = &self.desk;
        (!desk.settled).then_some(())?;
        Some(desk.over_at?.plus(SETTLE_MS))
    }

    /// When the room must be rung.
    pub(super) fn next_alarm(&self) -> Option<UnixMillis> {
        [self.duty().map(|(at, _)| at), self.settle_deadline(), self.desk.outbox.next()].into_iter().flatten().min()
    }
}

/// The earlier of two deadlines.
trait Earlier {
    fn min_with(self, other: Self) -> Self;
}
impl Earlier for (UnixMillis, Duty) {
    fn min_with(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }
}

impl<S: RoomStore> Turn<'_, S> {
    /// Something was heard of the call.
    pub(super) fn sign_of_life(&mut self) {
        let last = &mut self.room.desk.last_sign;
        if self.now.since(*last) >= SIGN_STEP_MS {
            *last = self.now;
        }
    }

    /// What follows from the new state and the passing of time.
    pub(super) fn follow_up(&mut self) -> Result<(), StoreFault> {
        if self.room.desk.hang_up_asked
            && self.room.desk.view.state.status.is_terminal()
            && self.room.desk.view.state.verdict.is_none()
        {
            self.verdict(EndReason::OperatorHungUp)?;
        }
        self.note_end();
        // Every duty moves its own deadline; the bound is a second look at that.
        for _ in 0..4 {
            match self.room.duty() {
                Some((at, duty)) if at <= self.now => self.perform(duty)?,
                Some(_) | None => break,
            }
            self.note_end();
        }
        let desk = &mut self.room.desk;
        if desk.view.state.status.is_terminal() {
            desk.outbox.drop(WorkKey::HangUp);
            desk.outbox.drop(WorkKey::Fetch);
            desk.outbox.drop(WorkKey::Find);
        }
        Ok(())
    }

    fn note_end(&mut self) {
        let desk = &mut self.room.desk;
        if desk.view.state.is_over() && desk.over_at.is_none() {
            desk.over_at = Some(self.now);
        }
    }

    fn perform(&mut self, duty: Duty) -> Result<(), StoreFault> {
        let now = self.now;
        match duty {
            Duty::PlacingLost => {
                self.set_placement(Placement::Unknown);
            }
            Duty::Find => self.room.desk.outbox.want(WorkKey::Find, now),
            Duty::NeverMade => {
                // After a refusal for too many requests the same request may be made again, as another call.
                if self.room.desk.placement.as_ref().is_some_and(|p| p.placement == Placement::Unknown) {
                    self.set_placement(Placement::NeverMade);
                }
                self.passing_status(CallStatus::Failed)?;
            }
            Duty::Fetch => self.room.desk.outbox.want(WorkKey::Fetch, now),
            Duty::StreamLost => {
                self.verdict(EndReason::StreamLost)?;
                self.room.desk.outbox.want(WorkKey::HangUp, now);
            }
            Duty::GiveUp => {
                self.verdict(EndReason::CarrierReported)?;
                self.passing_status(CallStatus::Completed)?;
            }
        }
        Ok(())
    }

    /// Whether the call is over and nothing that was said is still on its way.
    pub(super) fn settles(&self) -> bool {
        let desk = &self.room.desk;
        if desk.over_at.is_none() || desk.settled {
            return false;
        }
        if self.is_late() {
            return true;
        }
        let state = &desk.view.state;
        let node_done = desk.view.owner.is_none() || desk.view.node_ended.is_some();
        let words_done = state.transcriptions.values().all(|phase| *phase != TranscriptionPhase::Running);
        state.status.is_terminal() && node_done && words_done
    }

    /// Whether what was said should have arrived by now.
    pub(super) fn is_late(&self) -> bool {
        self.room.desk.over_at.is_some_and(|at| self.now >= at.plus(SETTLE_MS))
    }

    /// Work came back.
    pub(super) fn work_done(&mut self, key: WorkKey, version: u64, outcome: WorkOutcome) -> Result<(), StoreFault> {
        let succeeded = match &outcome {
            WorkOutcome::Done | WorkOutcome::Twilio(_) => true,
            WorkOutcome::Failed => false,
        };
        if !self.room.desk.outbox.has(key) {
            return Ok(());
        }
        self.room.desk.outbox.done(key, version, succeeded, self.now);
        match outcome {
            WorkOutcome::Done | WorkOutcome::Failed => Ok(()),
            WorkOutcome::Twilio(answer) => self.twilio_said(key, answer),
        }
    }

    fn twilio_said(&mut self, key: WorkKey, answer: TwilioOutcome) -> Result<(), StoreFault> {
        let now = self.now;
        // The next question comes after the next deadline, whatever the answer was.
        self.room.desk.last_sign = now;
        match answer {
            TwilioOutcome::Stands { status, duration_s, ended_at } => {
                let at = ended_at.filter(|_| status.is_terminal()).unwrap_or(now);
                self.live(CallEvent::Status { status, at, duration_s, sip_code: None })?;
                if !status.is_terminal() {
                    self.wind_up()?;
                }
                Ok(())
            }
            TwilioOutcome::Carried => {
                if self.room.desk.hang_up_asked && self.room.desk.view.state.verdict.is_none() {
                    self.verdict(EndReason::OperatorHungUp)?;
                }
                Ok(())
            }
            TwilioOutcome::Gone => match key {
                WorkKey::HangUp => {
                    self.room.desk.outbox.want(WorkKey::Fetch, now);
                    Ok(())
                }
                // Twilio does not know the leg: nothing more will be heard of it.
                WorkKey::Fetch | WorkKey::Find | WorkKey::Project | WorkKey::Board | WorkKey::Note => {
                    self.passing_status(CallStatus::Completed)
                }
            },
            TwilioOutcome::Foreign => self.passing_status(CallStatus::Completed),
            TwilioOutcome::Found(calls) => match calls.as_slice() {
                [only] => {
                    self.bind(only)?;
                    self.room.desk.outbox.want(WorkKey::Fetch, now);
                    Ok(())
                }
                _ => Ok(()),
            },
            TwilioOutcome::Refused { .. } => Ok(()),
        }
    }

    /// Twilio says that the leg goes on. Should it?
    fn wind_up(&mut self) -> Result<(), StoreFault> {
        let desk = &self.room.desk;
        let now = self.now;
        let offered = desk.offer.as_ref().filter(|o| !o.redeemed).map(|o| now.since(o.at));
        let stream_late = !self.room.is_owned() && offered.is_some_and(|age| age >= STREAM_MS);
        // Its node is gone and Twilio never asked how to go on, for longer than a question and its repetitions take.
        let gone = desk.view.node_ended.map(|_| now.since(desk.view.node_ended_at.unwrap_or_default()));
        let fresh = offered.is_some_and(|age| age < STREAM_MS);
        let orphaned = gone.is_some_and(|age| age >= ORPHANED_MS) && desk.current.is_none() && !fresh;
        if !desk.view.state.is_over() && (stream_late || orphaned) {
            self.verdict(EndReason::StreamLost)?;
        }
        if self.room.desk.view.state.is_over() || self.room.desk.hang_up_asked {
            self.room.desk.outbox.want(WorkKey::HangUp, now);
        }
        Ok(())
    }
}
