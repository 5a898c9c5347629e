use super::*;
use crate::twin::twilio::{Script, reply as answer};

fn place(body: &Value) -> Request {
    post("/api/calls", body)
}

fn with_key(mut request: Request, key: &str) -> Request {
    request.headers.push(("idempotency-key".into(), key.into()));
    request
}

/// A deployment with a key, and that key.
fn deployment() -> (Deployment, String) {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    let made = deployment.send(browser.on(put("/api/agents/desk", &agent_body("desk"))));
    assert_eq!(made.status, 200);
    let key = deployment.key(&browser);
    (deployment, key)
}

fn created(deployment: &Deployment) -> usize {
    deployment.world.with_twilio(|t| {
        t.received.iter().filter(|r| r.method == Method::Post && r.path.ends_with("/Calls.json")).count()
    })
}

#[test]
fn a_call_is_placed_and_answered_by_its_agent() {
    let (deployment, key) = deployment();
    let body = json!({
        "to": "+15550100123", "agent": "desk", "variables": {"name": "Ada"}, "record": true, "machineDetection": true
    });
    let response = deployment.send(bearer(&key, place(&body)));
    assert_eq!(response.status, 201, "{}", text(&response));
    let placed = read(&response);
    assert_eq!((&placed["success"], &placed["status"]), (&json!(true), &json!("queued")));
    let (sid, call) = (placed["callSid"].as_str().unwrap().to_owned(), placed["call"].as_str().unwrap().to_owned());
    let form = deployment.world.with_twilio(|t| t.received.last().unwrap().form.clone());
    let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    let fragment = "#rc=3&rt=4000&rp=ct,rt,5xx";
    assert_eq!(field("To"), "+15550100123");
    assert_eq!(field("From"), OURS);
    assert_eq!(field("Url"), format!("{BASE}/voice?call={call}{fragment}"));
    assert_eq!(field("FallbackUrl"), format!("{BASE}/voice/fallback?call={call}{fragment}"));
    assert_eq!(field("StatusCallback"), format!("{BASE}/api/calls/status?call={call}{fragment}"));
    assert_eq!(field("RecordingStatusCallback"), format!("{BASE}/api/calls/recording-status?call={call}{fragment}"));
    assert_eq!(field("AsyncAmdStatusCallback"), format!("{BASE}/api/calls/amd?call={call}{fragment}"));
    assert_eq!((field("TimeLimit"), field("Timeout")), ("3660".to_owned(), "60".to_owned()));

    // It rings, is answered, and the room gives it to a node.
    let leg = |status: &str| {
        vec![
            ("AccountSid", crate::testing::ACCOUNT.to_owned()),
            ("CallSid", sid.clone()),
            ("CallStatus", status.to_owned()),
            ("Direction", "outbound-api".to_owned()),
            ("From", OURS.to_owned()),
            ("To", "+15550100123".to_owned()),
            ("Timestamp", "Thu, 01 Jan 2026 00:00:09 +0000".to_owned()),
        ]
    };
    for status in ["initiated", "ringing"] {
        let request = twilio_post(&target_of(&field("StatusCallback")), &borrowed(&leg(status)));
        assert_eq!(deployment.send(request).status, 204);
    }
    let twiml = text(&deployment.send(twilio_post(&target_of(&field("Url")), &borrowed(&leg("in-progress")))));
    assert_eq!(attribute(&twiml, "Stream", "url").as_deref(), Some("wss://m1.example.com/media/m1"));
    // A machine, Twilio says; and it hangs up. The call is known by either name.
    let mut amd = leg("in-progress");
    amd.retain(|(n, _)| matches!(*n, "AccountSid" | "CallSid"));
    amd.push(("AnsweredBy", "machine_end_beep".into()));
    assert_eq!(deployment.send(twilio_post(&target_of(&field("AsyncAmdStatusCallback")), &borrowed(&amd))).status, 204);
    for name in [&sid, &call] {
        let shown = read(&deployment.send(bearer(&key, get(&format!("/api/calls/{name}")))));
        assert_eq!(shown["call"]["status"], "in-progress", "{shown}");
        assert_eq!(shown["call"]["direction"], "outbound");
    }
    let ended = deployment.send(bearer(&key, Request::new(Method::Post, &format!("/api/calls/{sid}/hangup"))));
    assert_eq!((ended.status, read(&ended)["callSid"].clone()), (200, json!(sid)));
    assert_eq!(deployment.world.with_twilio(|t| t.calls[&sid].status.clone()), "completed");
    let again = deployment.send(bearer(&key, Request::new(Method::Post, &format!("/api/calls/{call}/hangup"))));
    assert_eq!(again.status, 200, "two browsers press the button");
    assert_eq!(created(&deployment), 1);
}

