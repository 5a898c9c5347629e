//! What the room shows to the outside: its row in the history (D1), its entry on the board, the orders it gives Twilio. Made
//! from the state of the moment at which the work leaves the outbox.

use super::machine::Room;
use super::{Task, WorkKey};
use crate::history;
use crate::twilio_rest::TwilioOrder;
use shared::console_api::BoardCall;
use shared::ids::Party;
use shared::transcript::TranscriptLine;

/// Longest transcript kept in the history's row, bytes of JSON (D1 takes rows of up to 2 MB).
const LONGEST_TRANSCRIPT: usize = 1_500_000;

impl Room {
    /// The task of a piece of work; none: there is nothing to do any more.
    pub(super) fn task(&self, key: WorkKey, version: u64) -> Option<Task> {
        let view = &self.desk.view;
        match key {
            WorkKey::Project => {
                let snapshot = self.snapshot()?;
                let mut lines: Vec<TranscriptLine> = snapshot.transcript.clone();
                let mut transcript = serde_json::to_string(&lines).ok()?;
                while transcript.len() > LONGEST_TRANSCRIPT && !lines.is_empty() {
                    lines.truncate(lines.len() * 9 / 10);
                    transcript = serde_json::to_string(&lines).ok()?;
                }
                Some(Task::Project(vec![history::upsert(&snapshot, transcript, self.desk.settled, version)?]))
            }
            WorkKey::Board => Some(Task::Board { call: self.board_call(version)?, over: view.state.is_over() }),
            WorkKey::Note => None,
            WorkKey::HangUp => Some(Task::Twilio(TwilioOrder::HangUp { call_sid: view.call_sid.clone()? })),
            WorkKey::Fetch => Some(Task::Twilio(TwilioOrder::Fetch { call_sid: view.call_sid.clone()? })),
            WorkKey::Find => {
                let opened = view.opened.as_ref()?;
                match (&opened.from, &opened.to) {
                    (Party::Phone(from), Party::Phone(to)) => {
                        Some(Task::Twilio(TwilioOrder::Find { from: from.clone(), to: to.clone(), since: opened.at }))
                    }
                    (Party::Phone(_) | Party::Client(_) | Party::Sip(_) | Party::Unknown, _) => None,
                }
            }
        }
    }

    fn board_call(&self, version: u64) -> Option<BoardCall> {
        let (brief, view) = (self.brief.as_ref()?, &self.desk.view);
        let opened = view.opened.as_ref()?;
        Some(BoardCall {
            call: brief.call.clone(),
            call_sid: view.call_sid.clone(),
            direction: opened.direction,
            from: opened.from.clone(),
            to: opened.to.clone(),
            agent: opened.agent.clone(),
            status: view.state.status,
            node: view.owner.clone(),
            opened_at: opened.at,
            answered_at: view.state.answered_at,
            version,
        })
    }
}
