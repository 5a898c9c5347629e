//! Sound of our own: mu-law, the line test's tone and the recorded sentences that a caller hears when nobody else can
//! speak. Audio that is relayed never comes here.

mod mulaw;
mod tone;

pub(crate) use tone::greeting_tone;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// Bytes of a piece: a multiple of three, so that the base64 of a piece has no padding; just under 200 ms.
const PIECE: usize = 1599;

/// A recorded sentence: 8 kHz mu-law, spoken by espeak-ng (see `audio/README.md` for how they are made again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clip {
    /// Somebody is looked for; the call goes on.
    Moment,
    /// The agent cannot be reached; the call ends.
    Apology,
    /// A limit is reached; the call ends.
    Goodbye,
}

impl Clip {
    /// What is said.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Moment => "One moment, please.",
            Self::Apology => "Sorry, I am having trouble with my line. Please call again in a moment. Goodbye.",
            Self::Goodbye => "I have to end this call now. Thank you for calling. Goodbye.",
        }
    }

    /// A short name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Moment => "moment",
            Self::Apology => "apology",
            Self::Goodbye => "goodbye",
        }
    }

    fn audio(self) -> &'static [u8] {
        match self {
            Self::Moment => include_bytes!("../audio/moment.ulaw"),
            Self::Apology => include_bytes!("../audio/apology.ulaw"),
            Self::Goodbye => include_bytes!("../audio/goodbye.ulaw"),
        }
    }

    /// How long it is.
    pub(crate) fn length(self) -> Duration {
        Duration::from_micros(self.audio().len() as u64 * 125)
    }

    /// Its audio as base64 with the bytes that each piece stands for.
    pub(crate) fn pieces(self) -> impl Iterator<Item = (String, usize)> {
        pieces(self.audio())
    }
}

/// Audio as base64 in pieces of just under 200 ms, with the bytes that each stands for.
pub(crate) fn pieces(audio: &[u8]) -> impl Iterator<Item = (String, usize)> {
    audio.chunks(PIECE).map(|piece| (STANDARD.encode(piece), piece.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root mean square of each 100 ms, on the 16-bit scale.
    fn loudness(audio: &[u8]) -> Vec<f64> {
        audio
            .chunks(800)
            .map(|part| {
                let sum: f64 = part.iter().map(|byte| f64::from(mulaw::decode(*byte)).powi(2)).sum();
                (sum / part.len() as f64).sqrt()
            })
            .collect()
    }

    #[test]
    fn the_sentences_are_speech_of_the_right_length() {
        for (clip, seconds) in [(Clip::Moment, 0.9..2.0), (Clip::Apology, 4.0..7.0), (Clip::Goodbye, 3.0..6.0)] {
            assert!(seconds.contains(&clip.length().as_secs_f64()), "{clip:?} is {:?}", clip.length());
            let loudness = loudness(clip.audio());
            let loud = loudness.iter().filter(|rms| **rms > 500.0).count();
            let quiet = loudness.iter().filter(|rms| **rms < 300.0).count();
            // Speech: mostly sound, with pauses in it, and not noise at one level.
            assert!(loud * 2 > loudness.len(), "{clip:?} is mostly silent: {loudness:?}");
            assert!(quiet >= 1, "{clip:?} has no pause: {loudness:?}");
            assert!(loudness.iter().all(|rms| *rms < 16_000.0), "{clip:?} is too loud");
        }
    }

    #[test]
    fn pieces_add_up() {
        for clip in [Clip::Moment, Clip::Apology, Clip::Goodbye] {
            let mut joined = Vec::new();
            for (text, bytes) in clip.pieces() {
                assert_eq!(crate::scan::base64_len(&text), Some(bytes));
                joined.extend(STANDARD.decode(text).unwrap());
            }
            assert_eq!(joined, clip.audio());
        }
    }
}