#[test]
fn the_replaced_systems_requests_are_understood() {
    let (deployment, key) = deployment();
    let numbers = ["+15550100120", "+15550100121", "+15550100122", "+15550100123"];
    for (n, (target, name)) in [
        ("/api/call", "phone"),
        ("/api/call/start", "number"),
        ("/api/make-call", "to"),
        ("/api/outbound/initiate", "phone"),
    ]
    .into_iter()
    .enumerate()
    {
        let response = deployment.send(bearer(&key, post(target, &json!({ name: numbers[n] }))));
        assert_eq!(response.status, 201, "{}", text(&response));
        let sid = read(&response)["callSid"].as_str().unwrap().to_owned();
        let transcript = deployment.send(bearer(&key, get(&format!("/api/call/transcript?callSid={sid}"))));
        assert_eq!(read(&transcript)["lines"], json!([]));
    }
}

#[test]
fn the_same_key_is_the_same_call() {
    let (deployment, key) = deployment();
    let body = json!({"to": "+15550100123"});
    let first = deployment.send(bearer(&key, with_key(place(&body), "order-7")));
    assert_eq!(first.status, 201);
    for _ in 0..3 {
        let again = deployment.send(bearer(&key, with_key(place(&body), "order-7")));
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
        assert_eq!(read(&again), read(&first));
    }
    let other = deployment.send(bearer(&key, with_key(place(&json!({"to": "+15550100124"})), "order-7")));
    assert_eq!(refusal(&other), (409, "idempotency_conflict".into()));
    assert_eq!(created(&deployment), 1);
    assert_eq!(deployment.send(bearer(&key, with_key(place(&body), "order-8"))).status, 201);
    // Another principal's key of the same name is another call.
    let stranger = deployment.key(&deployment_browser(&deployment));
    assert_eq!(deployment.send(bearer(&stranger, with_key(place(&body), "order-7"))).status, 201);
    assert_eq!(created(&deployment), 3);
    for key_text in ["", "x\u{7f}", "ü", &"k".repeat(256)] {
        let response = deployment.send(bearer(&key, with_key(place(&body), key_text)));
        assert_eq!(response.status, 400, "{key_text}");
    }
}

fn deployment_browser(deployment: &Deployment) -> Browser {
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    browser(&deployment.send(post("/api/session", &body)))
}

#[test]
fn what_became_of_the_request_is_unknown_and_is_never_sent_again() {
    for script in [
        Script::AnswerLost,
        Script::Lost,
        Script::Answer(answer(502, &json!({}))),
        Script::Answer(answer(201, &json!({}))),
    ] {
        let (deployment, key) = deployment();
        let exists = script == Script::AnswerLost;
        deployment.world.with_twilio(|t| t.script.push_back(script.clone()));
        let body = json!({"to": "+15550100123"});
        let request = || bearer(&key, with_key(place(&body), "once"));
        let response = deployment.send(request());
        assert_eq!(response.status, 202, "{}", text(&response));
        let call = read(&response)["call"].as_str().unwrap().to_owned();
        assert_eq!(read(&response), json!({"success": false, "callSid": null, "call": call, "status": "unknown"}));
        assert_eq!(deployment.send(request()).status, 202);
        // Within a minute the call is found, if it exists.
        deployment.advance(60_000);
        let again = deployment.send(request());
        assert_eq!(again.status, if exists { 201 } else { 202 }, "{script:?}");
        deployment.advance(300_000);
        let shown = read(&deployment.send(bearer(&key, get(&format!("/api/calls/{call}")))));
        let status = if exists { "queued" } else { "failed" };
        assert_eq!(shown["call"]["status"], status, "{script:?}");
        let at_last = deployment.send(request());
        assert_eq!(at_last.header("idempotent-replayed"), Some("true"));
        if exists {
            assert_eq!(at_last.status, 201);
        } else {
            assert_eq!(refusal(&at_last), (422, "never_made".into()), "as the call itself says");
        }
        assert_eq!(created(&deployment), 1, "never sent again");
    }
}

