use super::*;
use crate::ports::DatabaseFault;

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

fn all_broken() -> Faults {
    Faults { rooms: true, switchboard: true, database: Some(DatabaseFault::Unavailable), ..Faults::default() }
}

#[test]
fn a_number_is_answered_by_its_agent_without_d1() {
    let deployment = Deployment::with_node();
    deployment.world.set_faults(Faults { database: Some(DatabaseFault::Overloaded), ..Faults::default() });
    let twiml = ring(&deployment, 1);
    let ticket = attribute(&twiml, "Parameter", "value").unwrap();
    let action = attribute(&twiml, "Connect", "action").unwrap();
    let status = attribute(&twiml, "Stream", "statusCallback").unwrap();
    let call = action.split("call=").nth(1).unwrap().split("&amp;").next().unwrap();
    let fragment = "#rc=3&amp;rt=4000&amp;rp=ct,rt,5xx";
    assert_eq!(action, format!("{BASE}/voice/after-stream?call={call}&amp;epoch=1{fragment}"));
    assert_eq!(status, format!("{BASE}/api/calls/stream-status?call={call}{fragment}"));
    assert_eq!(
        twiml,
        format!(
            r#"{XML}<Response><Connect action="{action}" method="POST"><Stream url="wss://m1.example.com/media/m1" statusCallback="{status}"><Parameter name="ticket" value="{ticket}"/></Stream></Connect></Response>"#
        )
    );
    assert!(ticket.starts_with("v1.") && ticket.len() < 480);
}

