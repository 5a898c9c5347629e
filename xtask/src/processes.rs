//! Programs that we start: each in a process group of its own, its output kept, stopped by SIGTERM to the whole group
//! and waited for. Ctrl-C and SIGTERM to us stop them all. Which programs, and what their output means, is not known here.

mod groups;
mod output;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use self::groups::{GROUPS, lock, survivors};
use self::output::{Shared, pump};

pub(crate) use self::groups::{Interrupted, check_interrupt, interrupted, stop_all_on_signals, wait_for_interrupt};
pub(crate) use self::output::Echo;

/// How long a group may take to end after SIGTERM before it is killed: wrangler needs one to three seconds.
const GRACE: Duration = Duration::from_secs(15);
/// How often a fact that nobody announces (a port, a process table) is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    command: Command,
    echo: Echo,
    log: Option<PathBuf>,
    input: Option<String>,
}

impl Program {
    /// A program by its file, called by its file's name in messages.
    pub(crate) fn new(file: impl AsRef<OsStr>) -> Self {
        let file = file.as_ref();
        let name = Path::new(file).file_name().unwrap_or(file).to_string_lossy().into_owned();
        Self { name, command: Command::new(file), echo: Echo::Silent, log: None, input: None }
    }

    /// Another name for messages.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// One argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Several arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// One variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Several variables.
    pub(crate) fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self {
        self.command.envs(vars);
        self
    }

    /// Without one inherited variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Starts it with nothing of our environment but what it needs to find programs and a home.
    pub(crate) fn bare_env(mut self) -> Self {
        self.command.env_clear();
        for name in ["PATH", "HOME", "TMPDIR", "LANG", "TERM", "USER"] {
            if let Some(value) = std::env::var_os(name) {
                self.command.env(name, value);
            }
        }
        self
    }

    /// The folder it runs in.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// A file that gets all its output.
    pub(crate) fn log(mut self, log: PathBuf) -> Self {
        self.log = Some(log);
        self
    }

    /// A short text for its standard input, which is otherwise empty. For secrets, which no command line may show.
    pub(crate) fn input(mut self, text: String) -> Self {
        self.input = Some(text);
        self
    }

    /// What becomes of its lines.
    pub(crate) fn echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }

    /// The command line, for messages: never its variables, which may hold secrets.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end and returns how it ended.
    pub(crate) fn run(self) -> Result<Finished> {
        self.start()?.wait()
    }

    /// Runs it and fails, with its last lines, unless it ends well.
    pub(crate) fn succeed(self) -> Result<Finished> {
        let finished = self.run()?;
        if finished.status.success() { Ok(finished) } else { Err(finished.failure()) }
    }

    /// Starts it and returns at once.
    pub(crate) fn start(mut self) -> Result<Running> {
        use std::os::unix::process::CommandExt as _;
        let line = self.line();
        let log = match &self.log {
            Some(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                Some(Arc::new(Mutex::new(File::create(path).with_context(|| format!("creating {}", path.display()))?)))
            }
            None => None,
        };
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let (mut child, group) = {
            // Under the lock, so that a signal either finds this group in the list or keeps it from starting.
            let mut groups = lock(&GROUPS.0);
            if groups.interrupted {
                return Err(Interrupted.into());
            }
            let child = self.command.spawn().with_context(|| format!("starting {line}"))?;
            let group = Pid::from_child(&child);
            groups.alive.push(group);
            (child, group)
        };
        let shared = Arc::new(Shared::default());
        lock(&shared.output).open = 2;
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), self.input.take()) {
            // A program that does not read its input says itself what it misses.
            std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        }
        if let Some(stream) = child.stdout.take() {
            pump(stream, Arc::clone(&shared), log.clone(), self.echo, self.name.clone());
        }
        if let Some(stream) = child.stderr.take() {
            pump(stream, Arc::clone(&shared), log, self.echo, self.name.clone());
        }
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || {
            // The leader stays a zombie while we look after its group, so that its number cannot be another's meanwhile.
            let _ = rustix::process::waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            let leftovers = survivors(group, Duration::from_secs(2));
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            survivors(group, Duration::from_secs(2));
            // A status that cannot be read counts as a failure.
            let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(1 << 8));
            lock(&GROUPS.0).alive.retain(|other| *other != group);
            GROUPS.1.notify_all();
            let mut output = lock(&watched.output);
            output.exited = Some(status);
            output.leftovers = leftovers;
            watched.changed.notify_all();
        });
        Ok(Running { name: self.name, group, shared, log: self.log, seen: 0, echo: self.echo })
    }
}

/// A program that was started. Dropping it stops it and waits for its end.
pub(crate) struct Running {
    name: String,
    group: Pid,
    shared: Arc<Shared>,
    log: Option<PathBuf>,
    seen: usize,
    echo: Echo,
}

