//! Facts between the call and the room: numbered from 1, kept until the room has stored them, sent again from the first
//! unacknowledged one on every new socket. In memory and bounded: a call goes on while the edge is away, and only an edge
//! that is away for hours costs facts, the newest first, never the last one. Pure: no socket and no clock.

use shared::ids::Epoch;
use shared::node_api::{MAX_MESSAGE_BYTES, NodeEvent, NodeFact};
use shared::time::UnixMillis;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Bytes of facts that are kept per call: hours of talk.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one batch, well under what a message may have.
const BATCH_BYTES: usize = MAX_MESSAGE_BYTES / 2;
/// Longest text of a fact, in characters; at six bytes each (`\u0000`) it still fits a message.
const MAX_TEXT: usize = 8_000;

/// A call's facts that the room may not have yet.
#[derive(Debug)]
pub(crate) struct Spool {
    epoch: Epoch,
    /// The facts' JSON, in order; the first has line `acked + 1`.
    facts: VecDeque<String>,
    bytes: usize,
    max_bytes: usize,
    acked: u64,
    /// The highest line sent on the present socket.
    sent: u64,
}

/// The spool is full: the fact was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Spool {
    pub(crate) fn new(epoch: Epoch, max_bytes: usize) -> Self {
        Self { epoch, facts: VecDeque::new(), bytes: 0, max_bytes, acked: 0, sent: 0 }
    }

    /// Takes a fact in.
    pub(crate) fn push(&mut self, at: UnixMillis, event: NodeEvent) -> Result<(), Full> {
        let last = matches!(event, NodeEvent::Ended { .. });
        if self.bytes >= self.max_bytes && !last {
            return Err(Full);
        }
        let fact = NodeFact { line: self.last_line() + 1, at, event: bounded(event) };
        // Serialising these types into a String cannot fail.
        let Ok(json) = serde_json::to_string(&fact) else { return Err(Full) };
        self.bytes += json.len();
        self.facts.push_back(json);
        Ok(())
    }

    /// The highest line there is; 0: none.
    pub(crate) fn last_line(&self) -> u64 {
        self.acked + self.facts.len() as u64
    }

    /// The room has stored every line up to this one. Says how many are done with; a line that was never sent, or is old,
    /// changes nothing.
    pub(crate) fn acknowledge(&mut self, line: u64) -> usize {
        if line > self.last_line() || line <= self.acked {
            return 0;
        }
        let done = usize::try_from(line - self.acked).unwrap_or(usize::MAX).min(self.facts.len());
        self.bytes -= self.facts.drain(..done).map(|json| json.len()).sum::<usize>();
        if self.facts.is_empty() {
            self.facts = VecDeque::new();
        }
        self.acked = line;
        self.sent = self.sent.max(line);
        done
    }

    /// A new socket's room says what it has: everything after is sent again.
    pub(crate) fn rewind(&mut self, acked_line: u64) -> usize {
        let done = self.acknowledge(acked_line);
        self.sent = self.acked;
        done
    }

    /// The next message of facts that were not sent on this socket.
    pub(crate) fn next_batch(&mut self) -> Option<String> {
        let skip = usize::try_from(self.sent - self.acked).ok()?;
        let mut batch = String::new();
        for json in self.facts.iter().skip(skip) {
            if batch.is_empty() {
                let _ = write!(batch, r#"{{"type":"facts","epoch":{},"facts":["#, self.epoch.0);
            } else if batch.len() + json.len() > BATCH_BYTES {
                break;
            } else {
                batch.push(',');
            }
            batch.push_str(json);
            self.sent += 1;
        }
        if batch.is_empty() {
            return None;
        }
        batch.push_str("]}");
        Some(batch)
    }

    /// Facts that the room has not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.facts.len()
    }

    /// Whether something was sent on this socket and not acknowledged.
    pub(crate) fn awaits_ack(&self) -> bool {
        self.sent > self.acked
    }
}

