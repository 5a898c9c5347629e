//! The measured programs: started on their core, their CPU time and memory read from `/proc`, ended with the benchmark.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Puts this thread, and every program it starts from now on, on one core. `false`: there is no such core.
pub(super) fn pin(core: usize) -> Result<bool> {
    if std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 && core > 0 {
        return Ok(false);
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores).is_ok())
}

/// A program that is ended when it is dropped.
pub(super) struct Running {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    // The plan must exist until the node has read it.
    _files: Option<Plan>,
}

struct Plan(std::path::PathBuf);

impl Drop for Plan {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the node with a plan whose provider is at `provider`.
pub(super) fn node(program: &Path, provider: SocketAddr, calls: usize) -> Result<Running> {
    let path = std::env::temp_dir().join(format!("trunkline-bench-{}.toml", std::process::id()));
    let mut file = fs::File::create(&path)?;
    let plan = Plan(path);
    writeln!(file, "provider = \"openai\"\n[limits]\nmaxDurationS = 14400\nsilenceS = 3600")?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PORT", "0")
        .env("STANDALONE_PLAN", &plan.0)
        .env("OPENAI_REALTIME_URL", format!("ws://{provider}/v1/realtime"))
        .env("OPENAI_API_KEY", "benchmark")
        .env("MAX_CALLS", (calls + 16).to_string())
        .env("LOG", "error");
    start(command, Some(plan)).with_context(|| format!("cannot start {}", program.display()))
}

/// Starts this very program as the null relay: the same words, other arguments.
pub(super) fn null_relay(upstream: SocketAddr) -> Result<Running> {
    let words = std::env::args_os().skip(1).take_while(|word| !word.to_string_lossy().starts_with('-'));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).arg("--null-relay").arg(upstream.to_string());
    start(command, None).context("cannot start the null relay")
}

fn start(mut command: Command, files: Option<Plan>) -> Result<Running> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().map(BufReader::new);
    Ok(Running { child, stdout, _files: files })
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens; its further lines are read and forgotten.
    pub(super) fn listening(&mut self) -> Result<SocketAddr> {
        let mut stdout = self.stdout.take().context("asked twice")?;
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let said: serde_json::Value = serde_json::from_str(&line).context("it did not start")?;
        let address = said.get("listening").and_then(serde_json::Value::as_str).context("it did not start")?.parse()?;
        std::thread::spawn(move || stdout.lines().for_each(drop));
        Ok(address)
    }
}

/// A moment of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) at: Instant,
    /// On a core since it began, all threads, user and system.
    pub(super) cpu: Duration,
    pub(super) resident_kib: u64,
}

impl Measured {
    pub(super) fn of(pid: u32) -> Result<Self> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident_kib = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Self {
            at: Instant::now(),
            cpu: Duration::from_nanos(nanoseconds),
            resident_kib: resident_kib.context("no VmRSS")?,
        })
    }
}
