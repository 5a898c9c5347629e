use super::*;
use std::collections::BTreeSet;

fn filled(pattern: &str) -> String {
    pattern.split('/').map(|s| if s.starts_with('{') { "sample" } else { s }).collect::<Vec<_>>().join("/")
}

#[test]
fn every_row_is_reached_by_its_own_address_and_demands_something_sound() {
    let mut seen = BTreeSet::new();
    for entry in TABLE {
        let path = filled(entry.pattern);
        let found = find(entry.method, &path).unwrap();
        assert_eq!(*found.entry, *entry, "{path}");
        assert_eq!(found.parameter, if entry.pattern.contains('{') { "sample" } else { "" });
        assert!(seen.insert((entry.method, entry.pattern)), "{} stands twice", entry.pattern);
        assert_eq!(body_cap(entry.method, &path), entry.body_cap);
        assert!((1..=256 * 1024).contains(&entry.body_cap));
        // Who may use it follows from the address, but for what is open by design.
        let expected = match entry.pattern {
            p if p.starts_with("/voice") || p == "/twiml" || p.starts_with("/api/twilio/") => Principal::Twilio,
            "/api/calls/status"
            | "/api/calls/stream-status"
            | "/api/calls/amd"
            | "/api/calls/recording-status"
            | "/api/transcriptions/realtime"
            | "/recording-status-callback" => Principal::Twilio,
            p if p.starts_with("/node/") => Principal::Node,
            "/health" => Principal::Nobody,
            "/api/setup" => Principal::SetUp,
            "/api/session" => match entry.method {
                Method::Get => Principal::Nobody,
                Method::Post => Principal::SetUp,
                Method::Head | Method::Put | Method::Patch | Method::Delete | Method::Other => Principal::Person,
            },
            p if p.starts_with("/api/keys") => Principal::Person,
            _ => Principal::User,
        };
        assert_eq!(entry.principal, expected, "{}", entry.pattern);
        if entry.principal == Principal::Twilio && entry.method == Method::Post {
            assert_eq!((entry.content, entry.body_cap), (Content::Form, 64 * 1024));
        }
    }
}

#[test]
fn every_route_of_the_contract_is_in_the_table() {
    for (method, path, route) in [
        (Method::Post, "/twiml", Route::Voice),
        (Method::Get, "/api/twilio/voice", Route::Voice),
        (Method::Post, "/api/twilio/status", Route::CallStatus),
        (Method::Post, "/recording-status-callback", Route::RecordingStatus),
        (Method::Post, "/api/call", Route::PlaceCall),
        (Method::Post, "/api/call/start", Route::PlaceCall),
        (Method::Post, "/api/make-call", Route::PlaceCall),
        (Method::Post, "/api/outbound/initiate", Route::PlaceCall),
        (Method::Get, "/api/call/transcript", Route::TranscriptByQuery),
        (Method::Get, "/api/calls/CA1", Route::ShowCall),
        (Method::Post, "/api/calls/CA1/hangup", Route::HangUp),
        (Method::Get, "/node/calls/call_1", Route::NodeSocket),
        (Method::Put, "/api/agents/default", Route::SetDefaultAgent),
        (Method::Put, "/api/agents/other", Route::PutAgent),
        (Method::Get, "/ws/transcriptions", Route::WatchCall),
    ] {
        assert_eq!(find(method, path).unwrap().entry.route, route, "{path}");
    }
}

#[test]
fn another_method_is_refused_with_those_that_there_are() {
    let allow = |method, path| match find(method, path) {
        Err(Missed::Method(methods)) => Missed::allow(&methods),
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(allow(Method::Put, "/voice"), "GET, POST");
    assert_eq!(allow(Method::Get, "/api/calls/status"), "POST", "not a call of that name");
    assert_eq!(allow(Method::Get, "/api/agents/default"), "PUT");
    assert_eq!(allow(Method::Post, "/api/agents/x"), "GET, PUT, DELETE");
    assert_eq!(allow(Method::Other, "/health"), "GET");
}

#[test]
fn parameters_are_decoded_once_and_odd_paths_are_nowhere() {
    assert_eq!(find(Method::Put, "/api/numbers/%2B15550100199").unwrap().parameter, "+15550100199");
    assert_eq!(find(Method::Get, "/api/calls/a%2525").unwrap().parameter, "a%25");
    for path in [
        "",
        "/",
        "//health",
        "/health/",
        "/Health",
        "/./health",
        "/api/calls/",
        "/api/calls/..",
        "/api/calls/%2e%2e",
        "/api/calls/a%2Fb",
        "/api/calls/%zz",
        "/api/calls/%ff",
        "/api/calls/a/b",
        "/voice%2fafter-stream",
        "/api/calls/%2",
        "/voice;a=b",
    ] {
        assert_eq!(find(Method::Get, path), Err(Missed::NotFound), "{path}");
        assert_eq!(body_cap(Method::Get, path), 0);
    }
    let long = format!("/api/calls/{}", "x".repeat(257));
    assert_eq!(find(Method::Get, &long), Err(Missed::NotFound));
}

proptest::proptest! {
    #[test]
    fn no_path_is_too_odd(path in "[/a-z%0-9.{}+ü]{0,60}") {
        let _ = find(Method::Get, &path);
    }
}
