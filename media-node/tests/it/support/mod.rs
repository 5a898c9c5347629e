//! A node in this process and the peers around it.

pub(crate) mod edge;
pub(crate) mod log;
pub(crate) mod phone;
pub(crate) mod provider;
pub(crate) mod tls;

use media_node::drain::{Trigger, by_hand};
use media_node::{Config, Node};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Nothing here takes this long unless it is broken.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("nothing happened in ten seconds")
}

/// A running node.
pub(crate) struct TestNode {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) trigger: Trigger,
    pub(crate) running: JoinHandle<()>,
    pub(crate) lines: Receiver<String>,
}

/// A configuration from variables; every port is the system's to choose.
pub(crate) fn config(variables: &[(&str, &str)]) -> Config {
    let mut map = BTreeMap::from([("PORT", "0"), ("METRICS_PORT", "0")]);
    map.extend(variables.iter().copied());
    Config::parse(|name| map.get(name).map(|text| (*text).to_owned())).expect("a sound configuration")
}

/// A configuration of a standalone node with this plan.
pub(crate) fn standalone(plan: &str, variables: &[(&str, &str)]) -> Config {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(plan.as_bytes()).expect("a written plan");
    let mut all = vec![("STANDALONE_PLAN", file.path().to_str().expect("a plain path"))];
    all.extend_from_slice(variables);
    config(&all)
}

impl TestNode {
    pub(crate) fn start(config: Config) -> Self {
        log::written();
        let (lines, receiver) = sync_channel(1024);
        let node = Node::bind(config, lines).expect("free ports");
        let (trigger, shutdown) = by_hand();
        Self {
            address: node.address(),
            metrics: node.metrics_address().expect("a metrics port"),
            trigger,
            running: tokio::spawn(node.run(shutdown)),
            lines: receiver,
        }
    }

    /// What it says over plain HTTP: the head and the body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        http(self.address, &format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")).await
    }

    /// The value of a metric, labels included in its name.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let head = "GET /metrics HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";
        let (_, text) = http(self.metrics, head).await;
        text.lines()
            .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')))
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0.0)
    }

    /// Waits until a metric has at least this value.
    pub(crate) async fn metric_reaches(&self, name: &str, least: f64) {
        soon(async {
            while self.metric(name).await < least {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The next fact of a standalone node.
    pub(crate) async fn fact(&self) -> serde_json::Value {
        soon(async {
            loop {
                match self.lines.try_recv() {
                    Ok(line) => return serde_json::from_str(&line).expect("JSON"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
    }

    /// Facts of a standalone node up to and including this kind.
    pub(crate) async fn facts_until(&self, kind: &str) -> Vec<serde_json::Value> {
        let mut facts = Vec::new();
        loop {
            facts.push(self.fact().await);
            if facts.last().is_some_and(|fact| fact["event"]["kind"] == kind) {
                return facts;
            }
        }
    }
}

/// One request over a connection of its own: the status, and everything that was answered.
pub(crate) async fn http(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a written request");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.expect("an answer in text");
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}
