//! An edge that a test plays by hand: rooms' sockets and heartbeats on one port.

use super::{config, soon};
use futures_util::{SinkExt as _, StreamExt as _};
use media_node::Config;
use serde_json::{Value, json};
use shared::ids::{CallId, CallSid, Epoch, NodeId};
use shared::node_auth;
use shared::secret::Secret;
use shared::ticket::{Audience, Claims, TicketSigner};
use shared::time::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

pub(crate) const NODE: &str = "node-1";
const SECRET: &str = "a-secret-that-edge-and-node-share";
pub(crate) const RESUME: &str = "resume-token-canary";

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UnixMillis(i64::try_from(since.as_millis()).expect("a near year"))
}

/// A fake edge.
pub(crate) struct Edge {
    pub(crate) url: String,
    signer: TicketSigner,
    rooms: mpsc::UnboundedReceiver<Room>,
    beats: mpsc::UnboundedReceiver<Value>,
}

/// One socket of a room.
pub(crate) struct Room {
    pub(crate) path: String,
    pub(crate) bearer: String,
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Edge {
    /// An edge whose rooms take sockets.
    pub(crate) async fn start() -> Self {
        Self::answering(None).await
    }

    /// An edge whose rooms refuse sockets with this status, if there is one.
    pub(crate) async fn answering(refusal: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (rooms_in, rooms) = mpsc::unbounded_channel();
        let (beats_in, beats) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (rooms, beats) = (rooms_in.clone(), beats_in.clone());
                tokio::spawn(async move {
                    let mut first = [0; 4];
                    let _ = stream.peek(&mut first).await;
                    if first == *b"POST" {
                        heartbeats(stream, beats).await;
                    } else if let Some(room) = room(stream, refusal).await {
                        let _ = rooms.send(room);
                    }
                });
            }
        });
        Self { url, signer: TicketSigner::from_seed([9; 32]), rooms, beats }
    }

    /// A node's configuration for this edge.
    pub(crate) fn config(&self, variables: &[(&str, &str)]) -> Config {
        self.config_at(&self.url, variables)
    }

    /// The same, with the edge at another address.
    pub(crate) fn config_at(&self, url: &str, variables: &[(&str, &str)]) -> Config {
        let key = self.signer.verifier().to_base64();
        let mut all = vec![("EDGE_URL", url), ("TICKET_PUBLIC_KEY", &key), ("NODE_ID", NODE)];
        all.push(("NODE_SECRET", SECRET));
        all.extend_from_slice(variables);
        config(&all)
    }

    /// The claims of a sound ticket.
    pub(crate) fn claims(&self) -> Claims {
        Claims {
            audience: Audience::Stream,
            call: CallId::derived([7; 16]),
            call_sid: CallSid::parse(super::phone::CALL).expect("a call's id"),
            node: NodeId::parse(NODE).expect("a node's id"),
            epoch: Epoch(3),
            nonce: "00112233445566778899aabbccddeeff".into(),
            expires: now().plus(60_000),
        }
    }

    /// The stream's parameters with a ticket.
    pub(crate) fn ticket(&self, claims: &Claims) -> Value {
        json!({"ticket": self.signer.sign(claims)})
    }

    pub(crate) async fn room(&mut self) -> Room {
        soon(self.rooms.recv()).await.expect("the edge lives")
    }

    pub(crate) fn has_room(&mut self) -> bool {
        self.rooms.try_recv().is_ok()
    }

    /// The next heartbeat; its signature has been checked.
    pub(crate) async fn beat(&mut self) -> Value {
        soon(self.beats.recv()).await.expect("the edge lives")
    }
}

async fn room(stream: TcpStream, refusal: Option<u16>) -> Option<Room> {
    let (mut path, mut bearer) = (String::new(), String::new());
    #[expect(clippy::result_large_err, reason = "the library's callback has this type")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().path().to_owned();
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        bearer = header.unwrap_or_default().strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).expect("a header");
        let node = NodeId::parse(header(node_auth::HEADER_NODE)).expect("a node's id");
        let at = UnixMillis(header(node_auth::HEADER_TIME).parse().expect("a time"));
        let (nonce, signature) = (header(node_auth::HEADER_NONCE), header(node_auth::HEADER_SIGNATURE));
        node_auth::verify(&Secret::new(SECRET), &path, &node, at, nonce, b"", signature, now()).expect("signed");
        match refusal {
            None => Ok(response),
            Some(status) => {
                let mut refused = ErrorResponse::new(None);
                *refused.status_mut() = status.try_into().expect("a status");
                Err(refused)
            }
        }
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look).await.ok()?;
    Some(Room { path, bearer, socket })
}

async fn heartbeats(mut stream: TcpStream, beats: mpsc::UnboundedSender<Value>) {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(buffer[..head_end].to_vec()).expect("a head in text");
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).expect("a header")
        };
        let length: usize = header("content-length").parse().expect("a length");
        while buffer.len() < head_end + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Vec<u8> = buffer.drain(..head_end + length).skip(head_end).collect();
        let node = NodeId::parse(&header("x-trunkline-node")).expect("a node's id");
        let at = UnixMillis(header("x-trunkline-time").parse().expect("a time"));
        let (nonce, signature) = (header("x-trunkline-nonce"), header("x-trunkline-signature"));
        let secret = Secret::new(SECRET);
        assert!(head.starts_with("POST /node/heartbeat HTTP/1.1\r\n"));
        node_auth::verify(&secret, "/node/heartbeat", &node, at, &nonce, &body, &signature, now()).expect("signed");
        let _ = beats.send(serde_json::from_slice(&body).expect("JSON"));
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"leaseMs\":6000}";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Room {
    /// The node's next message.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_) | Message::Binary(_) | Message::Frame(_)) | Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn say(&mut self, message: Value) {
        soon(self.socket.send(Message::text(message.to_string()))).await.expect("an open socket");
    }

    /// `begin` with a plan whose agent has this provider.
    pub(crate) async fn begin(&mut self, provider: &str, acked_line: u64) {
        let plan = json!({
            "call": CallId::derived([7; 16]).as_str(), "callSid": super::phone::CALL, "direction": "inbound",
            "caller": "+15550100123", "remainingS": 600,
            "agent": {"id": "desk", "name": "Desk", "voice": {"provider": provider},
                "instructions": "instructions canary", "greeting": "greeting canary"},
        });
        self.say(json!({"type": "begin", "protocol": 1, "plan": plan, "epoch": 3,
            "resumeToken": RESUME, "ackedLine": acked_line}))
            .await;
    }

    pub(crate) async fn ack(&mut self, line: u64) {
        self.say(json!({"type": "ack", "line": line})).await;
    }

    /// Facts as they come, each with its line, until one of this kind has come. Other messages are passed over.
    pub(crate) async fn facts_until(&mut self, kind: &str) -> Vec<(u64, Value)> {
        let mut facts = Vec::new();
        while !facts.iter().any(|(_, event): &(u64, Value)| event["kind"] == kind) {
            let message = self.hear().await.unwrap_or_else(|| panic!("closed before {kind}"));
            if message["type"] == "facts" {
                assert_eq!(message["epoch"], 3);
                for fact in message["facts"].as_array().expect("facts") {
                    facts.push((fact["line"].as_u64().expect("a line"), fact["event"].clone()));
                }
            }
        }
        facts
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let _ = self.socket.close(Some(frame)).await;
        // Until the node has answered.
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
