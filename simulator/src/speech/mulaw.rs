//! G.711 sample by sample: mu-law both ways, and A-law out, as plain arithmetic and one table. Nothing here knows about
//! frames, files or levels.

/// The byte of digital silence.
pub const SILENCE: u8 = 0xFF;

/// Samples per second of telephone audio, which is also bytes per second of mu-law.
pub const SAMPLE_RATE: usize = 8000;

/// Largest magnitude that G.711 mu-law codes without clipping, on the 16-bit scale (8159 in the standard's 14 bits).
const CLIP: i32 = 32_635;

/// Added before the segment search, so that every segment starts at a power of two.
const BIAS: i32 = 0x84;

/// What each mu-law byte means, on the 16-bit scale: -32124 to 32124.
static LINEAR: [i16; 256] = {
    let mut table = [0_i16; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = expand(byte as u8);
        byte += 1;
    }
    table
};

const fn expand(byte: u8) -> i16 {
    let code = !byte;
    let segment = (code >> 4) & 0x07;
    let magnitude = (((code & 0x0F) as i32) << 3) + BIAS;
    let magnitude = (magnitude << segment) - BIAS;
    if code & 0x80 == 0 { magnitude as i16 } else { -magnitude as i16 }
}

/// The 16-bit sample that a mu-law byte stands for.
#[must_use]
pub fn decode(byte: u8) -> i16 {
    LINEAR[usize::from(byte)]
}

/// The mu-law byte nearest to a 16-bit sample; louder than the code can say is clipped. Zero becomes [`SILENCE`].
#[must_use]
pub fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0x00 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // The bias makes the highest set bit one of 7..=14: its position is the segment.
    let segment = 24 - magnitude.leading_zeros();
    let step = (magnitude >> (segment + 3)) & 0x0F;
    !(sign | (segment as u8) << 4 | step as u8)
}

/// The A-law byte nearest to a 16-bit sample, for sessions that ask for `audio/pcma`.
#[must_use]
pub fn encode_alaw(sample: i16) -> u8 {
    let value = i32::from(sample) >> 3;
    let (mask, magnitude) = if value >= 0 { (0xD5, value) } else { (0x55, -value - 1) };
    let segment = (32 - (magnitude >> 5).leading_zeros()).min(7);
    let step = if segment < 2 { magnitude >> 1 } else { magnitude >> segment };
    (((segment as u8) << 4) | (step as u8 & 0x0F)) ^ mask
}

/// The 16-bit sample that an A-law byte stands for.
#[must_use]
pub fn decode_alaw(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = u32::from((code >> 4) & 0x07);
    let step = i32::from(code & 0x0F) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -magnitude as i16 } else { magnitude as i16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers from the decision table of ITU-T G.711, table 2a (the standard's 14-bit values times four).
    #[test]
    fn the_standards_table() {
        for (byte, sample) in [
            (0xFF, 0),
            (0x7F, 0),
            (0x80, 32_124),
            (0x00, -32_124),
            (0xFE, 8),
            (0x7E, -8),
            (0x8F, 16_764),
            (0x0F, -16_764),
            (0xF0, 120),
            (0xEF, 132),
            (0xC0, 1884),
        ] {
            assert_eq!(decode(byte), sample, "byte {byte:#04x}");
        }
    }

    #[test]
    fn every_byte_survives_a_round_trip() {
        for byte in 0..=255_u8 {
            // Negative zero is the one byte with a twin.
            let expected = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(encode(decode(byte)), expected, "byte {byte:#04x}");
        }
    }

    #[test]
    fn every_sample_becomes_a_nearest_code() {
        for sample in i16::MIN..=i16::MAX {
            let error = (i32::from(decode(encode(sample))) - i32::from(sample)).abs();
            let clipped = (i32::from(sample).abs() - 32_124).max(0);
            let half_step = (i32::from(sample).abs() + 132) / 32;
            assert!(error <= half_step.max(4).max(clipped), "{sample} is off by {error}");
        }
    }

    #[test]
    fn alaw_known_answers_and_round_trip() {
        assert_eq!(encode_alaw(0), 0xD5);
        assert_eq!(decode_alaw(0xD5), 8);
        assert_eq!(decode_alaw(0x55), -8);
        assert_eq!(decode_alaw(0xAA), 32_256);
        assert_eq!(decode_alaw(0x2A), -32_256);
        for byte in 0..=255_u8 {
            assert_eq!(encode_alaw(decode_alaw(byte)), byte, "byte {byte:#04x}");
        }
    }
}
