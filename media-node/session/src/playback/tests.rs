use super::item::SPANS;
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const fn ms(ms: u64) -> Now {
    Now::from_millis(ms)
}

fn delta<'a>(response: &'a str, item: &'a str) -> Delta<'a> {
    Delta { connection: 1, response, item, content_index: 0 }
}

/// Receives so many bytes; what to send, as `bytes` and mark names.
fn receive(playback: &mut Playback, now: Now, delta: Delta<'_>, bytes: usize) -> (Received, Vec<String>) {
    let payload = STANDARD.encode(vec![0u8; bytes]);
    let mut sent = Vec::new();
    let received = playback.receive(now, delta, &payload, bytes, |out| sent.push(shown(out)));
    (received, sent)
}

fn shown(out: Out<'_>) -> String {
    match out {
        Out::Media(payload) => STANDARD.decode(payload).unwrap().len().to_string(),
        Out::Mark(name) => name.to_string(),
    }
}

#[test]
fn long_deltas_are_split_at_whole_groups_and_short_ones_share_a_mark() {
    let mut playback = Playback::new(60_000);
    let (received, sent) = receive(&mut playback, ms(0), delta("r", "a"), 1599 * 2);
    assert_eq!(received, Received::Sent(Some(ms(0))));
    assert_eq!(sent, ["1599", "g1m1", "1599", "g1m2"]);
    let sent: Vec<_> = (0..10).map(|_| receive(&mut playback, ms(0), delta("r", "a"), 160).1.join(" ")).collect();
    assert_eq!(sent, ["160", "160", "160", "160", "160 g1m3", "160", "160", "160", "160", "160 g1m4"]);
    assert_eq!(receive(&mut playback, ms(0), delta("r", "a"), 0).0, Received::Sent(None));
}

#[test]
fn an_item_of_another_connection_is_another_item() {
    let mut playback = Playback::new(60_000);
    receive(&mut playback, ms(0), delta("r", "a"), 800);
    let other = Delta { connection: 2, ..delta("r", "a") };
    let part = Delta { content_index: 1, ..delta("r", "a") };
    assert_eq!(receive(&mut playback, ms(0), other, 800).0, Received::Sent(Some(ms(100))));
    assert_eq!(receive(&mut playback, ms(0), part, 800).0, Received::Sent(Some(ms(200))));
    assert_eq!(playback.interrupt(ms(150)).iter().map(|heard| heard.heard_ms).collect::<Vec<_>>(), [100, 50, 0]);
}

#[test]
fn a_lost_mark_is_made_up_for_by_the_next() {
    let mut playback = Playback::new(60_000);
    receive(&mut playback, ms(0), delta("r", "a"), 4_800);
    playback.finish_response(ms(0), "r", |_| {}, |_| {});
    let mut ended = Vec::new();
    assert!(playback.reached(ms(700), "g1m4", |heard| ended.push(heard)));
    assert_eq!((ended.len(), ended[0].heard_ms, ended[0].cut), (1, 600, false));
    assert!(!playback.reached(ms(700), "g1m2", |_| panic!("again")));
    assert!(playback.items.is_empty() && playback.pending.is_empty());
}

#[test]
fn too_much_queued_audio_is_dropped_and_never_counts_as_heard() {
    let mut playback = Playback::new(1_000);
    assert_eq!(receive(&mut playback, ms(0), delta("r", "a"), 7_200).0, Received::Sent(Some(ms(0))));
    assert_eq!(receive(&mut playback, ms(0), delta("r", "a"), 1_600).0, Received::Full);
    let heard = playback.interrupt(ms(5_000));
    assert!((heard[0].heard_ms, heard[0].received_ms) <= (900, 1_100) && heard[0].cut, "{heard:?}");
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut playback = Playback::new(600_000);
    for item in 0..2_000 {
        receive(&mut playback, ms(0), delta("r", &format!("i{item}")), 8);
    }
    assert_eq!(playback.items.len(), ITEMS);
    let mut playback = Playback::new(600_000);
    // One byte now and then: a run, a span and a mark each.
    for at in 0..10_000 {
        receive(&mut playback, ms(at), delta("r", "a"), 1);
    }
    assert!(playback.pending.len() <= MARKS && playback.items[0].spans.len() <= SPANS);
    for item in 0..1_000 {
        playback.kill(&format!("r{item}"));
    }
    assert_eq!(playback.dead_responses.0.len(), DEAD);
    assert!(playback.is_dead("r999") && !playback.is_dead("r0"));
}

