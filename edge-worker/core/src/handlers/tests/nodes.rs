use super::*;
use shared::ids::{CallId, Epoch};
use shared::ticket::{Audience, Claims, TicketSigner};

#[test]
fn a_heartbeat_counts_once_and_only_with_its_signature() {
    let deployment = Deployment::new();
    let good = deployment.heartbeat("m1", 0, false);
    let answer = deployment.send(good.clone());
    assert_eq!((answer.status, read(&answer)), (200, json!({"leaseMs": 6000})));
    assert_eq!(refusal(&deployment.send(good.clone())), (409, "replayed".into()));
    let asked = deployment.world.asked();
    for (name, value) in [
        ("x-trunkline-node", "m2"),
        ("x-trunkline-time", "0"),
        ("x-trunkline-time", "soon"),
        ("x-trunkline-nonce", "nonce0000000000000009"),
        ("x-trunkline-nonce", "short"),
        ("x-trunkline-signature", "00"),
    ] {
        let mut request = good.clone();
        request.headers.retain(|(n, _)| n != name);
        request.headers.push((name.into(), value.into()));
        assert_eq!(refusal(&deployment.send(request)), (401, "unauthorized".into()), "{name}");
    }
    let mut body = good.clone();
    body.body[5] ^= 1;
    assert_eq!(deployment.send(body).status, 401);
    // An hour later the same heartbeat is too old.
    deployment.advance(31_000);
    assert_eq!(deployment.send(good).status, 401);
    assert_eq!(deployment.world.asked().rooms, asked.rooms);
    // What is signed must still be sound.
    let node = NodeId::parse("m1").unwrap();
    for body in [
        json!({}),
        json!({"protocol": 1, "node": "m2", "url": "wss://m1.example.com", "region": "iad", "capacity": 1, "liveCalls": 0, "draining": false, "version": "1"}),
        json!({"protocol": 1, "node": "m1", "url": "https://m1.example.com", "region": "iad", "capacity": 1, "liveCalls": 0, "draining": false, "version": "1"}),
        json!({"protocol": 1, "node": "m1", "url": "wss://m1.example.com", "region": "iad", "capacity": 1_000_000, "liveCalls": 0, "draining": false, "version": "1"}),
    ] {
        let now = deployment.world.now();
        let request = signed_heartbeat(&node, now, "nonceABCDEFGHIJKLMNOP", body.to_string().into_bytes());
        assert_eq!(deployment.send(request).status, 400, "{body}");
    }
}

#[test]
fn an_older_heartbeat_does_not_replace_a_newer() {
    let deployment = Deployment::new();
    let (older, newer) = (deployment.heartbeat("m1", 9, false), deployment.heartbeat("m1", 1, true));
    assert_eq!(deployment.send(newer).status, 200);
    assert_eq!(deployment.send(older).status, 409);
}

