//! The node's HTTP: which address means what, who may upgrade, and the answers to everybody else. A stream that may come in
//! becomes a call's task ([`crate::call`]); what happens on its socket does not live here.

use crate::admission::{Permit, Refused};
use crate::node::Shared;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::ids::NodeId;
use shared::twilio::signature::{self, Keys, Signed};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

/// Connections that are still HTTP. More are closed at once: they cost nothing then.
const MAX_HTTP_CONNECTIONS: usize = 1024;
/// Largest head of a request, bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How long the kernel may take to give a connection that was announced, after an error such as too many open files.
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);
/// Fly's proxy: answer with this header to have the request sent to another machine.
const FLY_REPLAY: &str = "fly-replay";
/// Fly's proxy: the request was replayed already.
const FLY_REPLAY_SRC: &str = "fly-replay-src";

type Answer = Response<Full<Bytes>>;

/// What an address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    /// A stream, meant for this node if one is named.
    Media(Option<&'a str>),
    Healthz,
    Readyz,
    Unknown,
}

fn route(path: &str) -> Route<'_> {
    match path.strip_suffix('/').filter(|p| !p.is_empty()).unwrap_or(path) {
        "/media" | "/call" | "/outbound-media-stream" => Route::Media(None),
        "/healthz" => Route::Healthz,
        "/readyz" => Route::Readyz,
        other => match other.strip_prefix("/media/") {
            Some(node) if !node.contains('/') => Route::Media(Some(node)),
            Some(_) | None => Route::Unknown,
        },
    }
}

/// Opens a listening socket whose connections have small kernel buffers. Where there is no IPv6, IPv4 is taken.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let open = |address: SocketAddr| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(crate::dial::SEND_BUFFER)?;
        socket.set_recv_buffer_size(crate::dial::RECEIVE_BUFFER)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    open(address).or_else(|error| match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => {
            open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Err(error),
    })
}

/// Which door a connection came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Twilio's and the health checks'.
    Public,
    /// The private port with the metrics.
    Metrics,
}

/// Accepts connections for as long as it is polled.
pub(crate) async fn accept(listener: TcpListener, door: Door, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(kind = %error.kind(), "cannot accept a connection");
                sleep(AFTER_ACCEPT_ERROR).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            serve(stream, door, shared).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, door: Door, shared: Arc<Shared>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let head_timeout = shared.config.timing.head;
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = match door {
            Door::Public => public(request, &shared),
            Door::Metrics => metrics(&request, &shared),
        };
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A peer that breaks HTTP is its own affair.
    let _ = connection.await;
}

fn metrics(request: &Request<Incoming>, shared: &Shared) -> Answer {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "not found\n");
    }
    let text = shared.metrics.text(shared.admission.live());
    typed(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
}

fn public(request: Request<Incoming>, shared: &Arc<Shared>) -> Answer {
    let node = match route(request.uri().path()) {
        Route::Media(node) => node,
        Route::Unknown => return plain(StatusCode::NOT_FOUND, "not found\n"),
        route @ (Route::Healthz | Route::Readyz) => return health(request.method(), route, shared),
    };
    if request.method() != Method::GET {
        return not_allowed("GET");
    }
    if let Some(other) = node.filter(|node| *node != shared.config.node.as_str()) {
        return elsewhere(other, request.headers(), shared);
    }
    if let Err(refused) = signed(&request, shared) {
        shared.metrics.call_refused("signature");
        tracing::warn!(%refused, "unsigned stream refused");
        return plain(StatusCode::FORBIDDEN, "the request is not signed by Twilio\n");
    }
    let Ok(answer) = create_response_with_body(&request, Full::default) else {
        let mut answer = plain(StatusCode::UPGRADE_REQUIRED, "a WebSocket is expected here\n");
        answer.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return answer;
    };
    match shared.admission.admit() {
        Ok(permit) => {
            upgrade(request, permit, shared);
            answer
        }
        Err(refused) => {
            shared.metrics.call_refused(refused.word());
            tracing::warn!(reason = refused.word(), "stream refused");
            let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, refused.word());
            if refused != Refused::Draining {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            answer
        }
    }
}

/// The upgrade itself happens once the answer is out; the permit is in the task from the beginning.
fn upgrade(mut request: Request<Incoming>, permit: Permit, shared: &Arc<Shared>) {
    let upgrading = hyper::upgrade::on(&mut request);
    let shared = Arc::clone(shared);
    let calls = shared.calls.clone();
    calls.spawn(async move {
        let Ok(upgraded) = upgrading.await else { return };
        // The server speaks nothing but plain TCP, so the stream below is always there.
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        // A copy: what hyper read shares a buffer of 8 KiB, which would live as long as this task.
        let (stream, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
        drop(parts.read_buf);
        crate::call::arrive(stream, read, permit, shared).await;
    });
}

/// The stream is meant for another node: Fly's proxy can bring it there, once.
fn elsewhere(node: &str, headers: &HeaderMap, shared: &Shared) -> Answer {
    let replay = shared.config.on_fly && !headers.contains_key(FLY_REPLAY_SRC);
    let target = NodeId::parse(node).ok().filter(|_| replay);
    match target.and_then(|node| HeaderValue::from_str(&format!("instance={node}")).ok()) {
        Some(instance) => {
            let mut answer = plain(StatusCode::CONFLICT, "another machine has this stream\n");
            answer.headers_mut().insert(FLY_REPLAY, instance);
            answer
        }
        None => {
            shared.metrics.call_refused("other_node");
            plain(StatusCode::NOT_FOUND, "no such node here\n")
        }
    }
}

fn signed(request: &Request<Incoming>, shared: &Shared) -> Result<(), signature::Refused> {
    let Some(token) = &shared.config.twilio_auth_token else { return Ok(()) };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", shared.public_url);
    let keys = Keys { tokens: vec![token.clone()], shared: Vec::new() };
    let signed =
        Signed { url: &url, signature: header(signature::HEADER), settings: header(signature::SETTINGS_HEADER) };
    keys.verify_upgrade(signed)
}

fn health(method: &Method, route: Route<'_>, shared: &Shared) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    let draining = shared.admission.is_draining();
    let status = if route == Route::Readyz && draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = serde_json::json!({
        "node": shared.config.node.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "liveCalls": shared.admission.live(),
        "capacity": shared.admission.capacity(),
        "draining": draining,
    });
    typed(status, "application/json", body.to_string())
}

fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    answer
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (path, expected) in [
            ("/media", Route::Media(None)),
            ("/media/", Route::Media(None)),
            ("/call", Route::Media(None)),
            ("/outbound-media-stream", Route::Media(None)),
            ("/media/e2865013f44908", Route::Media(Some("e2865013f44908"))),
            ("/media/e2865013f44908/", Route::Media(Some("e2865013f44908"))),
            ("/media/a/b", Route::Unknown),
            ("/healthz", Route::Healthz),
            ("/readyz", Route::Readyz),
            ("/metrics", Route::Unknown),
            ("/", Route::Unknown),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
