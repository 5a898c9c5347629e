//! The whole of Trunkline on this machine: the Worker in the local Workers runtime, its database, one media node. Used by
//! `demo` and `dev`; who calls, and with which keys, is their matter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Pid;

use crate::checkout::Checkout;
use crate::keys::{self, TicketKeys};
use crate::ports::reserve_ports;
use crate::processes::{Echo, Program, Running};
use crate::progress::{duration, say, step};
use crate::steps::WRANGLER_VARS;
use crate::{tools, worker};

/// How long a local server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name of the database in wrangler.toml.
const DATABASE: &str = "trunkline";

/// The release programs.
pub(crate) struct Programs {
    /// The media node.
    pub(crate) media_node: PathBuf,
    /// The simulator.
    pub(crate) simulator: PathBuf,
}

/// Installs what is missing, builds what a local run needs (the native programs, the console and, unless wrangler is to
/// build it, the Worker) and applies the migrations to the database in `state`.
pub(crate) fn build(checkout: &Checkout, with_worker: bool, state: &Path, folder: &RunFolder) -> Result<Programs> {
    step("tools", || tools::for_building(checkout).map(drop))?;
    // Each is made by another compiler and waits for other things: all at once keeps every core busy.
    std::thread::scope(|scope| {
        let console = scope.spawn(|| step("console", || console(checkout)));
        let database = scope.spawn(|| step("database", || migrate(checkout, state, folder)));
        let edge = scope.spawn(|| {
            if !with_worker {
                return Ok(());
            }
            step("Worker", || worker::build(checkout, worker::Build::Release, Echo::Pulse))
        });
        let native = step("media node and simulator", || native(checkout));
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        [native, join(edge), join(console), join(database)].into_iter().collect::<Result<()>>()
    })?;
    let release = checkout.target().join("release");
    Ok(Programs { media_node: release.join("media-node"), simulator: release.join("simulator") })
}

/// Brings the tables of the local database up to date.
fn migrate(checkout: &Checkout, state: &Path, folder: &RunFolder) -> Result<()> {
    wrangler(checkout, folder, "migrations")?
        .args(["d1", "migrations", "apply", DATABASE, "--local", "--persist-to"])
        .arg(state)
        .succeed()
        .map(drop)
}

/// wrangler, bound to this checkout and run.
fn wrangler(checkout: &Checkout, folder: &RunFolder, name: &str) -> Result<Program> {
    Ok(Program::new(checkout.node_bin().join("wrangler"))
        .dir(checkout.root())
        .env("PATH", checkout.search_path()?)
        .env("WRANGLER_REGISTRY_PATH", folder.path("registry"))
        .env("NO_COLOR", "1")
        .env_remove("CARGO_MANIFEST_DIR")
        .envs(WRANGLER_VARS)
        .log(folder.path(&format!("logs/{name}.log")))
        .named(name))
}

/// The release programs.
pub(crate) fn native(checkout: &Checkout) -> Result<()> {
    Program::new("cargo")
        .args(["build", "--release", "--package", "media-node", "--package", "trunkline-simulator", "--bins"])
        .dir(checkout.root())
        .env_remove("CARGO_MANIFEST_DIR")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .named("media node and simulator")
        .log(checkout.target().join("logs/native.log"))
        .echo(Echo::Pulse)
        .succeed()?;
    Ok(())
}

/// The console's pages, into console/dist.
pub(crate) fn console(checkout: &Checkout) -> Result<()> {
    Program::new("npm")
        .args(["run", "--silent", "console:build"])
        .dir(checkout.root())
        .env("PATH", checkout.search_path()?)
        .named("console")
        .log(checkout.target().join("logs/console-build.log"))
        .echo(Echo::Pulse)
        .succeed()?;
    Ok(())
}

/// Where the parts listen, all on the loopback interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// The Worker.
    pub(crate) edge: u16,
    /// The media node.
    pub(crate) node: u16,
    /// The media node's metrics.
    pub(crate) metrics: u16,
    /// The simulated Twilio REST API.
    pub(crate) rest: u16,
    /// The simulated provider.
    pub(crate) provider: u16,
}

impl Ports {
    /// Free ones.
    pub(crate) fn reserve() -> Result<Self> {
        let [edge, node, metrics, rest, provider] = reserve_ports()?;
        Ok(Self { edge, node, metrics, rest, provider })
    }

    /// Where the Worker answers.
    pub(crate) fn edge_url(self) -> String {
        format!("http://127.0.0.1:{}", self.edge)
    }

