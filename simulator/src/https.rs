//! The TLS library's cryptography, chosen once for the whole program: ring, as in the media node, so that one build has one
//! implementation of it. Everything that connects to somebody begins here.

use std::sync::Once;

/// Makes TLS connections possible; every call after the first does nothing.
pub(crate) fn ready() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        // Refused only when the program that contains us has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// An HTTP client to be built.
pub(crate) fn client() -> reqwest::ClientBuilder {
    ready();
    reqwest::Client::builder()
}
