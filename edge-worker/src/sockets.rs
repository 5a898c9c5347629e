//! An object's hibernating WebSockets. Each has a kind and a name as tags, which outlive the object's memory; what is said
//! on them is the core's.

use edge_core::call_room::SocketId;
use edge_core::passes::Pass;
use shared::secret::hex;
use std::collections::BTreeSet;
use worker::{Error, Response, Result, State, WebSocket, WebSocketPair, WebSocketRequestResponsePair};

/// Most sockets of one kind in one object, so that watchers never keep a node out. (Reaching the platform's own limit,
/// 32768 in all, would end the whole isolate.)
const MOST_SOCKETS: usize = 1_000;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A media node.
    Node,
    /// A browser, or an event stream of the Worker.
    Watcher,
}

impl Kind {
    fn tag(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Watcher => "watcher",
        }
    }
}

/// Text pings are answered by the runtime, without waking the object.
pub(crate) fn answer_pings(state: &State) {
    if let Ok(pair) = WebSocketRequestResponsePair::new("ping", "pong") {
        state.set_websocket_auto_response(&pair);
    }
}

/// Accepts a new socket: its name, and the response that gives the client its end. An error when there are too many.
pub(crate) fn accept(state: &State, kind: Kind, name: [u8; 16], pass: Option<&Pass>) -> Result<(SocketId, Response)> {
    if state.get_websockets_with_tag(kind.tag()).len() >= MOST_SOCKETS {
        return Err(Error::RustError("the object has too many sockets".to_owned()));
    }
    let pair = WebSocketPair::new()?;
    let socket = SocketId(hex(&name));
    let pass = pass.map(Pass::tag);
    let tags: Vec<&str> = [kind.tag(), socket.0.as_str()].into_iter().chain(pass.as_deref()).collect();
    state.accept_websocket_with_tags(&pair.server, &tags);
    Ok((socket, Response::from_websocket(pair.client)?))
}

/// Which socket this is; none for one that this version did not accept.
pub(crate) fn identify(state: &State, socket: &WebSocket) -> Option<(Kind, SocketId)> {
    let mut tags = state.get_tags(socket).into_iter();
    let kind = match tags.next()?.as_str() {
        "node" => Kind::Node,
        "watcher" => Kind::Watcher,
        _ => return None,
    };
    tags.next().map(|name| (kind, SocketId(name)))
}

/// What the watchers that are here came in with.
pub(crate) fn passes(state: &State) -> BTreeSet<Pass> {
    let watchers = state.get_websockets_with_tag(Kind::Watcher.tag());
    watchers.iter().filter_map(|socket| Pass::read(state.get_tags(socket).get(2)?)).collect()
}

/// Closes every socket that came in with this.
pub(crate) fn close_pass(state: &State, pass: &Pass, code: u16, reason: &str) {
    for socket in state.get_websockets_with_tag(&pass.tag()) {
        let _ = socket.close(Some(code), Some(reason));
    }
}

/// Sends on one socket. A socket that is gone or going does not take it, and that is no fault: its other end resumes.
pub(crate) fn send(state: &State, socket: &SocketId, text: &str) {
    for socket in state.get_websockets_with_tag(&socket.0) {
        let _ = socket.send_with_str(text);
    }
}

/// Sends to every watcher.
pub(crate) fn broadcast(state: &State, text: &str) {
    for socket in state.get_websockets_with_tag(Kind::Watcher.tag()) {
        let _ = socket.send_with_str(text);
    }
}

/// Closes one socket.
pub(crate) fn close(state: &State, socket: &SocketId, code: u16, reason: &str) {
    for socket in state.get_websockets_with_tag(&socket.0) {
        let _ = socket.close(Some(code), Some(reason));
    }
}

/// Closes every watcher's socket.
pub(crate) fn close_watchers(state: &State, code: u16) {
    for socket in state.get_websockets_with_tag(Kind::Watcher.tag()) {
        let _ = socket.close(Some(code), Some(""));
    }
}

/// Answers the other end's close, so that it does not have to wait for it. Codes that only a runtime may report are
/// answered with a plain one.
pub(crate) fn close_back(socket: &WebSocket, code: usize) {
    let code = match u16::try_from(code) {
        Ok(code @ (1000 | 1001 | 3000..=4999)) => code,
        Ok(_) | Err(_) => 1000,
    };
    let _ = socket.close(Some(code), Some(""));
}
