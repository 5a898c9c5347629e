//! The headers that every answer carries, errors and redirects included. The console's own files are served with the same
//! set and [`CONSOLE_POLICY`].

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// JSON, plain text and event streams of the API: private.
    Api,
    /// TwiML and the empty answers to callbacks.
    Twilio,
    /// The answer to a sign-out: the browser forgets what it kept.
    SignOut,
}

/// On every answer.
pub const ALWAYS: &[(&str, &str)] = &[
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=(), payment=()"),
    ("cache-control", "no-store"),
];

/// The content policy of everything that is not a page.
pub const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// The content policy of the console's pages: everything from its own origin, sockets to its own origin and to the hosts of
/// Twilio's Voice SDK (its signalling hosts and the media host for insights).
pub const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; media-src 'self' blob:; connect-src 'self' wss://*.twilio.com https://*.twilio.com; worker-src 'self'; \
    manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'; \
    require-trusted-types-for 'script'";

/// All headers of an answer of this kind.
pub fn headers(surface: Surface) -> Vec<(&'static str, &'static str)> {
    let mut headers = ALWAYS.to_vec();
    headers.push(("content-security-policy", API_POLICY));
    match surface {
        Surface::Api | Surface::Twilio => {}
        Surface::SignOut => headers.push(("clear-site-data", "\"cookies\", \"storage\"")),
    }
    headers
}

/// All headers of an event stream, its content type included.
pub fn event_stream() -> Vec<(&'static str, &'static str)> {
    let mut headers = headers(Surface::Api);
    headers.push(("content-type", "text/event-stream; charset=utf-8"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_has_the_whole_set() {
        for surface in [Surface::Api, Surface::Twilio, Surface::SignOut] {
            let headers = headers(surface);
            for name in
                ["strict-transport-security", "x-content-type-options", "content-security-policy", "cache-control"]
            {
                assert_eq!(headers.iter().filter(|(n, _)| *n == name).count(), 1, "{surface:?} {name}");
            }
        }
    }
}