#[test]
fn every_alias_and_get_are_the_same_question() {
    let deployment = Deployment::with_node();
    let fields = inbound_fields(&call_sid(1));
    let expected = ring(&deployment, 1);
    for target in ["/twiml", "/api/twilio/voice"] {
        assert_eq!(text(&deployment.send(twilio_post(target, &borrowed(&fields)))), expected, "{target}");
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(borrowed(&fields)).finish();
    let target = format!("/voice?{query}");
    let mut request = get(&target);
    let url = format!("{BASE}{target}");
    let signature = shared::twilio::signature::sign(crate::testing::TOKEN.as_bytes(), Default::default(), &url, &[]);
    request.headers.push(("x-twilio-signature".into(), signature));
    assert_eq!(text(&deployment.send(request)), expected);
}

#[test]
fn without_a_node_the_caller_hears_busy() {
    let deployment = Deployment::new();
    let busy = ring(&deployment, 1);
    assert!(busy.contains("All our lines are busy") && busy.contains("<Hangup/>"), "{busy}");
    deployment.beat("m1", 10, false);
    deployment.beat("m2", 0, true);
    assert_eq!(ring(&deployment, 2), busy, "full and draining nodes get nothing");
    deployment.advance(60_000);
    let rows = deployment.world.query("SELECT reason FROM calls ORDER BY call");
    assert!(rows.iter().all(|row| row.text("reason") == Some("no_capacity")) && rows.len() == 2, "{rows:?}");
}

#[test]
fn a_lapsed_lease_gets_no_calls() {
    let deployment = Deployment::with_node();
    deployment.advance(6_100);
    assert!(ring(&deployment, 1).contains("busy"));
}

#[test]
fn twilio_always_gets_twiml_whatever_is_broken() {
    let broken = [
        Faults { rooms: true, ..Faults::default() },
        Faults { switchboard: true, ..Faults::default() },
        all_broken(),
        Faults { silence: true, ..Faults::default() },
    ];
    for faults in broken {
        let deployment = Deployment::with_node();
        let twiml = ring(&deployment, 1);
        deployment.world.set_faults(faults);
        // A new call is asked to hold, twice, and then hears an apology.
        let fields = inbound_fields(&call_sid(2));
        let mut target = "/voice".to_owned();
        for _ in 0..2 {
            let held = text(&deployment.send(twilio_post(&target, &borrowed(&fields))));
            assert!(held.contains("<Say>One moment, please.</Say>"), "{held}");
            target = target_of(held.split("<Redirect>").nth(1).unwrap().split('<').next().unwrap());
        }
        let sorry = text(&deployment.send(twilio_post(&target, &borrowed(&fields))));
        assert!(sorry.contains("We are sorry") && sorry.contains("<Hangup/>"), "{sorry}");
        let fallback = text(&deployment.send(twilio_post("/voice/fallback", &borrowed(&fields))));
        assert_eq!(fallback, sorry);
        // The question after a stream is asked again, three times.
        let mut target = target_of(&attribute(&twiml, "Connect", "action").unwrap());
        let fields = inbound_fields(&call_sid(1));
        let mut rounds = 0;
        let last = loop {
            let answer = deployment.send(twilio_post(&target, &borrowed(&fields)));
            assert_eq!(answer.status, 200);
            match text(&answer).split("<Redirect>").nth(1) {
                Some(next) => target = target_of(next.split('<').next().unwrap()),
                None => break text(&answer),
            }
            rounds += 1;
        };
        assert!(last.contains("<Hangup/>") && rounds == 3, "{rounds} {last}");
        // Reports are taken.
        let mut fields = inbound_fields(&call_sid(1));
        fields.push(("Timestamp", "Thu, 01 Jan 2026 00:00:05 +0000".into()));
        let answer = deployment.send(twilio_post("/api/calls/status", &borrowed(&fields)));
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        // Everything works again as soon as it can.
        deployment.world.set_faults(Faults::default());
        assert!(ring(&deployment, 2).contains("<Connect"));
    }
}

#[test]
fn a_replayed_webhook_has_no_second_effect_and_gets_no_ticket() {
    let deployment = Deployment::with_node();
    let first = ring(&deployment, 1);
    let entry = {
        let ticket = attribute(&first, "Parameter", "value").unwrap();
        let call = first.split("call=").nth(1).unwrap().split("&amp;").next().unwrap().to_owned();
        let Reply::Upgrade(Upgrade::Node { call, entry }) =
            deployment.reply(by_node(&deployment, "m1", bearer(&ticket, socket(&format!("/node/calls/{call}")))))
        else {
            panic!()
        };
        (call, entry)
    };
    deployment.world.open_node(&entry.0, entry.1);
    let mut status = inbound_fields(&call_sid(1));
    status.retain(|(n, _)| *n != "CallStatus");
    status.extend([("CallStatus", "completed".into()), ("Timestamp", "Thu, 01 Jan 2026 00:00:05 +0000".to_owned())]);
    let after = target_of(&attribute(&first, "Connect", "action").unwrap());
    let capture = [
        twilio_post("/voice", &borrowed(&inbound_fields(&call_sid(1)))),
        twilio_post("/api/calls/status", &borrowed(&status)),
        twilio_post(&after, &borrowed(&status)),
    ];
    for request in &capture {
        deployment.send(request.clone());
    }
    deployment.advance(86_400_000);
    let log = |d: &Deployment| {
        let call = entry.0.clone();
        let watcher = d.world.open_watcher(&call, Some(0));
        d.world.socket(&watcher).received
    };
    let before = log(&deployment);
    let twilio = deployment.world.asked().twilio;
    for round in 0..10 {
        for n in 0..capture.len() {
            let answer = deployment.send(capture[(n + round) % capture.len()].clone());
            let answer = text(&answer);
            assert!(!answer.contains("ticket") && !answer.contains("<Dial"), "{answer}");
        }
    }
    assert_eq!(log(&deployment), before);
    assert_eq!(deployment.world.asked().twilio, twilio);
}

#[test]
fn a_replayed_question_takes_nobodys_seat() {
    let deployment = Deployment::new();
    deployment.beat("m1", 9, false);
    assert!(ring(&deployment, 1).contains("<Connect"), "the last seat");
    let mut ended = inbound_fields(&call_sid(1));
    ended.retain(|(name, _)| *name != "CallStatus");
    ended.push(("CallStatus", "completed".into()));
    deployment.send(twilio_post("/api/calls/status", &borrowed(&ended)));
    deployment.advance(4_000);
    deployment.beat("m1", 9, false);
    for _ in 0..20 {
        assert!(!ring(&deployment, 1).contains("<Connect"));
    }
    assert!(ring(&deployment, 2).contains("<Connect"), "the seat is still free");
}

#[test]
fn falling_back_in_the_middle_of_a_call_finds_another_node() {
    let deployment = Deployment::with_node();
    let twiml = ring(&deployment, 1);
    let ticket = attribute(&twiml, "Parameter", "value").unwrap();
    let call = twiml.split("call=").nth(1).unwrap().split("&amp;").next().unwrap().to_owned();
    let upgrade = by_node(&deployment, "m1", bearer(&ticket, socket(&format!("/node/calls/{call}"))));
    let Reply::Upgrade(Upgrade::Node { call, entry }) = deployment.reply(upgrade) else { panic!() };
    deployment.world.open_node(&call, entry);
    deployment.beat("m2", 0, false);
    // The node dies, and `/voice/after-stream` did not answer in time.
    let mut fields = inbound_fields(&call_sid(1));
    fields.retain(|(name, _)| *name != "CallStatus");
    fields.extend([("CallStatus", "in-progress".to_owned()), ("ErrorCode", "11200".to_owned())]);
    let fallback = || text(&deployment.send(twilio_post("/voice/fallback", &borrowed(&fields))));
    let rescued = fallback();
    assert_eq!(attribute(&rescued, "Stream", "url").as_deref(), Some("wss://m2.example.com/media/m2"));
    assert_eq!(fallback(), rescued, "asked again, the same answer");
    // `/voice` itself never gives a stream away a second time.
    assert!(ring(&deployment, 1).contains("/media/m2"), "the offer that waits");
    let mut over = inbound_fields(&call_sid(1));
    over.retain(|(name, _)| *name != "CallStatus");
    over.push(("CallStatus", "completed".into()));
    deployment.send(twilio_post("/api/calls/status", &borrowed(&over)));
    assert!(fallback().ends_with("<Response/>"), "a call that is over is not revived");
}

#[test]
fn a_browsers_call_is_answered_when_the_far_end_answers() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let token = read(&deployment.send(browser.on(get("/api/token"))));
    let identity = token["identity"].as_str().unwrap().to_owned();
    let fields = browser_fields(&identity, "+15550100123");
    let twiml = text(&deployment.send(twilio_post("/voice", &borrowed(&fields))));
    let reports = target_of(&attribute(&twiml, "Number", "statusCallback").unwrap());
    let action = target_of(&attribute(&twiml, "Dial", "action").unwrap());
    let call = reports.split("call=").nth(1).unwrap().to_owned();
    let shown = || read(&deployment.send(browser.on(get(&format!("/api/calls/{call}")))))["call"].clone();
    let child = |status: &str, at: &str| {
        let mut child = inbound_fields(&call_sid(6));
        child.retain(|(name, _)| !matches!(*name, "CallStatus" | "Direction"));
        child.extend([
            ("CallStatus", status.to_owned()),
            ("Direction", "outbound-dial".to_owned()),
            ("ParentCallSid", call_sid(5).to_string()),
            ("Timestamp", at.to_owned()),
        ]);
        assert_eq!(deployment.send(twilio_post(&reports, &borrowed(&child))).status, 204);
    };
    child("ringing", "Thu, 01 Jan 2026 00:00:02 +0000");
    assert_eq!((&shown()["status"], &shown()["answeredAt"]), (&json!("ringing"), &Value::Null));
    child("in-progress", "Thu, 01 Jan 2026 00:00:09 +0000");
    assert_eq!(shown()["status"], "in-progress");
    assert_eq!(shown()["answeredAt"], "2026-01-01T00:00:09.000Z");
    child("completed", "Thu, 01 Jan 2026 00:00:30 +0000");
    deployment.advance(30_000);
    let mut after = browser_fields(&identity, "+15550100123");
    after.retain(|(name, _)| *name != "CallStatus");
    after.extend([("CallStatus", "in-progress".to_owned()), ("DialCallStatus", "completed".to_owned())]);
    deployment.send(twilio_post(&action, &borrowed(&after)));
    assert_eq!(shown()["answeredAt"], "2026-01-01T00:00:09.000Z");
    // Somebody else's child: the copy names no call, or another leg.
    let mut stranger = inbound_fields(&call_sid(7));
    stranger.retain(|(name, _)| *name != "CallStatus");
    stranger.extend([("CallStatus", "in-progress".to_owned()), ("ParentCallSid", call_sid(8).to_string())]);
    for target in ["/api/calls/status", reports.as_str()] {
        assert_eq!(deployment.send(twilio_post(target, &borrowed(&stranger))).status, 204);
    }
}

