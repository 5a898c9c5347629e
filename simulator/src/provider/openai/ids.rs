//! Ids and dice of one conversation: everything that varies comes from one seed, so the same conversation gets the same
//! ids again.

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A stream of numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, conversation: u32) -> Self {
        Self(seed ^ (u64::from(conversation) << 32).wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One of `values`, which is not empty.
    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let index = self.next().checked_rem(values.len() as u64)?;
        values.get(index as usize).copied()
    }

    /// An id as the vendor makes them: a prefix and 20 letters and digits.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        let mut id = String::with_capacity(prefix.len() + 21);
        id.push_str(prefix);
        id.push('_');
        let mut bits = 0;
        for place in 0..20 {
            if place % 10 == 0 {
                bits = self.next();
            }
            id.push(char::from(LETTERS[(bits % 62) as usize]));
            bits /= 62;
        }
        id
    }
}
