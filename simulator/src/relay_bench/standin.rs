//! The far end of every call. To a node it is an OpenAI Realtime server that answers every append with one delta of the same
//! audio, in one endless response; to a phone behind the null relay it is what a node would say. No detection, no pacing.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::frames::{self, CLOSE, Frames, PING, PONG, TEXT};

const APPEND_HEAD: &[u8] = br#"{"type":"input_audio_buffer.append","audio":""#;
const DELTA_HEAD: &str = concat!(
    r#"{"type":"response.output_audio.delta","event_id":"event_BenchBenchBench01","response_id":"resp_BenchBenchBench01","#,
    r#""item_id":"item_BenchBenchBench01","output_index":0,"content_index":0,"delta":""#
);
const RESPONSE: [&str; 2] = [
    r#"{"type":"response.created","event_id":"event_1","response":{"id":"resp_BenchBenchBench01","object":"realtime.response","status":"in_progress","output":[]}}"#,
    r#"{"type":"response.output_item.added","event_id":"event_2","response_id":"resp_BenchBenchBench01","output_index":0,"item":{"id":"item_BenchBenchBench01","object":"realtime.item","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
];

const UPDATED: &str = concat!(
    r#"{"type":"session.updated","event_id":"event_3","session":{"type":"realtime","object":"realtime.session","#,
    r#""audio":{"input":{"format":{"type":"audio/pcmu"}},"output":{"format":{"type":"audio/pcmu"}}}}}"#
);

/// The stream's id in every call of the benchmark.
pub(super) const STREAM: &str = "MZ00000000000000000000000000000001";

/// Starts it on a free port.
pub(super) async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            spawn_local(async move {
                // A connection that ends is a call that ends.
                let _ = serve(socket).await;
            });
        }
    });
    Ok(address)
}

async fn serve(mut socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut frames = Frames::default();
    let head = frames::head(&mut socket, &mut frames).await?;
    let is_provider = !head.starts_with("GET /media");
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    if is_provider {
        frames::write(&mut out, TEXT, br#"{"type":"session.created","event_id":"event_0","session":{}}"#, None);
    }
    let mut text = Vec::new();
    let mut has_answered = false;
    loop {
        while let Some((opcode, payload)) = frames.next() {
            match opcode {
                TEXT if is_provider => provide(payload, &mut has_answered, &mut text, &mut out),
                TEXT => mirror(payload, &mut text, &mut out),
                PING => frames::write(&mut out, PONG, payload, None),
                CLOSE => return Ok(()),
                _ => {}
            }
        }
        if !out.is_empty() {
            socket.write_all(&out).await?;
            out.clear();
        }
        socket.readable().await?;
        if !frames.fill(&socket)? {
            return Ok(());
        }
    }
}

/// What the provider says to a node's message.
fn provide(message: &[u8], has_answered: &mut bool, text: &mut Vec<u8>, out: &mut Vec<u8>) {
    if let Some(audio) = message.strip_prefix(APPEND_HEAD).and_then(|rest| rest.strip_suffix(b"\"}")) {
        if !std::mem::replace(has_answered, true) {
            for event in RESPONSE {
                frames::write(out, TEXT, event.as_bytes(), None);
            }
        }
        text.clear();
        text.extend_from_slice(DELTA_HEAD.as_bytes());
        text.extend_from_slice(audio);
        text.extend_from_slice(b"\"}");
        frames::write(out, TEXT, text, None);
    } else if message.windows(16).any(|part| part == b"\"session.update\"") {
        frames::write(out, TEXT, UPDATED.as_bytes(), None);
    }
}

/// What a node would say to the phone.
fn mirror(message: &[u8], text: &mut Vec<u8>, out: &mut Vec<u8>) {
    const BEFORE: &[u8] = br#""payload":""#;
    let Some(at) = message.windows(BEFORE.len()).rposition(|part| part == BEFORE) else { return };
    let payload = message.get(at + BEFORE.len()..).unwrap_or_default();
    let payload = payload.split(|byte| *byte == b'"').next().unwrap_or_default();
    text.clear();
    text.extend_from_slice(br#"{"event":"media","streamSid":""#);
    text.extend_from_slice(STREAM.as_bytes());
    text.extend_from_slice(br#"","media":{"payload":""#);
    text.extend_from_slice(payload);
    text.extend_from_slice(br#""}}"#);
    frames::write(out, TEXT, text, None);
}
