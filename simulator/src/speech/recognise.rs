//! Which recording was heard, found by its own bytes: every recording is strewn with anchors (short runs of bytes that
//! occur nowhere else), and received audio is searched for them. Telephone audio between two digital ends arrives with its
//! bytes intact, so this is exact, and it does not mind silence around the words, a missing end, lost or repeated frames, or
//! another sound before them. Audio that was altered on the way is [`super::resemble`]'s.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::{BYTES_PER_MS, Library, Recording, Who};

/// Length of an anchor in bytes: 2 ms.
const ANCHOR: usize = 16;

/// Less of a recording than this was not heard: 200 ms.
const LEAST_HEARD: usize = 200 * BYTES_PER_MS;

/// How far playback may step back within one hearing (repeated frames) before it is a second hearing: 300 ms.
const STEP_BACK: usize = 300 * BYTES_PER_MS;

/// A recording found in received audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// Which one.
    pub recording: &'a Recording,
    /// Where in the received audio it lies, in bytes; what lies between lost frames is included.
    pub within: Range<usize>,
    /// Which part of the recording this was: first byte heard to last byte heard.
    pub part: Range<usize>,
    /// How many of the recording's bytes were heard; equals its length when nothing is missing.
    pub covered: usize,
}

impl Heard<'_> {
    /// Whether it was heard to its end (to within 100 ms: trailing line noise may be cut).
    #[must_use]
    pub fn to_the_end(&self) -> bool {
        self.part.end + 100 * BYTES_PER_MS >= self.recording.audio().len()
    }
}

#[derive(Clone, Copy, Debug)]
struct Place {
    recording: usize,
    at: usize,
}

/// Where each anchor stands; `None` for one that stands in two places.
#[derive(Debug)]
pub(super) struct Anchors(HashMap<[u8; ANCHOR], Option<Place>>);

/// A stretch of received audio equal to a stretch of one recording.
struct Run {
    place: Place,
    from: usize,
    len: usize,
}

impl Anchors {
    pub(super) fn of(recordings: &[Recording]) -> Self {
        let mut anchors = HashMap::new();
        for (recording, audio) in recordings.iter().map(Recording::audio).enumerate() {
            for (index, run) in audio.as_chunks::<ANCHOR>().0.iter().enumerate() {
                match anchors.entry(*run) {
                    Entry::Vacant(free) => {
                        free.insert(Some(Place { recording, at: index * ANCHOR }));
                    }
                    Entry::Occupied(mut taken) => {
                        taken.insert(None);
                    }
                }
            }
        }
        Self(anchors)
    }

    fn find(&self, run: &[u8; ANCHOR]) -> Option<Place> {
        self.0.get(run).copied().flatten()
    }

    fn runs(&self, audio: &[u8], recordings: &[Recording]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut at = 0;
        let mut taken = 0;
        while let Some(window) = audio.get(at..).and_then(<[u8]>::first_chunk::<ANCHOR>) {
            // Digital silence is by far the commonest miss.
            if window.iter().all(|byte| *byte == super::mulaw::SILENCE) {
                at += ANCHOR;
                continue;
            }
            let Some(place) = self.find(window) else {
                at += 1;
                continue;
            };
            let recorded = recordings[place.recording].audio();
            let before = audio[taken..at].iter().rev().zip(recorded[..place.at].iter().rev());
            let before = before.take_while(|(left, right)| left == right).count();
            let after = audio[at..].iter().zip(&recorded[place.at..]);
            let after = after.take_while(|(left, right)| left == right).count();
            let place = Place { at: place.at - before, ..place };
            runs.push(Run { place, from: at - before, len: before + after });
            at += after;
            taken = at;
        }
        runs
    }
}

/// One recording being heard, while its runs are gathered.
struct Hearing {
    recording: usize,
    within: Range<usize>,
    part: Range<usize>,
    covered: usize,
}

impl Hearing {
    fn takes(&mut self, run: &Run) -> bool {
        if self.recording != run.place.recording || run.place.at + STEP_BACK < self.part.end {
            return false;
        }
        let end = run.place.at + run.len;
        self.covered += end.saturating_sub(self.part.end.max(run.place.at));
        self.part.end = self.part.end.max(end);
        self.within.end = run.from + run.len;
        true
    }
}

impl Library {
    /// Every recording of a person's words that is heard in mu-law `audio`, in the order of hearing. Less than 200 ms of
    /// one is not heard. Noise is never recognised.
    #[must_use]
    pub fn hear(&self, audio: &[u8]) -> Vec<Heard<'_>> {
        let mut hearings: Vec<Hearing> = Vec::new();
        for run in self.anchors.runs(audio, &self.recordings) {
            // An echo of one recording may be interleaved with another: ask every hearing, the latest first.
            if hearings.iter_mut().rev().any(|hearing| hearing.takes(&run)) {
                continue;
            }
            let part = run.place.at..run.place.at + run.len;
            let within = run.from..run.from + run.len;
            hearings.push(Hearing { recording: run.place.recording, within, part, covered: run.len });
        }
        let heard: Vec<Heard<'_>> = hearings
            .into_iter()
            .filter(|hearing| hearing.covered >= LEAST_HEARD)
            .map(|Hearing { recording, within, part, covered }| Heard {
                recording: &self.recordings[recording],
                within,
                part,
                covered,
            })
            .filter(|heard| heard.recording.who() != Who::Noise)
            .collect();
        if heard.is_empty() { self.resembling(audio).into_iter().collect() } else { heard }
    }

    /// The recording of which most was heard in mu-law `audio`; `None` for silence, noise and unknown sounds.
    #[must_use]
    pub fn recognise(&self, audio: &[u8]) -> Option<Heard<'_>> {
        self.hear(audio).into_iter().max_by_key(|heard| heard.covered)
    }

    /// Which recording, noise included, a piece of mu-law was cut from and at which byte of it. The piece needs 31 bytes to
    /// be sure of holding an anchor; `None` if it is not, byte for byte, a part of one recording.
    #[must_use]
    pub fn locate(&self, piece: &[u8]) -> Option<(&Recording, usize)> {
        for (at, window) in piece.windows(ANCHOR).enumerate() {
            let Some(place) = window.first_chunk().and_then(|window| self.anchors.find(window)) else { continue };
            let recording = &self.recordings[place.recording];
            let from = place.at.checked_sub(at)?;
            return (recording.audio().get(from..from + piece.len()) == Some(piece)).then_some((recording, from));
        }
        None
    }

    fn resembling(&self, audio: &[u8]) -> Option<Heard<'_>> {
        let alike = self.likeness.find(audio, &self.recordings)?;
        let covered = alike.part.len();
        let recording = &self.recordings[alike.recording];
        Some(Heard { recording, within: alike.within, part: alike.part, covered })
    }
}