    /// Where the media node takes sockets.
    pub(crate) fn node_url(self) -> String {
        format!("ws://127.0.0.1:{}", self.node)
    }
}

/// What edge and node must agree on, and the first administrator's token: new for each run.
pub(crate) struct Secrets {
    ticket: TicketKeys,
    node: String,
    /// `SETUP_TOKEN`.
    pub(crate) setup_token: String,
}

impl Secrets {
    /// New ones.
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self { ticket: TicketKeys::generate()?, node: keys::token()?, setup_token: keys::token()? })
    }

    /// The Worker's variables that both sides or the console depend on.
    pub(crate) fn edge_vars(&self, ports: Ports) -> Vars {
        vec![
            ("PUBLIC_BASE_URL".into(), ports.edge_url()),
            ("TICKET_SIGNING_KEY".into(), self.ticket.signing.clone()),
            ("NODE_SECRET".into(), self.node.clone()),
            ("SETUP_TOKEN".into(), self.setup_token.clone()),
        ]
    }

    /// The media node's variables, providers excluded.
    pub(crate) fn node_vars(&self, ports: Ports, spool: &Path) -> Vars {
        vec![
            ("PORT".into(), ports.node.to_string()),
            ("PUBLIC_URL".into(), ports.node_url()),
            ("NODE_ID".into(), "node-1".into()),
            ("EDGE_URL".into(), ports.edge_url()),
            ("TICKET_PUBLIC_KEY".into(), self.ticket.public.clone()),
            ("NODE_SECRET".into(), self.node.clone()),
            ("METRICS_PORT".into(), ports.metrics.to_string()),
            ("MAX_CALLS".into(), "50".into()),
            ("DRAIN_SECONDS".into(), "120".into()),
            ("SPOOL_DIR".into(), spool.to_string_lossy().into_owned()),
            ("LOG".into(), "info".into()),
        ]
    }
}

/// Variables with their values.
pub(crate) type Vars = Vec<(String, String)>;

/// A file of variables in the form that wrangler reads: every value between single quotes, none of ours contains one.
fn env_file(vars: &Vars) -> String {
    vars.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect()
}

/// The files of one run: state, logs, the Worker's variables. Removed with the run unless it is kept.
pub(crate) struct RunFolder {
    path: PathBuf,
    kept: bool,
}

impl RunFolder {
    /// A new one below the build folder; those of runs that are no longer alive go.
    pub(crate) fn create(checkout: &Checkout) -> Result<Self> {
        let home = checkout.target().join("runs");
        std::fs::create_dir_all(&home)?;
        for entry in std::fs::read_dir(&home)?.flatten() {
            let id = entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
            if id.is_none_or(|id| rustix::process::test_kill_process(id).is_err()) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        let path = home.join(std::process::id().to_string());
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(path.join("logs"))?;
        Ok(Self { path, kept: false })
    }

    /// Leaves the files where they are, for a look at what went wrong. The next run removes them.
    pub(crate) fn keep(&mut self) -> &Path {
        self.kept = true;
        &self.path
    }

    /// A path below it.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now goes with the next run.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// What distinguishes one local run from another.
pub(crate) struct Plan<'a> {
    /// Where everything listens.
    pub(crate) ports: Ports,
    /// The Worker's variables.
    pub(crate) edge_vars: Vars,
    /// Files with further variables of the Worker; the later one wins, all of them over `edge_vars`.
    pub(crate) edge_files: Vec<PathBuf>,
    /// The media node's variables.
    pub(crate) node_vars: Vars,
    /// Where wrangler keeps database and objects.
    pub(crate) state: PathBuf,
    /// Whether wrangler takes the Worker as it is, instead of building and watching it.
    pub(crate) prebuilt: bool,
    /// Whether what the parts print is shown.
    pub(crate) echo: Echo,
    /// The media node's program.
    pub(crate) media_node: &'a Path,
    /// Where logs and variables go.
    pub(crate) folder: &'a RunFolder,
}

/// The running parts. Dropped, they stop: first the node, so that it can still hand in its facts.
pub(crate) struct Stack {
    /// The media node.
    pub(crate) node: Running,
    /// `wrangler dev`.
    pub(crate) edge: Running,
}

impl Stack {
    /// Starts Worker and node; both answer when this returns, and the Worker knows the node.
    pub(crate) fn start(checkout: &Checkout, plan: &Plan<'_>) -> Result<Self> {
        let edge = step("Worker in the local Workers runtime", || Self::start_edge(checkout, plan, "edge"))?;
        let node = step("media node", || {
            let node = Program::new(plan.media_node)
                .bare_env()
                .envs(plan.node_vars.iter().map(|(name, value)| (name, value)))
                .log(plan.folder.path("logs/media-node.log"))
                .echo(plan.echo)
                .start()?;
            node.wait_for_http(PATIENCE, &format!("http://127.0.0.1:{}/healthz", plan.ports.node), |_| true)?;
            // From here on a call finds a node.
            edge.wait_for_http(PATIENCE, &format!("{}/health", plan.ports.edge_url()), knows_a_node)?;
            Ok(node)
        })?;
        Ok(Self { node, edge })
    }

