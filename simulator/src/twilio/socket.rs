//! The socket of one Media Stream: the signed upgrade, and two short loops that move messages between the wire and channels.
//! What the messages mean is [`super::stream`]'s.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::https;

use super::Alert;
use super::signature::{sign, signed_address};
use super::stream::Output;

/// How long a server may take to answer the upgrade (error 31901). Twilio does not say how long it waits.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Messages to the server that wait for the wire before audio is thrown away (31930): ten seconds.
const OUTGOING: usize = 500;

/// What came from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary,
    /// A close frame: the server closed the stream.
    Closed,
    /// The socket ended without one.
    Broken,
    /// The WebSocket protocol was broken.
    Violation(String),
}

/// A connected stream.
#[derive(Debug)]
pub struct Socket {
    outgoing: mpsc::Sender<Output>,
    reading: watch::Sender<bool>,
}

impl Socket {
    /// Sends; false when the server reads so slowly that ten seconds wait already, or is gone.
    #[must_use]
    pub fn send(&self, output: Output) -> bool {
        self.outgoing.try_send(output).is_ok()
    }

    /// Stops or resumes reading what the server sends.
    pub fn read(&self, on: bool) {
        // Fails only when the reader has ended.
        let _ = self.reading.send(on);
    }
}

/// Connects a stream. What the server sends goes to `events` under `sid`, each with the moment of its arrival.
///
/// # Errors
/// 31901 no answer, 31902 refused, 31920 an answer that is not an upgrade, 31910 TLS, 31923 the address.
pub async fn connect(
    url: &str,
    auth_token: &str,
    sid: String,
    events: mpsc::Sender<(String, Instant, Incoming)>,
) -> Result<Socket, Alert> {
    https::ready();
    let mut request = url.into_client_request().map_err(|_| Alert::new(31923, "an address that is not a URL"))?;
    let signature = sign(auth_token, &signed_address(url), &[]);
    for (name, value) in [("x-twilio-signature", signature.as_str()), ("user-agent", "Twilio.TmeWs/1.0")] {
        if let Ok(value) = HeaderValue::from_str(value) {
            request.headers_mut().insert(name, value);
        }
    }
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024).write_buffer_size(0);
    let connecting = tokio_tungstenite::connect_async_with_config(request, Some(config), true);
    let (socket, response) = match tokio::time::timeout(HANDSHAKE, connecting).await {
        Err(_) => return Err(Alert::new(31901, "no answer to the upgrade")),
        Ok(Err(error)) => return Err(refusal(&error)),
        Ok(Ok(connected)) => connected,
    };
    for name in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        if response.headers().contains_key(name) {
            return Err(Alert::new(31920, format!("the server answered with {name}, which was not offered")));
        }
    }
    let (outgoing, queue) = mpsc::channel(OUTGOING);
    let (reading, read) = watch::channel(true);
    let (sink, stream) = socket.split();
    tokio::spawn(write(sink, queue));
    tokio::spawn(receive(stream, sid, events, read));
    Ok(Socket { outgoing, reading })
}

fn refusal(error: &Error) -> Alert {
    match error {
        Error::Http(response) => Alert::new(31920, format!("HTTP {}", response.status().as_u16())),
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Alert::new(31902, "refused"),
        Error::Io(_) => Alert::new(31904, "not reachable"),
        Error::Tls(_) => Alert::new(31910, "TLS"),
        Error::Url(_) => Alert::new(31923, "an address that is not a URL"),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Capacity(_)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::HttpFormat(_) => Alert::new(31920, error.to_string()),
    }
}

type Wire = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn write(mut sink: futures_util::stream::SplitSink<Wire, Message>, mut queue: mpsc::Receiver<Output>) {
    while let Some(output) = queue.recv().await {
        let sent = match output {
            Output::Text(text) => sink.send(Message::text(text)).await,
            Output::Close => sink.send(Message::Close(None)).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn receive(
    mut stream: futures_util::stream::SplitStream<Wire>,
    sid: String,
    events: mpsc::Sender<(String, Instant, Incoming)>,
    mut reading: watch::Receiver<bool>,
) {
    loop {
        if !*reading.borrow_and_update() {
            if reading.changed().await.is_err() {
                return;
            }
            continue;
        }
        let next = tokio::select! {
            next = stream.next() => next,
            changed = reading.changed() => match changed {
                Ok(()) => continue,
                // The stream was given up on this side; what the server still says does not matter.
                Err(_) => None,
            },
        };
        let (incoming, last) = match next {
            Some(Ok(Message::Text(text))) => (Incoming::Text(text.as_str().to_owned()), false),
            Some(Ok(Message::Binary(_))) => (Incoming::Binary, false),
            Some(Ok(Message::Close(_))) => {
                // The library answers a close frame when it is polled again.
                let _ = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
                (Incoming::Closed, true)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => (Incoming::Broken, true),
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_))) => (Incoming::Broken, true),
            Some(Err(error)) => (Incoming::Violation(error.to_string()), true),
        };
        let gone = events.send((sid.clone(), Instant::now(), incoming)).await.is_err();
        if gone || last {
            return;
        }
    }
}
