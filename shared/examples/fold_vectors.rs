//! Prints what the Rust folds make of calls, as JSON: the console folds the same facts in TypeScript and its tests compare.
//! Hand-made conversations come first, then random ones from a fixed seed. The committed file is
//! `console/src/api/fixtures/folds.json`; the test below fails when it is stale. Write it anew with
//! `cargo run -q -p trunkline-shared --example fold_vectors > console/src/api/fixtures/folds.json`.

use serde::Serialize;
use serde_json::{Value, json};
use shared::call::{
    CallEvent, CallState, CallStatus, Direction, EndReason, RecordingPhase, StreamPhase, Termination,
    TranscriptionPhase,
};
use shared::console_api::{CallFact, StampedFact, Track};
use shared::ids::{AgentId, CallSid, Epoch, InvalidId, NodeId, Party, RecordingSid, StreamSid, TranscriptionSid};
use shared::node_api::{HeardLine, NodeEvent, Speaker};
use shared::time::UnixMillis;
use shared::transcript::{Transcript, TranscriptLine};

/// A call's facts, and what they add up to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    facts: Vec<StampedFact>,
    state: CallState,
    over: bool,
    termination: Option<Termination>,
    connected_s: Option<u32>,
    lines: Vec<TranscriptLine>,
    heard: Vec<HeardLine>,
}

impl Case {
    fn of(name: impl Into<String>, facts: impl IntoIterator<Item = CallFact>) -> Self {
        let (mut state, mut transcript) = (CallState::default(), Transcript::default());
        let facts: Vec<StampedFact> = (1..)
            .zip(facts)
            .map(|(seq, fact)| StampedFact { seq, at: UnixMillis(1_767_225_600_000 + seq as i64 * 100), fact })
            .collect();
        for stamped in &facts {
            if let CallFact::Life { event } = &stamped.fact {
                state.apply(event);
            }
            transcript.apply(&stamped.fact);
        }
        Self {
            name: name.into(),
            over: state.is_over(),
            termination: state.termination(),
            connected_s: state.connected_s(),
            lines: transcript.lines().into_iter().cloned().collect(),
            heard: transcript.heard(),
            state,
            facts,
        }
    }
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis(1_767_225_600_000 + ms)
}
fn node(epoch: u32, line: u64, event: NodeEvent) -> CallFact {
    CallFact::Node { epoch: Epoch(epoch), line, event }
}
fn said(epoch: u32, line: u64, speaker: Speaker, item: &str, text: &str, ms: i64) -> CallFact {
    node(epoch, line, NodeEvent::Said { speaker, item: item.into(), text: text.into(), started_at: at(ms) })
}
fn heard(epoch: u32, line: u64, item: &str, heard_ms: u32, received_ms: u32, cut: bool) -> CallFact {
    node(epoch, line, NodeEvent::Heard { item: item.into(), heard_ms, received_ms, cut })
}
fn status(status: CallStatus, ms: i64) -> CallFact {
    CallFact::Life { event: CallEvent::Status { status, at: at(ms), duration_s: None, sip_code: None } }
}
fn completed(ms: i64, duration_s: u32) -> CallFact {
    CallFact::Life {
        event: CallEvent::Status {
            status: CallStatus::Completed,
            at: at(ms),
            duration_s: Some(duration_s),
            sip_code: Some(200),
        },
    }
}
fn ended(reason: EndReason, ms: i64) -> CallFact {
    CallFact::Life { event: CallEvent::Ended { reason, at: at(ms) } }
}
fn opened(direction: Direction) -> Result<CallFact, InvalidId> {
    Ok(CallFact::Opened {
        direction,
        from: Party::read("+15550100123"),
        to: Party::read("+15550100199"),
        agent: Some(AgentId::parse("front-desk")?),
    })
}
fn bound() -> Result<CallFact, InvalidId> {
    Ok(CallFact::Bound { call_sid: CallSid::parse("CA00000000000000000000000000000001")? })
}
fn owner(name: &str, epoch: u32) -> Result<CallFact, InvalidId> {
    Ok(CallFact::Owner { node: NodeId::parse(name)?, epoch: Epoch(epoch) })
}
fn transcribed(sequence: u32, track: Track, text: &str, ms: i64) -> Result<CallFact, InvalidId> {
    Ok(CallFact::Transcribed {
        transcription_sid: TranscriptionSid::parse("GT00000000000000000000000000000001")?,
        track,
        sequence,
        text: text.into(),
        at: at(ms),
    })
}