#[test]
fn clips_are_cut_but_not_remembered_as_dead() {
    let mut playback = Playback::new(60_000);
    let payload = STANDARD.encode([0; 1599]);
    let mut sent = Vec::new();
    let pieces = [(payload.as_str(), 1599), (payload.as_str(), 1599)];
    playback.play(ms(0), "clip".into(), pieces.into_iter(), |out| sent.push(shown(out)));
    assert_eq!(sent, ["1599", "g1m1", "1599", "g1m2"]);
    assert!(playback.plays_clip());
    let heard = playback.interrupt(ms(100));
    assert_eq!((heard[0].source.item(), heard[0].heard_ms, heard[0].cut), ("clip", 100, true));
    assert!(!playback.plays_clip());
}

/// Things that can happen to a ledger.
#[derive(Debug, Clone)]
enum Step {
    Delta {
        item: u8,
        bytes: usize,
    },
    Finish {
        item: u8,
    },
    /// The player's next marks come back, as many.
    Marks(usize),
    /// A mark that is none of ours, or is no longer.
    Odd(u64, u64),
    Interrupt,
    Presume,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..6, 0usize..5_000).prop_map(|(item, bytes)| Step::Delta { item, bytes }),
        1 => (0u8..6).prop_map(|item| Step::Finish { item }),
        4 => (1usize..4).prop_map(Step::Marks),
        1 => (0u64..4, 0u64..30).prop_map(|(generation, number)| Step::Odd(generation, number)),
        1 => Just(Step::Interrupt),
        1 => Just(Step::Presume),
        4 => (0u64..400).prop_map(Step::Wait),
    ]
}

proptest! {
    /// heard ≤ sent ≤ received, each item ends once, and nothing of an interrupted item is sent again.
    #[test]
    fn the_ledger_balances(steps in proptest::collection::vec(step(), 0..120)) {
        let mut playback = Playback::new(5_000);
        let mut now = 0;
        let (mut received, mut sent) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
        let (mut dead, mut over) = (BTreeSet::new(), BTreeSet::new());
        let mut marks = VecDeque::new();
        // Items get new names once they are over, as a provider's do.
        let mut names: BTreeMap<u8, u32> = BTreeMap::new();
        for step in steps {
            let mut ended = Vec::new();
            match step {
                Step::Delta { item, bytes } => {
                    let name = format!("i{item}-{}", names.entry(item).or_default());
                    let payload = STANDARD.encode(vec![0u8; bytes]);
                    let mut out_bytes = 0;
                    let verdict = playback.receive(ms(now), delta("r", &name), &payload, bytes, |out| match out {
                        Out::Media(text) => out_bytes += STANDARD.decode(text).unwrap().len() as u64,
                        Out::Mark(mark) => marks.push_back(mark.to_string()),
                    });
                    if matches!(verdict, Received::Sent(_)) {
                        prop_assert_eq!(out_bytes, bytes as u64);
                        prop_assert!(!dead.contains(&name));
                    } else {
                        prop_assert_eq!(out_bytes, 0);
                    }
                    if !matches!(verdict, Received::Dead) {
                        *received.entry(name.clone()).or_default() += bytes as u64;
                        *sent.entry(name).or_default() += out_bytes;
                    }
                }
                Step::Finish { item } => {
                    let version = names.entry(item).or_default();
                    let name = format!("i{item}-{version}");
                    *version += 1;
                    playback.finish_item(ms(now), &name, 0, |out| if let Out::Mark(mark) = out { marks.push_back(mark.to_string()) }, |heard| ended.push(heard));
                }
                Step::Marks(count) => for _ in 0..count {
                    if let Some(mark) = marks.pop_front() {
                        playback.reached(ms(now), &mark, |heard| ended.push(heard));
                    }
                },
                Step::Odd(generation, number) => {
                    if generation != playback.generation {
                        let name = format!("g{generation}m{number}");
                        let counted = playback.reached(ms(now), &name, |_| ());
                        prop_assert!(!counted);
                    }
                }
                Step::Interrupt => {
                    ended = playback.interrupt(ms(now));
                    dead.extend(ended.iter().map(|heard| heard.source.item().to_owned()));
                    marks.clear();
                    prop_assert!(!playback.is_audible(ms(now)));
                    // The response is dead with its items: whatever comes next is another's.
                    playback.dead_responses = Dead::default();
                    for version in names.values_mut() { *version += 1; }
                }
                Step::Presume => playback.presume(ms(now), |heard| ended.push(heard)),
                Step::Wait(time) => now += time,
            }
            for heard in ended {
                let name = heard.source.item().to_owned();
                prop_assert_eq!(u64::from(heard.received_ms), received[&name] / 8);
                prop_assert!(u64::from(heard.heard_ms) <= sent[&name] / 8);
                prop_assert!(heard.received_ms > 0 || received[&name] > 0, "an item without audio");
                prop_assert!(over.insert(name), "an item ended twice");
            }
            prop_assert!(sent.iter().all(|(name, bytes)| *bytes <= received[name]));
        }
    }
}
