//! The outbox: at most one piece of work of each kind, with a version, a due time and a lease while it is under way. Work
//! leaves the outbox only when its success was reported for the newest version; an eviction in between costs a lease, not
//! the work. What the work is made of is put together when it leaves.

use super::WorkKey;
use serde::{Deserialize, Serialize};
use shared::time::UnixMillis;
use std::collections::BTreeMap;

/// How long a piece of work may be under way before it is started again.
const LEASE_MS: i64 = 20_000;
/// The pause after the first failure; doubled with each further one.
const FIRST_PAUSE_MS: i64 = 1_000;
/// The longest pause.
const LONGEST_PAUSE_MS: i64 = 300_000;

/// What must happen outside, by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outbox {
    items: BTreeMap<WorkKey, Item>,
    /// Raised with every change, so that versions never repeat.
    version: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    version: u64,
    due: UnixMillis,
    failures: u32,
    /// Started, and the outcome is not known before this moment.
    leased_until: Option<UnixMillis>,
}

impl Outbox {
    /// Wants something done at `due` or earlier, in the state of that moment. Work that waits after a failure waits on: its
    /// newest state goes out with the next attempt.
    pub(super) fn want(&mut self, key: WorkKey, due: UnixMillis) {
        self.version += 1;
        let version = self.version;
        let item = self.items.entry(key).or_insert(Item { version, due, failures: 0, leased_until: None });
        item.version = version;
        if item.failures == 0 {
            item.due = item.due.min(due);
        }
    }

    /// No longer wants it.
    pub(super) fn drop(&mut self, key: WorkKey) {
        self.items.remove(&key);
    }

    /// Whether something of this kind waits or is under way.
    pub(super) fn has(&self, key: WorkKey) -> bool {
        self.items.contains_key(&key)
    }

    /// Takes what is due and not under way, and leases it.
    pub(super) fn take_due(&mut self, now: UnixMillis) -> Vec<(WorkKey, u64)> {
        let mut taken = Vec::new();
        for (key, item) in &mut self.items {
            if item.due <= now && item.leased_until.is_none_or(|until| until <= now) {
                item.leased_until = Some(now.plus(LEASE_MS));
                taken.push((*key, item.version));
            }
        }
        taken
    }

    /// The outcome of an attempt. Returns whether this was the newest version and it is done.
    pub(super) fn done(&mut self, key: WorkKey, version: u64, succeeded: bool, now: UnixMillis) -> bool {
        let Some(item) = self.items.get_mut(&key) else { return false };
        item.leased_until = None;
        if !succeeded {
            item.failures = item.failures.saturating_add(1);
            let pause = FIRST_PAUSE_MS.saturating_mul(1 << item.failures.saturating_sub(1).min(20));
            item.due = now.plus(pause.min(LONGEST_PAUSE_MS));
            return false;
        }
        item.failures = 0;
        if version == item.version {
            self.items.remove(&key);
            return true;
        }
        item.due = item.due.min(now);
        false
    }

    /// When the next attempt or the end of a lease comes.
    pub(super) fn next(&self) -> Option<UnixMillis> {
        self.items.values().map(|item| item.leased_until.map_or(item.due, |until| until.max(item.due))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_stays_until_its_newest_version_succeeded() {
        let mut outbox = Outbox::default();
        let at = UnixMillis;
        outbox.want(WorkKey::Project, at(0));
        assert_eq!(outbox.take_due(at(0)), [(WorkKey::Project, 1)]);
        assert_eq!(outbox.take_due(at(1)), [], "one at a time");
        outbox.want(WorkKey::Project, at(5));
        assert!(!outbox.done(WorkKey::Project, 1, true, at(6)), "a newer version waits");
        assert_eq!(outbox.take_due(at(6)), [(WorkKey::Project, 2)]);
        assert!(!outbox.done(WorkKey::Project, 2, false, at(10)));
        assert_eq!(outbox.take_due(at(1009)), [], "a pause after a failure");
        assert_eq!(outbox.take_due(at(1010)), [(WorkKey::Project, 2)]);
        assert_eq!(outbox.next(), Some(at(21_010)));
        assert_eq!(outbox.take_due(at(21_010)), [(WorkKey::Project, 2)], "its outcome never came");
        assert!(outbox.done(WorkKey::Project, 2, true, at(21_011)));
        assert_eq!(outbox.next(), None);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut outbox = Outbox::default();
        outbox.want(WorkKey::Board, UnixMillis(0));
        let mut now = UnixMillis(0);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            outbox.take_due(now);
            outbox.done(WorkKey::Board, 1, false, now);
            let next = outbox.next().unwrap();
            pauses.push(next.since(now));
            now = next;
        }
        assert_eq!(pauses[..4], [1000, 2000, 4000, 8000]);
        assert_eq!(pauses[39], LONGEST_PAUSE_MS);
    }
}
