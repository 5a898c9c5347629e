//! A task's one timer. Most deadlines of a call move with every frame; the timer is left where it is when a deadline moves
//! away, and only set anew when one comes nearer or when it has rung. A ring too early costs one look, fifty times less
//! than registering a timer per frame.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The shortest time to the next ring: the runtime's clock has milliseconds, and a deadline that stays in the past must not
/// keep a task spinning.
const SHORTEST: Duration = Duration::from_millis(1);

/// A lazy timer. It belongs to one task: the waker is left with the runtime once per setting, not once per poll.
#[derive(Debug)]
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new(now: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(now)), set: None }
    }

    /// Makes sure that the task is woken at `wanted`, or earlier.
    pub(crate) fn set(&mut self, cx: &mut Context<'_>, now: Instant, wanted: Option<Instant>) {
        let Some(wanted) = wanted else { return };
        if self.set.is_some_and(|set| set > now && set <= wanted) {
            return;
        }
        let wanted = wanted.max(now + SHORTEST);
        self.sleep.as_mut().reset(wanted);
        self.set = Some(wanted);
        if self.sleep.as_mut().poll(cx).is_ready() {
            self.set = None;
            cx.waker().wake_by_ref();
        }
    }
}

/// The earlier of two deadlines, either of which may be absent.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_the_nearest_deadline_and_again_for_a_later_one() {
        let start = Instant::now();
        let mut alarm = Alarm::new(start);
        let mut rings = Vec::new();
        poll_fn(|cx| {
            let now = Instant::now();
            let passed = (now - start).as_millis();
            if passed > 0 {
                rings.push(passed);
            }
            // The deadline moves away while time passes, as a silence timer does with every frame.
            let wanted = if passed < 100 { Duration::from_millis(100) } else { Duration::from_millis(250) };
            alarm.set(cx, now, Some(start + wanted + Duration::from_millis(50)));
            alarm.set(cx, now, Some(start + wanted));
            alarm.set(cx, now, Some(start + wanted * 2));
            alarm.set(cx, now, None);
            if rings.len() == 2 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert_eq!(rings, [100, 250]);
    }
}