    /// Starts the Worker alone, its log under this name: at the beginning, or again where one has died.
    pub(crate) fn start_edge(checkout: &Checkout, plan: &Plan<'_>, log: &str) -> Result<Running> {
        let vars_file = plan.folder.path("edge.env");
        write_private(&vars_file, &env_file(&plan.edge_vars))?;
        let mut command = wrangler(checkout, plan.folder, log)?
            .env("EDGE_PREBUILT", if plan.prebuilt { "1" } else { "" })
            .args(["dev", "--local", "--ip", "127.0.0.1", "--inspector-port", "0"])
            .args(["--show-interactive-dev-session=false", "--port", &plan.ports.edge.to_string()])
            .arg("--persist-to")
            .arg(&plan.state)
            .arg("--env-file")
            .arg(&vars_file)
            .echo(plan.echo);
        for file in &plan.edge_files {
            command = command.arg("--env-file").arg(file);
        }
        let mut edge = command.start()?;
        let patience = if plan.prebuilt { PATIENCE } else { PATIENCE * 10 };
        edge.wait_for_line(patience, |line| line.contains("Ready on ").then_some(()))?;
        Ok(edge)
    }

    /// Stops both, saying what did not go by itself.
    pub(crate) fn stop(self) {
        let started = std::time::Instant::now();
        let by_itself = [("media node", self.node.stop()), ("Worker", self.edge.stop())];
        for (name, _) in by_itself.iter().filter(|(_, went)| !went) {
            say(&format!("  the {name} did not stop when asked and was killed"));
        }
        say(&format!("stopped ({})", duration(started.elapsed())));
    }
}

/// Whether the Worker says of itself that it is well, which takes a living node.
fn knows_a_node(health: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(health).is_ok_and(|health| health["status"] == "ok")
}

/// Writes a file that only its owner may read.
fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("creating {}", file.display()))?;
    file.write_all(text.as_bytes()).context("writing the Worker's variables")
}

#[cfg(test)]
mod tests {
    use super::{Ports, RunFolder, Secrets, env_file};
    use crate::checkout::Checkout;
    use std::path::Path;

    const PORTS: Ports = Ports { edge: 1, node: 2, metrics: 3, rest: 4, provider: 5 };

    #[test]
    fn edge_and_node_are_told_the_same_secret_and_the_two_halves_of_one_key() {
        let secrets = Secrets::generate().expect("random");
        let value = |vars: &super::Vars, name: &str| {
            vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).expect("the variable")
        };
        let (edge, node) = (secrets.edge_vars(PORTS), secrets.node_vars(PORTS, Path::new("/spool")));
        assert_eq!(value(&edge, "NODE_SECRET"), value(&node, "NODE_SECRET"));
        assert_ne!(value(&edge, "TICKET_SIGNING_KEY"), value(&node, "TICKET_PUBLIC_KEY"));
        assert_eq!(value(&edge, "PUBLIC_BASE_URL"), value(&node, "EDGE_URL"));
        assert_eq!(value(&node, "PUBLIC_URL"), "ws://127.0.0.1:2");
    }

    #[test]
    fn variables_are_quoted() {
        let vars = vec![("A".to_owned(), "b#c $d".to_owned()), ("E".to_owned(), String::new())];
        assert_eq!(env_file(&vars), "A='b#c $d'\nE=''\n");
    }

    #[test]
    fn the_folder_of_a_run_goes_with_it_and_those_of_the_dead_go_first() {
        let house = tempfile::tempdir().expect("a folder");
        let checkout = Checkout::at(house.path());
        let runs = checkout.target().join("runs");
        // No process has this number: Linux stops at 2^22.
        std::fs::create_dir_all(runs.join("99999999/logs")).expect("created");
        let folder = RunFolder::create(&checkout).expect("a run");
        assert!(folder.path("logs").is_dir());
        assert!(!runs.join("99999999").exists());
        let path = folder.path("");
        drop(folder);
        assert!(!path.exists());
    }
}
