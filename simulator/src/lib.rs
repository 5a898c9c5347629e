//! Stub.

pub mod speech;