#[test]
fn twilios_refusal_is_ours() {
    let (deployment, key) = deployment();
    for (status, code, expected, field) in [
        (400, 21211, 400, json!("to")),
        (400, 21210, 400, json!("from")),
        (403, 20003, 422, Value::Null),
        (401, 20003, 422, Value::Null),
        (404, 20404, 422, Value::Null),
    ] {
        let body = json!({"code": code, "message": "Twilio's sentence", "status": status});
        deployment.world.with_twilio(|t| t.script.push_back(Script::Answer(answer(status, &body))));
        let response = deployment.send(bearer(&key, place(&json!({"to": "+15550100123"}))));
        assert_eq!(response.status, expected);
        let error = read(&response)["error"].clone();
        assert_eq!(error["code"], format!("twilio_{code}"));
        assert_eq!((&error["message"], &error["field"]), (&json!("Twilio's sentence"), &field));
    }
    deployment.advance(30_000);
    let rows = deployment.world.query("SELECT status FROM calls");
    assert!(rows.len() == 5 && rows.iter().all(|r| r.text("status") == Some("failed")), "{rows:?}");
}

#[test]
fn too_many_requests_may_be_repeated() {
    let (deployment, key) = deployment();
    deployment.world.with_twilio(|t| t.script.push_back(Script::Answer(answer(429, &json!({"code": 20429})))));
    let request = || bearer(&key, with_key(place(&json!({"to": "+15550100123"})), "k"));
    let response = deployment.send(request());
    assert_eq!((response.status, response.header("retry-after")), (429, Some("1")));
    let response = deployment.send(request());
    assert_eq!(response.status, 201, "{}", text(&response));
}

#[test]
fn bad_requests_say_what_is_wrong_and_call_nobody() {
    let (deployment, key) = deployment();
    let cases = [
        (json!({}), 400, "invalid_field", Value::Null),
        (json!({"to": "15550100123"}), 400, "invalid_field", json!("to")),
        (json!({"to": "911"}), 400, "invalid_field", json!("to")),
        (json!({"to": "+15550100123", "phone": "+15550100124"}), 400, "invalid_field", Value::Null),
        (json!({"phone": 5}), 400, "invalid_field", json!("phone")),
        (json!({"to": "+15550100123", "from": "me"}), 400, "invalid_field", json!("from")),
        (json!({"to": "+15550100123", "agent": "nobody"}), 422, "invalid_field", json!("agent")),
        (json!({"to": "+15550100123", "surprise": 1}), 400, "invalid_field", json!("surprise")),
        (json!({"to": "+15550100123", "variables": {"": "x"}}), 400, "invalid_field", json!("variables")),
        (json!({"to": "+15550100123", "variables": {"a": "x".repeat(4001)}}), 400, "invalid_field", json!("variables")),
        (json!([]), 400, "invalid_field", Value::Null),
    ];
    for (body, status, code, field) in cases {
        let response = deployment.send(bearer(&key, place(&body)));
        assert_eq!(refusal(&response), (status, code.to_owned()), "{body}");
        if !field.is_null() {
            assert_eq!(read(&response)["error"]["field"], field, "{body}");
        }
    }
    for body in ["", "{", "{\"to\":\"+15550100123\"}x", "{\"to\":\"+15550100123\",\"to\":\"+15550100124\"}"] {
        let mut request = place(&json!({}));
        request.body = body.as_bytes().to_vec();
        assert_eq!(deployment.send(bearer(&key, request)).status, 400, "{body}");
    }
    let mut form = place(&json!({}));
    form.headers = vec![("content-type".into(), "application/x-www-form-urlencoded".into())];
    assert_eq!(deployment.send(bearer(&key, form)).status, 415);
    let mut big = place(&json!({}));
    big.body = vec![b' '; 256 * 1024 + 1];
    assert_eq!(deployment.send(bearer(&key, big)).status, 413);
    assert_eq!(deployment.world.asked().twilio, 0);
    assert_eq!(deployment.world.room_count(), 0);
}