fn browser_fields(identity: &str, to: &str) -> Vec<(&'static str, String)> {
    let mut fields = inbound_fields(&call_sid(5));
    fields.retain(|(name, _)| !matches!(*name, "From" | "To" | "Caller" | "Called"));
    fields.extend([
        ("From", format!("client:{identity}")),
        ("Caller", format!("client:{identity}")),
        ("To", to.to_owned()),
        ("Agent", "ignored".to_owned()),
    ]);
    fields
}

#[test]
fn a_browser_dials_with_live_transcription_as_long_as_its_session_lives() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let token = read(&deployment.send(browser.on(get("/api/token"))));
    let identity = token["identity"].as_str().unwrap().to_owned();
    assert_eq!(token["expiresAt"], "2026-01-01T01:00:00.000Z");
    let fields = browser_fields(&identity, "+15550100123");
    let twiml = text(&deployment.send(twilio_post("/voice", &borrowed(&fields))));
    let callback = attribute(&twiml, "Transcription", "statusCallbackUrl").unwrap();
    let call = callback.split("call=").nth(1).unwrap().split('#').next().unwrap();
    let fragment = "#rc=3&amp;rt=4000&amp;rp=ct,rt,5xx";
    assert_eq!(
        twiml,
        format!(
            r#"{XML}<Response><Start><Transcription statusCallbackUrl="{BASE}/api/transcriptions/realtime?call={call}{fragment}" track="both_tracks" partialResults="false"/></Start><Dial action="{BASE}/voice/after-stream?call={call}{fragment}" answerOnBridge="true" callerId="{OURS}" timeLimit="14400"><Number statusCallbackEvent="initiated ringing answered completed" statusCallback="{BASE}/api/calls/status?call={call}{fragment}">+15550100123</Number></Dial></Response>"#
        )
    );
    // What was said reaches the transcript.
    let data = r#"{"transcript":"Hello there.","confidence":0.98}"#.to_owned();
    let words = |event: &str| {
        let mut fields = vec![
            ("AccountSid", crate::testing::ACCOUNT.to_owned()),
            ("CallSid", call_sid(5).to_string()),
            ("TranscriptionSid", format!("GT{:032}", 1)),
            ("TranscriptionEvent", event.to_owned()),
            ("SequenceId", "2".to_owned()),
            ("Timestamp", "2026-01-01T00:00:04.203Z".to_owned()),
        ];
        if event == "transcription-content" {
            fields.extend([
                ("Track", "inbound_track".to_owned()),
                ("Final", "true".to_owned()),
                ("TranscriptionData", data.clone()),
            ]);
        }
        fields
    };
    for event in ["transcription-started", "transcription-content", "transcription-content", "transcription-stopped"] {
        let request = twilio_post(&target_of(&callback), &borrowed(&words(event)));
        assert_eq!(deployment.send(request).status, 204);
    }
    let transcript = read(&deployment.send(browser.on(get(&format!("/api/calls/{}/transcript", call_sid(5))))));
    assert_eq!(transcript["lines"].as_array().unwrap().len(), 1);
    assert_eq!(transcript["lines"][0]["text"], "Hello there.");
    assert_eq!(transcript["lines"][0]["speaker"], "caller");
    // The dialled leg tells how far the call got, and not how it ends.
    let target = target_of(&attribute(&twiml, "Number", "statusCallback").unwrap());
    for (status, expected) in [("initiated", "ringing"), ("ringing", "ringing"), ("completed", "ringing")] {
        let mut child = inbound_fields(&call_sid(6));
        child.retain(|(name, _)| *name != "CallStatus");
        child.extend([("CallStatus", status.to_owned()), ("ParentCallSid", call_sid(5).to_string())]);
        assert_eq!(deployment.send(twilio_post(&target, &borrowed(&child))).status, 204);
        let shown = read(&deployment.send(browser.on(get(&format!("/api/calls/{call}")))));
        assert_eq!(shown["call"]["status"], expected, "{status}");
    }
    // Busy.
    let mut after = browser_fields(&identity, "+15550100123");
    after.push(("DialCallStatus", "busy".into()));
    let target = target_of(&attribute(&twiml, "Dial", "action").unwrap());
    assert!(text(&deployment.send(twilio_post(&target, &borrowed(&after)))).contains("<Hangup/>"));
    let shown = read(&deployment.send(browser.on(get(&format!("/api/calls/{call}")))));
    assert_eq!(shown["call"]["termination"]["reason"], "busy");
    assert_eq!(shown["call"]["direction"], "browser");

    // Signed out: the token still lives at Twilio, the calls do not.
    assert_eq!(deployment.send(browser.on(Request::new(Method::Delete, "/api/session"))).status, 204);
    let rejected = text(&deployment.send(twilio_post("/voice", &borrowed(&fields))));
    assert!(rejected.ends_with("<Response><Reject/></Response>"), "{rejected}");
}

