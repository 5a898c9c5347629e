//! A person on the telephone, as a pure machine: speaks recorded lines frame by frame, waits for what is heard or for time to
//! pass, interrupts, presses keys, stays silent, hangs up. It hears exactly what sounded in its ear. Between the lines there
//! is comfort noise, as on a real line. Sockets and the playout clock are elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use crate::speech::{FRAME_BYTES, Library, Recording, Who, mulaw};
use crate::twilio::Now;
use crate::twilio::sids::Dice;

/// What has to be true before a step is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// The step before it is finished.
    Next,
    /// This line of the agent was heard to its end.
    Heard(String),
    /// This line of the agent began to sound.
    Begun(String),
    /// The other side has said something since the last step, and has been quiet for so long.
    Quiet(Duration),
}

/// What is done then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Speaks this recording.
    Say(String),
    /// Presses these keys, 200 ms apart.
    Press(String),
    /// Is silent for so long.
    Wait(Duration),
    /// Stops or resumes taking in what the server sends.
    Listen(bool),
    /// Hangs up.
    HangUp,
}

/// One step of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it waits for.
    pub when: When,
    /// How long after that it is taken.
    pub after: Duration,
    /// What is done.
    pub act: Act,
    /// How long the person waits for `when` before hanging up in despair.
    pub patience: Duration,
}

/// Something that the person did, besides making sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Began to speak this recording.
    Began(String),
    /// Finished it.
    Finished(String),
    /// Heard this line of the agent begin; when its first byte sounded.
    HeardBegin(String, Now),
    /// Heard it to its end.
    HeardEnd(String),
    /// Pressed a key.
    Pressed(char),
    /// Stopped or resumed reading.
    Listens(bool),
    /// Hung up; the script was finished.
    HungUp,
    /// Hung up because this step's condition never came.
    Despaired(usize),
}

#[derive(Debug)]
enum Doing {
    /// Waits for the next step's condition since a moment.
    Waiting {
        since: Now,
    },
    /// Takes the step at a moment.
    Due {
        at: Now,
    },
    Speaking {
        recording: &'static Recording,
        at: usize,
    },
    Silent {
        until: Now,
    },
    Pressing {
        keys: VecDeque<char>,
        next: Now,
    },
    Gone,
}

/// How long the energy of a frame of speech must at least be: about -40 dB below full scale.
const LOUD: f64 = 300.0;

const KEY_EVERY: Duration = Duration::from_millis(200);

/// The last of a line may be line noise: hearing it to within 100 ms of its end is enough.
const ALMOST: usize = 800;

/// The person. Call [`Person::frame`] every 20 ms from the answer on, [`Person::hear`] with what sounded, then drain
/// [`Person::poll_deed`].
#[derive(Debug)]
pub struct Person {
    library: &'static Library,
    script: Vec<Step>,
    step: usize,
    doing: Doing,
    noise: Dice,
    deeds: VecDeque<Deed>,
    ear: Vec<u8>,
    ear_at: Now,
    begun: Vec<(String, Now)>,
    finished: Vec<(String, Now)>,
    last_loud: Option<Now>,
    loud_since_step: bool,
}

/// A script that names something that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no recording is called `{0}`")]
pub struct UnknownRecording(pub String);

impl Person {
    /// A person who follows this script. `seed` is that of the noise.
    ///
    /// # Errors
    /// When the script names a recording that does not exist.
    pub fn new(script: Vec<Step>, seed: u64) -> Result<Self, UnknownRecording> {
        let library = Library::embedded();
        for step in &script {
            let heard = match &step.when {
                When::Heard(id) | When::Begun(id) => Some(id),
                When::Next | When::Quiet(_) => None,
            };
            let said = match &step.act {
                Act::Say(id) => Some(id),
                Act::Press(_) | Act::Wait(_) | Act::Listen(_) | Act::HangUp => None,
            };
            if let Some(unknown) = heard.into_iter().chain(said).find(|id| library.get(id).is_none()) {
                return Err(UnknownRecording(unknown.clone()));
            }
        }
        Ok(Self {
            library,
            script,
            step: 0,
            doing: Doing::Waiting { since: Duration::ZERO },
            noise: Dice::new(seed),
            deeds: VecDeque::new(),
            ear: Vec::new(),
            ear_at: Duration::ZERO,
            begun: Vec::new(),
            finished: Vec::new(),
            last_loud: None,
            loud_since_step: false,
        })
    }

    /// The call was answered: the script begins.
    pub fn answered(&mut self, now: Now) {
        self.doing = Doing::Waiting { since: now };
    }

    /// The 20 ms that the person's telephone sends now.
    pub fn frame(&mut self, now: Now) -> [u8; FRAME_BYTES] {
        self.go_on(now);
        if let Doing::Speaking { recording, at } = &mut self.doing {
            let audio = recording.audio();
            let mut frame = [mulaw::SILENCE; FRAME_BYTES];
            let part = &audio[*at..audio.len().min(*at + FRAME_BYTES)];
            frame[..part.len()].copy_from_slice(part);
            *at += FRAME_BYTES;
            if *at >= audio.len() {
                let id = recording.id().to_owned();
                self.deeds.push_back(Deed::Finished(id));
                self.step_done(now);
            }
            return frame;
        }
        self.comfort_noise()
    }

