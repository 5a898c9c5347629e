//! Whether audio arrived byte for byte: what the caller said at the provider, and what the provider said at the caller's
//! player, where a barge-in rightly cuts. Pure comparisons of byte strings.

use std::ops::Range;

use crate::provider::openai::SpokenItem;

/// What reached the player of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Which bytes the player received of it; they are its beginning.
    pub bytes: Range<usize>,
    /// Whether that is all of it.
    pub complete: bool,
}

/// All answers, in order; together they are all that the player received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// One per item.
    pub items: Vec<Traced>,
}

/// Why the received audio is not that of the answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A `clear` was followed by more of the answer that it cut.
    #[error("{bytes} bytes of answer {answer} came after the clear that cut it")]
    Stale {
        /// Counted from 1.
        answer: usize,
        /// At least so many.
        bytes: usize,
    },
    /// An answer breaks off, and nothing had cut it.
    #[error("answer {answer} breaks off after {got} of {of} bytes, and nothing had cut it")]
    Broken {
        /// Counted from 1.
        answer: usize,
        /// Bytes received.
        got: usize,
        /// Bytes sent.
        of: usize,
    },
    /// Audio that is no answer's.
    #[error("{bytes} bytes from byte {at} on belong to no answer")]
    Foreign {
        /// Where.
        at: usize,
        /// How many.
        bytes: usize,
    },
}

/// So many equal bytes are no accident.
const SURE: usize = 160;

fn common(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(l, r)| l == r).count()
}

/// Finds the answers in what the player received. `clears` are the numbers of bytes received before each `clear`.
///
/// # Errors
/// See [`TraceError`].
pub fn trace(items: &[&SpokenItem], received: &[u8], clears: &[usize]) -> Result<Trace, TraceError> {
    let mut traced = Vec::with_capacity(items.len());
    let mut at = 0usize;
    for (index, item) in items.iter().enumerate() {
        let rest = received.get(at..).unwrap_or_default();
        let mut length = common(&item.audio, rest);
        // A cut inside silence may look as if it went on: the next answer begins with silence too.
        let inside = clears.iter().filter(|clear| (at..at + length).contains(clear) && **clear > at).max();
        if let Some(clear) = inside {
            let next = items.get(index + 1).map_or(&[][..], |next| next.audio.as_slice());
            let after = received.get(*clear..).unwrap_or_default();
            let goes_on = common(next, after) >= SURE.min(after.len()).min(next.len().max(1));
            if !goes_on {
                return Err(TraceError::Stale { answer: index + 1, bytes: at + length - clear });
            }
            length = clear - at;
        }
        let end = at + length;
        let complete = length == item.audio.len();
        let cut = item.cancelled_at_bytes.is_some() || item.truncated_to_ms.is_some() || clears.contains(&end);
        let call_ended = end == received.len() && index + 1 == items.len();
        if !complete && !cut && !call_ended {
            return Err(TraceError::Broken { answer: index + 1, got: length, of: item.audio.len() });
        }
        traced.push(Traced { bytes: at..end, complete });
        at = end;
    }
    if at < received.len() {
        return Err(TraceError::Foreign { at, bytes: received.len() - at });
    }
    Ok(Trace { items: traced })
}

/// Whether what the provider received (per session, in order) is what was said. Between two sessions up to `seam` bytes may
/// be missing or repeated, for they were under way when the first was lost; at the call's end up to `seam` may be missing.
/// Returns how many are missing at the end.
///
/// # Errors
/// In words: where it differs.
pub fn carried(said: &[u8], received: &[&[u8]], seam: usize) -> Result<usize, String> {
    let mut at = 0usize;
    for (session, received) in received.iter().enumerate() {
        if session > 0 {
            let from = at.saturating_sub(seam);
            let window = said.get(from..said.len().min(at + seam + SURE)).unwrap_or_default();
            let start = &received[..received.len().min(SURE)];
            let found = window.windows(start.len().max(1)).position(|part| part == start);
            let Some(found) = found else {
                return Err(format!("session {} does not go on near {} ms", session + 1, at / 8));
            };
            at = from + found;
        }
        let rest = &said[at..];
        let same = common(rest, received);
        if same < received.len() {
            let place = format!("{} ms", (at + same) / 8);
            return Err(if same == rest.len() {
                format!("{} bytes more than were said, from {place} on", received.len() - same)
            } else {
                format!("it differs from {place} on")
            });
        }
        at += same;
    }
    let missing = said.len() - at;
    if missing > seam {
        return Err(format!("the last {} ms are missing", missing / 8));
    }
    Ok(missing)
}
