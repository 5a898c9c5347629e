//! A node as a whole: what all of its calls share, its two doors, and its life from the first heartbeat to the last
//! delivered fact.

use crate::admission::Admission;
use crate::config::{Config, EdgeConfig, Mode};
use crate::dial::Dialler;
use crate::drain::{self, Shutdown, Stage, Timetable};
use crate::edge::heartbeat::Beater;
use crate::edge::room::RoomLink;
use crate::metrics::Metrics;
use crate::server::{self, Door};
use crate::standalone::Lines;
use session::provider::Endpoints;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use tokio_util::task::TaskTracker;

/// How often the runtime's punctuality is measured.
const LAG_EVERY: Duration = Duration::from_millis(250);
/// Ended calls whose facts may wait for an edge that is away.
const MAX_DELIVERIES: usize = 4096;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What all calls of a node share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) public_url: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) dialler: Dialler,
    pub(crate) lines: Lines,
    pub(crate) calls: TaskTracker,
    pub(crate) stage: watch::Sender<Stage>,
}

impl Shared {
    /// Delivers an ended call's facts in a task of its own, for as long as that may take.
    pub(crate) fn deliver(&self, room: Box<RoomLink>) {
        let calls = self.calls.clone();
        if calls.len() > self.admission.capacity() + MAX_DELIVERIES {
            return drop(calls.spawn(room.deliver(Instant::now())));
        }
        let deadline = Instant::now() + self.config.timing.linger;
        calls.spawn(room.deliver(deadline));
    }
}

/// A node that listens and does not serve yet.
pub struct Node {
    public: TcpListener,
    private: Option<TcpListener>,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    shared: Arc<Shared>,
}

impl Node {
    /// Opens the doors. `lines` takes the facts of a standalone node. Must be called within a tokio runtime.
    pub fn bind(config: Config, lines: Lines) -> Result<Self, StartError> {
        let listen = |address| {
            let listener = server::listen(address);
            listener
                .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
                .map_err(|error| StartError::Listen { address, error })
        };
        let (public, address) = listen(config.listen)?;
        let private = config.metrics.map(listen).transpose()?;
        let metrics_address = private.as_ref().map(|(_, address)| *address);
        let dialler = Dialler::new(config.extra_ca_pem.as_deref(), config.timing.dial)?;
        let shared = Arc::new(Shared {
            public_url: config.public_url.clone().unwrap_or_else(|| format!("ws://{address}")),
            metrics: Arc::new(Metrics::default()),
            admission: Arc::new(Admission::new(config.max_calls)),
            endpoints: Arc::new(config.endpoints.clone()),
            dialler,
            lines,
            calls: TaskTracker::new(),
            stage: watch::Sender::new(Stage::Serving),
            config,
        });
        Ok(Self { public, private: private.map(|(listener, _)| listener), address, metrics_address, shared })
    }

    /// Where streams arrive.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Serves until `shutdown` has been asked for and everything is done, or its time is over.
    pub async fn run(self, mut shutdown: Shutdown) {
        let shared = self.shared;
        let beat_now = Arc::new(Notify::new());
        // Dropped, and with it every task in it, when this function returns.
        let mut tasks = JoinSet::new();
        tasks.spawn(server::accept(self.public, Door::Public, Arc::clone(&shared)));
        if let Some(private) = self.private {
            tasks.spawn(server::accept(private, Door::Metrics, Arc::clone(&shared)));
        }
        tasks.spawn(measure_lag(Arc::clone(&shared.metrics)));
        if let Mode::Edge(edge) = &shared.config.mode {
            let beater = Beater {
                edge: EdgeConfig::clone(edge),
                node: shared.config.node.clone(),
                url: shared.public_url.clone(),
                region: shared.config.region.clone(),
                admission: Arc::clone(&shared.admission),
                dialler: shared.dialler.clone(),
                metrics: Arc::clone(&shared.metrics),
                now: Arc::clone(&beat_now),
                every: shared.config.timing.heartbeat,
            };
            tasks.spawn(beater.run());
        }
        let (listening, mode) = (self.address, shared.config.mode.name());
        tracing::info!(%listening, node = %shared.config.node, mode, capacity = shared.config.max_calls, "serving");

        shutdown.asked(1).await;
        shared.admission.drain();
        beat_now.notify_one();
        let live_calls = shared.admission.live();
        tracing::info!(live_calls, seconds = shared.config.drain.as_secs(), "draining");
        shared.calls.close();
        let timing = &shared.config.timing;
        let timetable = Timetable::new(Instant::now(), shared.config.drain, timing.drain_tail);
        let tell = |stage| {
            shared.stage.send_replace(stage);
        };
        let clean = drain::walk(shutdown, timetable, tell, shared.calls.wait()).await;
        if clean {
            tracing::info!("stopped");
        } else {
            tracing::error!(tasks_left = shared.calls.len(), "stopped before everything was delivered");
        }
    }
}

/// A task that is late tells how late every frame of every call is.
async fn measure_lag(metrics: Arc<Metrics>) {
    let mut ticks = interval(LAG_EVERY);
    loop {
        let due = ticks.tick().await;
        metrics.loop_lag.observe((Instant::now() - due).as_secs_f64());
    }
}
