//! The product's pure machines against the simulator's in virtual time, and the simulator's own service over real sockets.

mod barge_in;
mod codec;
mod edge;
mod rest;
mod walk;
