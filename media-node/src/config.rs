//! The node's variables, read from a look-up function (a map in tests, the environment in `main`) and checked all together:
//! one start shows every mistake, by the variable's name and never with its value. What the numbers do lives where they are
//! used.

use crate::standalone::{self, Plan};
use session::SessionConfig;
use session::provider::Endpoints;
use shared::ids::NodeId;
use shared::secret::Secret;
use shared::ticket::TicketVerifier;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use url::{Host, Url};

/// Everything a node needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Twilio's sockets arrive. Loopback unless `PUBLIC_URL` names another host. Port 0: the system chooses.
    pub listen: SocketAddr,
    /// Where `/metrics` is served (`METRICS_PORT`); none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// `PUBLIC_URL`: `wss://host`, without a path or trailing slash; none: `ws://` and the listening address.
    pub public_url: Option<String>,
    /// `NODE_ID`, or Fly's machine id.
    pub node: NodeId,
    /// Whether Fly's proxy stands before the node (`FLY_MACHINE_ID` is set), so that another machine's call can be replayed.
    pub on_fly: bool,
    /// `FLY_REGION`, or `local`.
    pub region: String,
    /// Who says what to do with a stream.
    pub mode: Mode,
    /// `TWILIO_AUTH_TOKEN`: upgrades must be signed with it.
    pub twilio_auth_token: Option<Secret>,
    /// Where providers are, and with which keys.
    pub endpoints: Endpoints,
    /// `EXTRA_CA_FILE`: certificates in PEM that are trusted besides the public ones, for loopback hosts only.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// `MAX_CALLS`.
    pub max_calls: usize,
    /// `DRAIN_SECONDS`: how long calls may go on after a stop signal.
    pub drain: Duration,
    /// `LOG`: which of the node's log lines are written.
    pub log: String,
    /// The node's other numbers; no variable sets them.
    pub timing: Timing,
    /// The numbers of a call's session; no variable sets them.
    pub session: SessionConfig,
    /// A fault to plant, for tests; no variable sets it.
    #[doc(hidden)]
    pub fault: Option<Fault>,
}

/// Who says what to do with a stream.
#[derive(Debug, Clone)]
pub enum Mode {
    /// The edge: each stream brings a ticket.
    Edge(Box<EdgeConfig>),
    /// Nobody: every stream gets this plan, facts go to standard output.
    Standalone(Box<Plan>),
}

impl Mode {
    /// A word for the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Edge(_) => "edge",
            Self::Standalone(_) => "standalone",
        }
    }
}

/// How the edge is reached and recognised.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// `EDGE_URL`: `https://host`, without a path or trailing slash (`http://` on loopback only).
    pub url: Url,
    /// `TICKET_PUBLIC_KEY`.
    pub tickets: TicketVerifier,
    /// `NODE_SECRET`.
    pub secret: Secret,
}

/// Deadlines of the node's sockets.
#[derive(Debug, Clone)]
pub struct Timing {
    /// From the upgrade to Twilio's `start`.
    pub start: Duration,
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// A write without progress: from then on the oldest audio is dropped instead of waiting.
    pub write_stalled: Duration,
    /// A write without progress: from then on the socket counts as gone.
    pub write_dead: Duration,
    /// All of a provider's or room's TCP, TLS and WebSocket handshake.
    pub dial: Duration,
    /// Between pings to a provider; also how long the answer may take.
    pub ping: Duration,
    /// Between heartbeats to the edge.
    pub heartbeat: Duration,
    /// How long facts of an ended call are offered to an edge that does not answer.
    pub linger: Duration,
    /// The end of the drain that is kept for ending calls and delivering facts.
    pub drain_tail: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(5),
            head: Duration::from_secs(10),
            write_stalled: Duration::from_secs(2),
            write_dead: Duration::from_secs(10),
            dial: Duration::from_secs(3),
            ping: Duration::from_secs(5),
            heartbeat: Duration::from_millis(shared::node_api::HEARTBEAT_EVERY_MS.unsigned_abs()),
            linger: Duration::from_secs(15 * 60),
            drain_tail: Duration::from_secs(5),
        }
    }
}

