//! `<Dial>`: ringing several telephones at once, joining the first that answers, and what the calling leg is told at the end.

use std::time::Duration;

use super::super::Now;
use super::super::network::{Reaction, Telephone};
use super::super::twiml::{Dial, Recording, Target};
use super::{Call, Doing, Purpose, Status, Timer};

/// What happens next on a dialled leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Rings,
    Reacts,
}

#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) sid: String,
    pub(super) to: String,
    pub(super) callback: Option<Target>,
    pub(super) events: Vec<String>,
    pub(super) telephone: Telephone,
    pub(super) status: Status,
    pub(super) sequence: u32,
    pub(super) answered: Option<Now>,
    pub(super) ended: Option<Now>,
}

#[derive(Debug)]
pub(super) struct Dialling {
    pub(super) dial: Dial,
    pub(super) legs: Vec<Dialled>,
    /// Which leg the caller is joined with.
    pub(super) joined: Option<usize>,
    recording: Option<String>,
}

impl Call {
    pub(super) fn dial(&mut self, now: Now, dial: Dial) {
        let generation = self.generation;
        let mut legs = Vec::with_capacity(dial.nouns.len());
        for (index, noun) in dial.nouns.iter().enumerate() {
            let to = noun.target.to();
            let telephone = self.network.reached.get(&to).cloned().unwrap_or_default();
            if telephone.reaction == Reaction::Unreachable {
                self.after(now, telephone.reacts_after_ms, Timer::Dialled(generation, index, Step::Reacts));
            } else {
                self.after(now, telephone.rings_after_ms, Timer::Dialled(generation, index, Step::Rings));
            }
            legs.push(Dialled {
                sid: self.dice.sid("CA"),
                to,
                callback: noun.status_callback.clone(),
                events: noun.events.clone(),
                telephone,
                status: Status::Initiated,
                sequence: 0,
                answered: None,
                ended: None,
            });
        }
        self.after(now, u64::from(dial.timeout_s) * 1000, Timer::DialGivesUp(generation));
        for leg in &mut legs {
            self.notify_dialled(now, leg, Status::Initiated);
        }
        self.doing = Doing::Dialling(Dialling { dial, legs, joined: None, recording: None });
    }

