//! The edge as a node sees it: one socket to each call's room ([`room`]), which brings the plan and takes the facts
//! ([`spool`]), and one heartbeat for all ([`heartbeat`]). Messages are those of `shared::node_api`; what a call does with an
//! order is its session's.

pub(crate) mod heartbeat;
pub(crate) mod room;
pub(crate) mod spool;
