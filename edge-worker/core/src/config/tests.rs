use super::*;
use crate::testing::variables;
use std::collections::BTreeMap;

fn read(variables: &BTreeMap<&'static str, String>) -> Result<Config, Vec<(&'static str, bool)>> {
    Config::read(&|name| variables.get(name).cloned())
        .map_err(|invalid| invalid.0.into_iter().map(|m| (m.variable, m.missing)).collect())
}

#[test]
fn a_whole_set_is_read() {
    let config = read(&variables()).unwrap();
    assert_eq!(config.address("/voice"), "https://voice.example.com/voice");
    assert_eq!(config.twilio_keys.tokens.len(), 2);
    assert_eq!(config.twilio_keys.shared.len(), 1);
    assert_eq!(config.twilio_api_base_url, "https://api.twilio.com");
    assert!(config.rest_authorization.expose().starts_with("Basic U0swMDAw"), "the API key, not the auth token");
    let shown = format!("{config:?}");
    for variable in ["TWILIO_AUTH_TOKEN", "TWILIO_API_SECRET", "TICKET_SIGNING_KEY", "NODE_SECRET", "SETUP_TOKEN"] {
        assert!(!shown.contains(&variables()[variable]), "{variable} prints");
    }
}

#[test]
fn without_an_api_key_the_token_signs_in() {
    let mut few = variables();
    for optional in [
        "TWILIO_API_KEY",
        "TWILIO_API_SECRET",
        "TWILIO_CALLER_ID",
        "TWILIO_TWIML_APP_SID",
        "SETUP_TOKEN",
        "TWILIO_SHARED_KEYS",
    ] {
        few.remove(optional);
    }
    few.insert("TWILIO_AUTH_TOKEN_SECONDARY", "  ".into());
    let config = read(&few).unwrap();
    assert!(config.rest_authorization.expose().starts_with("Basic QUMwMDAw"));
    assert_eq!(config.twilio_keys.tokens.len(), 1);
    assert!(config.api_key.is_none() && config.setup_token.is_none());
}

#[test]
fn every_mistake_is_named_at_once_and_no_value() {
    let mut bad = variables();
    for (name, value) in [
        ("PUBLIC_BASE_URL", "http://voice.example.com"),
        ("TWILIO_ACCOUNT_SID", "AC123"),
        ("TWILIO_CALLER_ID", "555"),
        ("TICKET_SIGNING_KEY", "c2hvcnQ="),
        ("TICKET_SIGNING_KEY_SECONDARY", "c2hvcnQ="),
        ("NODE_SECRET", "short"),
        ("TWILIO_API_BASE_URL", "ftp://x"),
        ("TWILIO_SHARED_KEYS", "nonsense"),
    ] {
        bad.insert(name, value.to_owned());
    }
    bad.remove("TWILIO_AUTH_TOKEN");
    bad.remove("TWILIO_API_SECRET");
    let mut named = read(&bad).unwrap_err();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            ("NODE_SECRET", false),
            ("PUBLIC_BASE_URL", false),
            ("TICKET_SIGNING_KEY", false),
            ("TICKET_SIGNING_KEY_SECONDARY", false),
            ("TWILIO_ACCOUNT_SID", false),
            ("TWILIO_API_BASE_URL", false),
            ("TWILIO_API_SECRET", true),
            ("TWILIO_AUTH_TOKEN", true),
            ("TWILIO_CALLER_ID", false),
            ("TWILIO_SHARED_KEYS", false),
        ]
    );
    let invalid = Config::read(&|name| bad.get(name).cloned()).unwrap_err();
    let message = invalid.to_string();
    assert!(message.contains("TWILIO_AUTH_TOKEN is missing: it must be the account's auth token"), "{message}");
    assert!(!message.contains("short") && !message.contains("AC123") && !message.contains("nonsense"));
}

#[test]
fn public_addresses_are_origins() {
    for (text, read) in [
        ("https://Calls.Example.com/", Some("https://calls.example.com")),
        ("https://calls.example.com:8443", Some("https://calls.example.com:8443")),
        ("https://calls.example.com:443/", Some("https://calls.example.com")),
        ("https://calls.example.com:1443", Some("https://calls.example.com:1443")),
        ("http://localhost:80", Some("http://localhost")),
        ("http://127.0.0.1:8787", Some("http://127.0.0.1:8787")),
        ("http://localhost:8787", Some("http://localhost:8787")),
        ("http://[::1]:8787", Some("http://[::1]:8787")),
        ("https://a.example/path", None),
        ("https://user@a.example", None),
        ("https://a.example?x=1", None),
        ("http://127.0.0.1.example.com", None),
        ("https://", None),
        ("a.example", None),
    ] {
        assert_eq!(super::read_origin(text).as_deref(), read, "{text}");
    }
}
