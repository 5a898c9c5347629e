//! A call's transcript as a streamed answer: the Worker watches the room as a browser would and encodes what it hears. The
//! form of the events is the core's.

use crate::call_room::RoomSocket;
use crate::inbound::{bare, headed};
use crate::objects;
use edge_core::event_stream::TranscriptStream;
use edge_core::passes::Pass;
use edge_core::security;
use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{SinkExt as _, StreamExt as _, stream};
use shared::console_api::ServerMessage;
use shared::ids::CallId;
use std::pin::pin;
use std::time::Duration;
use worker::{Delay, Env, Error, Response, Result, WebSocket, WebsocketEvent};

/// A comment is sent after so long a silence, so that nothing between us and the client takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Pieces that wait for a slow reader; beyond them the room's messages wait at the socket.
const WAITING: usize = 8;

/// Streams the transcript until the call ends, the client goes, or what it came in with ends.
pub(crate) async fn respond(env: &Env, call: &CallId, after: u64, pass: Pass) -> Response {
    let socket = RoomSocket::Watcher { from_seq: Some(0), pass };
    let attached = objects::attach(env, "CALL_ROOM", call.as_str(), &socket).await;
    let Some(watched) = attached.and_then(Response::websocket) else { return bare(503) };
    let (pieces, arrived) = mpsc::channel::<String>(WAITING);
    // Listening is part of the body: when the client goes, the runtime drops the body and with it the room's socket.
    let listening = stream::once(async move {
        let _ = listen(watched, TranscriptStream::new(after), pieces).await;
    });
    let body = stream::select(arrived.map(Some), listening.map(|()| None))
        .filter_map(|piece| async move { piece.map(|text| Ok::<_, Error>(text.into_bytes())) });
    headed(200, security::event_stream()).from_stream(body).unwrap_or_else(|_| bare(503))
}

/// Closed when dropped, however listening ends.
struct Watched(WebSocket);

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.close(Some(1000), Some("done"));
    }
}

async fn listen(socket: WebSocket, mut transcript: TranscriptStream, mut pieces: mpsc::Sender<String>) -> Result<()> {
    let watched = Watched(socket);
    let mut events = watched.0.events()?;
    watched.0.accept()?;
    let gone = |_| Error::RustError("the client is gone".to_owned());
    loop {
        let event = match select(events.next(), pin!(Delay::from(KEEP_ALIVE))).await {
            Either::Left((event, _)) => event,
            Either::Right(((), _)) => {
                pieces.send(": still here\n\n".to_owned()).await.map_err(gone)?;
                continue;
            }
        };
        let Some(Ok(WebsocketEvent::Message(message))) = event else { return Ok(()) };
        let Some(message) = message.text().and_then(|text| serde_json::from_str::<ServerMessage>(&text).ok()) else {
            continue;
        };
        let piece = transcript.push(&message);
        if !piece.text.is_empty() {
            pieces.send(piece.text).await.map_err(gone)?;
        }
        if piece.ends {
            return Ok(());
        }
    }
}
