//! Stopping a node without dropping calls. On the first signal it takes no more streams and lets calls finish; near the
//! deadline their sessions end in good order; then they are stopped, and the facts that are left are delivered. A second
//! signal stops at once. The order of this is here; what a call does when it is told lives in its driver and session.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How far the stopping of the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is not stopping.
    Serving,
    /// Calls may finish; sessions end theirs at this moment.
    Draining {
        /// When.
        deadline: Instant,
    },
    /// Calls end now.
    Stopping,
}

/// How often somebody has asked the node to stop. Give it to [`crate::Node::run`].
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<u32>);

/// Asks a node to stop.
#[derive(Debug, Clone)]
pub struct Trigger(Arc<watch::Sender<u32>>);

/// A shutdown that a program or a test pulls by hand.
pub fn by_hand() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(0);
    (Trigger(Arc::new(sender)), Shutdown(receiver))
}

/// A shutdown that SIGTERM and SIGINT ask for (platforms disagree about which they send).
pub fn by_signals() -> std::io::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (trigger, shutdown) = by_hand();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => trigger.pull(),
                _ = interrupt.recv() => trigger.pull(),
            }
        }
    });
    Ok(shutdown)
}

impl Trigger {
    /// Once: drain. Twice: stop now.
    pub fn pull(&self) {
        self.0.send_modify(|times| *times += 1);
    }
}

impl Shutdown {
    /// Waits until somebody has asked so many times. A trigger that was dropped never asks.
    pub(crate) async fn asked(&mut self, times: u32) {
        if self.0.wait_for(|asked| *asked >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// When what happens, from the first signal on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timetable {
    /// Sessions end their calls in good order.
    pub(crate) end_calls: Instant,
    /// Calls that are still there are stopped.
    pub(crate) stop_calls: Instant,
    /// The process ends, whatever is left.
    pub(crate) exit: Instant,
}

impl Timetable {
    /// `drain` is all the time there is; the `tail` of it, at most half, is for ending calls and delivering facts.
    pub(crate) fn new(now: Instant, drain: Duration, tail: Duration) -> Self {
        let tail = tail.min(drain / 2);
        let exit = now + drain;
        Self { end_calls: exit - tail, stop_calls: exit - tail / 2, exit }
    }
}

/// How long facts may take to be delivered when a second signal has stopped the node.
pub(crate) const FLUSH_AFTER_SECOND_SIGNAL: Duration = Duration::from_secs(2);

/// How long the lines on standard output may take to be read at the end.
pub(crate) const FLUSH_LINES: Duration = Duration::from_secs(1);

/// Walks through the drain. `idle` resolves once no call and no delivery is left; `tell` hands each stage to the calls.
/// Returns when the process may end.
pub(crate) async fn walk(
    mut shutdown: Shutdown,
    timetable: Timetable,
    tell: impl Fn(Stage),
    idle: impl Future<Output = ()>,
) -> bool {
    tokio::pin!(idle);
    tell(Stage::Draining { deadline: timetable.end_calls });
    let exit = tokio::select! {
        () = &mut idle => return true,
        () = sleep_until(timetable.stop_calls) => timetable.exit,
        () = shutdown.asked(2) => Instant::now() + FLUSH_AFTER_SECOND_SIGNAL,
    };
    tell(Stage::Stopping);
    tokio::select! {
        () = &mut idle => true,
        () = sleep_until(exit) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    async fn run(calls_take: Duration, second_after: Option<Duration>) -> (Vec<(u128, bool)>, u128, bool) {
        let start = Instant::now();
        let (trigger, shutdown) = by_hand();
        trigger.pull();
        if let Some(after) = second_after {
            tokio::spawn(async move {
                sleep_until(start + after).await;
                trigger.pull();
            });
        }
        let told = Mutex::new(Vec::new());
        let timetable = Timetable::new(start, Duration::from_secs(100), Duration::from_secs(10));
        let all_gone = walk(
            shutdown,
            timetable,
            |stage| {
                let at = (Instant::now() - start).as_secs();
                told.lock().expect("no panic").push((u128::from(at), stage == Stage::Stopping));
            },
            tokio::time::sleep(calls_take),
        )
        .await;
        (told.into_inner().expect("no panic"), u128::from((Instant::now() - start).as_secs()), all_gone)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_may_finish() {
        assert_eq!(run(Duration::from_secs(60), None).await, (vec![(0, false)], 60, true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_process_ends_at_the_deadline_whatever_is_left() {
        assert_eq!(run(Duration::from_secs(500), None).await, (vec![(0, false), (95, true)], 100, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_stops_now() {
        let second = Some(Duration::from_secs(7));
        assert_eq!(run(Duration::from_secs(500), second).await, (vec![(0, false), (7, true)], 9, false));
    }
}
