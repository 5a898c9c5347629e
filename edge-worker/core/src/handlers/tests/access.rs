use super::*;
use crate::passes::{self, Pass};
use crate::ports::{DatabaseFault, SqlValue};
use crate::route::{Principal, TABLE};
use crate::security;
use shared::ids::CallId;

/// An address of a pattern, with something sound for its parameter.
fn target(pattern: &str) -> String {
    let sample = |name: &str| match name {
        "{call}" => CallId::derived([5; 16]).to_string(),
        "{number}" => "%2B15550100150".to_owned(),
        _ => "sample".to_owned(),
    };
    pattern.split('/').map(|s| if s.starts_with('{') { sample(s) } else { s.to_owned() }).collect::<Vec<_>>().join("/")
}

/// A request that satisfies a row's demands on form; JSON bodies are empty objects.
fn sample(entry: &crate::route::Entry) -> Request {
    let mut request = match entry.content {
        crate::route::Content::Json => with_body(entry.method, &target(entry.pattern), &json!({})),
        crate::route::Content::Nothing | crate::route::Content::Form => {
            Request::new(entry.method, &target(entry.pattern))
        }
    };
    if entry.pattern.starts_with("/ws/") || entry.pattern.starts_with("/node/calls") {
        request.headers.push(("upgrade".into(), "websocket".into()));
    }
    if entry.content == crate::route::Content::Form {
        request.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    }
    request
}

/// The status, or 101 for an upgrade.
fn status(reply: Reply) -> u16 {
    match reply {
        Reply::Respond(response) => response.status,
        Reply::Upgrade(_) => 101,
        Reply::Stream { .. } => 200,
    }
}

#[test]
fn every_route_knows_who_may_use_it() {
    let deployment = Deployment::new();
    let person = deployment.set_up();
    let key = deployment.key(&person);
    let revoked = deployment.key(&person);
    let keys = read(&deployment.send(person.on(get("/api/keys"))));
    let id = keys["keys"].as_array().unwrap().iter().find(|k| revoked.ends_with(k["last4"].as_str().unwrap())).unwrap()
        ["id"]
        .clone();
    let delete = Request::new(Method::Delete, &format!("/api/keys/{}", id.as_str().unwrap()));
    assert_eq!(deployment.send(person.on(delete)).status, 204);
    let gone = {
        let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
        let gone = browser(&deployment.send(post("/api/session", &body)));
        assert_eq!(deployment.send(gone.on(Request::new(Method::Delete, "/api/session"))).status, 204);
        gone
    };
    let without_csrf = |mut request: Request| {
        request.headers.push(("cookie".into(), format!("__Host-sid={}", person.cookie)));
        request.headers.push(("origin".into(), BASE.into()));
        request
    };
    let foreign = |mut request: Request| {
        request = person.on(request);
        request.headers.retain(|(n, _)| n != "origin");
        request.headers.push(("origin".into(), "https://evil.example.com".into()));
        request
    };
    let mut cells = 0;
    for entry in TABLE {
        if entry.route == crate::route::Route::SignOut {
            continue;
        }
        let is_socket = entry.pattern.starts_with("/ws/");
        let protected = matches!(entry.principal, Principal::User | Principal::Person);
        let mut expect = |who: &str, request: Request, allowed: Option<u16>| {
            cells += 1;
            let got = status(deployment.reply(request));
            match allowed {
                // Past the door: whatever the handler says, it is not about who asks.
                None => assert!(
                    !matches!(got, 401 | 403) && got < 500,
                    "{who} on {} {}: {got}",
                    entry.method.as_str(),
                    entry.pattern
                ),
                Some(refusal) => assert_eq!(got, refusal, "{who} on {} {}", entry.method.as_str(), entry.pattern),
            }
        };
        let request = || sample(entry);
        if !protected {
            continue;
        }
        let person_only = entry.principal == Principal::Person;
        expect("nobody", request(), Some(401));
        expect("a key", bearer(&key, request()), person_only.then_some(403));
        expect("a revoked key", bearer(&revoked, request()), Some(401));
        expect("a mistyped key", bearer(&format!("{key}x"), request()), Some(401));
        expect("somebody's password", bearer("correct horse battery", request()), Some(401));
        expect("a person", person.on(request()), None);
        expect("a person who signed out", gone.on(request()), Some(401));
        let unsafe_method = entry.method.is_unsafe();
        expect("a page of another origin", foreign(request()), (unsafe_method || is_socket).then_some(403));
        expect("a person without the CSRF token", without_csrf(request()), unsafe_method.then_some(403));
        let mut both = person.on(request());
        both.headers.push(("authorization".into(), "Bearer tl_live_wrong".into()));
        expect("a wrong key beside a good cookie", both, Some(401));
        let mut twilio = request();
        twilio.headers.push(("x-twilio-signature".into(), "DEv8lNJ/2oKt9YimCphTg+hjXvs=".into()));
        expect("Twilio's signature", twilio, Some(401));
        if is_socket {
            let mut cookie_only = request();
            cookie_only.headers.push(("cookie".into(), format!("__Host-sid={}", person.cookie)));
            expect("a socket without an origin", cookie_only, Some(403));
        }
    }
    assert!(cells > 250, "{cells}");
}