#[test]
fn a_browser_may_call_telephones_only_and_no_identity_can_be_invented() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let identity = read(&deployment.send(browser.on(get("/api/token"))))["identity"].as_str().unwrap().to_owned();
    for to in ["", "911", "sip:a@b.example", "client:somebody", "+1555010012x", "0015550100123"] {
        let twiml = text(&deployment.send(twilio_post("/voice", &borrowed(&browser_fields(&identity, to)))));
        assert!(twiml.contains("cannot be called") && !twiml.contains("<Dial"), "{to}: {twiml}");
    }
    for identity in ["admin", "s_", "s_0000000000000000", "k_key0_1", "k_"] {
        let twiml = text(&deployment.send(twilio_post("/voice", &borrowed(&browser_fields(identity, "+15550100123")))));
        assert!(twiml.contains("<Reject/>"), "{identity}");
    }
    assert_eq!(deployment.world.room_count(), 0);
}

#[test]
fn an_api_keys_telephone_dies_with_the_key() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let key = deployment.key(&browser);
    let one = read(&deployment.send(bearer(&key, post("/api/token", &json!({})))));
    let two = read(&deployment.send(bearer(&key, get("/api/token"))));
    assert_ne!(one["identity"], two["identity"], "each token is another telephone");
    let identity = one["identity"].as_str().unwrap();
    let fields = browser_fields(identity, "+15550100123");
    assert!(text(&deployment.send(twilio_post("/voice", &borrowed(&fields)))).contains("<Dial"));
    let keys = read(&deployment.send(browser.on(get("/api/keys"))));
    let id = keys["keys"][0]["id"].as_str().unwrap();
    let delete = Request::new(Method::Delete, &format!("/api/keys/{id}"));
    assert_eq!(deployment.send(browser.on(delete)).status, 204);
    assert!(text(&deployment.send(twilio_post("/voice", &borrowed(&fields)))).contains("<Reject/>"));
    assert_eq!(deployment.send(bearer(&key, get("/api/token"))).status, 401);
}

