use super::*;
use crate::ports::DatabaseFault;
use shared::ids::CallId;

/// A deployment with so many calls in its history, ten seconds apart.
fn with_history(calls: u32) -> (Deployment, Browser) {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    for n in 1..=calls {
        ring(&deployment, n);
        deployment.advance(10_000);
    }
    deployment.advance(60_000);
    (deployment, browser)
}

#[test]
fn the_list_is_paged_newest_first_and_filtered() {
    let (deployment, browser) = with_history(7);
    let page = |query: &str| read(&deployment.send(browser.on(get(&format!("/api/calls{query}")))));
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = page(&query);
        let sids: Vec<String> =
            page["calls"].as_array().unwrap().iter().map(|c| c["callSid"].as_str().unwrap().to_owned()).collect();
        assert!(sids.len() <= 3);
        seen.extend(sids);
        match page["nextCursor"].as_str() {
            Some(cursor) => query = format!("?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = (1..=7).rev().map(|n| call_sid(n).to_string()).collect();
    assert_eq!(seen, expected);
    let count = |query: &str| page(query)["calls"].as_array().unwrap().len();
    assert_eq!(count("?direction=inbound"), 7);
    assert_eq!(count("?direction=outbound"), 0);
    assert_eq!(count("?agent=line-test"), 7);
    assert_eq!(count("?party=%2B14155550100"), 7);
    assert_eq!(count("?party=%2B15550100123"), 0);
    assert_eq!(count("?number=4155550"), 7, "a part of a number");
    assert_eq!(count("?number=%2B1415"), 7);
    assert_eq!(count("?number=999"), 0);
    assert_eq!(count("?status=completed"), 7, "Twilio does not know these legs");
    assert_eq!(count("?from=2026-01-01T00:00:25Z"), 4);
    assert_eq!(count("?until=2026-01-01T00:00:25Z"), 3);
    assert_eq!(count("?from=2026-01-01T00:00:10Z&until=2026-01-01T00:00:30Z"), 2);
    for bad in [
        "?limit=0",
        "?limit=201",
        "?limit=x",
        "?cursor=x",
        "?status=x",
        "?direction=up",
        "?party=911",
        "?number=x%25",
        "?from=today",
        "?agent=%20",
    ] {
        let response = deployment.send(browser.on(get(&format!("/api/calls{bad}"))));
        assert_eq!(refusal(&response), (400, "invalid_field".into()), "{bad}");
    }
    let injection = "?party=%2B1415%27%20OR%201%3D1--";
    assert_eq!(deployment.send(browser.on(get(&format!("/api/calls{injection}")))).status, 400);
}

#[test]
fn a_call_is_found_by_either_name_and_unknown_ones_are_not_there() {
    let (deployment, browser) = with_history(1);
    let by_sid = read(&deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(1))))));
    let call = by_sid["call"]["call"].as_str().unwrap();
    assert_eq!(read(&deployment.send(browser.on(get(&format!("/api/calls/{call}"))))), by_sid);
    for unknown in [call_sid(2).to_string(), CallId::derived([9; 16]).to_string(), "x".into(), "CA1".into()] {
        for rest in ["", "/transcript"] {
            let response = deployment.send(browser.on(get(&format!("/api/calls/{unknown}{rest}"))));
            assert_eq!(refusal(&response), (404, "not_found".into()), "{unknown}{rest}");
        }
        let hang_up = Request::new(Method::Post, &format!("/api/calls/{unknown}/hangup"));
        assert_eq!(deployment.send(browser.on(hang_up)).status, 404, "{unknown}");
    }
}

#[test]
fn a_live_call_can_be_read_while_d1_is_away() {
    let deployment = Deployment::with_node();
    ring(&deployment, 1);
    deployment.world.set_faults(Faults { database: Some(DatabaseFault::Unavailable), ..Faults::default() });
    // Whoever asks cannot be known without D1.
    let response = deployment.send(bearer("tl_live_x", get("/api/calls")));
    assert_eq!(response.status, 401, "a key without its checksum is not looked up");
    assert_eq!(deployment.send(get("/health")).status, 200);
    deployment.world.set_faults(Faults::default());
    let browser = deployment.set_up();
    let shown = deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(1)))));
    assert_eq!(read(&shown)["call"]["status"], "ringing");
}

#[test]
fn d1_away_loses_nothing() {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    deployment.world.set_faults(Faults { database: Some(DatabaseFault::Unavailable), ..Faults::default() });
    ring(&deployment, 1);
    let mut fields = inbound_fields(&call_sid(1));
    fields.retain(|(name, _)| *name != "CallStatus");
    fields.extend([("CallStatus", "completed".into()), ("Timestamp", "Thu, 01 Jan 2026 00:00:05 +0000".to_owned())]);
    assert_eq!(deployment.send(twilio_post("/api/calls/status", &borrowed(&fields))).status, 204);
    deployment.advance(120_000);
    assert_eq!(deployment.world.query("SELECT call FROM calls").len(), 0);
    deployment.world.set_faults(Faults::default());
    deployment.advance(300_000);
    let rows = deployment.world.query("SELECT status, settled FROM calls");
    assert_eq!((rows[0].text("status"), rows[0].integer("settled")), (Some("completed"), Some(1)));
    assert_eq!(read(&deployment.send(browser.on(get("/api/calls"))))["calls"][0]["status"], "completed");
}

#[test]
fn a_transcript_comes_in_three_forms() {
    let (deployment, browser) = with_history(1);
    let path = format!("/api/calls/{}/transcript", call_sid(1));
    let accept = |accept: &str| {
        let mut request = browser.on(get(&path));
        request.headers.push(("accept".into(), accept.into()));
        request
    };
    assert_eq!(read(&deployment.send(accept("*/*")))["complete"], true);
    assert_eq!(read(&deployment.send(accept("application/json, text/plain")))["lines"], json!([]));
    let plain = deployment.send(accept("text/plain;q=0.9, application/json"));
    assert_eq!(plain.header("content-type"), Some("text/plain; charset=utf-8"));
    let mut events = accept("text/event-stream");
    let Reply::Stream { after, call, pass } = deployment.reply(events.clone()) else { panic!() };
    assert_eq!(after, 0);
    events.headers.push(("last-event-id".into(), "17".into()));
    assert_eq!(deployment.reply(events), Reply::Stream { call, after: 17, pass });
}

#[test]
fn health_says_whether_a_node_is_alive() {
    let deployment = Deployment::new();
    let health = |d: &Deployment| read(&d.send(get("/health")));
    assert_eq!(
        health(&deployment),
        json!({"status": "degraded", "version": env!("CARGO_PKG_VERSION"), "nodesAlive": 0})
    );
    deployment.beat("m1", 0, false);
    deployment.beat("m2", 0, true);
    assert_eq!(health(&deployment)["nodesAlive"], 2);
    assert_eq!(health(&deployment)["status"], "ok");
    deployment.advance(6_000);
    assert_eq!(health(&deployment)["nodesAlive"], 0);
    deployment.world.set_faults(Faults { switchboard: true, ..Faults::default() });
    assert_eq!(health(&deployment)["status"], "degraded");
}