#[test]
fn nothing_is_dialled_when_the_room_cannot_be_opened() {
    let (deployment, key) = deployment();
    deployment.world.set_faults(Faults { rooms: true, ..Faults::default() });
    let response = deployment.send(bearer(&key, place(&json!({"to": "+15550100123"}))));
    assert_eq!(refusal(&response), (503, "unavailable".into()));
    assert_eq!(deployment.world.asked().twilio, 0);
}

#[test]
fn a_replay_says_what_was_said_whatever_has_changed_since() {
    let (deployment, key) = deployment();
    let body = json!({"to": "+15550100123", "agent": "desk"});
    let request = |key_text: &str| bearer(&key, with_key(place(&body), key_text));
    assert_eq!(deployment.send(request("kept")).status, 201);
    deployment.world.with_twilio(|t| {
        let body = json!({"code": 21211, "message": "Twilio's sentence", "status": 400});
        t.script.push_back(Script::Answer(answer(400, &body)));
    });
    assert_eq!(deployment.send(request("refused")).status, 400);
    // The agent is gone; what was asked before it went is still answered.
    let browser = deployment_browser(&deployment);
    assert_eq!(deployment.send(browser.on(Request::new(Method::Delete, "/api/agents/desk"))).status, 204);
    for (key_text, status) in [("kept", 201), ("refused", 400)] {
        let again = deployment.send(request(key_text));
        assert_eq!((again.status, again.header("idempotent-replayed")), (status, Some("true")), "{key_text}");
    }
    assert_eq!(refusal(&deployment.send(request("new"))), (422, "invalid_field".into()));
    assert_eq!(created(&deployment), 2);
}

#[test]
fn a_key_that_met_too_many_requests_is_not_spent_for_ever() {
    let (deployment, key) = deployment();
    let request = || bearer(&key, with_key(place(&json!({"to": "+15550100123"})), "k"));
    for _ in 0..2 {
        deployment.world.with_twilio(|t| t.script.push_back(Script::Answer(answer(429, &json!({"code": 20429})))));
        assert_eq!(deployment.send(request()).status, 429);
        // Nobody asks again for so long that the call is given up.
        deployment.advance(700_000);
    }
    let response = deployment.send(request());
    assert_eq!(response.status, 201, "{}", text(&response));
    let again = deployment.send(request());
    assert_eq!((again.status, read(&again)), (201, read(&response)));
    assert_eq!(created(&deployment), 3);
}

#[test]
fn a_call_of_unknown_outcome_does_not_take_another_calls_leg() {
    let (deployment, key) = deployment();
    let request = |key_text: &str| bearer(&key, with_key(place(&json!({"to": "+15550100123"})), key_text));
    deployment.world.with_twilio(|t| t.script.push_back(Script::Lost));
    let lost = deployment.send(request("one"));
    assert_eq!(lost.status, 202);
    let second = deployment.send(request("two"));
    assert_eq!(second.status, 201);
    let sid = read(&second)["callSid"].as_str().unwrap().to_owned();
    deployment.advance(60_000);
    let call = read(&lost)["call"].as_str().unwrap().to_owned();
    assert_eq!(
        read(&deployment.send(bearer(&key, get(&format!("/api/calls/{call}")))))["call"]["callSid"],
        Value::Null
    );
    deployment.send(bearer(&key, Request::new(Method::Post, &format!("/api/calls/{call}/hangup"))));
    deployment.advance(60_000);
    assert_eq!(deployment.world.with_twilio(|t| t.calls[&sid].status.clone()), "queued", "the second call goes on");
}