#[test]
fn every_answer_carries_the_whole_set_of_headers() {
    let deployment = Deployment::new();
    let person = deployment.set_up();
    let check = |response: &Response, what: &str| {
        for (name, value) in security::ALWAYS {
            assert_eq!(response.headers.iter().filter(|(n, v)| n == name && v == value).count(), 1, "{what}: {name}");
        }
        assert_eq!(response.header("content-security-policy"), Some(security::API_POLICY), "{what}");
        assert_eq!(response.header("access-control-allow-origin"), None);
        assert!(response.body.is_empty() || response.header("content-type").is_some(), "{what}");
    };
    for entry in TABLE {
        for (who, request) in [("nobody", sample(entry)), ("a person", person.on(sample(entry)))] {
            if let Reply::Respond(response) = deployment.reply(request) {
                let signs_out = entry.route == crate::route::Route::SignOut;
                let signs_out = signs_out && response.status == 204;
                assert_eq!(response.header("clear-site-data").is_some(), signs_out);
                check(&response, &format!("{who} {} {}", entry.method.as_str(), entry.pattern));
            }
        }
    }
    check(&deployment.send(get("/nothing")), "404");
    check(&deployment.send(Request::new(Method::Other, "/voice")), "405");
}

#[test]
fn the_first_administrator_is_made_once() {
    let deployment = Deployment::new();
    assert_eq!(
        read(&deployment.send(get("/api/session"))),
        json!({"email": null, "csrfToken": null, "needsSetup": true})
    );
    let body = |token: &str, email: &str, password: &str| json!({"token": token, "email": email, "password": password});
    let long = "p".repeat(129);
    for (body, status, code) in [
        (body("wrong-token-of-length", "a@b.example", "correct horse battery"), 403, "wrong_token"),
        (body(SETUP, "nobody", "correct horse battery"), 400, "invalid_field"),
        (body(SETUP, "a@b.example", "short"), 400, "invalid_field"),
        (body(SETUP, "a@b.example", &long), 400, "invalid_field"),
    ] {
        assert_eq!(refusal(&deployment.send(post("/api/setup", &body))), (status, code.to_owned()), "{body}");
    }
    let browser = deployment.set_up();
    let view = read(&deployment.send(browser.on(get("/api/session"))));
    assert_eq!(view, json!({"email": "ada@example.com", "csrfToken": browser.csrf, "needsSetup": false}));
    let again = deployment.send(post("/api/setup", &body(SETUP, "eve@example.com", "another good password")));
    assert_eq!(refusal(&again), (409, "already_set_up".into()));
    assert_eq!(deployment.world.query("SELECT id FROM users").len(), 1);
}

#[test]
fn signing_in_tells_nobody_which_accounts_exist() {
    let deployment = Deployment::new();
    deployment.set_up();
    let attempt = |email: &str, password: &str, ip: &str| {
        let mut request = post("/api/session", &json!({"email": email, "password": password}));
        request.ip = Some(ip.into());
        deployment.send(request)
    };
    let wrong = attempt("ada@example.com", "wrong password here", "192.0.2.1");
    let unknown = attempt("eve@example.com", "wrong password here", "192.0.2.1");
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    assert_eq!(refusal(&wrong), (401, "wrong_credentials".into()));
    assert_eq!(attempt(" ADA@example.com ", "correct horse battery", "192.0.2.1").status, 200);
}

/// A sign-in from this address.
fn sign_in(deployment: &Deployment, email: &str, password: &str, ip: &str) -> u16 {
    let mut request = post("/api/session", &json!({"email": email, "password": password}));
    request.ip = Some(ip.into());
    deployment.send(request).status
}

