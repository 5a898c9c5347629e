//! A TCP stream that counts its bytes. From the counts follow the traffic metrics, whether a blocked write makes progress,
//! and whether a silent peer still lives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::MaybeTlsStream;

/// A counted TCP stream.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    read: u64,
    written: u64,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, read: 0, written: 0 }
    }
}

/// How many bytes have passed.
pub(crate) trait Counted {
    /// Bytes that have come in.
    fn bytes_read(&self) -> u64;
    /// Bytes that the kernel has taken.
    fn bytes_written(&self) -> u64;
}

impl Counted for Wire {
    fn bytes_read(&self) -> u64 {
        self.read
    }
    fn bytes_written(&self) -> u64 {
        self.written
    }
}

impl Counted for MaybeTlsStream<Wire> {
    fn bytes_read(&self) -> u64 {
        match self {
            MaybeTlsStream::Plain(wire) => wire.read,
            MaybeTlsStream::Rustls(tls) => tls.get_ref().0.read,
            _ => 0,
        }
    }
    fn bytes_written(&self) -> u64 {
        match self {
            MaybeTlsStream::Plain(wire) => wire.written,
            MaybeTlsStream::Rustls(tls) => tls.get_ref().0.written,
            _ => 0,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read += (buf.filled().len() - before) as u64;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &polled {
            self.written += *written as u64;
        }
        polled
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
