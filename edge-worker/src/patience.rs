//! How long anything outside may take. A Durable Object that died never answers and a peer may be silent for ever, so
//! nothing is awaited without a bound. What the waiting was for lives with the one who waits.

use crate::world::World;
use edge_core::ports::Patience;
use edge_core::switchboard::VAULT_OBJECT;
use futures::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use worker::Delay;

/// A Durable Object's answer. Twilio waits four seconds for an answer that takes up to three of these in a row.
pub(crate) const OBJECT: Duration = Duration::from_millis(1_200);
/// The vault's answer: a password's hash takes long by design, and nobody is on the telephone.
pub(crate) const VAULT: Duration = Duration::from_secs(4);
/// A batch of statements on D1.
pub(crate) const DATABASE: Duration = Duration::from_secs(5);
/// An answer of Twilio's REST service, body included.
pub(crate) const TWILIO: Duration = Duration::from_secs(10);

/// How long the object of this name may take.
pub(crate) fn of_object(name: &str) -> Duration {
    if name == VAULT_OBJECT { VAULT } else { OBJECT }
}

impl Patience for World {
    async fn wait(&self, millis: u32) {
        Delay::from(Duration::from_millis(u64::from(millis))).await;
    }
}

/// The work's result, or none when it took longer; then the work is dropped where it stands.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(Delay::from(limit))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}