#[test]
fn guessing_is_counted_even_by_an_object_that_forgets_and_locks_out_nobody_else() {
    let deployment = Deployment::new();
    deployment.set_up();
    deployment.world.set_faults(Faults { evictions: true, ..Faults::default() });
    let mut statuses = Vec::new();
    for _ in 0..14 {
        statuses.push(sign_in(&deployment, "ada@example.com", "guess after guess", "192.0.2.1"));
        deployment.advance(400);
    }
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 4]].concat());
    let mut right = post("/api/session", &json!({"email": "ada@example.com", "password": "correct horse battery"}));
    right.ip = Some("192.0.2.1".into());
    let limited = deployment.send(right);
    assert_eq!(limited.status, 429);
    assert!(limited.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(sign_in(&deployment, "ada@example.com", "correct horse battery", "198.51.100.1"), 200);
    deployment.advance(60_000);
    assert_eq!(sign_in(&deployment, "ada@example.com", "correct horse battery", "192.0.2.1"), 200);
}

#[test]
fn a_crowd_of_addresses_does_not_keep_the_vault_busy() {
    let deployment = Deployment::new();
    deployment.set_up();
    let tried = |n: u32, ip: String| sign_in(&deployment, &format!("eve{n}@example.com"), "guess after guess", &ip);
    let crowd: Vec<u16> = (0..120).map(|n| tried(n, format!("2001:db8:0:{n:x}::1"))).collect();
    assert_eq!(crowd.iter().filter(|status| **status != 429).count(), 5, "the rest is refused before it is hashed");
    // One household's 2^64 addresses are one.
    let mut hashed = 0;
    for n in 0..40 {
        deployment.advance(400);
        hashed += u32::from(tried(n, format!("2001:db8:1:1:{n:x}::1")) != 429);
    }
    assert!((20..=26).contains(&hashed), "{hashed} in sixteen seconds");
}

#[test]
fn wrong_set_up_tokens_do_not_stop_the_right_one() {
    let deployment = Deployment::new();
    let body = json!({"token": "wrong-token-of-length", "email": "a@b.example", "password": "correct horse battery"});
    let mut limited = false;
    for _ in 0..15 {
        limited |= deployment.send(post("/api/setup", &body)).status == 429;
    }
    assert!(limited);
    deployment.set_up();
}

#[test]
fn a_session_ends_when_it_should() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let alive = |b: &Browser| deployment.send(b.on(get("/api/calls"))).status == 200;
    for _ in 0..23 {
        deployment.advance(29 * 60_000);
        assert!(alive(&browser));
    }
    deployment.advance(54 * 60_000);
    assert!(!alive(&browser), "twelve hours at most");
    let sign_in = || {
        let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
        super::browser(&deployment.send(post("/api/session", &body)))
    };
    let idle = sign_in();
    deployment.advance(30 * 60_000);
    assert!(!alive(&idle), "half an hour without a request");
    // A sixth session ends the first.
    let sessions: Vec<Browser> = (0..6)
        .map(|_| {
            deployment.advance(10_000);
            sign_in()
        })
        .collect();
    assert_eq!(sessions.iter().map(alive).collect::<Vec<_>>(), [false, true, true, true, true, true]);
    assert_eq!(deployment.send(sessions[5].on(Request::new(Method::Delete, "/api/session"))).status, 204);
    assert_eq!(sessions.iter().map(alive).collect::<Vec<_>>(), [false, true, true, true, true, false]);
}

