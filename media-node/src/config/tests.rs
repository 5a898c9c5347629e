use super::*;
use shared::ticket::TicketSigner;
use std::collections::BTreeMap;
use std::io::Write as _;

fn parse(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let map: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Config::parse(|name| map.get(name).map(|text| (*text).to_owned()))
}

fn names(variables: &[(&str, &str)]) -> Vec<&'static str> {
    parse(variables).map_or_else(|mistakes| mistakes.0.iter().map(|m| m.name).collect(), |_| Vec::new())
}

fn plan() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(file, "provider = \"echo\"").expect("a written file");
    file
}

fn public_key() -> String {
    TicketSigner::from_seed([1; 32]).verifier().to_base64()
}

#[test]
fn one_start_shows_every_mistake_and_no_value() {
    let variables = [
        ("PORT", "hunter2"),
        ("PUBLIC_URL", "ws://hunter2.example"),
        ("NODE_ID", "hunter2 hunter2"),
        ("EDGE_URL", "http://hunter2.example"),
        ("TICKET_PUBLIC_KEY", "hunter2"),
        ("OPENAI_REALTIME_URL", "ws://hunter2.example/v1"),
        ("MAX_CALLS", "0"),
        ("LOG", "media_node=hunter2"),
    ];
    let mistakes = parse(&variables).expect_err("all of it is wrong");
    let found: Vec<_> = mistakes.0.iter().map(|m| m.name).collect();
    for name in variables.iter().map(|(name, _)| *name).chain(["NODE_SECRET"]) {
        assert!(found.contains(&name), "{name} is not among {found:?}");
    }
    assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
}

#[test]
fn an_edge_needs_its_three_variables() {
    assert_eq!(names(&[]), ["EDGE_URL", "TICKET_PUBLIC_KEY", "NODE_SECRET"]);
    let key = public_key();
    let config = parse(&[
        ("EDGE_URL", "http://127.0.0.1:8787"),
        ("TICKET_PUBLIC_KEY", &key),
        ("NODE_SECRET", "s"),
        ("PORT", "0"),
    ])
    .expect("complete");
    assert!(config.listen.ip().is_loopback() && matches!(config.mode, Mode::Edge(_)));
    assert_eq!(config.node.as_str(), "local");
    let far = [("EDGE_URL", "https://edge.example"), ("TICKET_PUBLIC_KEY", key.as_str()), ("NODE_SECRET", "s")];
    assert_eq!(names(&far), ["PUBLIC_URL"]);
    let mut whole = far.to_vec();
    whole.extend([("PUBLIC_URL", "wss://node.example/"), ("FLY_MACHINE_ID", "e2865013f44908"), ("FLY_REGION", "iad")]);
    let config = parse(&whole).expect("complete");
    assert_eq!(config.public_url.as_deref(), Some("wss://node.example"));
    assert_eq!((config.node.as_str(), config.region.as_str(), config.on_fly), ("e2865013f44908", "iad", true));
    assert!(config.listen.ip().is_unspecified());
}

#[test]
fn a_standalone_node_is_local_or_checks_signatures() {
    let file = plan();
    let path = file.path().to_str().expect("a plain path");
    let config = parse(&[("STANDALONE_PLAN", path)]).expect("loopback");
    assert!(config.listen.ip().is_loopback());
    let outside = [("STANDALONE_PLAN", path), ("PUBLIC_URL", "wss://node.example"), ("NODE_ID", "n")];
    assert_eq!(names(&outside), ["TWILIO_AUTH_TOKEN"]);
    let mut checked = outside.to_vec();
    checked.push(("TWILIO_AUTH_TOKEN", "t"));
    assert!(parse(&checked).is_ok());
    assert_eq!(names(&[("STANDALONE_PLAN", "/nowhere/plan.toml")]), ["STANDALONE_PLAN"]);
    assert_eq!(names(&[("STANDALONE_PLAN", path), ("EDGE_URL", "https://edge.example")]), ["STANDALONE_PLAN"]);
}

#[test]
fn extra_certificates_are_for_this_machine_only() {
    let file = plan();
    let path = file.path().to_str().expect("a plain path");
    let mut ca = tempfile::NamedTempFile::new().expect("a temporary file");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    ca.write_all(certified.cert.pem().as_bytes()).expect("a written file");
    let ca = ca.path().to_str().expect("a plain path").to_owned();
    let with = |url: &'static str, ca: &str| {
        names(&[("STANDALONE_PLAN", path), ("OPENAI_REALTIME_URL", url), ("EXTRA_CA_FILE", ca)])
    };
    assert!(with("wss://localhost:1/v1/realtime", &ca).is_empty());
    assert_eq!(with("wss://api.example/v1/realtime", &ca), ["EXTRA_CA_FILE"]);
    assert_eq!(with("wss://localhost:1/v1/realtime", path), ["EXTRA_CA_FILE"]);
    assert_eq!(with("wss://localhost:1/v1/realtime", "/nowhere"), ["EXTRA_CA_FILE"]);
}
