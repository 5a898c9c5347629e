//! A certificate for `localhost` that no public authority knows.

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::io::Write as _;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

pub(crate) struct Certified {
    key: rcgen::CertifiedKey<rcgen::KeyPair>,
    pub(crate) file: NamedTempFile,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(key.cert.pem().as_bytes()).expect("a written file");
        Self { key, file }
    }

    /// The file that `EXTRA_CA_FILE` names.
    pub(crate) fn path(&self) -> &str {
        self.file.path().to_str().expect("a plain path")
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let private = PrivateKeyDer::Pkcs8(self.key.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.key.cert.der().clone()], private)
            .expect("a sound key");
        TlsAcceptor::from(Arc::new(config))
    }
}