#[test]
fn of_two_calls_of_unknown_outcome_neither_takes_the_leg_that_is_found() {
    let (deployment, key) = deployment();
    deployment.world.with_twilio(|t| t.script.extend([Script::Lost, Script::AnswerLost]));
    let request = || bearer(&key, place(&json!({"to": "+15550100123"})));
    let calls: Vec<String> =
        (0..2).map(|_| read(&deployment.send(request()))["call"].as_str().unwrap().to_owned()).collect();
    deployment.advance(60_000);
    for call in &calls {
        let shown = read(&deployment.send(bearer(&key, get(&format!("/api/calls/{call}")))));
        assert_eq!(shown["call"]["callSid"], Value::Null);
    }
    // A callback of its own names the call, and only that one.
    let leg = [
        ("AccountSid", crate::testing::ACCOUNT.to_owned()),
        ("CallSid", format!("CA{:032}", 9_000)),
        ("CallStatus", "ringing".to_owned()),
        ("Timestamp", "Thu, 01 Jan 2026 00:00:09 +0000".to_owned()),
    ];
    let target = format!("/api/calls/status?call={}", calls[1]);
    assert_eq!(deployment.send(twilio_post(&target, &borrowed(&leg))).status, 204);
    deployment.advance(30_000);
    let sid = |call: &str| {
        read(&deployment.send(bearer(&key, get(&format!("/api/calls/{call}")))))["call"]["callSid"].clone()
    };
    assert_eq!((sid(&calls[0]), sid(&calls[1])), (Value::Null, json!(leg[1].1)));
}

#[test]
fn a_room_does_not_end_a_leg_that_is_another_rooms() {
    let (deployment, key) = deployment();
    let first = read(&deployment.send(bearer(&key, place(&json!({"to": "+15550100123"})))));
    let (sid, _) = (first["callSid"].as_str().unwrap().to_owned(), ());
    // A second room that believes it has the same leg.
    deployment.world.with_twilio(|t| t.script.push_back(Script::Lost));
    let second = read(&deployment.send(bearer(&key, place(&json!({"to": "+15550100124"})))));
    let call = second["call"].as_str().unwrap().to_owned();
    let leg = [
        ("AccountSid", crate::testing::ACCOUNT.to_owned()),
        ("CallSid", sid.clone()),
        ("CallStatus", "ringing".to_owned()),
        ("Timestamp", "Thu, 01 Jan 2026 00:00:09 +0000".to_owned()),
    ];
    deployment.send(twilio_post(&format!("/api/calls/status?call={call}"), &borrowed(&leg)));
    deployment.send(bearer(&key, Request::new(Method::Post, &format!("/api/calls/{call}/hangup"))));
    deployment.advance(60_000);
    assert_eq!(deployment.world.with_twilio(|t| t.calls[&sid].status.clone()), "queued");
    assert!(deployment.world.journal().iter().any(|r| r.message.contains("another room's")));
    let shown = read(&deployment.send(bearer(&key, get(&format!("/api/calls/{call}")))));
    assert_eq!(shown["call"]["status"], "completed", "it is over as far as this room goes");
}

#[test]
fn a_hang_up_that_twilio_refuses_is_told_and_tried_again() {
    let (deployment, key) = deployment();
    let placed = read(&deployment.send(bearer(&key, place(&json!({"to": "+15550100123"})))));
    let sid = placed["callSid"].as_str().unwrap().to_owned();
    let refused = json!({"code": 20003, "message": "Authenticate", "status": 401});
    deployment
        .world
        .with_twilio(|t| t.script.extend([401, 403].map(|status| Script::Answer(answer(status, &refused)))));
    deployment.send(bearer(&key, Request::new(Method::Post, &format!("/api/calls/{sid}/hangup"))));
    let told = || {
        let journal = deployment.world.journal();
        journal.into_iter().filter(|r| r.message == "Twilio refused to end a call").collect::<Vec<_>>()
    };
    assert_eq!(told()[0].level, crate::ports::Level::Error);
    assert_eq!(told()[0].detail.as_deref(), Some("401"));
    deployment.advance(10_000);
    assert_eq!(told().len(), 2);
    assert_eq!(deployment.world.with_twilio(|t| t.calls[&sid].status.clone()), "completed");
}

#[test]
fn variables_have_a_limit_together() {
    let (deployment, key) = deployment();
    let variables = |n: usize| -> Value {
        (0..n).map(|n| (format!("v{n}"), json!("x".repeat(4_000)))).collect::<serde_json::Map<_, _>>().into()
    };
    let request = |n| bearer(&key, place(&json!({"to": "+15550100123", "variables": variables(n)})));
    assert_eq!(deployment.send(request(4)).status, 201);
    let response = deployment.send(request(5));
    assert_eq!(refusal(&response), (400, "invalid_field".into()));
    assert_eq!(read(&response)["error"]["field"], "variables");
}
