//! Who owes whom an answer: the response that runs, the one that was asked for, and the one that must wait. A provider
//! answers one thing at a time; asking while it answers is an error on its side and a lost answer on ours.

use crate::provider::ResponseOutcome;

/// What to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Whatever the conversation asks for.
    Freely,
    /// These very words.
    Saying(String),
    /// As told here.
    Following(String),
}

/// What follows from the end of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Wait,
    /// Ask for this now.
    Send(Ask),
    /// The provider fails to answer.
    GiveUp,
}

/// The answers of one provider connection.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    running: Option<String>,
    running_for: Option<Ask>,
    asked: Option<Ask>,
    waiting: Option<Ask>,
    /// The caller's turn is over and the provider answers it by itself.
    owed: bool,
    failed_once: bool,
}

impl Responses {
    /// The response that runs.
    pub(crate) fn running(&self) -> Option<&str> {
        self.running.as_deref()
    }

    /// Whether an answer runs, was asked for, or is owed.
    pub(crate) fn is_expected(&self) -> bool {
        self.running.is_some() || self.asked.is_some() || self.owed
    }

    /// An answer is wanted. What to ask for now; none: it waits, or another answer will do.
    pub(crate) fn ask(&mut self, ask: Ask, caller_speaks: bool) -> Option<Ask> {
        if self.is_expected() || caller_speaks {
            self.waiting = Some(ask);
            return None;
        }
        self.asked = Some(ask.clone());
        Some(ask)
    }

    /// The provider says that a response runs already: what was asked waits for its end.
    pub(crate) fn busy(&mut self) {
        if let Some(ask) = self.asked.take() {
            self.waiting = Some(ask);
        }
    }

    /// The caller speaks: no answer is owed until the turn ends.
    pub(crate) fn turn_began(&mut self) {
        self.owed = false;
    }

    /// The caller's turn is over.
    pub(crate) fn turn_ended(&mut self) {
        self.owed = true;
    }

    /// A response has begun. It knows all that was said before, so nothing else waits.
    pub(crate) fn started(&mut self, response: &str) {
        self.running = Some(response.to_owned());
        self.running_for = self.asked.take();
        self.waiting = None;
        self.owed = false;
    }

    /// A response is done.
    pub(crate) fn done(&mut self, response: &str, outcome: &ResponseOutcome, caller_speaks: bool) -> Next {
        if self.running.as_deref() != Some(response) {
            return Next::Wait;
        }
        self.running = None;
        let was_for = self.running_for.take();
        match outcome {
            ResponseOutcome::Failed if std::mem::replace(&mut self.failed_once, true) => return Next::GiveUp,
            ResponseOutcome::Failed => self.waiting = self.waiting.take().or(was_for).or(Some(Ask::Freely)),
            ResponseOutcome::Refused { .. } => return Next::GiveUp,
            ResponseOutcome::Completed => self.failed_once = false,
            ResponseOutcome::Cancelled => {}
        }
        match self.waiting.take() {
            Some(ask) if caller_speaks || self.is_expected() => {
                self.waiting = Some(ask);
                Next::Wait
            }
            Some(ask) => {
                self.asked = Some(ask.clone());
                Next::Send(ask)
            }
            None => Next::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ResponseOutcome::{Cancelled, Completed, Failed};

    #[test]
    fn one_answer_at_a_time() {
        let mut responses = Responses::default();
        assert_eq!(responses.ask(Ask::Freely, false), Some(Ask::Freely));
        assert_eq!(responses.ask(Ask::Saying("x".into()), false), None, "one is asked for already");
        responses.started("r1");
        assert_eq!(responses.ask(Ask::Following("y".into()), false), None, "one runs");
        assert_eq!(responses.done("r0", &Completed, false), Next::Wait, "not the one");
        assert_eq!(responses.done("r1", &Completed, false), Next::Send(Ask::Following("y".into())));
        assert!(responses.is_expected());
    }

    #[test]
    fn the_answer_to_a_turn_answers_what_waits_too() {
        let mut responses = Responses::default();
        responses.started("r1");
        responses.ask(Ask::Freely, false);
        responses.turn_began();
        assert_eq!(responses.done("r1", &Cancelled, true), Next::Wait);
        responses.turn_ended();
        responses.started("r2");
        assert_eq!(responses.done("r2", &Completed, false), Next::Wait);
        assert!(!responses.is_expected());
    }

    #[test]
    fn a_failed_answer_is_asked_for_once_more() {
        let mut responses = Responses::default();
        responses.ask(Ask::Saying("hello".into()), false);
        responses.started("r1");
        assert_eq!(responses.done("r1", &Failed, false), Next::Send(Ask::Saying("hello".into())));
        responses.started("r2");
        assert_eq!(responses.done("r2", &Failed, false), Next::GiveUp);
        let mut responses = Responses::default();
        for turn in ["r1", "r3", "r5"] {
            responses.started(turn);
            assert_eq!(responses.done(turn, &Failed, false), Next::Send(Ask::Freely));
            responses.started("again");
            assert_eq!(responses.done("again", &Completed, false), Next::Wait, "a success makes good");
        }
    }

    #[test]
    fn an_ask_that_met_a_running_response_waits() {
        let mut responses = Responses::default();
        responses.ask(Ask::Freely, false);
        responses.busy();
        responses.running = Some("r1".into());
        assert_eq!(responses.done("r1", &Completed, false), Next::Send(Ask::Freely));
    }
}
