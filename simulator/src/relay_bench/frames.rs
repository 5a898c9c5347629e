//! Just enough of WebSocket framing (RFC 6455) for a load that costs little: whole text messages of up to 64 KiB. The
//! product's library is not used here: the load should neither share its faults nor its costs.

use std::io;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Opcode of a text message.
pub(super) const TEXT: u8 = 1;
/// Opcode of a close frame.
pub(super) const CLOSE: u8 = 8;
/// Opcode of a ping.
pub(super) const PING: u8 = 9;
/// Opcode of a pong.
pub(super) const PONG: u8 = 10;

/// The mask of every client frame of the load. A real client's changes; the work of undoing it is the same.
pub(super) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends a final frame.
pub(super) fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) {
    out.push(0x80 | opcode);
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => out.push(masked | short as u8),
        long => {
            out.push(masked | 126);
            out.extend_from_slice(&(long as u16).to_be_bytes());
        }
    }
    let Some(mask) = mask else { return out.extend_from_slice(payload) };
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(fresh) = out.get_mut(start..) {
        apply(fresh, mask);
    }
}

fn apply(bytes: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Frames cut from what a socket brings.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    read: usize,
}

impl Frames {
    /// Takes what the socket has. `false`: it is closed.
    pub(super) fn fill(&mut self, socket: &TcpStream) -> io::Result<bool> {
        if self.read == self.buffer.len() {
            self.buffer.clear();
            self.read = 0;
        }
        loop {
            self.buffer.reserve(16 * 1024);
            return match socket.try_read_buf(&mut self.buffer) {
                Ok(0) => Ok(false),
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Bytes that came with a handshake's answer.
    pub(super) fn begin_with(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame: its opcode and its payload, unmasked.
    pub(super) fn next(&mut self) -> Option<(u8, &[u8])> {
        let (opcode, start, length, mask) = {
            let rest = self.buffer.get(self.read..)?;
            let (first, second) = (*rest.first()?, *rest.get(1)?);
            let (mut at, length) = match second & 0x7f {
                126 => (4, usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]))),
                127 => (10, usize::try_from(u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?)).ok()?),
                short => (2, usize::from(short)),
            };
            let mask: Option<[u8; 4]> = if second & 0x80 == 0 {
                None
            } else {
                at += 4;
                Some(rest.get(at - 4..at)?.try_into().ok()?)
            };
            (first & 0x0f, self.read + at, length, mask)
        };
        let payload = self.buffer.get_mut(start..start + length)?;
        if let Some(mask) = mask {
            apply(payload, mask);
        }
        self.read = start + length;
        Some((opcode, payload))
    }
}

/// Reads the head of an HTTP message; what follows it goes to `frames`.
pub(super) async fn head(socket: &mut TcpStream, frames: &mut Frames) -> Result<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let (head, rest) = bytes.split_at(end + 4);
            frames.begin_with(rest);
            return Ok(String::from_utf8_lossy(head).into_owned());
        }
        if socket.read_buf(&mut bytes).await? == 0 || bytes.len() > 16 * 1024 {
            bail!("no HTTP head");
        }
    }
}

/// Opens a WebSocket as a client.
pub(super) async fn connect(socket: &mut TcpStream, path: &str, frames: &mut Frames) -> Result<()> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let answer = head(socket, frames).await?;
    if !answer.starts_with("HTTP/1.1 101") {
        bail!("not upgraded: {}", answer.lines().next().unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_are_written_in_any_cut() {
        let mut wire = Vec::new();
        let long = vec![b'x'; 300];
        write(&mut wire, TEXT, b"hello", Some(MASK));
        write(&mut wire, TEXT, &long, None);
        write(&mut wire, PING, b"", Some(MASK));
        for cut in 0..wire.len() {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for part in [&wire[..cut], &wire[cut..]] {
                frames.begin_with(part);
                while let Some((opcode, payload)) = frames.next() {
                    seen.push((opcode, payload.to_vec()));
                }
            }
            assert_eq!(seen, [(TEXT, b"hello".to_vec()), (TEXT, long.clone()), (PING, Vec::new())]);
        }
    }

    #[test]
    fn the_documented_masked_hello() {
        // RFC 6455, section 5.7.
        let mut wire = Vec::new();
        write(&mut wire, TEXT, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(wire, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }
}
