//! G.711 mu-law: one byte a sample, 8000 a second. Relayed audio is never decoded; this is for the sound that we make.

/// Added to the magnitude before its segment is found.
const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

/// A 16-bit sample as mu-law.
pub(crate) fn encode(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.abs().min(CLIP) + BIAS;
    // The biased magnitude has its highest bit between 7 and 14: the segment counts from there.
    let segment = 24 - magnitude.leading_zeros().min(24);
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !((sign | (segment << 4) as i32 | mantissa) as u8)
}

/// A mu-law byte as a 16-bit sample.
#[cfg(test)]
pub(crate) fn decode(byte: u8) -> i16 {
    let code = i32::from(!byte);
    let magnitude = ((((code & 0x0f) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
    (if code & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // G.711, table 2: the ends of the scale, and silence.
        assert_eq!((encode(0), encode(i16::MAX), encode(i16::MIN)), (0xff, 0x80, 0x00));
        assert_eq!((decode(0xff), decode(0x7f), decode(0x80), decode(0x00)), (0, 0, 32_124, -32_124));
        assert_eq!((encode(1_000), decode(encode(1_000))), (0xce, 988));
    }

    #[test]
    fn every_byte_survives() {
        for byte in 0..=255u8 {
            // 0x7f is the negative zero: it decodes to the same sample as 0xff.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(encode(decode(byte)), expected);
        }
    }
}