/// What an accepted socket was opened with.
fn pass_of(reply: Reply) -> Pass {
    match reply {
        Reply::Upgrade(Upgrade::Board { pass } | Upgrade::Watch { pass, .. }) | Reply::Stream { pass, .. } => pass,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_socket_was_opened_with_ends_with_its_session_or_key() {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    let key = deployment.key(&browser);
    ring(&deployment, 1);
    let watched = |request: Request| pass_of(deployment.reply(request));
    let person = watched(browser.on(socket("/ws/calls")));
    let program = watched(bearer(&key, socket(&format!("/ws/transcriptions?callSid={}", call_sid(1)))));
    let mut events = bearer(&key, get(&format!("/api/calls/{}/transcript", call_sid(1))));
    events.headers.push(("accept".into(), "text/event-stream".into()));
    assert_eq!(watched(events), program);
    let ended = |now| block_on(passes::ended(&deployment.world, now, [person.clone(), program.clone()].into()));
    assert_eq!(ended(deployment.world.now()), Ok(vec![]));

    let keys = read(&deployment.send(browser.on(get("/api/keys"))));
    let id = keys["keys"][0]["id"].as_str().unwrap();
    let delete = Request::new(Method::Delete, &format!("/api/keys/{id}"));
    assert_eq!(deployment.send(browser.on(delete)).status, 204);
    assert_eq!(ended(deployment.world.now()), Ok(vec![program.clone()]));
    // A database that is away sends nobody off.
    deployment.world.set_faults(Faults { database: Some(DatabaseFault::Unavailable), ..Faults::default() });
    assert_eq!(ended(deployment.world.now()), Err(DatabaseFault::Unavailable));
    deployment.world.set_faults(Faults::default());
    assert_eq!(deployment.send(browser.on(Request::new(Method::Delete, "/api/session"))).status, 204);
    let mut both = ended(deployment.world.now()).unwrap();
    both.sort();
    assert_eq!(both, [person.clone(), program.clone()]);
}

#[test]
fn who_watches_is_not_idle_but_not_there_for_ever() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let pass = pass_of(deployment.reply(browser.on(socket("/ws/calls"))));
    let ended = || block_on(passes::ended(&deployment.world, deployment.world.now(), [pass.clone()].into())).unwrap();
    // Nothing but watching for nearly twelve hours, and the session still opens doors.
    for _ in 0..71 {
        deployment.advance(10 * 60_000);
        assert_eq!(ended(), []);
    }
    assert_eq!(deployment.send(browser.on(get("/api/calls"))).status, 200);
    deployment.advance(10 * 60_000);
    assert_eq!(ended(), std::slice::from_ref(&pass));
}

#[test]
fn nothing_that_opens_a_door_is_stored() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let key = deployment.key(&browser);
    let mut dump = String::new();
    for sql in ["SELECT * FROM users", "SELECT * FROM sessions", "SELECT * FROM keys"] {
        dump.push_str(&format!("{:?}", deployment.world.query(sql)));
    }
    dump.push_str(&format!("{:?}", deployment.world.journal()));
    for secret in [&browser.cookie, &browser.csrf, &key, "correct horse battery", SETUP] {
        assert!(!dump.contains(secret.get(8..).unwrap()), "{secret} is stored");
    }
    assert!(dump.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
    let list = read(&deployment.send(browser.on(get("/api/keys"))));
    assert_eq!(list["keys"][0]["last4"].as_str(), key.get(key.len() - 4..));
    assert!(!list.to_string().contains(&key));
}

#[test]
fn a_refused_sign_out_leaves_the_browser_as_it_is() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let mut refused = browser.on(Request::new(Method::Delete, "/api/session"));
    refused.headers.retain(|(name, _)| name != "x-csrf-token");
    let refused = deployment.send(refused);
    assert_eq!((refused.status, refused.header("clear-site-data")), (403, None));
    let done = deployment.send(browser.on(Request::new(Method::Delete, "/api/session")));
    assert_eq!((done.status, done.header("clear-site-data")), (204, Some("\"cookies\", \"storage\"")));
}

#[test]
fn a_parameter_that_stands_twice_is_refused() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    for (target, field) in [
        ("/api/calls?limit=5&limit=500", "limit"),
        ("/api/calls?status=completed&status=busy", "status"),
        ("/api/call/transcript?callSid=a&callSid=b", "callSid"),
        ("/api/call/transcript", "callSid"),
    ] {
        let response = deployment.send(browser.on(get(target)));
        assert_eq!(refusal(&response), (400, "invalid_field".into()), "{target}");
        assert_eq!(read(&response)["error"]["field"], field, "{target}");
    }
}

#[test]
fn head_is_get_without_its_body() {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    for target in ["/health", "/api/calls", "/api/session"] {
        let whole = deployment.send(browser.on(get(target)));
        let head = deployment.send(browser.on(Request::new(Method::Head, target)));
        assert_eq!((head.status, &head.headers, head.body.len()), (200, &whole.headers, 0), "{target}");
        assert!(!whole.body.is_empty());
    }
    assert_eq!(deployment.send(Request::new(Method::Head, "/api/calls")).status, 401);
    assert_eq!(deployment.send(Request::new(Method::Head, "/api/keys/x")).status, 405);
    let mut socket = browser.on(socket("/ws/calls"));
    socket.method = Method::Head;
    assert_eq!(deployment.send(socket).status, 426);
}

