//! The byte comparisons find what they must, and forgive only what a barge-in may do.

use std::time::Duration;

use super::{Trace, TraceError, Traced, Verdict, carried, trace};
use crate::provider::openai::{Format, SpokenItem};

fn item(audio: Vec<u8>, cancelled: bool) -> SpokenItem {
    SpokenItem {
        item_id: "item".into(),
        response_id: "resp".into(),
        recordings: Vec::new(),
        format: Format::Pcmu,
        text: String::new(),
        audio_bytes: audio.len(),
        cancelled_at_bytes: cancelled.then_some(audio.len()),
        audio,
        truncated_to_ms: None,
        first_audio_at: Some(Duration::ZERO),
        complete: !cancelled,
    }
}

/// Bytes that do not repeat within a few hundred.
fn sound(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|n| (n as u8).wrapping_mul(31) ^ ((n >> 8) as u8).wrapping_mul(17) ^ seed).collect()
}

#[test]
fn whole_answers_one_after_the_other() {
    let (a, b) = (item(sound(1, 1000), false), item(sound(2, 500), false));
    let received = [a.audio.clone(), b.audio.clone()].concat();
    let whole = |bytes| Traced { bytes, complete: true };
    assert_eq!(trace(&[&a, &b], &received, &[]), Ok(Trace { items: vec![whole(0..1000), whole(1000..1500)] }));
}

#[test]
fn a_cut_answer_stops_at_the_clear() {
    let (a, b) = (item(sound(1, 1000), true), item(sound(2, 500), false));
    let received = [&a.audio[..640], &b.audio].concat();
    let parts: Vec<_> = trace(&[&a, &b], &received, &[640]).unwrap().items.into_iter().map(|t| t.bytes).collect();
    assert_eq!(parts, [0..640, 640..1140]);
}

#[test]
fn nothing_of_it_may_follow_the_clear() {
    let (a, b) = (item(sound(1, 1000), true), item(sound(2, 500), false));
    let received = [&a.audio[..800], &b.audio].concat();
    assert_eq!(trace(&[&a, &b], &received, &[640]), Err(TraceError::Stale { answer: 1, bytes: 160 }));
}

#[test]
fn a_cut_inside_silence_is_not_mistaken_for_more_of_the_same() {
    let mut a = sound(1, 1000);
    a[600..].fill(0xff);
    let b = [vec![0xff; 200], sound(2, 500)].concat();
    let (a, b) = (item(a, true), item(b, false));
    let received = [&a.audio[..700], &b.audio].concat();
    let parts: Vec<_> = trace(&[&a, &b], &received, &[700]).unwrap().items.into_iter().map(|t| t.bytes).collect();
    assert_eq!(parts, [0..700, 700..1400]);
}

#[test]
fn lost_altered_and_foreign_audio_is_found() {
    let (a, b) = (item(sound(1, 1000), false), item(sound(2, 500), false));
    let lost = [&a.audio[..320], &a.audio[480..], &b.audio].concat();
    assert_eq!(trace(&[&a, &b], &lost, &[]), Err(TraceError::Broken { answer: 1, got: 320, of: 1000 }));
    let foreign = [a.audio.clone(), b.audio.clone(), vec![1; 80]].concat();
    assert_eq!(trace(&[&a, &b], &foreign, &[]), Err(TraceError::Foreign { at: 1500, bytes: 80 }));
    let ended = [&a.audio[..], &b.audio[..100]].concat();
    assert!(trace(&[&a, &b], &ended, &[]).is_ok(), "the call ended in the last answer");
}

#[test]
fn what_was_said_arrives_but_for_the_last_moment() {
    let said = sound(1, 8000);
    assert_eq!(carried(&said, &[&said], 0), Ok(0));
    assert_eq!(carried(&said, &[&said[..4000], &said[4000..7840]], 1600), Ok(160));
    assert!(carried(&said, &[&said[..4000]], 1600).is_err());
    assert!(carried(&said, &[&said[160..]], 1600).is_err(), "the beginning is missing");
    assert_eq!(carried(&said, &[&said[..4000], &said[4160..]], 1600), Ok(0), "lost with the first session");
    assert_eq!(carried(&said, &[&said[..4000], &said[3840..]], 1600), Ok(0), "sent again to the second");
    assert!(carried(&said, &[&said[..4000], &said[6400..]], 1600).is_err());
    let hole = [&said[..4000], &said[4160..]].concat();
    assert!(carried(&said, &[&hole], 1600).is_err(), "a frame is missing inside a session");
    let more = [&said[..], &[1]].concat();
    assert!(carried(&said, &[&more], 1600).is_err(), "more than was said");
}

#[test]
fn a_verdict_says_what_failed() {
    let mut verdict = Verdict::default();
    verdict.equal("keys pressed", "5#", "5#");
    assert!(verdict.holds());
    verdict.equal("barge-ins", 1, 0);
    assert!(!verdict.holds());
    let shown = verdict.to_string();
    assert!(shown.contains("FAIL  barge-ins     expected 1, seen 0"), "{shown}");
    assert!(shown.ends_with("2 checks, 1 FAILED."), "{shown}");
}
