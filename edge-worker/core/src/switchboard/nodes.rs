//! The media nodes: who has a lease, how full each is, and who gets the next call. Signatures were checked before.

use super::SignedHeartbeat;
use crate::call_room::NodeChoice;
use serde::{Deserialize, Serialize};
use shared::console_api::NodeView;
use shared::ids::NodeId;
use shared::node_api::{Heartbeat, LEASE_MS};
use shared::node_auth::TOLERANCE_MS;
use shared::time::UnixMillis;
use std::collections::{BTreeMap, VecDeque};

/// Most nodes remembered; the longest silent one goes first.
const MOST_NODES: usize = 256;
/// Most nonces remembered.
const MOST_NONCES: usize = 16_384;
/// A call that was given to a node counts for this long, until the node's own figure has it.
const ASSIGNED_MS: i64 = 3_000;
/// A node that has been silent this long is forgotten.
const FORGET_MS: i64 = 3_600_000;
/// After the object was loaded anew, nodes seen this recently get the time for their next heartbeat.
const RELOAD_GRACE_MS: i64 = 3_000;
const RELOAD_RECENT_MS: i64 = 60_000;
/// How often an unchanged node is written down.
const WRITE_EVERY_MS: i64 = 20_000;

/// A node as remembered and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeEntry {
    pub(super) heartbeat: Heartbeat,
    /// When it signed, by its clock: the next must be later.
    pub(super) signed_at: UnixMillis,
    /// When it arrived.
    pub(super) seen_at: UnixMillis,
    #[serde(skip)]
    lease_until: UnixMillis,
    #[serde(skip)]
    assigned: VecDeque<UnixMillis>,
    #[serde(skip)]
    written_at: UnixMillis,
}

impl NodeEntry {
    fn is_alive(&self, now: UnixMillis) -> bool {
        now < self.lease_until
    }

    /// Calls that it carries or is about to.
    fn load(&self, now: UnixMillis) -> u32 {
        let assigned = self.assigned.iter().filter(|at| now.since(**at) < ASSIGNED_MS).count();
        self.heartbeat.live_calls.saturating_add(u32::try_from(assigned).unwrap_or(u32::MAX))
    }
}

/// What a heartbeat was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was seen before, or is older than one that was.
    Replayed,
    /// Taken.
    Taken {
        /// Somebody who watches sees a difference.
        visible: bool,
        /// It is time to write the node down.
        write: bool,
    },
}

/// The table of nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: BTreeMap<NodeId, NodeEntry>,
    nonces: BTreeMap<(NodeId, String), UnixMillis>,
}

impl Nodes {
    /// Takes back what was stored.
    pub(super) fn restore(&mut self, mut entry: NodeEntry, now: UnixMillis) {
        let own = entry.seen_at.plus(LEASE_MS);
        let recent = now.since(entry.seen_at) < RELOAD_RECENT_MS;
        entry.lease_until = if recent { own.max(now.plus(RELOAD_GRACE_MS)) } else { own };
        entry.written_at = entry.seen_at;
        self.nodes.insert(entry.heartbeat.node.clone(), entry);
    }

    /// Takes a heartbeat.
    pub(super) fn take(&mut self, signed: SignedHeartbeat, now: UnixMillis) -> Taken {
        let SignedHeartbeat { heartbeat, at, nonce } = signed;
        self.nonces.retain(|_, seen| now.since(*seen) <= 2 * TOLERANCE_MS);
        let key = (heartbeat.node.clone(), nonce);
        if self.nonces.contains_key(&key) || self.nonces.len() >= MOST_NONCES {
            return Taken::Replayed;
        }
        let before = self.nodes.get(&heartbeat.node);
        if before.is_some_and(|old| old.signed_at >= at) {
            return Taken::Replayed;
        }
        self.nonces.insert(key, now);
        let visible = before.is_none_or(|old| old.heartbeat != heartbeat || !old.is_alive(now));
        let changed = before
            .is_none_or(|old| Heartbeat { live_calls: heartbeat.live_calls, ..old.heartbeat.clone() } != heartbeat);
        let write = changed || before.is_none_or(|old| now.since(old.written_at) >= WRITE_EVERY_MS);
        let written_at = if write { now } else { before.map_or(now, |old| old.written_at) };
        let assigned = before.map(|old| old.assigned.clone()).unwrap_or_default();
        let node = heartbeat.node.clone();
        let entry =
            NodeEntry { heartbeat, signed_at: at, seen_at: now, lease_until: now.plus(LEASE_MS), assigned, written_at };
        self.nodes.insert(node, entry);
        if self.nodes.len() > MOST_NODES
            && let Some(oldest) = self.nodes.values().min_by_key(|n| n.seen_at).map(|n| n.heartbeat.node.clone())
        {
            self.nodes.remove(&oldest);
        }
        Taken::Taken { visible, write }
    }

    /// The stored form of a node.
    pub(super) fn entry(&self, node: &NodeId) -> Option<&NodeEntry> {
        self.nodes.get(node)
    }

    /// Gives the next call to the least loaded node that is alive, not draining and not full. `avoid` gets it only when
    /// nobody else can. None: nobody can.
    pub(super) fn choose(&mut self, avoid: Option<&NodeId>, now: UnixMillis) -> Option<NodeChoice> {
        let fit = |n: &&mut NodeEntry| n.is_alive(now) && !n.heartbeat.draining && n.load(now) < n.heartbeat.capacity;
        let entry = self.nodes.values_mut().filter(fit).min_by(|a, b| {
            let avoided = |n: &NodeEntry| avoid == Some(&n.heartbeat.node);
            // load a / capacity a against load b / capacity b, without dividing.
            let part = |x: &NodeEntry, y: &NodeEntry| u64::from(x.load(now)) * u64::from(y.heartbeat.capacity);
            (avoided(a), part(a, b)).cmp(&(avoided(b), part(b, a)))
        })?;
        entry.assigned.retain(|at| now.since(*at) < ASSIGNED_MS);
        entry.assigned.push_back(now);
        Some(NodeChoice { node: entry.heartbeat.node.clone(), url: entry.heartbeat.url.clone() })
    }

    /// All nodes for the board.
    pub(super) fn views(&self, now: UnixMillis) -> Vec<NodeView> {
        self.nodes
            .values()
            .map(|n| NodeView {
                node: n.heartbeat.node.clone(),
                region: n.heartbeat.region.clone(),
                capacity: n.heartbeat.capacity,
                live_calls: n.heartbeat.live_calls,
                draining: n.heartbeat.draining,
                alive: n.is_alive(now),
                seen_at: n.seen_at,
                version: n.heartbeat.version.clone(),
            })
            .collect()
    }

    /// Who is alive, to notice when somebody no longer is.
    pub(super) fn alive(&self, now: UnixMillis) -> Vec<NodeId> {
        self.nodes.values().filter(|n| n.is_alive(now)).map(|n| n.heartbeat.node.clone()).collect()
    }

    /// Forgets nodes that have been silent for long; their names.
    pub(super) fn forget(&mut self, now: UnixMillis) -> Vec<NodeId> {
        let silent: Vec<NodeId> = self
            .nodes
            .values()
            .filter(|n| now.since(n.seen_at) > FORGET_MS)
            .map(|n| n.heartbeat.node.clone())
            .collect();
        for node in &silent {
            self.nodes.remove(node);
        }
        silent
    }
}