#[test]
fn a_body_is_one_object_and_each_of_its_keys_stands_once() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let long = format!(r#"{{"name": "a", "{}": 1}}"#, "x".repeat(100_000));
    for (method, target, body, code, field) in [
        (Method::Post, "/api/keys", r#"["a"]"#, "invalid_field", ""),
        (Method::Post, "/api/keys", r#""a""#, "invalid_field", ""),
        (Method::Post, "/api/keys", "null", "invalid_field", ""),
        (Method::Post, "/api/keys", r#"{"name": "a""#, "invalid_json", ""),
        (Method::Post, "/api/keys", r#"{"name": "a"} {}"#, "invalid_json", ""),
        (Method::Post, "/api/keys", "{}", "invalid_field", "name"),
        (Method::Post, "/api/keys", r#"{"name": "a", "name": "a"}"#, "invalid_field", ""),
        (
            Method::Post,
            "/api/calls",
            r#"{"to": "+15550100177", "agent": "line-test", "variables": {"n": "1", "n": "2"}}"#,
            "invalid_field",
            "variables",
        ),
        (
            Method::Put,
            "/api/agents/desk",
            r#"{"id": "desk", "name": "D", "voice": {}}"#,
            "invalid_field",
            "voice.provider",
        ),
        (Method::Post, "/api/keys", long.as_str(), "invalid_field", "x"),
    ] {
        let mut request = browser.on(with_body(method, target, &json!({})));
        request.body = body.as_bytes().to_vec();
        let response = deployment.send(request);
        let about = read(&response)["error"]["field"].as_str().unwrap_or_default().to_owned();
        let shown: String = body.chars().take(80).collect();
        assert_eq!(refusal(&response), (400, code.to_owned()), "{shown}");
        assert!(about == field || body.len() > 1_000 && about.starts_with(field), "{shown}: {about}");
        assert!(response.body.len() < 1_500, "{shown}: {} bytes", response.body.len());
    }
    assert!(deployment.world.query("SELECT id FROM keys").is_empty());
}

#[test]
fn a_cookie_over_plain_loopback_has_its_own_name() {
    let mut variables = crate::testing::variables();
    variables.insert("PUBLIC_BASE_URL", "http://127.0.0.1:8787".into());
    let config = crate::config::Config::read(&|name| variables.get(name).cloned()).unwrap();
    let world = World::new(config, crate::testing::START).unwrap();
    let body = json!({"token": SETUP, "email": "ada@example.com", "password": "correct horse battery"});
    let mut request = post("/api/setup", &body);
    request.headers.push(("origin".into(), "http://127.0.0.1:8787".into()));
    let made = response(block_on(world.request(request)));
    let cookie = made.header("set-cookie").unwrap();
    assert!(cookie.starts_with("sid=") && !cookie.contains("Secure"), "{cookie}");
    let mut session = get("/api/calls");
    session.headers.push(("cookie".into(), cookie.split(';').next().unwrap().into()));
    assert_eq!(response(block_on(world.request(session))).status, 200);
}

#[test]
fn a_number_bound_to_a_statement_is_never_text() {
    // D1 would store it as text in a column without affinity.
    assert_eq!(SqlValue::from(5u64), SqlValue::Integer(5));
    assert_eq!(SqlValue::from(None::<i64>), SqlValue::Null);
}

#[test]
fn a_deployment_without_its_variables_says_which() {
    let invalid = crate::config::Config::read(&|_| None).unwrap_err();
    let voice = crate::handlers::misconfigured(&invalid, &Request::new(Method::Post, "/voice"));
    assert_eq!(voice.status, 200);
    assert!(text(&voice).contains("<Hangup/>"));
    let report = crate::handlers::misconfigured(&invalid, &Request::new(Method::Post, "/api/calls/status"));
    assert_eq!(report.status, 204);
    let api = crate::handlers::misconfigured(&invalid, &get("/health"));
    assert_eq!(refusal(&api), (503, "not_configured".into()));
    for name in ["PUBLIC_BASE_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TICKET_SIGNING_KEY", "NODE_SECRET"] {
        assert!(text(&api).contains(name), "{name}");
    }
    let _ = number(CALLER);
}