#[test]
fn a_report_is_known_by_its_fields_and_not_by_its_address() {
    let deployment = Deployment::with_node();
    ring(&deployment, 1);
    let recording = [
        ("AccountSid", crate::testing::ACCOUNT.to_owned()),
        ("CallSid", call_sid(1).to_string()),
        ("RecordingSid", format!("RE{:032}", 1)),
        ("RecordingStatus", "completed".to_owned()),
        ("RecordingDuration", "11".to_owned()),
        ("RecordingUrl", "https://api.twilio.com/x".to_owned()),
    ];
    for target in ["/api/calls/status", "/recording-status-callback", "/api/twilio/status", "/api/calls/amd"] {
        assert_eq!(deployment.send(twilio_post(target, &borrowed(&recording))).status, 204);
    }
    let browser = deployment.set_up();
    let shown = read(&deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(1))))));
    let recording = &shown["state"]["recordings"][format!("RE{:032}", 1)];
    assert_eq!(*recording, json!({"phase": "completed", "durationS": 11}));
    // A report about a call that never was here is taken and forgotten.
    let mut fields = inbound_fields(&call_sid(77));
    fields.push(("Timestamp", "Thu, 01 Jan 2026 00:00:05 +0000".into()));
    assert_eq!(deployment.send(twilio_post("/api/calls/status", &borrowed(&fields))).status, 204);
    assert_eq!(deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(77))))).status, 404);
}

