use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::provider::openai::{End, Fault, FaultKind, Moment, Server, listen};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Long enough for anything on this machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn serve(options: Options) -> Server {
    listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await.expect("it listens")
}

async fn connect(server: &Server) -> Result<Socket, Error> {
    let mut request = format!("{}?model=gpt-realtime-2.1", server.url()).into_client_request()?;
    request.headers_mut().insert("Authorization", "Bearer test-key".parse().expect("a header"));
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn next(socket: &mut Socket) -> Value {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time").expect("open").expect("right");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

async fn send(socket: &mut Socket, event: &Value) {
    socket.send(Message::text(event.to_string())).await.expect("it is sent");
}

#[tokio::test]
async fn a_session_over_a_real_socket() {
    let server = serve(Options { speed: 50.0, first_audio_ms: 5, ..plain() }).await;
    let mut socket = connect(&server).await.expect("welcome");
    assert_eq!(kind(&next(&mut socket).await), "session.created");
    send(&mut socket, &telephone(json!({ "type": "server_vad" }))).await;
    assert_eq!(kind(&next(&mut socket).await), "session.updated");
    send(&mut socket, &json!({ "type": "response.create" })).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|last| last != "response.done") {
        kinds.push(kind(&next(&mut socket).await).to_owned());
    }
    assert!(kinds.contains(&"response.output_audio.delta".to_owned()));
    socket.close(None).await.expect("it closes");
    let stats = server.stats();
    tokio::time::timeout(PATIENCE, stats.wait_until(|stats| stats.open() == 0)).await.expect("it is noticed");
    let record = stats.records().remove(0);
    assert_eq!(record.ended.as_ref().map(|(_, how)| how), Some(&End::ByClient));
    assert!(record.items[0].complete);
    server.stop().await;
}

#[tokio::test]
async fn refused_upgrades_carry_status_and_body() {
    let faults = vec![Fault { connection: Some(1), at: Moment::Connect, kind: FaultKind::Refuse(429) }];
    let server = serve(Options { faults, ..plain() }).await;
    let Err(Error::Http(response)) = connect(&server).await else { panic!("it must be refused") };
    assert_eq!(response.status(), 429);
    let body: Value = serde_json::from_slice(response.body().as_deref().expect("a body")).expect("JSON");
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    let Err(Error::Http(response)) = connect_async(format!("{}?model=m", server.url())).await else {
        panic!("without a key it must be refused")
    };
    assert_eq!(response.status(), 401);
    assert_eq!(server.stats().turned_away().len(), 2);
    assert!(connect(&server).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn an_expired_session_closes_with_1001() {
    let server = serve(Options { session_seconds: 0, ..plain() }).await;
    let mut socket = connect(&server).await.expect("welcome");
    let mut last = Value::Null;
    let frame = loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await;
        let message = message.expect("in time").expect("open").expect("right");
        if let Message::Close(frame) = message {
            break frame.expect("with a code");
        }
        last = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
    };
    assert_eq!(last["error"]["code"], "session_expired");
    assert_eq!(frame.code, CloseCode::Away);
    server.stop().await;
}

#[tokio::test]
async fn a_dropped_connection_has_no_close_frame() {
    let faults = vec![Fault { connection: None, at: Moment::AfterMs(1), kind: FaultKind::Drop }];
    let server = serve(Options { faults, ..plain() }).await;
    let mut socket = connect(&server).await.expect("welcome");
    assert_eq!(kind(&next(&mut socket).await), "session.created");
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_stalled_upgrade_is_never_answered() {
    let faults = vec![Fault { connection: Some(1), at: Moment::Connect, kind: FaultKind::Stall }];
    let server = serve(Options { faults, ..plain() }).await;
    let mut stalled = TcpStream::connect(server.address()).await.expect("it connects");
    let request = "GET /v1/realtime?model=m HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Authorization: Bearer test-key\r\n\r\n";
    stalled.write_all(request.as_bytes()).await.expect("it is sent");
    let mut second = connect(&server).await.expect("the next one is welcome");
    assert_eq!(kind(&next(&mut second).await), "session.created");
    tokio::time::timeout(PATIENCE, server.stop()).await.expect("it stops");
    let mut answer = Vec::new();
    // Unread bytes make the end a reset on some systems; either way nothing was answered.
    let _ = tokio::time::timeout(PATIENCE, stalled.read_to_end(&mut answer)).await.expect("it ends");
    assert_eq!(answer, b"");
}

/// Two hundred echoing sessions at once: every frame comes back as one delta with its own bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_echoes() {
    const FRAMES: u64 = 50;
    let server = serve(Options::echo()).await;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..200_u64 {
        let mut socket = connect(&server).await.expect("welcome");
        clients.spawn(async move {
            for frame in 0..FRAMES {
                // The payload is not looked at: a counter may stand in it.
                let payload = format!("{client:08}{frame:08}{}", "A".repeat(200));
                send(&mut socket, &json!({ "type": "input_audio_buffer.append", "audio": payload })).await;
                loop {
                    let event = next(&mut socket).await;
                    if kind(&event) == "response.output_audio.delta" {
                        assert_eq!(event["delta"], payload);
                        break;
                    }
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no panic");
    }
    let stats = server.stop().await;
    let mut frames = 0;
    stats.each(|record| {
        assert_eq!(record.sent["response.output_audio.delta"], FRAMES);
        assert_eq!(record.input_bytes, FRAMES * 162);
        frames += record.received["input_audio_buffer.append"];
    });
    assert_eq!(frames, 200 * FRAMES);
}
