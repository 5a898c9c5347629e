//! Who may come in: a permit is taken before the upgrade and moved into the call's task, so that an accepted stream is never
//! turned away later. Sockets that have not said `start` are bounded more tightly than calls, so that idle ones cannot take
//! every place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The node's places.
#[derive(Debug)]
pub struct Admission {
    capacity: usize,
    calls: Arc<Semaphore>,
    pending: Arc<Semaphore>,
    draining: AtomicBool,
}

/// Why a stream is turned away before its upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The node is shutting down.
    #[error("draining")]
    Draining,
    /// Every place is taken.
    #[error("full")]
    Full,
    /// Too many sockets have not said `start` yet.
    #[error("too many pending")]
    Pending,
}

impl Refused {
    /// The word in metrics and in the answer's body.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Full => "full",
            Self::Pending => "pending",
        }
    }
}

/// A place on the node; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    _call: OwnedSemaphorePermit,
    pending: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// The stream has said `start`: somebody else may wait now.
    pub fn started(&mut self) {
        self.pending = None;
    }
}

impl Admission {
    /// A node with this many places. Half of them, but at least 8 and at most 256, may be taken by sockets without `start`.
    pub fn new(capacity: usize) -> Self {
        let pending = (capacity / 2).clamp(8, 256);
        Self {
            capacity,
            calls: Arc::new(Semaphore::new(capacity)),
            pending: Arc::new(Semaphore::new(pending)),
            draining: AtomicBool::new(false),
        }
    }

    /// Takes a place.
    pub fn admit(&self) -> Result<Permit, Refused> {
        if self.is_draining() {
            return Err(Refused::Draining);
        }
        let pending = Arc::clone(&self.pending).try_acquire_owned().map_err(|_| Refused::Pending)?;
        let call = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Refused::Full)?;
        Ok(Permit { _call: call, pending: Some(pending) })
    }

    /// From now on nobody is admitted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the node takes no more streams for good.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The places in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The places that are taken.
    pub fn live(&self) -> usize {
        self.capacity - self.calls.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_sockets_cannot_take_every_place() {
        let admission = Admission::new(20);
        let mut permits: Vec<_> = (0..10).map(|_| admission.admit().expect("a place")).collect();
        assert_eq!(admission.admit().err(), Some(Refused::Pending));
        for permit in &mut permits {
            permit.started();
        }
        permits.extend((0..10).map(|_| {
            let mut permit = admission.admit().expect("a place");
            permit.started();
            permit
        }));
        assert_eq!((admission.live(), admission.admit().err()), (20, Some(Refused::Full)));
        drop(permits);
        assert_eq!(admission.live(), 0);
        admission.drain();
        assert_eq!(admission.admit().err(), Some(Refused::Draining));
    }
}