fn conversations() -> Result<Vec<Case>, InvalidId> {
    use Speaker::{Agent, Caller};
    let stream_sid = StreamSid::parse("MZ00000000000000000000000000000001")?;
    let recording_sid = RecordingSid::parse("RE00000000000000000000000000000001")?;
    let transcription_sid = TranscriptionSid::parse("GT00000000000000000000000000000001")?;
    let stream = |phase| CallFact::Life { event: CallEvent::Stream { stream_sid: stream_sid.clone(), phase } };
    let recording = |phase, duration_s| CallFact::Life {
        event: CallEvent::Recording { recording_sid: recording_sid.clone(), phase, duration_s },
    };
    let transcription = |phase| CallFact::Life {
        event: CallEvent::Transcription { transcription_sid: transcription_sid.clone(), phase },
    };
    Ok(vec![
        Case::of("nothing yet", []),
        Case::of(
            "a call with a barge-in",
            [
                opened(Direction::Inbound)?,
                bound()?,
                status(CallStatus::Ringing, 0),
                status(CallStatus::InProgress, 400),
                owner("iad-1", 1)?,
                node(1, 1, NodeEvent::StreamStarted { stream_sid: stream_sid.clone() }),
                node(1, 2, NodeEvent::ProviderReady { provider: "openai".into() }),
                stream(StreamPhase::Started),
                said(1, 3, Agent, "a1", "Good morning, how can I help you today?", 900),
                node(1, 4, NodeEvent::BargedIn { item: "a1".into(), heard_ms: 1000 }),
                heard(1, 5, "a1", 1000, 2000, true),
                said(1, 6, Agent, "a2", "We are open from nine.", 4000),
                said(1, 7, Caller, "c1", "When are you open?", 2100),
                heard(1, 8, "a2", 1800, 1800, false),
                node(1, 9, NodeEvent::Digit { digit: '#' }),
                node(1, 10, NodeEvent::Ended { reason: EndReason::CallerHungUp }),
                ended(EndReason::CallerHungUp, 9000),
                stream(StreamPhase::Stopped),
                recording(RecordingPhase::Completed, Some(8)),
                completed(9100, 9),
            ],
        ),
        Case::of(
            "reports in the wrong order, one of them twice",
            [
                completed(15_000, 12),
                opened(Direction::Outbound)?,
                ended(EndReason::CallerHungUp, 14_900),
                recording(RecordingPhase::Completed, Some(11)),
                recording(RecordingPhase::InProgress, None),
                transcription(TranscriptionPhase::Stopped),
                transcription(TranscriptionPhase::Running),
                status(CallStatus::InProgress, 3000),
                status(CallStatus::Initiated, 1000),
                status(CallStatus::InProgress, 3000),
                stream(StreamPhase::Error),
                stream(StreamPhase::Started),
                ended(EndReason::StreamLost, 14_000),
            ],
        ),
        Case::of(
            "rescued by a second node, a late line of the first",
            [
                opened(Direction::Inbound)?,
                owner("iad-1", 1)?,
                said(1, 1, Agent, "a1", "One moment, please.", 500),
                owner("iad-2", 2)?,
                said(2, 1, Agent, "a1", "I am back. Where were we?", 9000),
                heard(1, 2, "a1", 300, 900, true),
                said(1, 3, Caller, "c1", "I would like to book a table.", 4000),
                node(1, 4, NodeEvent::ProviderLost { provider: "openai".into(), reason: "closed".into() }),
            ],
        ),
        Case::of(
            "a person's call, transcribed by Twilio",
            [
                opened(Direction::Browser)?,
                transcription(TranscriptionPhase::Running),
                transcribed(2, Track::InboundTrack, "Hello?", 900)?,
                transcribed(2, Track::OutboundTrack, "This is the workshop.", 800)?,
                transcribed(10, Track::InboundTrack, "Is my bicycle ready?", 100)?,
                said(1, 1, Agent, "a1", "An agent's line stands before them.", 99_000),
            ],
        ),
        Case::of(
            "heard before said, two texts, other scripts",
            [
                heard(1, 1, "a1", 600, 1000, true),
                heard(1, 2, "a1", 500, 2000, true),
                said(1, 3, Agent, "a1", "Grüß Gott, schöne Grüße aus Köln\u{3000}und 東京 👋🏽 bis bald", 100),
                heard(1, 4, "a2", 0, 0, true),
                said(1, 5, Agent, "a2", "Nothing of this was played.", 200),
                heard(1, 6, "a3", 40, 0, false),
                said(1, 7, Agent, "a3", "\u{ffe6} sorts before the next one in UTF-8", 300),
                said(1, 8, Agent, "a3", "\u{1f600} sorts after it", 250),
                said(1, 9, Agent, "\u{ffe6}", "same moment", 400),
                said(1, 10, Agent, "\u{1f600}", "same moment", 400),
                heard(1, 11, "a9", 10, 10, false),
                said(1, 12, Caller, "c1", "", 50),
                node(1, 13, NodeEvent::Unknown),
            ],
        ),
        Case::of("never answered", [opened(Direction::Outbound)?, status(CallStatus::NoAnswer, 30_000)]),
        Case::of(
            "ended by a limit, Twilio has not said so yet",
            [opened(Direction::Inbound)?, status(CallStatus::InProgress, 10), ended(EndReason::MaxDuration, 61_999)],
        ),
    ])
}

