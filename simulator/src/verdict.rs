//! What should have come of a call against what came of it: one check per promise, in words for a person. Everything it
//! looks at was recorded by others; it asks nobody and has no clock.

mod audio;

use std::fmt;

use serde::Serialize;
use shared::api::{CallDetail, CallRow};
use shared::transcript::TranscriptLine;

use crate::caller::Deed;
use crate::provider::openai::Record;
use crate::scenario::{AudioRule, ExpectedLine, Scenario};
use crate::speech::{Library, Who};
use crate::twilio::exchange::CallRecord;
use crate::twilio::stream::{Kind, MediaStream};
use crate::watcher::Watched;

pub use audio::{Trace, TraceError, Traced, carried, trace};

/// Everything known about a call that is over.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was played.
    pub scenario: &'a Scenario,
    /// What Twilio saw.
    pub record: &'a CallRecord,
    /// What the provider's twin saw, in the order of connecting.
    pub provider: &'a [Record],
    /// What a watching browser saw; none: nobody could watch.
    pub watched: Option<&'a Watched>,
    /// What the edge answers about the call; none: nobody could ask.
    pub detail: Option<&'a CallDetail>,
    /// The call in the history list.
    pub row: Option<&'a CallRow>,
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub about: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// Whether it was kept.
    pub holds: bool,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Verdict {
    /// In the order of a call's life.
    pub checks: Vec<Check>,
    /// Figures worth knowing that nothing was promised about.
    pub figures: Vec<(String, String)>,
}

