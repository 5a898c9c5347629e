//! The playout clock as conversations in virtual time, and its conservation law under random traffic.

use std::time::Duration;

use proptest::prelude::*;

use super::{BUFFER_LIMIT, Fate, Player, ReturnedMark, Stretch};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn marks(player: &mut Player) -> Vec<(String, Duration, bool)> {
    std::iter::from_fn(|| player.poll_mark()).map(|ReturnedMark { name, at, flushed }| (name, at, flushed)).collect()
}

#[test]
fn a_mark_returns_exactly_when_the_audio_before_it_has_sounded() {
    let mut player = Player::default();
    player.receive(ms(100), &[1; 160]);
    player.mark(ms(100), "a");
    player.receive(ms(101), &[2; 161]);
    player.mark(ms(101), "b");
    assert_eq!(player.poll_timeout(), Some(ms(120)));
    player.advance(Duration::from_micros(119_999));
    assert_eq!(marks(&mut player), []);
    player.advance(ms(120));
    assert_eq!(marks(&mut player), [("a".into(), ms(120), false)]);
    assert_eq!(player.poll_timeout(), Some(Duration::from_micros(140_125)));
    // A late wake-up still says when playback was there.
    player.advance(ms(500));
    assert_eq!(marks(&mut player), [("b".into(), Duration::from_micros(140_125), false)]);
    assert_eq!(player.poll_timeout(), None);
}

#[test]
fn a_mark_behind_nothing_returns_at_once() {
    let mut player = Player::default();
    player.mark(ms(5), "first");
    assert_eq!(marks(&mut player), [("first".into(), ms(5), false)]);
    player.receive(ms(10), &[0; 80]);
    player.mark(ms(40), "long after");
    assert_eq!(marks(&mut player), [("long after".into(), ms(40), false)]);
}

#[test]
fn an_underrun_is_a_pause_and_playback_starts_anew() {
    let mut player = Player::default();
    player.receive(ms(0), &[1; 80]);
    player.receive(ms(50), &[2; 80]);
    player.advance(ms(55));
    let played: Vec<_> = player.played().map(|(at, audio)| (at, audio.to_vec())).collect();
    assert_eq!(played, [(ms(0), vec![1; 80]), (ms(50), vec![2; 40])]);
    assert_eq!(player.queued(), 40);
    assert_eq!(player.sounded_at(80 + 8), Some(ms(51)));
    assert_eq!(player.played_of(70..100), 30);
}

#[test]
fn clear_forgets_what_has_not_sounded_and_flushes_every_mark() {
    let mut player = Player::default();
    player.receive(ms(0), &[1; 800]);
    player.mark(ms(0), "x");
    player.receive(ms(0), &[2; 800]);
    player.mark(ms(0), "y");
    player.clear(ms(30));
    assert_eq!(marks(&mut player), [("x".into(), ms(30), true), ("y".into(), ms(30), true)]);
    assert_eq!(
        player.fates(),
        [
            Stretch { bytes: 0..240, fate: Fate::Played(ms(0)) },
            Stretch { bytes: 240..1600, fate: Fate::Cleared(ms(30)) }
        ]
    );
    player.receive(ms(40), &[3; 8]);
    player.mark(ms(40), "z");
    player.advance(ms(41));
    assert_eq!(marks(&mut player), [("z".into(), ms(41), false)]);
    assert_eq!(player.played().last().map(|(at, audio)| (at, audio.to_vec())), Some((ms(40), vec![3; 8])));
}

#[test]
fn what_does_not_fit_into_ten_minutes_is_thrown_away() {
    let mut player = Player::default();
    assert_eq!(player.receive(ms(0), &vec![0; BUFFER_LIMIT]), 0);
    assert_eq!(player.receive(ms(10), &[0; 100]), 20, "10 ms have been played, 80 bytes fit");
    assert_eq!((player.queued(), player.discarded()), (BUFFER_LIMIT, 20));
}

#[test]
fn after_the_end_nothing_sounds_and_nothing_returns() {
    let mut player = Player::default();
    player.receive(ms(0), &[1; 160]);
    player.mark(ms(0), "never");
    player.close(ms(10));
    player.receive(ms(11), &[1; 160]);
    player.mark(ms(11), "neither");
    player.advance(ms(100));
    assert_eq!(marks(&mut player), []);
    assert_eq!((player.played_of(0..160), player.queued()), (80, 80));
}

#[derive(Debug, Clone)]
enum Step {
    Audio(usize),
    Mark,
    Clear,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..2000).prop_map(Step::Audio),
        3 => Just(Step::Mark),
        1 => Just(Step::Clear),
        4 => (0u64..300_000).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn bytes_and_marks_are_conserved_and_time_never_runs_back(steps in steps()) {
        let mut player = Player::default();
        let mut now = Duration::ZERO;
        let (mut sent, mut names, mut back) = (0, 0usize, Vec::new());
        for step in steps {
            match step {
                Step::Audio(n) => { player.receive(now, &vec![sent as u8; n]); sent += n; }
                Step::Mark => { player.mark(now, &names.to_string()); names += 1; }
                Step::Clear => { player.clear(now); prop_assert_eq!(player.queued(), 0); }
                Step::Wait(us) => now += Duration::from_micros(us),
            }
            player.advance(now);
            back.extend(std::iter::from_fn(|| player.poll_mark()));
            prop_assert!(player.poll_timeout().is_none_or(|at| at > now), "nothing due was left");
            let decided: usize = player.fates().iter().map(|s| s.bytes.len()).sum();
            prop_assert_eq!(player.received().len(), sent);
            prop_assert_eq!(sent, decided + player.queued());
            let mut end = 0;
            let mut quiet_until = Duration::ZERO;
            for stretch in player.fates() {
                prop_assert_eq!(stretch.bytes.start, end);
                end = stretch.bytes.end;
                if let Fate::Played(at) = stretch.fate {
                    prop_assert!(at >= quiet_until, "two stretches sound at once");
                    quiet_until = at + super::BYTE * stretch.bytes.len() as u32;
                }
            }
            prop_assert!(quiet_until <= now);
        }
        let order: Vec<usize> = back.iter().map(|m| m.name.parse().unwrap()).collect();
        prop_assert_eq!(&order, &(0..order.len()).collect::<Vec<_>>(), "marks return in order, each once");
        prop_assert_eq!(names, back.len() + player.pending_marks());
        prop_assert!(back.is_sorted_by_key(|m| m.at));
    }
}