#[test]
fn a_rooms_socket_opens_with_a_ticket_for_this_room() {
    let deployment = Deployment::with_node();
    let twiml = ring(&deployment, 1);
    let ticket = attribute(&twiml, "Parameter", "value").unwrap();
    let call = twiml.split("call=").nth(1).unwrap().split("&amp;").next().unwrap().to_owned();
    let path = format!("/node/calls/{call}");
    let asked = deployment.world.asked();
    let open = |ticket: &str, request: Request| by_node(&deployment, "m1", bearer(ticket, request));
    assert!(matches!(deployment.reply(open(&ticket, socket(&path))), Reply::Upgrade(Upgrade::Node { .. })));
    assert_eq!(deployment.send(open(&ticket, get(&path))).status, 426);
    assert_eq!(deployment.send(by_node(&deployment, "m1", socket(&path))).status, 401);
    let other = format!("/node/calls/{}", CallId::derived([1; 16]));
    assert_eq!(refusal(&deployment.send(open(&ticket, socket(&other)))), (403, "ticket_invalid".into()));
    assert_eq!(deployment.send(open(&ticket, socket("/node/calls/x"))).status, 404);
    // The ticket alone is no key: whoever shows it must be the node that it names.
    assert_eq!(refusal(&deployment.send(bearer(&ticket, socket(&path)))), (401, "unauthorized".into()));
    let another = by_node(&deployment, "m2", bearer(&ticket, socket(&path)));
    assert_eq!(refusal(&deployment.send(another)), (403, "ticket_invalid".into()));
    for name in ["x-trunkline-node", "x-trunkline-time", "x-trunkline-nonce", "x-trunkline-signature"] {
        for value in ["", "1", "m2"] {
            let mut request = open(&ticket, socket(&path));
            request.headers.retain(|(n, _)| n != name);
            request.headers.push((name.into(), value.into()));
            assert_eq!(deployment.send(request).status, 401, "{name} {value}");
        }
    }
    let mut elsewhere = open(&ticket, socket(&other));
    elsewhere.path.clone_from(&path);
    assert_eq!(deployment.send(elsewhere).status, 401, "signed for another room");
    for position in 0..ticket.len() {
        let mut bytes = ticket.clone().into_bytes();
        bytes[position] ^= 1;
        let Ok(forged) = String::from_utf8(bytes) else { continue };
        assert_eq!(deployment.send(open(&forged, socket(&path))).status, 403, "{position}");
    }
    let claims = Claims {
        audience: Audience::Stream,
        call: CallId::parse(&call).unwrap(),
        call_sid: call_sid(1),
        node: NodeId::parse("m1").unwrap(),
        epoch: Epoch(1),
        nonce: "n".into(),
        expires: deployment.world.now().plus(60_000),
    };
    let stranger = TicketSigner::from_seed([9; 32]).sign(&claims);
    assert_eq!(deployment.send(open(&stranger, socket(&path))).status, 403);
    deployment.advance(91_000);
    let asked_rooms = deployment.world.asked().rooms;
    assert_eq!(deployment.send(open(&ticket, socket(&path))).status, 403, "expired");
    assert_eq!(deployment.world.asked().rooms, asked_rooms);
    assert_eq!(asked.rooms, 2, "no forged ticket reached a room");
}

#[test]
fn calls_go_to_the_least_loaded_node() {
    let deployment = Deployment::new();
    deployment.beat("m1", 5, false);
    deployment.beat("m2", 2, false);
    deployment.beat("m3", 0, true);
    let node = |n| attribute(&ring(&deployment, n), "Stream", "url").unwrap();
    let given: Vec<String> = (1..=6).map(node).collect();
    let count = |name: &str| given.iter().filter(|url| url.contains(name)).count();
    assert_eq!((count("//m1"), count("//m2"), count("//m3")), (2, 4, 0), "{given:?}");
}

#[test]
fn a_call_goes_on_while_the_ticket_key_is_replaced() {
    let deployment = Deployment::new();
    let former = [9; 32];
    let claims = Claims {
        audience: Audience::Resume,
        call: CallId::derived([1; 16]),
        call_sid: call_sid(1),
        node: NodeId::parse("m1").unwrap(),
        epoch: Epoch(1),
        nonce: "n".into(),
        expires: deployment.world.now().plus(60_000),
    };
    let token = TicketSigner::from_seed(former).sign(&claims);
    let path = format!("/node/calls/{}", claims.call);
    let opens = |secondary: Option<[u8; 32]>| {
        let mut variables = crate::testing::variables();
        if let Some(seed) = secondary {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(seed);
            variables.insert("TICKET_SIGNING_KEY_SECONDARY", text);
        }
        let config = crate::config::Config::read(&|name| variables.get(name).cloned()).unwrap();
        let world = World::new(config, crate::testing::START).unwrap();
        let request = by_node(&deployment, "m1", bearer(&token, socket(&path)));
        matches!(block_on(world.request(request)), Reply::Upgrade(Upgrade::Node { .. }))
    };
    assert!(opens(Some(former)), "signed with the former key");
    assert!(!opens(None));
    assert!(!opens(Some([8; 32])));
}
