//! Opening sockets towards others: addresses raced, TLS, the WebSocket handshake, all within one budget. Which address is
//! dialled, and what an answer means, is the caller's.

use crate::config::is_loopback;
use crate::wire::Wire;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{HeaderName, HeaderValue, Request};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use shared::secret::Secret;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, handshake::client::Request as WsRequest};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use url::Url;

/// A socket that we opened.
pub(crate) type Dialled = MaybeTlsStream<Wire>;
/// A WebSocket that we opened.
pub(crate) type DialledSocket = WebSocketStream<Dialled>;

/// After how long the next address of a host is tried beside the first (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// The kernel's buffers of a socket: enough for a burst of speech, small enough that a stalled peer is noticed.
pub(crate) const SEND_BUFFER: u32 = 32 * 1024;
/// See [`SEND_BUFFER`].
pub(crate) const RECEIVE_BUFFER: u32 = 64 * 1024;

/// Why a socket was not opened. Nothing of the peer's words is kept: they may quote a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    /// Not an address that can be dialled.
    #[error("the address cannot be dialled")]
    Address,
    /// The host's name does not resolve.
    #[error("the host's name does not resolve")]
    Resolve,
    /// Nobody took the connection.
    #[error("no connection")]
    Connect,
    /// TLS failed, usually a certificate.
    #[error("tls failed")]
    Tls,
    /// Not all of it happened in time.
    #[error("no answer in time")]
    Timeout,
    /// The peer answered the handshake with another status than 101.
    #[error("answered with status {0}")]
    Status(u16),
    /// The peer did not speak the protocol.
    #[error("the handshake failed")]
    Handshake,
}

/// Reads certificates in PEM; none when there is no sound one.
pub(crate) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|list| !list.is_empty())
}

/// How the node opens sockets: whom it trusts, and how long it waits.
#[derive(Clone)]
pub(crate) struct Dialler {
    public: Arc<ClientConfig>,
    loopback: Arc<ClientConfig>,
    budget: Duration,
}

impl Dialler {
    /// `extra_ca_pem` is trusted for loopback hosts only, besides the public certificate authorities.
    pub(crate) fn new(extra_ca_pem: Option<&[u8]>, budget: Duration) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let public = client_config(roots.clone())?;
        let Some(extra) = extra_ca_pem.and_then(certificates) else {
            return Ok(Self { loopback: Arc::clone(&public), public, budget });
        };
        for certificate in extra {
            roots.add(certificate)?;
        }
        Ok(Self { public, loopback: client_config(roots)?, budget })
    }

    /// Opens a WebSocket.
    pub(crate) async fn socket(
        &self,
        url: &str,
        headers: &[(&'static str, Secret)],
        config: WebSocketConfig,
    ) -> Result<DialledSocket, DialError> {
        let request = request(url, headers)?;
        let url = Url::parse(url).map_err(|_| DialError::Address)?;
        let opening = async {
            let stream = connect(&url).await?;
            let connector = Some(Connector::Rustls(self.tls(&url)));
            tokio_tungstenite::client_async_tls_with_config(request, stream, Some(config), connector)
                .await
                .map(|(socket, _)| socket)
                .map_err(|error| reason(&error))
        };
        tokio::time::timeout(self.budget, opening).await.unwrap_or(Err(DialError::Timeout))
    }

    /// Opens a socket for plain HTTP requests.
    pub(crate) async fn stream(&self, url: &Url) -> Result<Dialled, DialError> {
        let opening = async {
            let stream = connect(url).await?;
            if url.scheme() != "https" {
                return Ok(MaybeTlsStream::Plain(stream));
            }
            let host = url.host_str().ok_or(DialError::Address)?.trim_matches(['[', ']']);
            let name = host.to_owned().try_into().map_err(|_| DialError::Address)?;
            let connector = tokio_rustls::TlsConnector::from(self.tls(url));
            connector.connect(name, stream).await.map(MaybeTlsStream::Rustls).map_err(|_| DialError::Tls)
        };
        tokio::time::timeout(self.budget, opening).await.unwrap_or(Err(DialError::Timeout))
    }

    fn tls(&self, url: &Url) -> Arc<ClientConfig> {
        Arc::clone(if is_loopback(url) { &self.loopback } else { &self.public })
    }
}

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn request(url: &str, headers: &[(&'static str, Secret)]) -> Result<WsRequest, DialError> {
    let mut request: Request<()> = url.into_client_request().map_err(|_| DialError::Address)?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| DialError::Address)?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| DialError::Address)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are many and mean one thing here")]
fn reason(error: &WsError) -> DialError {
    match error {
        WsError::Http(response) => DialError::Status(response.status().as_u16()),
        WsError::Tls(_) => DialError::Tls,
        WsError::Io(error) if error.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => DialError::Tls,
        _ => DialError::Handshake,
    }
}

/// Races a host's addresses, each a little after the one before.
async fn connect(url: &Url) -> Result<Wire, DialError> {
    let host = url.host_str().ok_or(DialError::Address)?.trim_matches(['[', ']']);
    let port = url.port_or_known_default().ok_or(DialError::Address)?;
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((host, port)).await.map_err(|_| DialError::Resolve)?.collect();
    let mut attempts: FuturesUnordered<_> = (0u32..)
        .zip(addresses)
        .map(|(place, address)| async move {
            tokio::time::sleep(NEXT_ADDRESS_AFTER * place).await;
            open(address).await
        })
        .collect();
    while let Some(attempt) = attempts.next().await {
        if let Ok(stream) = attempt {
            return Ok(Wire::new(stream));
        }
    }
    Err(DialError::Connect)
}

async fn open(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}