    /// Mu-law that began to sound in the ear at `at`.
    pub fn hear(&mut self, at: Now, audio: &[u8]) {
        let byte = Duration::from_micros(125);
        let expected = self.ear_at + byte * u32::try_from(self.ear.len()).unwrap_or(u32::MAX);
        let apart = at.saturating_sub(expected).max(expected.saturating_sub(at));
        if apart > Duration::from_millis(1) {
            // A pause or a cut: pieces across it are not one sound.
            self.ear.clear();
        }
        if self.ear.is_empty() {
            self.ear_at = at;
        }
        self.ear.extend_from_slice(audio);
        while self.ear.len() >= FRAME_BYTES {
            let rest = self.ear.split_off(FRAME_BYTES);
            let piece = std::mem::replace(&mut self.ear, rest);
            let piece_at = self.ear_at;
            self.ear_at += byte * u32::try_from(piece.len()).unwrap_or(u32::MAX);
            self.listen(piece_at, &piece);
        }
    }

    /// What the person did. Drain after every other call.
    pub fn poll_deed(&mut self) -> Option<Deed> {
        self.deeds.pop_front()
    }

    /// How many steps of the script were taken.
    #[must_use]
    pub fn steps_taken(&self) -> usize {
        self.step
    }

    /// Whether every step was taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.step >= self.script.len()
    }

    /// The agent's lines whose beginning was heard, and when each began.
    #[must_use]
    pub fn heard(&self) -> &[(String, Now)] {
        &self.begun
    }

    fn listen(&mut self, at: Now, piece: &[u8]) {
        let loud = energy(piece) > LOUD;
        if loud {
            self.last_loud = Some(at + Duration::from_millis(20));
            self.loud_since_step = true;
        }
        let Some((recording, offset)) = self.library.locate(piece) else { return };
        if recording.who() == Who::Noise {
            return;
        }
        let id = recording.id().to_owned();
        let began = at.saturating_sub(Duration::from_micros(125) * u32::try_from(offset).unwrap_or(u32::MAX));
        let same = |(known, when): &(String, Now)| {
            *known == id && when.max(&began).saturating_sub(*when.min(&began)) < Duration::from_millis(500)
        };
        if !self.begun.iter().any(same) {
            self.begun.push((id.clone(), began));
            self.deeds.push_back(Deed::HeardBegin(id.clone(), began));
        }
        let at_end = offset + piece.len() + ALMOST >= recording.audio().len();
        if at_end && !self.finished.iter().any(same) {
            self.finished.push((id.clone(), began));
            self.deeds.push_back(Deed::HeardEnd(id));
        }
    }

    /// When the condition came true, if it has.
    fn came_true(&self, when: &When, since: Now) -> Option<Now> {
        match when {
            When::Next => Some(since),
            When::Begun(id) => self.begun.iter().rev().find(|(known, _)| known == id).map(|(_, at)| *at),
            When::Heard(id) => {
                let (_, began) = self.finished.iter().rev().find(|(known, _)| known == id)?;
                let length = self.library.get(id).map_or(0, Recording::duration_ms);
                Some(*began + Duration::from_millis(u64::from(length)))
            }
            When::Quiet(long) => self.last_loud.filter(|_| self.loud_since_step).map(|last| last + *long),
        }
    }

    fn go_on(&mut self, now: Now) {
        loop {
            match &mut self.doing {
                Doing::Gone | Doing::Speaking { .. } => return,
                Doing::Waiting { since } => {
                    let since = *since;
                    let Some(step) = self.script.get(self.step) else { return };
                    match self.came_true(&step.when, since) {
                        Some(at) if at <= now => self.doing = Doing::Due { at: at + step.after },
                        Some(_) | None if now >= since + step.patience => {
                            self.deeds.push_back(Deed::Despaired(self.step));
                            self.doing = Doing::Gone;
                        }
                        Some(_) | None => return,
                    }
                }
                Doing::Due { at } if *at > now => return,
                Doing::Due { .. } => self.take_step(now),
                Doing::Silent { until } if *until > now => return,
                Doing::Silent { .. } => self.step_done(now),
                Doing::Pressing { next, .. } if *next > now => return,
                Doing::Pressing { keys, next } => match keys.pop_front() {
                    Some(key) => {
                        *next = now + KEY_EVERY;
                        self.deeds.push_back(Deed::Pressed(key));
                    }
                    None => self.step_done(now),
                },
            }
        }
    }

    fn take_step(&mut self, now: Now) {
        let Some(step) = self.script.get(self.step) else { return };
        match step.act.clone() {
            Act::Say(id) => match self.library.get(&id) {
                Some(recording) => {
                    self.doing = Doing::Speaking { recording, at: 0 };
                    self.deeds.push_back(Deed::Began(id));
                }
                None => self.step_done(now),
            },
            Act::Press(keys) => self.doing = Doing::Pressing { keys: keys.chars().collect(), next: now },
            Act::Wait(long) => self.doing = Doing::Silent { until: now + long },
            Act::Listen(on) => {
                self.deeds.push_back(Deed::Listens(on));
                self.step_done(now);
            }
            Act::HangUp => {
                self.step += 1;
                self.doing = Doing::Gone;
                self.deeds.push_back(Deed::HungUp);
            }
        }
    }

    fn step_done(&mut self, now: Now) {
        self.step += 1;
        self.loud_since_step = false;
        self.doing = Doing::Waiting { since: now };
    }

    /// Around -65 dB: nothing that a listener takes for speech, and never twice the same.
    fn comfort_noise(&mut self) -> [u8; FRAME_BYTES] {
        const QUIET: [u8; 8] = [0xff, 0x7f, 0xfe, 0x7e, 0xff, 0x7f, 0xfd, 0x7d];
        let mut frame = [0; FRAME_BYTES];
        for eight in frame.chunks_mut(8) {
            let roll = self.noise.roll().to_le_bytes();
            for (byte, roll) in eight.iter_mut().zip(roll) {
                *byte = QUIET[usize::from(roll & 7)];
            }
        }
        frame
    }
}

fn energy(piece: &[u8]) -> f64 {
    let sum: f64 = piece.iter().map(|byte| f64::from(mulaw::decode(*byte)).powi(2)).sum();
    (sum / piece.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests;
