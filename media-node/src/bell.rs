//! Which socket has woken its task. A task with several sockets is woken by any of them; polling the others then costs as
//! much as polling the right one. A bell stands between a socket and the task and remembers who rang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// What the socket rings.
struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        // Rung twice before anybody looked: the task knows already.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.task.wake_by_ref();
        }
    }
}

/// The task's side of a bell.
pub(crate) struct Doorbell {
    bell: Arc<Bell>,
    waker: Waker,
}

impl Doorbell {
    /// A bell that nobody has rung, for the socket's next poll.
    pub(crate) fn new(task: &Waker) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(false), task: task.clone() });
        Self { waker: Waker::from(Arc::clone(&bell)), bell }
    }

    /// Whether it was rung since the last time it was asked.
    pub(crate) fn was_rung(&self) -> bool {
        self.bell.rung.swap(false, Ordering::AcqRel)
    }

    /// Whether it rings for this task.
    pub(crate) fn is_for(&self, task: &Waker) -> bool {
        self.bell.task.will_wake(task)
    }

    /// What the socket is polled with.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

impl std::fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doorbell")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    struct Task(AtomicU32);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    #[test]
    fn it_wakes_its_task_once_until_somebody_looks() {
        let task = Arc::new(Task(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&task));
        let (ours, other) = (Doorbell::new(&waker), Doorbell::new(&waker));
        assert!(!ours.was_rung() && ours.is_for(&waker) && !ours.is_for(Waker::noop()));
        ours.context().waker().wake_by_ref();
        ours.context().waker().wake_by_ref();
        assert_eq!(task.0.load(Ordering::Acquire), 1);
        assert!(ours.was_rung() && !ours.was_rung() && !other.was_rung());
        ours.context().waker().wake_by_ref();
        assert_eq!(task.0.load(Ordering::Acquire), 2);
    }
}
