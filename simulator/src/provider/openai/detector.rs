//! Finds speech in 8 kHz samples by their energy, 20 ms at a time, against a noise floor that it learns; its only clock is
//! the audio it is given. What a turn is made of and what is answered is not decided here.

use std::collections::VecDeque;

/// Samples in a block: 20 ms.
const BLOCK: usize = 160;

/// Milliseconds in a block.
const BLOCK_MS: u64 = 20;

/// Blocks whose quietest is the noise floor: 1.2 s. Speech has gaps within that, steady noise has none.
const MEMORY: usize = 60;

/// Blocks that must be known before anything can be speech.
const WARM_UP: usize = 2;

/// How far above the floor speech starts and, lower, goes on, in decibels.
const ABOVE_FLOOR: (f32, f32) = (12.0, 7.0);

/// How far below its gate speech still goes on, in decibels.
const HYSTERESIS: f32 = 8.0;

/// A block of nothing at all, in dBFS.
const SILENT: f32 = -96.0;

/// Of the last four blocks, this many must be loud for speech to start: a click is not speech.
const TO_START: u32 = 3;

/// A change between speech and silence; times are milliseconds of audio given so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Speech began; `at_ms` is the first loud block's beginning.
    Started { at_ms: u64 },
    /// Enough silence followed it; `at_ms` includes that silence.
    Stopped { at_ms: u64 },
}

/// The detector. [`Detector::push`] returns a change when a block decides one.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    /// Level from which a block may start speech, in dBFS.
    gate: f32,
    silence_ms: u64,
    block: Vec<i16>,
    clock_ms: u64,
    levels: VecDeque<f32>,
    /// One bit per recent block, the latest lowest: was it loud?
    loud: u8,
    speaking: bool,
    last_loud_ms: u64,
}

impl Detector {
    /// `threshold` is `server_vad`'s, 0 to 1: the gate goes from -50 to -26 dBFS. Speech stops after `silence_ms`.
    pub(super) fn new(threshold: f64, silence_ms: u64) -> Self {
        Self {
            gate: gate(threshold),
            silence_ms,
            block: Vec::with_capacity(BLOCK),
            clock_ms: 0,
            levels: VecDeque::with_capacity(MEMORY),
            loud: 0,
            speaking: false,
            last_loud_ms: 0,
        }
    }

    /// Changes the settings; what it has heard stays.
    pub(super) fn configure(&mut self, threshold: f64, silence_ms: u64) {
        self.gate = gate(threshold);
        self.silence_ms = silence_ms;
    }

    /// Milliseconds of silence since the last loud block, while speech is on.
    pub(super) fn pause_ms(&self) -> Option<u64> {
        self.speaking.then(|| self.clock_ms - self.last_loud_ms)
    }

    /// Ends the speech now, if it is on, without a change being reported. Returns the time.
    pub(super) fn stop(&mut self) -> u64 {
        self.speaking = false;
        self.loud = 0;
        self.clock_ms
    }

    pub(super) fn push(&mut self, sample: i16) -> Option<Change> {
        self.block.push(sample);
        if self.block.len() < BLOCK {
            return None;
        }
        let level = level(&self.block);
        self.block.clear();
        self.judge(level)
    }

    fn judge(&mut self, level: f32) -> Option<Change> {
        let floor = self.levels.iter().copied().fold(f32::INFINITY, f32::min).min(level);
        if self.levels.len() == MEMORY {
            self.levels.pop_front();
        }
        self.levels.push_back(level);
        let begin_ms = self.clock_ms;
        self.clock_ms += BLOCK_MS;
        let (start, stay) = ABOVE_FLOOR;
        let loud = if self.speaking {
            level >= (self.gate - HYSTERESIS).max(floor + stay)
        } else {
            self.levels.len() > WARM_UP && level >= self.gate.max(floor + start)
        };
        self.loud = self.loud << 1 | u8::from(loud);
        if loud {
            self.last_loud_ms = self.clock_ms;
        }
        let recent = self.loud & 0x0F;
        if !self.speaking && loud && recent.count_ones() >= TO_START {
            self.speaking = true;
            let first = u64::from(u8::BITS - recent.leading_zeros() - 1);
            return Some(Change::Started { at_ms: begin_ms.saturating_sub(first * BLOCK_MS) });
        }
        if self.speaking && self.clock_ms - self.last_loud_ms >= self.silence_ms.max(BLOCK_MS) {
            return Some(Change::Stopped { at_ms: self.stop() });
        }
        None
    }
}