/// A fault that a test plants.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A call's task panics when its caller presses this key.
    PanicOnDigit(char),
}

/// A variable that is missing or wrong. The value is not kept: it may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct Mistake {
    /// The variable.
    pub name: &'static str,
    /// What it must be.
    pub problem: String,
}

/// Every mistake of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Mistakes(pub Vec<Mistake>);

/// Whether a host is this machine: `localhost`, `127.0.0.0/8` or `::1`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Config {
    /// Reads and checks everything. `look_up` gives a variable's value; an empty value counts as absent. The files that
    /// `STANDALONE_PLAN` and `EXTRA_CA_FILE` name are read here, so that a start either has all it needs or fails.
    pub fn parse(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut reader = Reader { look_up, mistakes: Vec::new() };
        let config = reader.read();
        match config {
            Some(config) if reader.mistakes.is_empty() => Ok(config),
            Some(_) | None => Err(Mistakes(reader.mistakes)),
        }
    }
}

struct Reader<F> {
    look_up: F,
    mistakes: Vec<Mistake>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.look_up)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn mistake(&mut self, name: &'static str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { name, problem: problem.into() });
    }

    fn number(&mut self, name: &'static str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(text) = self.get(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            Ok(_) | Err(_) => {
                self.mistake(name, format!("must be a whole number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// A base address in one of two schemes, the second of which is for loopback only. With `bare`, it has no path.
    fn address(&mut self, name: &'static str, secure: &str, plain: &str, bare: bool) -> Option<Url> {
        let text = self.get(name)?;
        let problem = match Url::parse(&text) {
            Ok(url) if url.host().is_none() || !url.username().is_empty() || url.password().is_some() => {
                "must have a host and no user name".to_owned()
            }
            Ok(url) if bare && (url.path() != "/" || url.query().is_some() || url.fragment().is_some()) => {
                "must be only scheme and host, without a path".to_owned()
            }
            Ok(url) if url.scheme() == secure || (url.scheme() == plain && is_loopback(&url)) => return Some(url),
            Ok(_) | Err(_) => format!("must be {secure}://host ({plain}:// on loopback only)"),
        };
        self.mistake(name, problem);
        None
    }

    fn read(&mut self) -> Option<Config> {
        let port = self.number("PORT", 8080, 0..=65_535);
        let metrics_port = self.get("METRICS_PORT").map(|_| self.number("METRICS_PORT", 0, 0..=65_535));
        let public = self.address("PUBLIC_URL", "wss", "ws", true);
        let on_loopback = self.get("PUBLIC_URL").is_none() || public.as_ref().is_some_and(is_loopback);
        let host = if on_loopback { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let address = |port: u64| SocketAddr::new(host, u16::try_from(port).unwrap_or_default());

        let machine = self.get("FLY_MACHINE_ID");
        let node = match self.get("NODE_ID").or_else(|| machine.clone()).map(|text| NodeId::parse(&text)) {
            Some(Ok(node)) => Some(node),
            Some(Err(error)) => {
                self.mistake("NODE_ID", format!("must be {}", error.expected));
                None
            }
            None if on_loopback => NodeId::parse("local").ok(),
            None => {
                self.mistake("NODE_ID", "is missing (on Fly the machine's id is taken)");
                None
            }
        };
        let token = self.get("TWILIO_AUTH_TOKEN").map(Secret::new);
        let openai = self.address("OPENAI_REALTIME_URL", "wss", "ws", false);
        let mode = self.mode(on_loopback, token.is_some());
        let extra_ca_pem = self.extra_ca(public.as_ref(), openai.as_ref());
        let max_calls = self.number("MAX_CALLS", 200, 1..=100_000);
        let drain = self.number("DRAIN_SECONDS", 270, 0..=86_400);
        let log = self.log();

        // Only from here on may something that is missing end the reading.
        Some(Config {
            listen: address(port),
            metrics: metrics_port.map(address),
            public_url: public.map(|url| url.as_str().trim_end_matches('/').to_owned()),
            node: node?,
            on_fly: machine.is_some(),
            region: self.get("FLY_REGION").unwrap_or_else(|| "local".to_owned()),
            mode: mode?,
            twilio_auth_token: token,
            endpoints: Endpoints {
                openai_url: openai.map(|url| url.as_str().trim_end_matches('/').to_owned()),
                openai_key: self.get("OPENAI_API_KEY").map(Secret::new),
            },
            extra_ca_pem,
            max_calls: usize::try_from(max_calls).unwrap_or(usize::MAX),
            drain: Duration::from_secs(drain),
            log,
            timing: Timing::default(),
            session: SessionConfig::default(),
            fault: None,
        })
    }

    fn log(&mut self) -> String {
        let filter = self.get("LOG").unwrap_or_else(|| "info".to_owned());
        if crate::log::is_filter(&filter) {
            return filter;
        }
        self.mistake("LOG", "must be a level (error, warn, info, debug, trace) or a list of target=level");
        "info".to_owned()
    }

    fn mode(&mut self, on_loopback: bool, has_token: bool) -> Option<Mode> {
        if let Some(path) = self.get("STANDALONE_PLAN") {
            if self.get("EDGE_URL").is_some() {
                self.mistake("STANDALONE_PLAN", "cannot be combined with EDGE_URL");
            }
            if !on_loopback && !has_token {
                self.mistake(
                    "TWILIO_AUTH_TOKEN",
                    "is missing: a standalone node that is reachable from outside must check signatures",
                );
            }
            return match standalone::read_plan(Path::new(&path)) {
                Ok(plan) => Some(Mode::Standalone(Box::new(plan))),
                Err(problem) => {
                    self.mistake("STANDALONE_PLAN", problem.to_string());
                    None
                }
            };
        }
        let url = self.address("EDGE_URL", "https", "http", true);
        if self.get("EDGE_URL").is_none() {
            self.mistake("EDGE_URL", "is missing (or set STANDALONE_PLAN to run without an edge)");
        }
        if url.as_ref().is_some_and(|url| !is_loopback(url)) && self.get("PUBLIC_URL").is_none() {
            self.mistake("PUBLIC_URL", "is missing: the edge must know where Twilio reaches this node");
        }
        let tickets = match self.get("TICKET_PUBLIC_KEY").map(|text| TicketVerifier::from_base64(&text)) {
            Some(Some(key)) => Some(key),
            Some(None) => {
                self.mistake("TICKET_PUBLIC_KEY", "must be an Ed25519 public key: 32 bytes in base64");
                None
            }
            None => {
                self.mistake("TICKET_PUBLIC_KEY", "is missing");
                None
            }
        };
        let secret = self.get("NODE_SECRET").map(Secret::new);
        if secret.is_none() {
            self.mistake("NODE_SECRET", "is missing");
        }
        Some(Mode::Edge(Box::new(EdgeConfig { url: url?, tickets: tickets?, secret: secret? })))
    }

    fn extra_ca(&mut self, public: Option<&Url>, openai: Option<&Url>) -> Option<Vec<u8>> {
        let path = self.get("EXTRA_CA_FILE")?;
        let edge = self.get("EDGE_URL").and_then(|text| Url::parse(&text).ok());
        if public.is_some_and(|url| !is_loopback(url))
            || ![edge.as_ref(), openai].into_iter().flatten().any(is_loopback)
        {
            self.mistake("EXTRA_CA_FILE", "is for loopback only: an address on this machine must need it");
            return None;
        }
        match std::fs::read(&path) {
            Ok(pem) if crate::dial::certificates(&pem).is_some() => Some(pem),
            Ok(_) => {
                self.mistake("EXTRA_CA_FILE", "must hold certificates in PEM");
                None
            }
            Err(_) => {
                self.mistake("EXTRA_CA_FILE", "names a file that cannot be read");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
