//! How long anything outside may take. A Durable Object that died never answers and a peer may be silent for ever, so
//! nothing is awaited without a bound. What the waiting was for lives with the one who waits.

use futures::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use worker::Delay;

/// A Durable Object's answer.
pub(crate) const OBJECT: Duration = Duration::from_secs(4);
/// A batch of statements on D1.
pub(crate) const DATABASE: Duration = Duration::from_secs(5);
/// An answer of Twilio's REST service, body included.
pub(crate) const TWILIO: Duration = Duration::from_secs(10);

/// The work's result, or none when it took longer; then the work is dropped where it stands.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(Delay::from(limit))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}
