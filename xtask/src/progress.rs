//! What the person at the terminal sees while a long thing runs: a line when it starts, a word now and then, and how
//! long it took.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs a named piece of work, saying when it starts and how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    say(&format!("▸ {name}"));
    let result = work();
    match &result {
        Ok(_) => say(&format!("✓ {name} ({})", duration(started.elapsed()))),
        Err(_) => say(&format!("✗ {name} ({})", duration(started.elapsed()))),
    }
    result
}

/// Prints one line at once, even into a pipe.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever read our output has gone: no reason to fail.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// A duration as people say it: `0.4 s`, `12.3 s`, `3 min 5 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// A size in the units of a bundle: KB of 1000 bytes.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{} KB", bytes.div_ceil(1000)) } else { format!("{:.2} MB", bytes as f64 / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::{duration, size};
    use std::time::Duration;

    #[test]
    fn times_and_sizes_read_as_people_say_them() {
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(size(131_023), "132 KB");
        assert_eq!(size(1_120_000), "1.12 MB");
    }
}
