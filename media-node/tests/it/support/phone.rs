//! Twilio's side of a Media Stream, as its documentation shows it.

use super::soon;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) const CALL: &str = "CA00000000000000000000000000000001";
pub(crate) const STREAM: &str = "MZ00000000000000000000000000000001";

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// A caller's stream.
pub(crate) struct Phone {
    pub(crate) socket: Socket,
    sequence: u64,
    chunk: u64,
}

impl Phone {
    /// Connects; the error is the answer's status.
    pub(crate) async fn dial(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a sound address");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a sound header"));
        }
        let stream = soon(TcpStream::connect(address)).await.expect("a connection");
        stream.set_nodelay(true).expect("a live socket");
        match soon(tokio_tungstenite::client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self { socket, sequence: 0, chunk: 0 }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(other) => panic!("no HTTP answer: {other}"),
        }
    }

    /// Connects and says `connected` and `start`.
    pub(crate) async fn call(address: SocketAddr, parameters: Value) -> Self {
        let mut phone = Self::dial(address, "/media", &[]).await.expect("a place");
        phone.start(parameters).await;
        phone
    }

    pub(crate) async fn start(&mut self, parameters: Value) {
        self.say(&json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})).await;
        let format = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
        self.start_with(parameters, format).await;
    }

    pub(crate) async fn start_with(&mut self, parameters: Value, format: Value) {
        self.event(json!({"event": "start", "start": {
            "accountSid": "AC00000000000000000000000000000001", "streamSid": STREAM, "callSid": CALL,
            "tracks": ["inbound"], "mediaFormat": format, "customParameters": parameters,
        }}))
        .await;
    }

    /// Sends an event with its sequence number and stream.
    pub(crate) async fn event(&mut self, mut event: Value) {
        self.sequence += 1;
        event["sequenceNumber"] = self.sequence.to_string().into();
        event["streamSid"] = STREAM.into();
        self.say(&event).await;
    }

    pub(crate) async fn say(&mut self, event: &Value) {
        self.raw(event.to_string()).await;
    }

    pub(crate) async fn raw(&mut self, text: String) {
        // A node that has closed does not take it; tests that care look at what it said.
        let _ = soon(self.socket.send(Message::text(text))).await;
    }

    /// One frame of the caller's audio.
    pub(crate) async fn speak(&mut self, mulaw: &[u8]) {
        self.chunk += 1;
        let timestamp = (self.chunk * 20).to_string();
        let payload = STANDARD.encode(mulaw);
        let media = json!({"track": "inbound", "chunk": self.chunk.to_string(), "timestamp": timestamp,
            "payload": payload});
        self.event(json!({"event": "media", "media": media})).await;
    }

    pub(crate) async fn press(&mut self, digit: char) {
        self.event(json!({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit.to_string()}})).await;
    }

    pub(crate) async fn hang_up(&mut self) {
        let stop = json!({"accountSid": "AC00000000000000000000000000000001", "callSid": CALL});
        self.event(json!({"event": "stop", "stop": stop})).await;
    }

    /// What the node says next; none once it has closed.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_) | Message::Binary(_) | Message::Frame(_)) | Err(_)) | None => return None,
            }
        }
    }

    /// Waits for the node's close frame and says its code; none: it closed without one.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Collects so many bytes of audio and sends every mark back at once: a Twilio whose time flies.
    pub(crate) async fn listen(&mut self, bytes: usize) -> Vec<u8> {
        self.collect(bytes, true).await
    }

    /// Collects so many bytes of audio. Without `marks` none of it is played yet.
    pub(crate) async fn collect(&mut self, bytes: usize, marks: bool) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < bytes {
            let event = self.hear().await.expect("the node closed too early");
            assert_eq!(event["streamSid"], STREAM);
            match event["event"].as_str() {
                Some("media") => {
                    let payload = event["media"]["payload"].as_str().expect("a payload");
                    heard.extend(STANDARD.decode(payload).expect("base64"));
                }
                Some("mark") if !marks => {}
                Some("mark") => self.event(json!({"event": "mark", "mark": event["mark"]})).await,
                other => panic!("unexpected event {other:?}"),
            }
        }
        heard
    }
}

/// 20 ms of audio that is recognised again: every byte depends on the frame and the place in it.
pub(crate) fn frame(number: usize) -> Vec<u8> {
    (0..160).map(|place| u8::try_from((number * 7 + place * 13 + 1) % 251).expect("below 251")).collect()
}