fn gate(threshold: f64) -> f32 {
    -50.0 + 24.0 * threshold as f32
}

/// Root mean square of a block in dBFS.
fn level(block: &[i16]) -> f32 {
    let energy: i64 = block.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    let mean = energy as f32 / block.len() as f32 / 32_768.0_f32.powi(2);
    if mean <= 0.0 { SILENT } else { (10.0 * mean.log10()).max(SILENT) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::{Library, Who, mulaw};

    fn listen(detector: &mut Detector, audio: &[u8]) -> Vec<Change> {
        audio.iter().filter_map(|byte| detector.push(mulaw::decode(*byte))).collect()
    }

    fn quiet(ms: usize) -> Vec<u8> {
        vec![mulaw::SILENCE; ms * 8]
    }

    #[test]
    fn every_line_is_one_stretch_of_speech() {
        for recording in Library::embedded().recordings().iter().filter(|line| line.who() != Who::Noise) {
            let mut detector = Detector::new(0.5, 500);
            let audio = [quiet(1000), recording.audio().to_vec(), quiet(1000)].concat();
            let changes = listen(&mut detector, &audio);
            let end = 1000 + u64::from(recording.duration_ms());
            let [Change::Started { at_ms: start }, Change::Stopped { at_ms: stop }] = changes[..] else {
                panic!("`{}`: {changes:?}", recording.id());
            };
            assert!((1000..1300).contains(&start), "`{}` began at {start}", recording.id());
            assert!((end + 250..=end + 500).contains(&stop), "`{}` ended at {stop} of {end}", recording.id());
        }
    }

    #[test]
    fn silence_line_noise_street_noise_and_clicks_are_not_speech() {
        let street = Library::embedded().get("noise-street").expect("a noise").audio();
        let mut click = quiet(40);
        click[..160].fill(0x00);
        for audio in [quiet(10_000), vec![0x7E; 80_000], street.repeat(5), click.repeat(100)] {
            assert_eq!(listen(&mut Detector::new(0.5, 500), &audio), []);
        }
    }

    /// Noise as loud as speech is taken for speech at first, then becomes the floor; speech over it is still found.
    #[test]
    fn the_floor_rises_with_steady_noise() {
        let mut state = 7_u32;
        let mut hiss = |count: usize, amplitude: f32| -> Vec<u8> {
            (0..count)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    mulaw::encode(((f32::from((state >> 16) as u16) / 32_768.0 - 1.0) * amplitude) as i16)
                })
                .collect()
        };
        let mut detector = Detector::new(0.5, 500);
        listen(&mut detector, &quiet(500));
        let changes = listen(&mut detector, &hiss(40_000, 1_000.0));
        assert!(matches!(changes[..], [Change::Started { .. }, Change::Stopped { .. }]), "{changes:?}");
        assert_eq!(listen(&mut detector, &hiss(80_000, 1_000.0)), [], "now it is the floor");
        let speech = Library::embedded().get("caller-tuesday").expect("a line").audio();
        let changes = listen(&mut detector, &[speech, &hiss(16_000, 1_000.0)].concat());
        assert!(matches!(changes[0], Change::Started { .. }), "{changes:?}");
        assert!(matches!(changes[changes.len() - 1], Change::Stopped { .. }), "{changes:?}");
    }

    #[test]
    fn a_higher_threshold_needs_louder_speech() {
        let soft: Vec<u8> = Library::embedded()
            .get("caller-yes")
            .expect("a line")
            .audio()
            .iter()
            .map(|byte| mulaw::encode(mulaw::decode(*byte) / 6))
            .collect();
        let audio = [quiet(500), soft, quiet(1000)].concat();
        assert!(!listen(&mut Detector::new(0.3, 500), &audio).is_empty());
        assert_eq!(listen(&mut Detector::new(1.0, 500), &audio), []);
    }
}
