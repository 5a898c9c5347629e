//! An OpenAI Realtime server that a test plays by hand, message by message, from the vendor's documentation.

use super::soon;
use super::tls::Certified;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

pub(crate) const KEY: &str = "sk-provider-key-canary";

/// A fake provider.
pub(crate) struct Provider {
    pub(crate) url: String,
    connections: mpsc::UnboundedReceiver<Connection>,
}

/// One connection to it.
pub(crate) struct Connection {
    pub(crate) authorization: String,
    pub(crate) query: String,
    pub(crate) socket: WebSocketStream<Box<dyn Stream>>,
}

/// Plain or behind TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::behind(None).await
    }

    /// A provider behind TLS, whose certificate is for `localhost`.
    pub(crate) async fn start_tls(certified: &Certified) -> Self {
        let mut provider = Self::behind(Some(certified.acceptor())).await;
        provider.url = provider.url.replace("ws://127.0.0.1", "wss://localhost");
        provider
    }

    async fn behind(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/v1/realtime", listener.local_addr().expect("an address"));
        let (into, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (into, tls) = (into.clone(), tls.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Stream> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    let (mut authorization, mut query) = (String::new(), String::new());
                    #[expect(clippy::result_large_err, reason = "the library's callback has this type")]
                    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
                        authorization = header.unwrap_or_default().to_owned();
                        query = request.uri().query().unwrap_or_default().to_owned();
                        Ok(response)
                    };
                    if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, look).await {
                        let _ = into.send(Connection { authorization, query, socket });
                    }
                });
            }
        });
        Self { url, connections }
    }

    pub(crate) async fn connection(&mut self) -> Connection {
        soon(self.connections.recv()).await.expect("the provider lives")
    }

    /// The next connection, configured: the node may send audio.
    pub(crate) async fn configured(&mut self) -> Connection {
        let mut connection = self.connection().await;
        connection.configure().await;
        connection
    }
}

impl Connection {
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_) | Message::Binary(_) | Message::Frame(_)) | Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn say(&mut self, event: Value) {
        self.raw(Message::text(event.to_string())).await;
    }

    pub(crate) async fn raw(&mut self, message: Message) {
        let _ = soon(self.socket.send(message)).await;
    }

    pub(crate) async fn configure(&mut self) {
        self.say(json!({"type": "session.created", "event_id": "e1", "session": {"id": "s1"}})).await;
        let update = self.hear().await.expect("a configuration");
        assert_eq!(update["type"], "session.update");
        let audio = &update["session"]["audio"];
        assert_eq!(
            (&audio["input"]["format"]["type"], &audio["output"]["format"]["type"]),
            (&json!("audio/pcmu"), &json!("audio/pcmu"))
        );
        self.say(json!({"type": "session.updated", "event_id": "e2", "session": update["session"]})).await;
    }

    /// The next message of this type; others are passed over.
    pub(crate) async fn hear_type(&mut self, kind: &str) -> Value {
        loop {
            let event = self.hear().await.unwrap_or_else(|| panic!("closed before {kind}"));
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// Collects so many bytes of the caller's audio.
    pub(crate) async fn listen(&mut self, bytes: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < bytes {
            let event = self.hear_type("input_audio_buffer.append").await;
            heard.extend(STANDARD.decode(event["audio"].as_str().expect("audio")).expect("base64"));
        }
        heard
    }

    /// Begins an answer.
    pub(crate) async fn begin(&mut self, response: &str, item: &str) {
        self.say(json!({"type": "response.created", "event_id": "e", "response": {"id": response, "object":
            "realtime.response", "status": "in_progress", "output": []}}))
            .await;
        self.say(json!({"type": "response.output_item.added", "event_id": "e", "response_id": response,
            "output_index": 0, "item": {"id": item, "type": "message", "role": "assistant", "content": []}}))
            .await;
    }

    pub(crate) async fn delta(&mut self, response: &str, item: &str, mulaw: &[u8]) {
        self.say(json!({"type": "response.output_audio.delta", "event_id": "e", "response_id": response,
            "item_id": item, "output_index": 0, "content_index": 0, "delta": STANDARD.encode(mulaw)}))
            .await;
    }

    /// Ends an answer with its words.
    pub(crate) async fn end(&mut self, response: &str, item: &str, words: &str) {
        let ids = json!({"event_id": "e", "response_id": response, "item_id": item, "output_index": 0,
            "content_index": 0});
        let with = |kind: &str| {
            let mut event = ids.clone();
            event["type"] = kind.into();
            event
        };
        self.say(with("response.output_audio.done")).await;
        let mut transcript = with("response.output_audio_transcript.done");
        transcript["transcript"] = words.into();
        self.say(transcript).await;
        self.say(json!({"type": "response.done", "event_id": "e", "response": {"id": response, "status": "completed",
            "output": [{"id": item, "type": "message"}]}}))
            .await;
    }
}
