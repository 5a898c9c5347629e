//! What a program prints: kept line by line for those who wait for a line, written to its log, echoed when asked.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::groups::lock;
use crate::progress::say;

/// Lines of output that are kept in memory for messages; the log file has them all.
const KEPT_LINES: usize = 400;
/// How often a long run shows a line.
const PULSE: Duration = Duration::from_secs(10);

/// What becomes of the lines a program prints, besides being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Nothing.
    Silent,
    /// Printed to our standard output as they are.
    Lines,
    /// One of them now and then, so that a long run is seen to move.
    Pulse,
}

/// What a program printed so far, both streams in order of arrival.
#[derive(Default)]
pub(super) struct Output {
    /// The last lines.
    pub(super) lines: VecDeque<String>,
    /// Lines that have been dropped from the front of `lines`.
    pub(super) dropped: usize,
    /// Streams that are still open.
    pub(super) open: u8,
    /// How it ended.
    pub(super) exited: Option<ExitStatus>,
    /// Programs of its group that outlived it.
    pub(super) leftovers: Vec<String>,
}

/// The output of one program with those who wait for it.
#[derive(Default)]
pub(super) struct Shared {
    /// It.
    pub(super) output: Mutex<Output>,
    /// Told of every change.
    pub(super) changed: Condvar,
}

/// Copies one stream line by line until it ends.
pub(super) fn pump(
    stream: impl std::io::Read + Send + 'static,
    shared: Arc<Shared>,
    log: Option<Arc<Mutex<File>>>,
    echo: Echo,
    name: String,
) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        let mut told = Instant::now();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if let Some(log) = &log {
                // The log is a convenience: a full disk must not end the program that writes.
                let _ = writeln!(lock(log), "{line}");
            }
            match echo {
                Echo::Silent => {}
                Echo::Lines => say(&line),
                Echo::Pulse => {
                    if told.elapsed() >= PULSE && !line.trim().is_empty() {
                        say(&format!("  {name}: {}", line.trim()));
                        told = Instant::now();
                    }
                }
            }
            let mut output = lock(&shared.output);
            output.lines.push_back(line);
            if output.lines.len() > KEPT_LINES {
                output.lines.pop_front();
                output.dropped += 1;
            }
            shared.changed.notify_all();
        }
        lock(&shared.output).open -= 1;
        shared.changed.notify_all();
    });
}
