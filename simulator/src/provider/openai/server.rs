//! Sockets around [`Twin`]: accepts connections, checks the upgrade, and moves messages and time between each WebSocket
//! and its machine. No decision about the protocol is made here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::admission::{Admission, Request, Turned, admit};
use super::client_event::LARGEST_APPEND;
use super::options::{FaultKind, Moment, Options, Persona};
use super::record::{End, Record};
use super::twin::{Output, Twin};
use crate::speech::Library;

/// Largest message: 15 MiB of audio in base64, and the JSON around it.
const LARGEST_MESSAGE: usize = LARGEST_APPEND / 3 * 4 + 4096;

/// How long a client may take to answer a close frame.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What the conversations of a server were and are; shared with whoever judges.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    twins: Mutex<Vec<Arc<Mutex<Twin>>>>,
    turned: Mutex<Vec<Turned>>,
    version: watch::Sender<u64>,
}

impl Stats {
    /// Zero of every time in a [`Record`].
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Copies of all records, in the order of connecting; those still open as they stand now.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        lock(&self.twins).iter().map(|twin| lock(twin).record().clone()).collect()
    }

    /// Looks at every record without copying it.
    pub fn each(&self, mut look: impl FnMut(&Record)) {
        for twin in lock(&self.twins).iter() {
            look(lock(twin).record());
        }
    }

    /// How many sessions were opened.
    #[must_use]
    pub fn opened(&self) -> usize {
        lock(&self.twins).len()
    }

    /// How many sessions are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        lock(&self.twins).iter().filter(|twin| !lock(twin).is_over()).count()
    }

    /// Upgrade requests that were refused.
    #[must_use]
    pub fn turned_away(&self) -> Vec<Turned> {
        lock(&self.turned).clone()
    }

    /// Waits until `fact` holds; it is asked after everything that happens, except after each frame of [`Persona::Echo`].
    pub async fn wait_until(&self, mut fact: impl FnMut(&Self) -> bool) {
        let mut changes = self.version.subscribe();
        while !fact(self) {
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

/// A running server; dropping it cuts every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stats: Arc<Stats>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// Listens on `address` (port 0 for any) and serves sessions until the server is stopped or dropped.
///
/// # Errors
/// If the options cannot work or the address cannot be bound.
pub async fn listen(address: SocketAddr, options: Options) -> Result<Server> {
    options.check(Library::embedded())?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let stats = Arc::new(Stats {
        started: Instant::now(),
        twins: Mutex::default(),
        turned: Mutex::default(),
        version: watch::channel(0).0,
    });
    let accepting = tokio::spawn(accept(listener, Arc::new(options), Arc::clone(&stats), stopped));
    Ok(Server { address, stats, stop, accepting })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client's `OPENAI_REALTIME_URL` must be; `?model=` is the client's to add.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/v1/realtime", self.address)
    }

    /// What happened.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Ends every session without a close frame and stops listening; returns when all is gone.
    pub async fn stop(mut self) -> Arc<Stats> {
        // Fails only if the task is gone already.
        let _ = self.stop.send(true);
        let _ = (&mut self.accepting).await;
        Arc::clone(&self.stats)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, options: Arc<Options>, stats: Arc<Stats>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => {
                // An accept that fails is the peer's or the system's passing trouble.
                let Ok((stream, _)) = accepted else { continue };
                number += 1;
                connections.spawn(serve(stream, number, Arc::clone(&options), Arc::clone(&stats), stop.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_PATIENCE, rest).await.is_err() {
        // A client that reads nothing holds its task in a write.
        connections.shutdown().await;
    }
    let now = stats.started.elapsed();
    for twin in lock(&stats.twins).iter() {
        lock(twin).ended(End::Stopped, now);
    }
    stats.changed();
}

async fn serve(
    stream: TcpStream,
    number: u32,
    options: Arc<Options>,
    stats: Arc<Stats>,
    mut stop: watch::Receiver<bool>,
) {
    // Without it a 20 ms frame waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let stalls = options.faults_of(number).any(|fault| fault.at == Moment::Connect && fault.kind == FaultKind::Stall);
    if stalls {
        let _ = stop.changed().await;
        return;
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(16 * 1024)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let mut model = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let check = |upgrade: &Upgrade, response: Response| -> Result<Response, ErrorResponse> {
        let header = |name: &str| upgrade.headers().get(name).and_then(|value| value.to_str().ok());
        let request = Request {
            path: upgrade.uri().path(),
            query: upgrade.uri().query(),
            authorization: header("authorization"),
            beta: header("openai-beta"),
        };
        match admit(&options, number, request) {
            Admission::Welcome { model: welcome } => {
                model = welcome;
                Ok(response)
            }
            Admission::Refused(turned) => {
                let mut refusal = ErrorResponse::new(Some(turned.body.clone()));
                *refusal.status_mut() =
                    StatusCode::from_u16(turned.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                lock(&stats.turned).push(turned);
                Err(refusal)
            }
            // Stalled connections never come this far.
            Admission::Ignored => Err(ErrorResponse::new(None)),
        }
    };
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(config));
    let socket = tokio::select! {
        _ = stop.changed() => return,
        socket = upgrade => socket,
    };
    let Ok(socket) = socket else {
        stats.changed();
        return;
    };
    let unix_seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (twin, first) = Twin::open(Arc::clone(&options), number, &model, stats.started.elapsed(), unix_seconds);
    let twin = Arc::new(Mutex::new(twin));
    lock(&stats.twins).push(Arc::clone(&twin));
    stats.changed();
    let how = converse(socket, first, &options, &twin, &stats, &mut stop).await;
    lock(&twin).ended(how, stats.started.elapsed());
    stats.changed();
}

/// Moves messages until one side ends the session; says which.
async fn converse(
    mut socket: WebSocketStream<TcpStream>,
    mut out: Vec<Output>,
    options: &Options,
    twin: &Mutex<Twin>,
    stats: &Stats,
    stop: &mut watch::Receiver<bool>,
) -> End {
    let quiet = options.persona == Persona::Echo;
    let wake = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(wake);
    let mut armed = None;
    loop {
        match send(&mut socket, &mut out).await {
            Sent::On => {}
            Sent::Ended(how) => return how,
        }
        if !quiet {
            stats.changed();
        }
        let due = lock(twin).poll_timeout();
        if due != armed {
            armed = due;
            if let Some(due) = due {
                wake.as_mut().reset((stats.started + due).into());
            }
        }
        tokio::select! {
            _ = stop.changed() => return End::Stopped,
            () = &mut wake, if armed.is_some() => {
                armed = None;
                let now = stats.started.elapsed();
                lock(twin).handle_timeout_into(now, &mut out);
            }
            message = socket.next() => {
                let now = stats.started.elapsed();
                match message {
                    Some(Ok(Message::Text(text))) => lock(twin).handle_into(text.as_str(), now, &mut out),
                    Some(Ok(Message::Binary(_))) => out.extend(lock(twin).handle_binary(now)),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_))) => {
                        // The answer to the close is queued by the library; the client may be gone already.
                        let _ = socket.flush().await;
                        return End::ByClient;
                    }
                    Some(Err(_)) | None => return End::ByClient,
                }
            }
        }
    }
}

enum Sent {
    On,
    Ended(End),
}

async fn send(socket: &mut WebSocketStream<TcpStream>, out: &mut Vec<Output>) -> Sent {
    if out.is_empty() {
        return Sent::On;
    }
    for output in out.drain(..) {
        match output {
            Output::Text(text) => {
                if socket.feed(Message::Text(Utf8Bytes::from(text))).await.is_err() {
                    return Sent::Ended(End::ByClient);
                }
            }
            Output::Close { code, reason } => {
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                if socket.close(Some(frame)).await.is_ok() {
                    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
                    // A client that does not answer is left.
                    let _ = tokio::time::timeout(CLOSE_PATIENCE, rest).await;
                }
                return Sent::Ended(End::Closed(code));
            }
            Output::Drop => {
                let _ = socket.flush().await;
                return Sent::Ended(End::Dropped);
            }
        }
    }
    if socket.flush().await.is_err() { Sent::Ended(End::ByClient) } else { Sent::On }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
