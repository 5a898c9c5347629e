//! The node's heartbeat: at the start, every two seconds and at the drain's beginning, signed with `NODE_SECRET`. It tells
//! the Switchboard that this node lives, where, and how full it is. One connection is kept; whatever fails, the next beat
//! tries again.

use crate::admission::Admission;
use crate::config::EdgeConfig;
use crate::dial::{DialError, Dialled, Dialler};
use crate::metrics::Metrics;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use shared::ids::NodeId;
use shared::node_api::{HEARTBEAT_PATH, Heartbeat, PROTOCOL_VERSION};
use shared::node_auth;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Largest answer that is read, bytes.
const MAX_ANSWER: usize = 4 * 1024;

/// Why a beat did not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Missed {
    #[error("the edge was not reached: {0}")]
    Dial(DialError),
    #[error("the edge did not answer")]
    NoAnswer,
    #[error("the edge answered with status {0}")]
    Status(u16),
    #[error("no entropy")]
    Entropy,
}

/// Everything that a heartbeat needs.
pub(crate) struct Beater {
    pub(crate) edge: EdgeConfig,
    pub(crate) node: NodeId,
    pub(crate) url: String,
    pub(crate) region: String,
    pub(crate) admission: Arc<Admission>,
    pub(crate) dialler: Dialler,
    pub(crate) metrics: Arc<Metrics>,
    /// Rung when a beat must not wait for its turn.
    pub(crate) now: Arc<Notify>,
    pub(crate) every: Duration,
}

impl Beater {
    /// Beats until it is dropped.
    pub(crate) async fn run(self) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        let mut well = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.now.notified() => {}
            }
            let outcome = timeout(self.every, self.beat(&mut connection)).await.unwrap_or(Err(Missed::NoAnswer));
            match outcome {
                Ok(()) => {
                    self.metrics.heartbeat("accepted");
                    if !std::mem::replace(&mut well, true) {
                        tracing::info!("the edge takes heartbeats again");
                    }
                }
                Err(missed) => {
                    connection = None;
                    self.metrics.heartbeat("missed");
                    // Once per outage: a beat is missed every two seconds.
                    if std::mem::replace(&mut well, false) {
                        tracing::warn!(reason = %missed, "heartbeat missed");
                    }
                }
            }
        }
    }

    async fn beat(&self, connection: &mut Option<SendRequest<Full<Bytes>>>) -> Result<(), Missed> {
        let request = self.request()?;
        let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await.map_err(|_| Missed::NoAnswer)?;
        let answer = sender.send_request(request).await.map_err(|_| Missed::NoAnswer)?;
        let status = answer.status();
        // The body is read to its end so that the connection can be used again.
        Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|_| Missed::NoAnswer)?;
        if status != StatusCode::OK {
            return Err(Missed::Status(status.as_u16()));
        }
        *connection = Some(sender);
        Ok(())
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Missed> {
        let report = Heartbeat {
            protocol: PROTOCOL_VERSION,
            node: self.node.clone(),
            url: self.url.clone(),
            region: self.region.clone(),
            capacity: u32::try_from(self.admission.capacity()).unwrap_or(u32::MAX),
            live_calls: u32::try_from(self.admission.live()).unwrap_or(u32::MAX),
            draining: self.admission.is_draining(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let body = serde_json::to_vec(&report).unwrap_or_default();
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy).map_err(|_| Missed::Entropy)?;
        let nonce = shared::secret::hex(&entropy);
        let at = crate::clock::wall();
        let signature = node_auth::sign(&self.edge.secret, HEARTBEAT_PATH, &self.node, at, &nonce, &body);
        let authority = self.edge.url.authority();
        Request::post(HEARTBEAT_PATH)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(node_auth::HEADER_NODE, self.node.as_str())
            .header(node_auth::HEADER_TIME, at.0.to_string())
            .header(node_auth::HEADER_NONCE, nonce)
            .header(node_auth::HEADER_SIGNATURE, signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Missed::Dial(DialError::Address))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Missed> {
        let stream: Dialled = self.dialler.stream(&self.edge.url).await.map_err(Missed::Dial)?;
        let (sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Missed::NoAnswer)?;
        // Ends by itself when the sender is dropped or the edge closes.
        tokio::spawn(async move {
            let _ = driver.await;
        });
        Ok(sender)
    }
}