/// A small generator with a fixed seed: the file must come out the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }
}

fn random(dice: &mut Dice) -> Result<Vec<CallFact>, InvalidId> {
    const TEXTS: [&str; 7] =
        ["yes", "Of course.", "one two three four five", "ähm, äußerst schön", "é", "  spaced  out  ", "👍 ok"];
    const STATUSES: [CallStatus; 9] = [
        CallStatus::Queued,
        CallStatus::Initiated,
        CallStatus::Ringing,
        CallStatus::InProgress,
        CallStatus::Canceled,
        CallStatus::NoAnswer,
        CallStatus::Busy,
        CallStatus::Failed,
        CallStatus::Completed,
    ];
    let mut facts = Vec::new();
    for line in 1..=(4 + dice.roll(20)) as u64 {
        let epoch = 1 + dice.roll(2) as u32;
        let item = format!("i{}", dice.roll(5));
        let ms = 100 * dice.roll(40) as i64;
        let speaker = dice.pick(&[Speaker::Caller, Speaker::Agent]);
        facts.push(match dice.roll(9) {
            0..=2 => said(epoch, line, speaker, &item, dice.pick(&TEXTS), ms),
            3 | 4 => {
                heard(epoch, line, &item, 100 * dice.roll(11) as u32, 100 * dice.roll(11) as u32, dice.roll(2) == 0)
            }
            5 => status(dice.pick(&STATUSES), ms),
            6 => {
                let sid = StreamSid::parse(&format!("MZ{:032}", dice.roll(2)))?;
                let phase = dice.pick(&[StreamPhase::Started, StreamPhase::Stopped, StreamPhase::Error]);
                CallFact::Life { event: CallEvent::Stream { stream_sid: sid, phase } }
            }
            7 => {
                let track = dice.pick(&[Track::InboundTrack, Track::OutboundTrack]);
                transcribed(dice.roll(12) as u32, track, dice.pick(&TEXTS), ms)?
            }
            _ => ended(dice.pick(&[EndReason::StreamLost, EndReason::CallerHungUp, EndReason::Silence]), ms),
        });
    }
    Ok(facts)
}

/// Every reason with its result and its sentence; in the order in which a later one wins.
fn reasons() -> Vec<Value> {
    let all = [
        EndReason::CarrierReported,
        EndReason::StreamLost,
        EndReason::NoAnswer,
        EndReason::Busy,
        EndReason::Canceled,
        EndReason::DialFailed,
        EndReason::NoCapacity,
        EndReason::CallerHungUp,
        EndReason::AgentHungUp,
        EndReason::OperatorHungUp,
        EndReason::Silence,
        EndReason::MaxDuration,
        EndReason::NodeStopped,
        EndReason::InvalidStream,
        EndReason::ProviderRefused,
        EndReason::ProviderUnavailable,
        EndReason::InternalError,
    ];
    debug_assert!(all.is_sorted());
    all.iter()
        .map(|reason| {
            let termination = Termination::from(*reason);
            json!({ "reason": reason, "result": termination.result, "sentence": shared::api::describe(&termination) })
        })
        .collect()
}

/// The file: one line per case, so that a change shows where it is.
fn file() -> Result<String, Box<dyn std::error::Error>> {
    let mut cases = conversations()?;
    let mut dice = Dice(2026);
    for number in 1..=24 {
        cases.push(Case::of(format!("random {number}"), random(&mut dice)?));
    }
    let lines = |items: Vec<String>| items.join(",\n");
    Ok(format!(
        "{{\"reasons\":[\n{}\n],\"cases\":[\n{}\n]}}\n",
        lines(reasons().iter().map(Value::to_string).collect()),
        lines(cases.iter().map(serde_json::to_string).collect::<Result<_, _>>()?),
    ))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", file()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_vectors_are_fresh() -> Result<(), Box<dyn std::error::Error>> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../console/src/api/fixtures/folds.json");
        assert!(
            std::fs::read_to_string(path)? == super::file()?,
            "folds.json is stale; see the first lines of shared/examples/fold_vectors.rs"
        );
        Ok(())
    }
}