/// A fact that fits a message.
fn bounded(event: NodeEvent) -> NodeEvent {
    match event {
        NodeEvent::Said { speaker, item, text, started_at } if text.chars().nth(MAX_TEXT).is_some() => {
            let text = text.chars().take(MAX_TEXT).collect();
            NodeEvent::Said { speaker, item, text, started_at }
        }
        NodeEvent::StreamStarted { .. }
        | NodeEvent::ProviderReady { .. }
        | NodeEvent::ProviderLost { .. }
        | NodeEvent::Said { .. }
        | NodeEvent::Heard { .. }
        | NodeEvent::BargedIn { .. }
        | NodeEvent::Digit { .. }
        | NodeEvent::Ended { .. }
        | NodeEvent::Unknown => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::call::EndReason;
    use shared::node_api::{NodeMessage, Speaker};

    fn digit(spool: &mut Spool, digit: char) -> Result<(), Full> {
        spool.push(UnixMillis(5), NodeEvent::Digit { digit })
    }

    fn lines(batch: &str) -> Vec<u64> {
        let message = serde_json::from_str(batch).expect("a message");
        let NodeMessage::Facts { epoch: Epoch(3), facts } = message else { panic!("not facts: {message:?}") };
        facts.iter().map(|fact| fact.line).collect()
    }

    #[test]
    fn facts_are_sent_once_per_socket_until_they_are_acknowledged() {
        let mut spool = Spool::new(Epoch(3), MAX_BYTES);
        assert_eq!(spool.next_batch(), None);
        for key in ['1', '2', '3'] {
            digit(&mut spool, key).expect("room");
        }
        assert_eq!(lines(&spool.next_batch().expect("a batch")), [1, 2, 3]);
        assert_eq!((spool.next_batch(), spool.awaits_ack()), (None, true));
        assert_eq!((spool.acknowledge(2), spool.waiting()), (2, 1));
        digit(&mut spool, '4').expect("room");
        assert_eq!(lines(&spool.next_batch().expect("a batch")), [4]);
        assert_eq!((spool.acknowledge(1), spool.acknowledge(9), spool.waiting()), (0, 0, 2));

        // A new socket: the room had stored line 3 without being able to say so.
        assert_eq!(spool.rewind(3), 1);
        assert_eq!(lines(&spool.next_batch().expect("a batch")), [4]);
        // Another: it knows nothing newer, so line 4 goes again.
        assert_eq!(spool.rewind(3), 0);
        assert_eq!(lines(&spool.next_batch().expect("a batch")), [4]);
        assert_eq!((spool.acknowledge(4), spool.waiting(), spool.last_line()), (1, 0, 4));
        assert!(!spool.awaits_ack());
    }

    #[test]
    fn batches_fit_a_message_and_long_words_are_cut() {
        let mut spool = Spool::new(Epoch(3), MAX_BYTES);
        for _ in 0..5 {
            let text = "\u{1}".repeat(100_000);
            let said = NodeEvent::Said { speaker: Speaker::Agent, item: "i".into(), text, started_at: UnixMillis(1) };
            spool.push(UnixMillis(5), said).expect("room");
        }
        let mut seen = Vec::new();
        while let Some(batch) = spool.next_batch() {
            assert!(batch.len() <= MAX_MESSAGE_BYTES, "{}", batch.len());
            seen.extend(lines(&batch));
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_full_spool_keeps_its_numbers_whole_and_takes_the_end() {
        let mut spool = Spool::new(Epoch(3), 100);
        let kept = (0..50).take_while(|_| digit(&mut spool, '7').is_ok()).count();
        assert!((1..10).contains(&kept), "{kept}");
        let ended = NodeEvent::Ended { reason: EndReason::CallerHungUp };
        assert_eq!(spool.push(UnixMillis(6), ended), Ok(()));
        assert_eq!(lines(&spool.next_batch().expect("a batch")), (1..=kept as u64 + 1).collect::<Vec<_>>());
    }
}
