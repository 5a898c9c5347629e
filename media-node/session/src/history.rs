//! What has been said in the call as the caller experienced it, kept so that a provider that comes back, or another, can be
//! told. Bounded: older lines become plain text, and of those the newest are kept.

use shared::console_api::CallFact;
use shared::ids::Epoch;
use shared::node_api::{HeardLine, NodeEvent};
use shared::transcript::Transcript;
use std::collections::VecDeque;

/// Facts that are kept with their details.
const FACTS: u64 = 400;
/// Lines that are told to a new provider, and their text's characters.
const LINES: usize = 100;
const CHARS: usize = 16_000;

/// The conversation so far.
#[derive(Debug)]
pub(crate) struct History {
    earlier: VecDeque<HeardLine>,
    recent: Transcript,
    facts: u64,
}

impl History {
    /// Begins with what others have already carried of this call.
    pub(crate) fn new(earlier: Vec<HeardLine>) -> Self {
        let mut history = Self { earlier: VecDeque::new(), recent: Transcript::default(), facts: 0 };
        history.age(earlier);
        history
    }

    /// Takes a fact in; those that say nothing about the conversation change nothing.
    pub(crate) fn record(&mut self, event: &NodeEvent) {
        if !matches!(event, NodeEvent::Said { .. } | NodeEvent::Heard { .. }) {
            return;
        }
        if self.facts >= FACTS {
            let lines = std::mem::take(&mut self.recent).heard();
            self.age(lines);
            self.facts = 0;
        }
        self.facts += 1;
        self.recent.apply(&CallFact::Node { epoch: Epoch(0), line: self.facts, event: event.clone() });
    }

    fn age(&mut self, lines: Vec<HeardLine>) {
        self.earlier.extend(lines);
        while self.earlier.len() > LINES {
            self.earlier.pop_front();
        }
    }

    /// The newest lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<HeardLine> {
        let mut all: Vec<HeardLine> = self.earlier.iter().cloned().chain(self.recent.heard()).collect();
        let mut chars = 0;
        let kept = all
            .iter()
            .rev()
            .take(LINES)
            .take_while(|line| {
                chars += line.text.chars().count();
                chars <= CHARS
            })
            .count();
        all.split_off(all.len() - kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::node_api::Speaker;
    use shared::time::UnixMillis;

    fn said(speaker: Speaker, item: usize, text: &str) -> NodeEvent {
        NodeEvent::Said { speaker, item: format!("i{item:04}"), text: text.into(), started_at: UnixMillis(item as i64) }
    }

    #[test]
    fn what_was_not_heard_is_not_told() {
        let before = HeardLine { speaker: Speaker::Caller, text: "Hello?".into() };
        let mut history = History::new(vec![before]);
        history.record(&said(Speaker::Agent, 1, "Good morning, how can I help?"));
        history.record(&NodeEvent::Heard { item: "i0001".into(), heard_ms: 500, received_ms: 1000, cut: true });
        history.record(&NodeEvent::Digit { digit: '1' });
        history.record(&said(Speaker::Caller, 2, "A table for two."));
        let texts: Vec<_> = history.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["Hello?", "Good morning,", "A table for two."]);
    }

    #[test]
    fn a_long_call_keeps_its_newest_lines() {
        let mut history = History::new(Vec::new());
        for item in 0..5_000 {
            history.record(&said(Speaker::Caller, item, &format!("line {item}")));
        }
        let lines = history.lines();
        assert_eq!((lines.len(), lines[99].text.as_str()), (100, "line 4999"));
        assert_eq!(lines[0].text, "line 4900");
        history.record(&said(Speaker::Agent, 9_999, &"x".repeat(15_995)));
        assert_eq!(history.lines().len(), 1);
    }
}
