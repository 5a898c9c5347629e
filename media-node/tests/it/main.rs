//! The node on real sockets, in this process: a telephone on one side, a room and a provider on the other, all hand-made
//! from the vendors' documentation and not from our own encoders.

mod abuse;
mod calls;
mod doors;
mod draining;
mod privacy;
mod process;
mod room;
mod support;