impl Running {
    /// Waits until it prints a line for which `wanted` answers something, looking only at lines not looked at before.
    /// Fails when it ends first, when `patience` is over or when we are interrupted.
    pub(crate) fn wait_for_line<T>(&mut self, patience: Duration, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        let until = Instant::now() + patience;
        let mut output = lock(&self.shared.output);
        loop {
            let fresh = output.lines.iter().skip(self.seen.saturating_sub(output.dropped));
            if let Some(found) = fresh.into_iter().find_map(|line| wanted(line)) {
                self.seen = output.dropped + output.lines.len();
                return Ok(found);
            }
            self.seen = output.dropped + output.lines.len();
            if output.exited.is_some() {
                drop(output);
                return Err(self.ended().context(format!("{} ended before it was ready", self.name)));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(output);
                return Err(self.ended().context(format!("{} was not ready after {patience:?}", self.name)));
            }
            output = self.shared.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until an HTTP GET of this address is answered with 2xx and a body that `suits`, under the same conditions.
    pub(crate) fn wait_for_http(&self, patience: Duration, url: &str, suits: impl Fn(&str) -> bool) -> Result<()> {
        let until = Instant::now() + patience;
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .timeout_global(Some(Duration::from_secs(5)))
                .http_status_as_error(false)
                .proxy(None)
                .build(),
        );
        loop {
            let answer = match agent.get(url).call() {
                Ok(mut response) => {
                    let body = response.body_mut().read_to_string().unwrap_or_default();
                    if response.status().is_success() && suits(&body) {
                        return Ok(());
                    }
                    format!("{} {body}", response.status())
                }
                Err(error) => error.to_string(),
            };
            if lock(&self.shared.output).exited.is_some() {
                return Err(self.ended().context(format!("{} ended before {url} answered", self.name)));
            }
            if Instant::now() >= until {
                return Err(self.ended().context(format!("{url} is not as expected after {patience:?}: {answer}")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits for its end and for the end of its output.
    pub(crate) fn wait(self) -> Result<Finished> {
        let mut output = lock(&self.shared.output);
        while output.exited.is_none() {
            output = self.shared.changed.wait(output).unwrap_or_else(PoisonError::into_inner);
        }
        // Its streams end with it, unless something left its group and kept them.
        let until = Instant::now() + Duration::from_secs(5);
        while output.open > 0 && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            output = self.shared.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let status = output.exited.context("ended without a status")?;
        let finished = Finished {
            name: self.name.clone(),
            status,
            tail: output.lines.iter().cloned().collect(),
            log: self.log.clone(),
            was_shown: self.echo == Echo::Lines,
            leftovers: output.leftovers.clone(),
        };
        drop(output);
        if interrupted() {
            return Err(Interrupted.into());
        }
        Ok(finished)
    }

    /// Waits for its end, but no longer than this; then it is stopped, which is an error.
    pub(crate) fn wait_within(self, patience: Duration) -> Result<Finished> {
        self.see_end(patience)?;
        self.wait()
    }

    /// Waits until it has ended and says how; an error when it has not after so long.
    pub(crate) fn see_end(&self, patience: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + patience;
        let mut output = lock(&self.shared.output);
        loop {
            if let Some(status) = output.exited {
                return Ok(status);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(output);
                return Err(self.ended().context(format!("{} did not end within {patience:?}", self.name)));
            }
            output = self.shared.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks its group to end, waits, and kills it when the grace is over. Answers whether it went by itself.
    pub(crate) fn stop(&self) -> bool {
        let mut output = lock(&self.shared.output);
        if output.exited.is_some() {
            return true;
        }
        let _ = rustix::process::kill_process_group(self.group, Signal::TERM);
        let until = Instant::now() + GRACE;
        while output.exited.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
                while output.exited.is_none() {
                    output = self.shared.changed.wait(output).unwrap_or_else(PoisonError::into_inner);
                }
                return false;
            }
            output = self.shared.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Asks its group to end (SIGTERM) and does not wait.
    pub(crate) fn ask_to_stop(&self) {
        let _ = rustix::process::kill_process_group(self.group, Signal::TERM);
    }

    /// Kills its group (SIGKILL), as a machine that dies would, and waits until it is gone.
    pub(crate) fn kill(&self) {
        let mut output = lock(&self.shared.output);
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        while output.exited.is_none() {
            output = self.shared.changed.wait(output).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The error for a program that ended, or is not ready, with its last lines.
    fn ended(&self) -> anyhow::Error {
        if interrupted() {
            return Interrupted.into();
        }
        let lines: Vec<String> = lock(&self.shared.output).lines.iter().cloned().collect();
        anyhow!("last lines of {}:\n{}", self.name, last(&lines, 30))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its name in messages.
    pub(crate) name: String,
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its last lines.
    pub(crate) tail: Vec<String>,
    /// The file with all its lines.
    pub(crate) log: Option<PathBuf>,
    /// Whether the person has seen its lines already.
    was_shown: bool,
    /// Programs of its group that were still there when it ended; they have been killed.
    pub(crate) leftovers: Vec<String>,
}

impl Finished {
    /// The error that says how it failed.
    pub(crate) fn failure(&self) -> anyhow::Error {
        let log = self.log.as_ref().map_or_else(String::new, |log| format!("\nall it printed: {}", log.display()));
        let lines = if self.was_shown { String::new() } else { format!("\n{}", last(&self.tail, 60)) };
        anyhow!("{} ended with {}{lines}{log}", self.name, self.status)
    }

    /// All it printed: from the log when there is one, else its last lines.
    pub(crate) fn text(&self) -> Result<String> {
        match &self.log {
            Some(log) => {
                let bytes = std::fs::read(log).with_context(|| format!("reading {}", log.display()))?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            None => Ok(self.tail.join("\n")),
        }
    }
}

fn last(lines: &[String], count: usize) -> String {
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

/// The file of a program that is on this search path.
pub(crate) fn find_program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    std::env::split_paths(search_path)
        .map(|folder| folder.join(name))
        .find(|file| file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}

/// The inherited search path.
pub(crate) fn inherited_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

#[cfg(test)]
mod tests;
