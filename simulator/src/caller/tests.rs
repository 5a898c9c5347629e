//! People as conversations in virtual time.

use std::time::Duration;

use super::{Act, Deed, Person, Step, When, energy};
use crate::speech::Library;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn step(when: When, after: u64, act: Act) -> Step {
    Step { when, after: ms(after), act, patience: ms(20_000) }
}

fn audio(id: &str) -> &'static [u8] {
    Library::embedded().get(id).unwrap().audio()
}

struct Room {
    person: Person,
    now: Duration,
    sent: Vec<u8>,
    deeds: Vec<(u64, Deed)>,
}

impl Room {
    fn new(script: Vec<Step>) -> Self {
        let mut person = Person::new(script, 1).unwrap();
        person.answered(ms(1000));
        Self { person, now: ms(1000), sent: Vec::new(), deeds: Vec::new() }
    }

    fn tick(&mut self) {
        self.sent.extend_from_slice(&self.person.frame(self.now));
        while let Some(deed) = self.person.poll_deed() {
            self.deeds.push((self.now.as_millis() as u64, deed));
        }
        self.now += ms(20);
    }

    fn wait(&mut self, n: u64) {
        for _ in 0..n / 20 {
            self.tick();
        }
    }

    /// Something sounds from now on, heard as it is played.
    fn play(&mut self, audio: &[u8]) {
        for piece in audio.chunks(160) {
            let at = self.now;
            self.tick();
            self.person.hear(at, piece);
        }
    }
}

#[test]
fn a_line_is_spoken_byte_for_byte_when_its_time_has_come() {
    let mut room =
        Room::new(vec![step(When::Next, 500, Act::Say("caller-yes".into())), step(When::Next, 100, Act::HangUp)]);
    room.wait(3000);
    let line = audio("caller-yes");
    let at = room.sent.windows(line.len()).position(|part| part == line);
    assert_eq!(at, Some(500 * 8));
    let end = 1500 + line.len() as u64 / 8 - 20;
    assert_eq!(
        room.deeds,
        [
            (1500, Deed::Began("caller-yes".into())),
            (end, Deed::Finished("caller-yes".into())),
            (end + 100, Deed::HungUp)
        ]
    );
    assert!(room.person.is_finished());
}

#[test]
fn an_interruption_comes_so_long_after_the_line_began() {
    let mut room = Room::new(vec![step(When::Begun("agent-hours".into()), 1500, Act::Say("caller-interrupts".into()))]);
    room.wait(700);
    room.play(&audio("agent-hours")[..8 * 2000]);
    let began: Vec<_> =
        room.deeds.iter().filter(|(_, deed)| matches!(deed, Deed::Began(_))).map(|(at, _)| *at).collect();
    assert_eq!(began, [1700 + 1500]);
    assert_eq!(room.person.heard(), [("agent-hours".to_owned(), ms(1700))]);
}

#[test]
fn a_line_is_heard_when_its_end_was_played_and_not_when_it_was_cut() {
    let script = || vec![step(When::Heard("agent-greeting".into()), 300, Act::Say("caller-hours".into()))];
    let greeting = audio("agent-greeting");
    let mut whole = Room::new(script());
    whole.play(greeting);
    whole.wait(600);
    assert!(
        whole
            .deeds
            .iter()
            .any(|(at, deed)| *at == 1000 + greeting.len() as u64 / 8 + 300
                && *deed == Deed::Began("caller-hours".into()))
    );
    let mut cut = Room::new(script());
    cut.play(&greeting[..greeting.len() / 2]);
    cut.wait(5000);
    assert!(cut.deeds.iter().all(|(_, deed)| !matches!(deed, Deed::Began(_))), "{:?}", cut.deeds);
}

#[test]
fn quiet_after_speech_is_an_answers_end() {
    let mut room = Room::new(vec![step(When::Quiet(ms(700)), 0, Act::Say("caller-yes".into()))]);
    room.wait(2000);
    assert_eq!(room.deeds, [], "silence before anything was said is no answer");
    let greeting = audio("agent-greeting");
    room.play(greeting);
    room.wait(1500);
    let began = room.deeds.iter().find(|(_, deed)| matches!(deed, Deed::Began(_))).map(|(at, _)| *at).unwrap();
    let end = 3000 + greeting.len() as u64 / 8;
    assert!((end + 200..=end + 740).contains(&began), "{began} after an end at {end}");
}

#[test]
fn keys_silence_and_despair() {
    let mut room = Room::new(vec![
        step(When::Next, 0, Act::Press("1#".into())),
        step(When::Next, 0, Act::Wait(ms(1000))),
        Step { when: When::Heard("agent-greeting".into()), after: ms(0), act: Act::HangUp, patience: ms(3000) },
    ]);
    room.wait(6000);
    assert_eq!(room.deeds, [(1000, Deed::Pressed('1')), (1200, Deed::Pressed('#')), (5400, Deed::Despaired(2))]);
    assert!(!room.person.is_finished());
}

#[test]
fn comfort_noise_is_not_silence_and_not_speech() {
    let mut room = Room::new(Vec::new());
    room.wait(2000);
    assert!(room.sent.chunks(160).all(|frame| energy(frame) < 20.0));
    assert!(room.sent.chunks(160).collect::<std::collections::BTreeSet<_>>().len() > 90, "frames differ");
}

#[test]
fn scripts_name_recordings_that_exist() {
    let script = vec![step(When::Next, 0, Act::Say("caller-sings".into()))];
    assert_eq!(Person::new(script, 1).unwrap_err().to_string(), "no recording is called `caller-sings`");
}
