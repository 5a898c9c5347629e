//! The tone with which the line test greets: two notes, rising. Made with whole numbers, so it is the same everywhere.

use super::mulaw;

/// Samples of one note: 250 ms.
const NOTE: usize = 2_000;
/// Samples of the rise and fall at a note's ends, which keep it from clicking.
const EDGE: i64 = 160;
/// Loudness on the 16-bit scale, about -13 dBFS.
const LEVEL: i64 = 7_000;

/// The greeting: mu-law, half a second.
pub(crate) fn greeting_tone() -> Vec<u8> {
    // 2 cos(2π f / 8000) and sin(2π f / 8000), in 2^-24ths, for 425 and 637 Hz.
    const NOTES: [(i64, i64); 2] = [(31_702_430, 5_496_722), (29_441_979, 8_047_822)];
    NOTES.iter().flat_map(|&(twice_cos, sin)| note(twice_cos, sin)).collect()
}

/// One note by the recurrence s(n) = 2cos(w) s(n-1) - s(n-2).
fn note(twice_cos: i64, sin: i64) -> impl Iterator<Item = u8> {
    let (mut before, mut sample) = (0i64, (LEVEL * sin) >> 8);
    (0..NOTE as i64).map(move |at| {
        let next = ((twice_cos * sample) >> 24) - before;
        (before, sample) = (sample, next);
        let edge = at.min(NOTE as i64 - 1 - at).min(EDGE);
        let value = (before >> 16) * edge / EDGE;
        mulaw::encode(value.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rising_notes() {
        let samples: Vec<i32> = greeting_tone().into_iter().map(|b| i32::from(mulaw::decode(b))).collect();
        assert_eq!(samples.len(), 4_000);
        let peak = samples.iter().map(|s| s.abs()).max();
        assert!((6_000..9_000).contains(&peak.unwrap()), "{peak:?}");
        assert!(samples[0].abs() < 100 && samples[3_999].abs() < 100, "it clicks");
        let crossings = |part: &[i32]| part.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
        // Two crossings a period, a quarter of a second each.
        assert!((crossings(&samples[..2_000]) as i32 - 212).abs() <= 4, "{}", crossings(&samples[..2_000]));
        assert!((crossings(&samples[2_000..]) as i32 - 318).abs() <= 4, "{}", crossings(&samples[2_000..]));
    }
}
