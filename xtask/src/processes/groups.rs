//! The process groups that are alive now, and our being asked to end: one list for the whole program, because a signal
//! finds only statics.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::LOOK_EVERY;

/// The lock, whoever panicked while holding it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The groups that are alive now, and whether we were asked to end.
#[derive(Default)]
pub(super) struct Groups {
    /// By their leaders.
    pub(super) alive: Vec<Pid>,
    /// Whether we were asked to end.
    pub(super) interrupted: bool,
}

/// The one list.
pub(super) static GROUPS: LazyLock<(Mutex<Groups>, Condvar)> = LazyLock::new(Default::default);

/// We were asked to end: every group has been told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Makes SIGINT, SIGTERM and SIGHUP stop every group. The program then ends by itself, since everything that it waits
/// for has ended; a second signal kills what is left and ends at once.
pub(crate) fn stop_all_on_signals() -> Result<()> {
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
    std::thread::spawn(move || {
        let mut seen = 0;
        for _signal in signals.forever() {
            seen += 1;
            let mut groups = lock(&GROUPS.0);
            groups.interrupted = true;
            let signal = if seen == 1 { Signal::TERM } else { Signal::KILL };
            for group in &groups.alive {
                // A group that has just ended is what we want.
                let _ = rustix::process::kill_process_group(*group, signal);
            }
            GROUPS.1.notify_all();
            if seen > 1 {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}

/// Whether we were asked to end.
pub(crate) fn interrupted() -> bool {
    lock(&GROUPS.0).interrupted
}

/// Waits until we are asked to end.
pub(crate) fn wait_for_interrupt() {
    let mut groups = lock(&GROUPS.0);
    while !groups.interrupted {
        groups = GROUPS.1.wait(groups).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Fails with [`Interrupted`] when we were asked to end.
pub(crate) fn check_interrupt() -> Result<()> {
    if interrupted() { bail!(Interrupted) } else { Ok(()) }
}

/// The programs of a group that outlive its leader, given a moment to end by themselves. Known on Linux only.
pub(super) fn survivors(group: Pid, patience: Duration) -> Vec<String> {
    let until = Instant::now() + patience;
    loop {
        let names = members(group);
        if names.is_empty() || Instant::now() >= until {
            return names;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The living members of a group besides its leader, by name, from the process table.
fn members(group: Pid) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(entries) = std::fs::read_dir("/proc") else { return names };
    for entry in entries.flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // "pid (name) state parent group …"; the name may itself contain parentheses and spaces.
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let Some((pid, name)) = head.split_once(" (") else { continue };
        let mut fields = tail.split(' ');
        let (state, _parent, of_group) = (fields.next(), fields.next(), fields.next());
        let is_member = of_group.and_then(|id| id.parse().ok()) == Some(group.as_raw_nonzero().get());
        if is_member && state != Some("Z") && pid.parse() != Ok(group.as_raw_nonzero().get()) {
            names.push(name.to_owned());
        }
    }
    names
}