    fn take_dialling(&mut self) -> Option<Dialling> {
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Dialling(dialling) => Some(dialling),
            other @ (Doing::Nothing
            | Doing::Fetching { .. }
            | Doing::Loading { .. }
            | Doing::Waiting
            | Doing::Gathering { .. }
            | Doing::Streaming { .. }) => {
                self.doing = other;
                None
            }
        }
    }

    pub(super) fn dialled(&mut self, now: Now, index: usize, step: Step) {
        let Some(mut dialling) = self.take_dialling() else { return };
        let ended = match dialling.legs.get_mut(index) {
            Some(leg) if !leg.status.is_terminal() && dialling.joined.is_none() => match (step, leg.telephone.reaction)
            {
                (Step::Rings, reaction) => {
                    self.notify_dialled(now, leg, Status::Ringing);
                    if reaction != Reaction::Silent {
                        let reacts = leg.telephone.reacts_after_ms;
                        self.after(now, reacts, Timer::Dialled(self.generation, index, Step::Reacts));
                    }
                    None
                }
                (Step::Reacts, Reaction::Answers | Reaction::Silent) => {
                    self.join(now, &mut dialling, index);
                    None
                }
                (Step::Reacts, Reaction::Busy) => Some(Status::Busy),
                (Step::Reacts, Reaction::Declines) => Some(Status::NoAnswer),
                (Step::Reacts, Reaction::Unreachable) => Some(Status::Failed),
            },
            Some(_) | None => None,
        };
        if let Some(status) = ended
            && let Some(leg) = dialling.legs.get_mut(index)
        {
            self.notify_dialled(now, leg, status);
        }
        let nobody_left = dialling.joined.is_none() && dialling.legs.iter().all(|leg| leg.status.is_terminal());
        if nobody_left {
            // Of several failures Twilio reports one: the one that came nearest to an answer.
            let order = [Status::Busy, Status::NoAnswer, Status::Failed];
            let outcome = order.into_iter().find(|s| dialling.legs.iter().any(|leg| leg.status == *s));
            return self.dial_over(now, dialling, outcome.unwrap_or(Status::Failed));
        }
        self.doing = Doing::Dialling(dialling);
    }

    fn join(&mut self, now: Now, dialling: &mut Dialling, index: usize) {
        self.answer(now);
        dialling.joined = Some(index);
        for (other, leg) in dialling.legs.iter_mut().enumerate() {
            if other == index {
                leg.answered = Some(now);
                self.notify_dialled(now, leg, Status::InProgress);
                if let Some(ms) = leg.telephone.hangs_up_after_ms {
                    self.after(now, ms, Timer::BridgeEnds(self.generation));
                }
            } else if !leg.status.is_terminal() {
                self.notify_dialled(now, leg, Status::Canceled);
            }
        }
        self.after(now, u64::from(dialling.dial.time_limit_s) * 1000, Timer::BridgeEnds(self.generation));
        if !matches!(dialling.dial.record, "do-not-record" | "false") {
            let noun = Recording {
                name: None,
                status_callback: dialling.dial.recording_callback.clone(),
                events: dialling.dial.recording_events.clone(),
                channels: if dialling.dial.record.ends_with("dual") { 2 } else { 1 },
                track: "both",
            };
            let before: Vec<String> = self.recordings.keys().cloned().collect();
            self.start_recording(now, noun, "DialVerb");
            dialling.recording = self.recordings.keys().find(|sid| !before.contains(sid)).cloned();
        }
    }

    pub(super) fn dial_gave_up(&mut self, now: Now) {
        let Some(mut dialling) = self.take_dialling() else { return };
        if dialling.joined.is_some() {
            self.doing = Doing::Dialling(dialling);
            return;
        }
        for leg in dialling.legs.iter_mut().filter(|leg| !leg.status.is_terminal()) {
            self.notify_dialled(now, leg, Status::NoAnswer);
        }
        self.dial_over(now, dialling, Status::NoAnswer);
    }

    pub(super) fn bridge_ended(&mut self, now: Now) {
        let Some(mut dialling) = self.take_dialling() else { return };
        self.end_legs(now, &mut dialling);
        self.dial_over(now, dialling, Status::Completed);
    }

    fn end_legs(&mut self, now: Now, dialling: &mut Dialling) {
        for leg in dialling.legs.iter_mut().filter(|leg| !leg.status.is_terminal()) {
            let status = if leg.answered.is_some() { Status::Completed } else { Status::Canceled };
            self.notify_dialled(now, leg, status);
        }
        if let Some(sid) = dialling.recording.take() {
            self.stop_recording(now, &sid);
        }
    }

    /// The caller hung up, or the call was moved: its `action` for [`Call::leave_verb`].
    pub(super) fn dial_left(&mut self, now: Now, mut dialling: Dialling) -> Option<Target> {
        self.end_legs(now, &mut dialling);
        dialling.dial.action
    }

    fn dial_over(&mut self, now: Now, dialling: Dialling, outcome: Status) {
        self.generation += 1;
        let Some(action) = dialling.dial.action else { return self.next_verb(now) };
        let told = dialling.joined.and_then(|index| dialling.legs.get(index)).or(dialling.legs.first());
        let mut extra = vec![
            ("DialCallStatus".to_owned(), outcome.as_str().to_owned()),
            ("DialBridged".to_owned(), dialling.joined.is_some().to_string()),
        ];
        if let Some(leg) = told {
            extra.push(("DialCallSid".to_owned(), leg.sid.clone()));
            let lasted = leg.answered.map_or(Duration::ZERO, |at| leg.ended.unwrap_or(now).saturating_sub(at));
            if leg.answered.is_some() {
                extra.push(("DialCallDuration".to_owned(), lasted.as_millis().div_ceil(1000).to_string()));
            }
        }
        self.fetch(now, Purpose::Action, action, extra);
    }
}