impl Verdict {
    /// Whether every promise was kept.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    fn check(&mut self, about: &str, holds: bool, expected: impl Into<String>, seen: impl Into<String>) {
        self.checks.push(Check { about: about.to_owned(), expected: expected.into(), seen: seen.into(), holds });
    }

    fn equal<T: PartialEq + fmt::Display>(&mut self, about: &str, expected: T, seen: T) {
        self.check(about, expected == seen, expected.to_string(), seen.to_string());
    }

    /// Judges a call that is over.
    #[must_use]
    pub fn of(evidence: Evidence<'_>) -> Self {
        let mut verdict = Self::default();
        verdict.judge_call(evidence);
        verdict.judge_webhooks(evidence);
        if let Some(watched) = evidence.watched {
            verdict.judge_watcher(evidence, watched);
        }
        verdict.judge_audio(evidence);
        if evidence.scenario.expect.audio == AudioRule::Provider {
            verdict.judge_provider(evidence);
        }
        if let Some(detail) = evidence.detail {
            verdict.judge_history(evidence, detail);
        }
        if evidence.scenario.expect.audio != AudioRule::Echo {
            verdict.figure_gaps(evidence.record);
        }
        verdict
    }

    fn judge_call(&mut self, Evidence { scenario, record, .. }: Evidence<'_>) {
        let last = record.statuses.last().map_or("none", |(_, status)| status.as_str());
        self.equal("call status at Twilio", scenario.expect.status.as_str(), last);
        if !scenario.caller.is_empty() {
            let despaired = record.deeds.iter().find_map(|(_, deed)| match deed {
                Deed::Despaired(step) => {
                    Some(format!("gave up waiting in step {} of {}", step + 1, scenario.caller.len()))
                }
                Deed::Began(_)
                | Deed::Finished(_)
                | Deed::HeardBegin(..)
                | Deed::HeardEnd(_)
                | Deed::Pressed(_)
                | Deed::Listens(_)
                | Deed::HungUp => None,
            });
            let seen =
                if record.script_finished { "all of it".to_owned() } else { despaired.unwrap_or("not all".to_owned()) };
            self.check("the caller's script", record.script_finished, "all of it", seen);
        }
        let unexpected: Vec<String> = record
            .alerts
            .iter()
            .filter(|(_, alert)| !scenario.expect.alerts.contains(&alert.code))
            .map(|(_, alert)| alert.to_string())
            .collect();
        let seen = if unexpected.is_empty() { "none".to_owned() } else { unexpected.join("; ") };
        self.check("Twilio errors and warnings", unexpected.is_empty(), "none", seen);
    }

    fn judge_webhooks(&mut self, Evidence { scenario, record, .. }: Evidence<'_>) {
        let failed: Vec<String> = record
            .webhooks
            .iter()
            .filter_map(|hook| hook.failed.as_ref().map(|alert| format!("{}: {alert}", hook.kind())))
            .collect();
        let all = record.webhooks.len();
        let seen = if failed.is_empty() { format!("{all} of {all}") } else { failed.join("; ") };
        self.check("webhooks answered 2xx", failed.is_empty(), format!("{all} of {all}"), seen);
        for (word, least) in &scenario.expect.webhooks {
            let count = record.webhooks.iter().filter(|hook| hook.kind() == word).count();
            self.check(&format!("{word} webhooks"), count >= *least, format!("at least {least}"), count.to_string());
        }
        let mut slowest = 0;
        for attempt in record.webhooks.iter().flat_map(|hook| &hook.attempts) {
            slowest = slowest.max(attempt.took.as_millis());
        }
        self.figures.push(("slowest webhook".to_owned(), format!("{slowest} ms")));
    }

    fn judge_watcher(&mut self, Evidence { scenario, .. }: Evidence<'_>, watched: &Watched) {
        let page = &watched.page;
        self.transcript("transcript in the browser", scenario, &page.transcript());
        let reconnected = scenario.watcher.drops_every.is_none() || watched.connections > 1;
        let sound = page.gaps == 0 && page.duplicates == 0 && page.faults.is_empty() && reconnected;
        let mut seen = format!(
            "{} missing, {} repeated, over {}",
            page.gaps,
            page.duplicates,
            counted(watched.connections, "connection")
        );
        if !page.faults.is_empty() {
            seen = format!("{seen}; {}", page.faults.join("; "));
        }
        self.check("facts in the browser", sound, "0 missing, 0 repeated", seen);
        let ended = page.ended.map_or("no".to_owned(), |seq| format!("yes, with fact {seq}"));
        self.check("the browser knows that the call is over", page.ended.is_some(), "yes", ended);
        self.equal("barge-ins", scenario.expect.barge_ins, page.barge_ins);
        if !scenario.expect.digits.is_empty() {
            self.equal("keys pressed", scenario.expect.digits.as_str(), page.digits.as_str());
        }
    }

    fn transcript(&mut self, about: &str, scenario: &Scenario, lines: &[&TranscriptLine]) {
        let expected = &scenario.expect.transcript;
        let wrong = expected.iter().zip(lines).position(|(wanted, line)| !matches(wanted, line));
        let (holds, seen) = match wrong {
            Some(at) => {
                (false, format!("line {} is {:?}", at + 1, lines.get(at).map(|l| (l.speaker, l.text.as_str()))))
            }
            None if lines.len() < expected.len() => (false, format!("only {} lines", lines.len())),
            None if lines.len() > expected.len() => {
                (false, format!("{} lines, the first too many is {:?}", lines.len(), lines[expected.len()].text))
            }
            None => (true, format!("{} lines, as said", lines.len())),
        };
        self.check(about, holds, format!("{} lines, as said", expected.len()), seen);
    }

    fn judge_audio(&mut self, evidence: Evidence<'_>) {
        let Evidence { scenario, record, .. } = evidence;
        let streams: Vec<&MediaStream> =
            record.streams.iter().filter(|stream| stream.opening().kind == Kind::Bidirectional).collect();
        if scenario.expect.audio == AudioRule::None {
            return;
        }
        let [stream] = streams.as_slice() else {
            self.check("media streams", false, "1", streams.len().to_string());
            return;
        };
        match scenario.expect.audio {
            AudioRule::Provider => self.judge_relay(evidence, stream),
            AudioRule::Echo => self.judge_echo(record, stream),
            AudioRule::None => {}
        }
    }

    fn judge_relay(
        &mut self,
        Evidence { scenario, record: _, provider, watched, .. }: Evidence<'_>,
        stream: &MediaStream,
    ) {
        let tail = usize::try_from(scenario.expect.tail_ms * 8).unwrap_or(usize::MAX);
        let inputs: Vec<&[u8]> = provider.iter().map(|record| record.input.as_slice()).collect();
        let said = carried(stream.said(), &inputs, tail);
        let seen = match &said {
            Ok(lost) => format!(
                "byte for byte, {} ms; the last {} ms were under way at the end",
                stream.said().len() / 8,
                lost / 8
            ),
            Err(problem) => problem.clone(),
        };
        self.check("audio from the caller to the provider", said.is_ok(), "byte for byte", seen);

        let items: Vec<_> = provider.iter().flat_map(|record| &record.items).collect();
        let clears: Vec<usize> = stream.clears().iter().map(|(_, at)| *at).collect();
        let traced = trace(&items, stream.player().received(), &clears);
        let expected = "byte for byte, nothing of a cut answer after the cut";
        let traced = match traced {
            Ok(traced) => {
                let received = stream.player().received().len();
                let whole = traced.items.iter().filter(|item| item.complete).count();
                let seen = format!(
                    "byte for byte, {} ms in {} answers, {whole} of them whole",
                    received / 8,
                    traced.items.len()
                );
                self.check("audio from the provider to the caller", true, expected, seen);
                traced
            }
            Err(error) => {
                self.check("audio from the provider to the caller", false, expected, error.to_string());
                return;
            }
        };
        let within = scenario.expect.heard_within_ms;
        for (item, part) in items.iter().zip(&traced.items) {
            let truth = stream.player().played_of(part.bytes.clone()) as u64 / 8;
            let told = watched.and_then(|watched| {
                let line =
                    watched.page.lines.values().find(|line| line.key.ends_with(&format!(":{}", item.item_id)))?;
                line.heard
            });
            let short: String = item.text.chars().take(24).collect();
            if let Some(told) = told.filter(|told| told.cut) {
                let off = u64::from(told.heard_ms).abs_diff(truth);
                let expected = format!("{truth} ms, to within {within} ms");
                let seen = format!("{} ms, in truth {truth} ms", told.heard_ms);
                self.check(&format!("heard of “{short}…”"), off <= within, expected, seen);
            }
            if let Some(truncated) = item.truncated_to_ms {
                let off = truncated.abs_diff(truth);
                let expected = format!("{truth} ms, to within {within} ms");
                self.check(
                    &format!("“{short}…” truncated at the provider"),
                    off <= within,
                    expected,
                    format!("{truncated} ms, in truth {truth} ms"),
                );
            }
        }
    }

    /// The line test plays a tone first; then everything that is said comes back.
    fn judge_echo(&mut self, record: &CallRecord, stream: &MediaStream) {
        let received = stream.player().received();
        for (_, deed) in &record.deeds {
            let Deed::Finished(id) = deed else { continue };
            let audio = Library::embedded().get(id).map_or(&[][..], |recording| recording.audio());
            let came_back = received.windows(audio.len().max(1)).any(|part| part == audio);
            let seen = if came_back { "byte for byte" } else { "not, or altered" };
            self.check(&format!("echo of {id}"), came_back, "byte for byte", seen);
        }
    }

    fn judge_provider(&mut self, Evidence { scenario, provider, .. }: Evidence<'_>) {
        self.equal("sessions at the provider", scenario.expect.provider_sessions, provider.len());
        let violations: Vec<String> = provider
            .iter()
            .flat_map(|record| &record.violations)
            .map(|violation| format!("{} ({})", violation.refusal.code, violation.event))
            .collect();
        let total: u64 = provider.iter().map(|record| record.violations_total).sum();
        let seen = if total == 0 { "none".to_owned() } else { format!("{total}: {}", violations.join(", ")) };
        self.check("rules of the provider broken", total == 0, "none", seen);
    }

    fn judge_history(&mut self, Evidence { scenario, record, row, .. }: Evidence<'_>, detail: &CallDetail) {
        let lines: Vec<&TranscriptLine> = detail.transcript.iter().collect();
        self.transcript("transcript in the history", scenario, &lines);
        self.equal("call status in the history", scenario.expect.status.as_str(), detail.call.status.as_str());
        if let Some(reason) = scenario.expect.reason {
            let seen = detail.call.termination.map_or("none".to_owned(), |end| format!("{:?}", end.reason));
            self.equal("why it ended", format!("{reason:?}"), seen);
        }
        if let Some(duration) = record.duration_s {
            let seen = detail.call.duration_s.map(u64::from);
            let close = seen.is_some_and(|seen| seen.abs_diff(duration) <= 1);
            let seen = seen.map_or("none".to_owned(), |seconds| format!("{seconds} s"));
            self.check("duration in the history", close, format!("{duration} s"), seen);
        }
        self.check("listed in the history", row.is_some(), "yes", if row.is_some() { "yes" } else { "no" });
        if let Some(row) = row {
            let same = row.status == detail.call.status && row.duration_s == detail.call.duration_s;
            let seconds = row.duration_s.map_or("no duration".to_owned(), |s| format!("{s} s"));
            let seen = format!("{}, {seconds}", row.status.as_str());
            self.check("the list says the same", same, "status and duration of the call", seen);
        }
    }

    /// From the end of what the caller says to the first sound of the answer in the caller's ear.
    fn figure_gaps(&mut self, record: &CallRecord) {
        let mut gaps = Vec::new();
        let mut spoke_until = None;
        for (at, deed) in &record.deeds {
            match deed {
                Deed::Finished(_) => spoke_until = Some(*at),
                Deed::HeardBegin(_, began) => {
                    if let Some(until) = spoke_until.take() {
                        gaps.push(began.saturating_sub(until).as_millis());
                    }
                }
                Deed::Began(_)
                | Deed::HeardEnd(_)
                | Deed::Pressed(_)
                | Deed::Listens(_)
                | Deed::HungUp
                | Deed::Despaired(_) => {}
            }
        }
        gaps.sort_unstable();
        if let (Some(middle), Some(longest)) = (gaps.get(gaps.len() / 2), gaps.last()) {
            let seen = format!(
                "{middle} ms in the middle, {longest} ms at most, over {}",
                counted(gaps.len() as u64, "answer")
            );
            self.figures.push(("from the caller's last word to the answer".to_owned(), seen));
        }
    }
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn matches(wanted: &ExpectedLine, line: &TranscriptLine) -> bool {
    use shared::node_api::Speaker;
    let recording = wanted.line.as_deref().and_then(|id| Library::embedded().get(id));
    let text =
        recording.map_or_else(|| wanted.text.clone().unwrap_or_default(), |recording| recording.text().to_owned());
    let speaker = match wanted.who {
        Who::Caller => Speaker::Caller,
        Who::Agent | Who::Noise => Speaker::Agent,
    };
    // Of a line that was cut or broken off the provider may have sent only the beginning of the words.
    let same = line.text == text
        || ((wanted.cut || wanted.broken) && !line.text.is_empty() && text.starts_with(line.text.trim_end()));
    let cut = line.heard.is_some_and(|heard| heard.cut);
    line.speaker == speaker && same && cut == wanted.cut
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.about.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let mark = if check.holds { "ok  " } else { "FAIL" };
            let pad = " ".repeat(width - check.about.chars().count());
            if check.holds {
                writeln!(f, "  {mark}  {}{pad}  {}", check.about, check.seen)?;
            } else {
                writeln!(f, "  {mark}  {}{pad}  expected {}, seen {}", check.about, check.expected, check.seen)?;
            }
        }
        for (name, value) in &self.figures {
            let pad = " ".repeat(width.saturating_sub(name.chars().count()));
            writeln!(f, "        {name}{pad}  {value}")?;
        }
        let failed = self.checks.iter().filter(|check| !check.holds).count();
        match failed {
            0 => write!(f, "  {} checks, all hold.", self.checks.len()),
            _ => write!(f, "  {} checks, {failed} FAILED.", self.checks.len()),
        }
    }
}

#[cfg(test)]
mod tests;
