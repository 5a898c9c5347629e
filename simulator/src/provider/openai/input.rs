//! The input audio buffer: what the client appended, as 8 kHz mu-law with its own clock, and where speech begins and ends
//! in it. It knows nothing of items and responses.

use super::detector::{Change, Detector};
use super::session::{Format, TurnDetection, TurnEnd};
use crate::speech::{BYTES_PER_MS, mulaw};

/// Most audio kept when nobody commits it: ten minutes. Older audio is forgotten.
const LONGEST_MS: u64 = 600_000;

/// Audio kept from before, while nobody speaks and turns are detected: more than any sensible padding.
const IDLE_MS: u64 = 60_000;

/// A pause after which meaning-based turn detection looks at what was said.
const GLANCE_MS: u64 = 300;

/// The buffer of one session.
#[derive(Debug)]
pub(super) struct InputBuffer {
    /// 8 kHz mu-law, whatever the wire's format.
    audio: Vec<u8>,
    /// Where `audio` begins on the session's clock, in milliseconds.
    begins_ms: u64,
    /// Start of what has not been committed.
    uncommitted_ms: u64,
    detector: Detector,
    /// Detected start of the speech that is on, padding included.
    speech_from_ms: Option<u64>,
    /// Whether this pause was already looked at.
    glanced: bool,
    /// Samples of 24 kHz audio that do not make up an 8 kHz sample yet: their sum and number.
    rest: (i32, i32),
}

impl InputBuffer {
    pub(super) fn new(turns: Option<&TurnDetection>) -> Self {
        let (threshold, silence_ms) = detection(turns);
        Self {
            audio: Vec::new(),
            begins_ms: 0,
            uncommitted_ms: 0,
            detector: Detector::new(threshold, silence_ms),
            speech_from_ms: None,
            glanced: false,
            rest: (0, 0),
        }
    }

    pub(super) fn configure(&mut self, turns: Option<&TurnDetection>) {
        let (threshold, silence_ms) = detection(turns);
        self.detector.configure(threshold, silence_ms);
        if turns.is_none() {
            self.detector.stop();
            self.speech_from_ms = None;
        }
    }

    /// Milliseconds of audio appended so far in this session.
    pub(super) fn clock_ms(&self) -> u64 {
        self.begins_ms + (self.audio.len() / BYTES_PER_MS) as u64
    }

    /// Milliseconds that were not committed yet.
    pub(super) fn uncommitted_ms(&self) -> u64 {
        self.clock_ms() - self.uncommitted_ms
    }

    /// Whether speech is on.
    pub(super) fn speaking(&self) -> bool {
        self.speech_from_ms.is_some()
    }

    /// Takes audio bytes and returns the changes found in them, padding applied; none when turns are not detected.
    pub(super) fn append(&mut self, bytes: &[u8], format: Format, turns: Option<&TurnDetection>) -> Vec<Change> {
        let mut changes = Vec::new();
        match format {
            Format::Pcmu => {
                self.audio.extend_from_slice(bytes);
                if turns.is_some() {
                    changes.extend(bytes.iter().filter_map(|byte| self.detector.push(mulaw::decode(*byte))));
                }
            }
            Format::Pcma => {
                for byte in bytes {
                    self.take_sample(mulaw::decode_alaw(*byte), turns.is_some(), &mut changes);
                }
            }
            Format::Pcm => {
                for pair in bytes.as_chunks::<2>().0 {
                    let (sum, count) = self.rest;
                    self.rest = (sum + i32::from(i16::from_le_bytes(*pair)), count + 1);
                    if self.rest.1 == 3 {
                        self.take_sample((self.rest.0 / 3) as i16, turns.is_some(), &mut changes);
                        self.rest = (0, 0);
                    }
                }
            }
        }
        let padding = turns.map_or(0, |turns| turns.prefix_padding_ms);
        for change in &mut changes {
            match change {
                Change::Started { at_ms } => {
                    *at_ms = at_ms.saturating_sub(padding).max(self.uncommitted_ms);
                    self.speech_from_ms = Some(*at_ms);
                }
                Change::Stopped { .. } => {}
            }
        }
        self.forget(turns.is_some());
        changes
    }

    fn take_sample(&mut self, sample: i16, detecting: bool, changes: &mut Vec<Change>) {
        self.audio.push(mulaw::encode(sample));
        if detecting {
            changes.extend(self.detector.push(sample));
        }
    }

    /// In a pause that has not been looked at: what was said so far. Asked once per pause.
    pub(super) fn glance(&mut self) -> Option<&[u8]> {
        if self.detector.pause_ms().is_none_or(|pause| pause < GLANCE_MS) {
            self.glanced = false;
            return None;
        }
        if std::mem::replace(&mut self.glanced, true) {
            return None;
        }
        let from = self.speech_from_ms?;
        Some(self.between(from, self.clock_ms()))
    }

    /// Ends the speech that is on; returns when.
    pub(super) fn end_speech(&mut self) -> u64 {
        self.glanced = false;
        self.detector.stop()
    }

    /// Takes the audio up to `end_ms` out of the buffer: from where speech began, or, when none is on, from the last commit.
    pub(super) fn commit(&mut self, end_ms: u64) -> Committed {
        let start_ms = self.speech_from_ms.take().unwrap_or(self.uncommitted_ms);
        let audio = self.between(start_ms, end_ms).to_vec();
        self.uncommitted_ms = end_ms;
        Committed { start_ms, end_ms, audio }
    }

    /// Throws away what was not committed; the clock goes on.
    pub(super) fn clear(&mut self) {
        self.uncommitted_ms = self.clock_ms();
        self.speech_from_ms = None;
        self.detector.stop();
    }

    fn between(&self, start_ms: u64, end_ms: u64) -> &[u8] {
        let byte = |ms: u64| (ms.saturating_sub(self.begins_ms) as usize * BYTES_PER_MS).min(self.audio.len());
        &self.audio[byte(start_ms)..byte(end_ms).max(byte(start_ms))]
    }

    fn forget(&mut self, detecting: bool) {
        let keep = if detecting && !self.speaking() { IDLE_MS } else { LONGEST_MS };
        let held = self.clock_ms() - self.begins_ms;
        // Twice as much before half is dropped: each byte is moved once.
        if held > 2 * keep {
            let gone = held - keep;
            self.audio.drain(..gone as usize * BYTES_PER_MS);
            self.begins_ms += gone;
            self.uncommitted_ms = self.uncommitted_ms.max(self.begins_ms);
        }
    }
}

/// A committed stretch of the buffer.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    /// 8 kHz mu-law.
    pub(super) audio: Vec<u8>,
}

fn detection(turns: Option<&TurnDetection>) -> (f64, u64) {
    turns.map_or((0.5, 500), |turns| match turns.end {
        TurnEnd::Silence(silence_ms) => (turns.threshold, silence_ms),
        TurnEnd::Meaning(longest_ms) => (turns.threshold, longest_ms),
    })
}