#[test]
fn one_room_that_cannot_answer_does_not_hold_up_the_others() {
    use crate::call_room::{Report, Reported};
    use crate::ports::{Database as _, Statement};
    let deployment = Deployment::with_node();
    ring(&deployment, 1);
    ring(&deployment, 2);
    let call = |n| super::super::lookup::call_of_sid(&deployment.world.config.account, &call_sid(n));
    let completed = |n| Report {
        call_sid: call_sid(n),
        what: Reported::Life {
            event: shared::call::CallEvent::Status {
                status: shared::call::CallStatus::Completed,
                at: deployment.world.now(),
                duration_s: Some(7),
                sip_code: None,
            },
        },
    };
    // Sixty reports of a room that is broken for good stand before one of another room.
    deployment.world.break_room(&call(1));
    for n in 0..60_u32 {
        let mut report = completed(1);
        report.what = Reported::AnsweredBy { who: format!("human{n}") };
        block_on(crate::parking::park(&deployment.world, deployment.world.now(), &call(1), &report)).unwrap();
    }
    deployment.advance(1_000);
    block_on(crate::parking::park(&deployment.world, deployment.world.now(), &call(2), &completed(2))).unwrap();
    deployment.advance(70_000);
    let rows = deployment.world.query("SELECT call FROM parked");
    assert!(rows.len() == 60 && rows.iter().all(|row| row.text("call") == Some(call(1).as_str())), "{}", rows.len());
    let asked = deployment.world.asked().rooms;
    deployment.advance(60_000);
    assert!(deployment.world.asked().rooms - asked <= 4, "a broken room is asked once a round");
    // A day later they are given up, and somebody is told.
    deployment.advance(25 * 3_600_000);
    assert_eq!(deployment.world.query("SELECT call FROM parked").len(), 0);
    assert!(deployment.world.journal().iter().any(|r| r.message.contains("given up")));
    let select =
        Statement { sql: "SELECT duration_s FROM calls WHERE status = 'completed' AND duration_s = 7", values: vec![] };
    assert_eq!(block_on(deployment.world.run(vec![select])).unwrap()[0].len(), 1);
}

#[test]
fn a_report_that_its_room_could_not_take_is_taken_later() {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    ring(&deployment, 1);
    deployment.world.set_faults(Faults { rooms: true, ..Faults::default() });
    let mut fields = inbound_fields(&call_sid(1));
    fields.retain(|(name, _)| *name != "CallStatus");
    fields.extend([
        ("CallStatus", "completed".into()),
        ("CallDuration", "41".into()),
        ("Timestamp", "Thu, 01 Jan 2026 00:00:42 +0000".to_owned()),
    ]);
    for _ in 0..3 {
        assert_eq!(deployment.send(twilio_post("/api/calls/status", &borrowed(&fields))).status, 204);
    }
    assert_eq!(deployment.world.query("SELECT id FROM parked").len(), 1, "once");
    deployment.advance(70_000);
    assert_eq!(deployment.world.query("SELECT id FROM parked").len(), 1, "the room is still away");
    deployment.world.set_faults(Faults::default());
    deployment.advance(70_000);
    assert_eq!(deployment.world.query("SELECT id FROM parked").len(), 0);
    let shown = read(&deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(1))))));
    assert_eq!((&shown["call"]["status"], &shown["call"]["durationS"]), (&json!("completed"), &json!(41)));
}
