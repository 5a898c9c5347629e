//! How fast a watcher may speak: browsers have next to nothing to say, so whoever sends more than a few messages a second is
//! broken or hostile. Counted in memory alone: an object that has time to forget is not being flooded. Closing the socket is
//! the shell's matter.

use crate::call_room::SocketId;
use shared::time::UnixMillis;
use std::collections::BTreeMap;

/// Most messages of one socket in one second.
pub const MOST_A_SECOND: u32 = 20;
const SECOND_MS: i64 = 1_000;

/// The messages of each socket in its current second.
#[derive(Debug, Default)]
pub struct Pace {
    seen: BTreeMap<SocketId, (UnixMillis, u32)>,
}

impl Pace {
    /// Counts a message. False: too many, the socket is to be closed.
    pub fn take(&mut self, socket: &SocketId, now: UnixMillis) -> bool {
        // Sockets that have said nothing for a second need no entry: there are never more than those that speak.
        self.seen.retain(|_, (since, _)| now.since(*since) < SECOND_MS);
        let (_, count) = self.seen.entry(socket.clone()).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= MOST_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_a_second_and_not_one_more() {
        let mut pace = Pace::default();
        let (loud, quiet) = (SocketId("loud".into()), SocketId("quiet".into()));
        for n in 0..20 {
            assert!(pace.take(&loud, UnixMillis(n)));
        }
        assert!(!pace.take(&loud, UnixMillis(999)));
        assert!(pace.take(&quiet, UnixMillis(999)), "others are not to blame");
        assert!(pace.take(&loud, UnixMillis(1_000)));
        assert_eq!(pace.seen.len(), 2);
    }
}
