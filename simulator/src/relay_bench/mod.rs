//! `cargo xtask bench relay`: what the media node costs. Paced calls, both sides talking all the time, go through the release
//! node in standalone mode and, in turn, through a relay that only forwards TCP bytes between the same two programs' sockets.
//! Both run on one core, the load on another; rounds alternate, so that whatever else the machine does hits both. Measured
//! are CPU time per call and second, the round trip of a frame, what came late or not at all, and memory per call.
//!
//! In the node's rounds a frame goes phone → node → provider stand-in → node → phone and is two WebSockets' business; in the
//! relay's rounds the same number of bytes goes the same way and is nobody's business on the way.

mod frames;
mod load;
mod null;
mod process;
mod report;
mod standin;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use load::Target;
use process::Measured;
use report::{Memory, Report, Round, Side};

/// What a round may take beyond its measured time: opening and closing its calls.
const ROUND_OVERHEAD: Duration = Duration::from_secs(60);

/// The benchmark's arguments.
#[derive(Debug, Clone, Args)]
pub struct RelayBenchArgs {
    /// The release build of the media node.
    #[arg(long, required_unless_present = "null_relay")]
    pub node: Option<PathBuf>,
    /// Calls at once.
    #[arg(long, default_value_t = 100)]
    pub calls: usize,
    /// Measured seconds of each round.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// The core of the node and the null relay.
    #[arg(long, default_value_t = 0)]
    pub core: usize,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    pub load_core: usize,
    /// Write everything measured here, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Be the null relay towards this address (the benchmark starts itself so).
    #[arg(long, hide = true)]
    pub null_relay: Option<SocketAddr>,
}

/// Runs the benchmark and prints its table. Every error is a reason why there are no figures.
pub fn run(args: RelayBenchArgs) -> Result<()> {
    // A thread of its own: the caller may have a runtime already.
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async move {
            match args.null_relay {
                Some(upstream) => null::run(upstream).await,
                // The measured programs end with this future, also when somebody stops the benchmark.
                None => tokio::select! {
                    done = bench(args) => done,
                    stopped = stopped() => stopped,
                },
            }
        })
    })
    .join()
    .map_err(|_| anyhow::anyhow!("the benchmark broke"))?
}

/// Waits for SIGINT or SIGTERM.
async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    bail!("stopped")
}

async fn bench(args: RelayBenchArgs) -> Result<()> {
    if args.calls < 4 || args.rounds == 0 || args.seconds == 0 {
        bail!("at least 4 calls, 1 round and 1 second are needed");
    }
    let standin = standin::start().await?;
    let pinned = process::pin(args.core)?;
    let node_path = args.node.as_ref().context("--node is needed")?;
    let mut node = process::node(node_path, standin, args.calls)?;
    let mut null = process::null_relay(standin)?;
    process::pin(args.load_core)?;
    let sides = [
        (Side::Null, null.pid(), Target::null(null.listening()?)),
        (Side::Node, node.pid(), Target::node(node.listening()?)),
    ];

    let mut memory = Vec::new();
    for (side, pid, target) in &sides {
        memory.push(ramp(*side, *pid, *target, args.calls).await?);
    }
    let mut rounds = Vec::new();
    for number in 0..args.rounds {
        for (side, pid, target) in &sides {
            let limit = Duration::from_secs(args.seconds) + ROUND_OVERHEAD;
            let round = timeout(limit, round(*side, *pid, *target, &args)).await.context("a round did not end")??;
            let _ = writeln!(std::io::stderr(), "round {} {}: {}", number + 1, side.name(), round.line());
            rounds.push(round);
        }
    }
    let report = Report { calls: args.calls, seconds: args.seconds, pinned, rounds, memory };
    print!("{}", report.markdown());
    if let Some(path) = &args.json {
        std::fs::write(path, report.json()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

async fn round(side: Side, pid: u32, target: Target, args: &RelayBenchArgs) -> Result<Round> {
    let load = load::start(target, args.calls).await?;
    // The first seconds are those of allocators and caches.
    sleep(Duration::from_secs(2)).await;
    load.forget();
    let (before, own_before) = (Measured::of(pid)?, Measured::of(std::process::id())?);
    sleep(Duration::from_secs(args.seconds)).await;
    let (after, own_after) = (Measured::of(pid)?, Measured::of(std::process::id())?);
    let wall = after.at.duration_since(before.at);
    let traffic = load.finish().await;
    sleep(Duration::from_millis(500)).await;
    Ok(Round {
        side,
        cpu_us_per_call_second: (after.cpu - before.cpu).as_secs_f64() * 1e6 / (wall.as_secs_f64() * args.calls as f64),
        load_cpu_share: (own_after.cpu - own_before.cpu).as_secs_f64() / wall.as_secs_f64(),
        traffic,
    })
}

/// Memory at growing numbers of calls, each step on top of the one before.
async fn ramp(side: Side, pid: u32, target: Target, calls: usize) -> Result<Memory> {
    let mut steps = Vec::new();
    let mut loads = Vec::new();
    let mut open = 0;
    for quarter in 1..=4 {
        let wanted = calls * quarter / 4;
        loads.push(load::start(target, wanted - open).await?);
        open = wanted;
        sleep(Duration::from_secs(3)).await;
        steps.push((open, Measured::of(pid)?.resident_kib));
    }
    for load in loads {
        load.finish().await;
    }
    sleep(Duration::from_millis(500)).await;
    Ok(Memory { side, steps })
}
