use super::*;

#[test]
fn agents_are_made_changed_and_deleted() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let send = |request| deployment.send(browser.on(request));
    assert_eq!(read(&send(get("/api/agents")))["defaultAgent"], "line-test");
    assert_eq!(read(&send(put("/api/agents/desk", &agent_body("desk"))))["version"], 1);
    let changed = read(&send(put("/api/agents/desk", &agent_body("desk"))));
    assert_eq!(changed["version"], 2);
    assert_eq!(read(&send(get("/api/agents/desk"))), changed);
    assert_eq!(read(&send(get("/api/agents/line-test")))["voice"]["provider"], "echo");
    let list = read(&send(get("/api/agents")));
    let ids: Vec<&str> = list["agents"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["line-test", "desk"]);

    let mut long = agent_body("desk");
    long["instructions"] = json!("x".repeat(16_001));
    for (target, body, status, code, field) in [
        ("/api/agents/desk", agent_body("other"), 400, "invalid_field", "id"),
        ("/api/agents/desk", long, 400, "invalid_field", "instructions"),
        ("/api/agents/line-test", agent_body("line-test"), 409, "reserved", ""),
        ("/api/agents/a%20b", agent_body("a b"), 400, "invalid_field", "id"),
        (
            "/api/agents/desk",
            json!({"id": "desk", "name": "D", "voice": {"provider": "openai", "extra": 1}}),
            400,
            "invalid_field",
            "voice.extra",
        ),
        ("/api/agents/default", json!({"agent": "nobody"}), 422, "invalid_field", "agent"),
    ] {
        let response = send(put(target, &body));
        assert_eq!(refusal(&response), (status, code.to_owned()), "{target} {body}");
        assert_eq!(read(&response)["error"]["field"].as_str().unwrap_or_default(), field, "{target}");
    }
    assert_eq!(send(get("/api/agents/nobody")).status, 404);

    assert_eq!(send(put("/api/agents/default", &json!({"agent": "desk"}))).status, 200);
    let delete = || Request::new(Method::Delete, "/api/agents/desk");
    assert_eq!(refusal(&send(delete())), (409, "in_use".into()));
    assert_eq!(send(put("/api/agents/default", &json!({"agent": "line-test"}))).status, 200);
    assert_eq!(send(put("/api/numbers/%2B15550100199", &json!({"agent": "desk"}))).status, 200);
    assert_eq!(refusal(&send(delete())), (409, "in_use".into()));
    assert_eq!(send(Request::new(Method::Delete, "/api/numbers/%2B15550100199")).status, 204);
    assert_eq!(send(delete()).status, 204);
    assert_eq!(send(delete()).status, 404);
    assert_eq!(send(Request::new(Method::Delete, "/api/agents/line-test")).status, 409);
}

#[test]
fn numbers_point_to_agents() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let send = |request| deployment.send(browser.on(request));
    for (target, agent, status) in [
        ("/api/numbers/%2B15550100199", "line-test", 200),
        ("/api/numbers/+15550100198", "line-test", 200),
        ("/api/numbers/%2B15550100199", "nobody", 422),
        ("/api/numbers/911", "line-test", 400),
        ("/api/numbers/%2B1%2F5", "line-test", 404),
    ] {
        assert_eq!(send(put(target, &json!({"agent": agent}))).status, status, "{target} {agent}");
    }
    let numbers = read(&send(get("/api/numbers")));
    assert_eq!(
        numbers,
        json!({"numbers": [{"number": "+15550100198", "agent": "line-test"}, {"number": "+15550100199", "agent": "line-test"}]})
    );
    assert_eq!(send(Request::new(Method::Delete, "/api/numbers/+15550100197")).status, 404);
}

#[test]
fn after_a_restoration_of_the_database_its_word_counts_again() {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    let answers = |n: u32| {
        assert!(ring(&deployment, n).contains("<Connect"));
        let shown = read(&deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(n))))));
        shown["call"]["agent"].as_str().unwrap().to_owned()
    };
    let wait = |periods: u32| {
        for _ in 0..periods {
            deployment.advance(5_000);
            deployment.beat("m1", 0, false);
        }
    };
    deployment.send(browser.on(put("/api/agents/desk", &agent_body("desk"))));
    deployment.send(browser.on(put("/api/agents/default", &json!({"agent": "desk"}))));
    assert_eq!(answers(1), "desk");
    deployment.world.query("UPDATE configuration SET version = 2, default_agent = NULL");
    wait(13);
    assert_eq!(answers(2), "line-test", "what was restored");
    // A change made right after another restoration is not taken for an old one.
    deployment.send(browser.on(put("/api/agents/default", &json!({"agent": "desk"}))));
    deployment.world.query("UPDATE configuration SET version = 2, default_agent = NULL");
    deployment.advance(1);
    deployment.send(browser.on(put("/api/agents/night", &agent_body("night"))));
    deployment.send(browser.on(put("/api/agents/default", &json!({"agent": "night"}))));
    assert_eq!(answers(3), "night");
}

#[test]
fn there_are_no_more_numbers_and_agents_than_the_switchboard_holds() {
    let deployment = Deployment::new();
    let browser = deployment.set_up();
    let send = |target: &str, body: &Value| refusal(&deployment.send(browser.on(put(target, body))));
    deployment.world.query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
         INSERT INTO numbers SELECT '+1555' || (1000000 + i), 'line-test' FROM n",
    );
    let point = json!({"agent": "line-test"});
    assert_eq!(send("/api/numbers/+15550100199", &point), (409, "too_many_numbers".into()));
    assert_eq!(send("/api/numbers/+15551000001", &point).0, 200, "one that is there may change");
    assert_eq!(send("/api/numbers/+15551000001", &json!({"agent": "nobody"})), (422, "invalid_field".into()));
    deployment.world.query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 512) \
         INSERT INTO agents SELECT 'a' || i, 1, printf('%16384c', 'x') FROM n",
    );
    assert_eq!(send("/api/agents/desk", &agent_body("desk")), (409, "too_many_agents".into()));
    assert_eq!(send("/api/agents/a1", &agent_body("a1")).0, 200, "a shorter one takes a longer one's place");
    assert_eq!(send("/api/agents/desk", &agent_body("desk")).0, 200);
}

#[test]
fn a_change_reaches_the_next_call_even_when_its_push_was_lost() {
    let deployment = Deployment::with_node();
    let browser = deployment.set_up();
    let agent = |n: u32| {
        let call = ring(&deployment, n);
        assert!(call.contains("<Connect"));
        let shown = read(&deployment.send(browser.on(get(&format!("/api/calls/{}", call_sid(n))))));
        shown["call"]["agent"].as_str().unwrap().to_owned()
    };
    assert_eq!(agent(1), "line-test");
    deployment.send(browser.on(put("/api/agents/desk", &agent_body("desk"))));
    deployment.send(browser.on(put("/api/agents/default", &json!({"agent": "desk"}))));
    assert_eq!(agent(2), "desk");
    deployment.world.set_faults(Faults { switchboard: true, ..Faults::default() });
    assert_eq!(
        deployment.send(browser.on(put("/api/numbers/+15550100199", &json!({"agent": "line-test"})))).status,
        200
    );
    deployment.world.set_faults(Faults::default());
    deployment.beat("m1", 0, false);
    assert_eq!(agent(3), "desk", "the push was lost");
    for _ in 0..13 {
        deployment.beat("m1", 0, false);
        deployment.advance(5_000);
    }
    deployment.beat("m1", 0, false);
    assert_eq!(agent(4), "line-test");
}
