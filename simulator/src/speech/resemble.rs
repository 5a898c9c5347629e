//! Which recording some audio sounds like, when its bytes were altered on the way (mixed with noise, made louder or
//! softer, resampled, coded again): windows of 800 ms of how the spectrum moves are compared with every place of every
//! recording. Slower and less sure than [`super::recognise`], which comes first.

use std::ops::Range;
use std::sync::OnceLock;

use super::{Recording, Who, mulaw};

/// Samples from one spectrum to the next: 20 ms.
const HOP: usize = 160;

/// Samples under one spectrum, as two halves that overlap their neighbours.
const SPAN: usize = 128;

/// Centres of the bands in Hz.
const BANDS: [f32; 12] = [300.0, 425.0, 550.0, 700.0, 850.0, 1050.0, 1300.0, 1600.0, 1950.0, 2350.0, 2800.0, 3250.0];

/// Spectra in a window: 800 ms. In half a second, two lines that share a word can sound the same.
const WINDOW: usize = 40;

/// Spectra from one window to the next: 240 ms.
const STRIDE: usize = 12;

/// Correlation from which a window votes for its best recording. Measured: a caller's line softened to 0.4 and mixed with
/// hiss 30 dB below full scale still has a window at 0.83 or more with itself, while different lines of the caller stay
/// below 0.55. Lines that share words and a voice can pass this in one window; the vote of all windows decides.
const ALIKE: f32 = 0.80;

/// Added to a band's energy before the logarithm, relative to full scale: what is fainter is all the same.
const FAINT: f32 = 3e-6;

/// Least variance of a window's spectra: steady noise stays below, speech far above.
const LIVELY: f32 = 0.35;

type Spectrum = [f32; BANDS.len()];

/// A recording that audio sounds like, and where.
pub(super) struct Alike {
    pub(super) recording: usize,
    pub(super) within: Range<usize>,
    pub(super) part: Range<usize>,
}

/// The spectra of all recordings, made when first needed.
#[derive(Debug)]
pub(super) struct Likeness(OnceLock<Vec<Vec<Spectrum>>>);

struct Vote {
    recording: usize,
    weight: f32,
    within: Range<usize>,
    part: Range<usize>,
}

impl Likeness {
    pub(super) fn of(_recordings: &[Recording]) -> Self {
        Self(OnceLock::new())
    }

    pub(super) fn find(&self, audio: &[u8], recordings: &[Recording]) -> Option<Alike> {
        if audio.len() < WINDOW * HOP {
            return None;
        }
        let all = self.0.get_or_init(|| recordings.iter().map(|recording| spectra(recording.audio())).collect());
        let mut votes: Vec<Vote> = Vec::new();
        // Two phases: a lost part of a frame moves the words against the grid.
        for phase in [0, HOP / 2] {
            let received = spectra(&audio[phase..]);
            for start in (0..received.len().saturating_sub(WINDOW - 1)).step_by(STRIDE) {
                let Some(window) = Window::of(&received[start..start + WINDOW]) else { continue };
                let best = all
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| recordings[*index].who() != Who::Noise)
                    .filter_map(|(index, spectra)| window.best_in(spectra).map(|(at, score)| (index, at, score)))
                    .max_by(|left, right| left.2.total_cmp(&right.2));
                let Some((recording, at, score)) = best else { continue };
                if score < ALIKE {
                    continue;
                }
                let within = phase + start * HOP..phase + (start + WINDOW) * HOP;
                let part = at * HOP..(at + WINDOW) * HOP;
                match votes.iter_mut().find(|vote| vote.recording == recording) {
                    Some(vote) => {
                        vote.weight += score;
                        vote.within = vote.within.start.min(within.start)..vote.within.end.max(within.end);
                        vote.part = vote.part.start.min(part.start)..vote.part.end.max(part.end);
                    }
                    None => votes.push(Vote { recording, weight: score, within, part }),
                }
            }
        }
        votes
            .into_iter()
            .max_by(|left, right| left.weight.total_cmp(&right.weight))
            .map(|Vote { recording, within, part, .. }| Alike { recording, within, part })
    }
}

/// A window of spectra in which each band's mean is taken off, so that the line's colour does not matter; what is common
/// to all bands of a spectrum was taken off before, so that neither loudness nor its outline does.
struct Window {
    centred: Vec<Spectrum>,
    norm: f32,
}

impl Window {
    /// `None` if nothing moves in it.
    fn of(spectra: &[Spectrum]) -> Option<Self> {
        let mean = mean(spectra);
        let centred: Vec<Spectrum> =
            spectra.iter().map(|spectrum| std::array::from_fn(|band| spectrum[band] - mean[band])).collect();
        let energy: f32 = centred.iter().flatten().map(|value| value * value).sum();
        let lively = energy / (WINDOW * BANDS.len()) as f32 >= LIVELY;
        lively.then(|| Self { centred, norm: energy.sqrt() })
    }

    fn best_in(&self, spectra: &[Spectrum]) -> Option<(usize, f32)> {
        spectra
            .windows(WINDOW)
            .enumerate()
            .map(|(at, other)| (at, self.correlation(other)))
            .max_by(|left, right| left.1.total_cmp(&right.1))
    }

    fn correlation(&self, other: &[Spectrum]) -> f32 {
        let mean = mean(other);
        let mut dot = 0.0;
        let mut energy = 0.0;
        for (own, other) in self.centred.iter().zip(other) {
            for band in 0..BANDS.len() {
                let value = other[band] - mean[band];
                dot += own[band] * value;
                energy += value * value;
            }
        }
        if energy <= f32::EPSILON { 0.0 } else { dot / (self.norm * energy.sqrt()) }
    }
}

fn mean(spectra: &[Spectrum]) -> Spectrum {
    let mut mean = [0.0; BANDS.len()];
    for spectrum in spectra {
        for (sum, value) in mean.iter_mut().zip(spectrum) {
            *sum += value;
        }
    }
    mean.map(|sum| sum / spectra.len() as f32)
}

fn spectra(audio: &[u8]) -> Vec<Spectrum> {
    let samples: Vec<f32> = audio.iter().map(|byte| f32::from(mulaw::decode(*byte)) / 32_768.0).collect();
    let half = |at: usize| samples.get(at..at + SPAN).map(energies);
    let starts = (0..samples.len()).step_by(HOP);
    starts
        .map_while(|at| {
            let first = half(at)?;
            let second = half(at + HOP / 2).unwrap_or(first);
            let spectrum: Spectrum = std::array::from_fn(|band| ((first[band] + second[band]) / 2.0 + FAINT).ln());
            let level = spectrum.iter().sum::<f32>() / spectrum.len() as f32;
            Some(spectrum.map(|value| value - level))
        })
        .collect()
}

/// Energy in each band, by Goertzel's recurrence.
fn energies(samples: &[f32]) -> Spectrum {
    BANDS.map(|hertz| {
        let turn = 2.0 * (std::f32::consts::TAU * hertz / mulaw::SAMPLE_RATE as f32).cos();
        let (last, before) = samples
            .iter()
            .fold((0.0_f32, 0.0_f32), |(last, before), sample| (turn.mul_add(last, *sample) - before, last));
        (last * last + before * before - turn * last * before) / (SPAN * SPAN) as f32
    })
}
