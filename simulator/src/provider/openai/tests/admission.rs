use super::*;
use crate::provider::openai::{Admission, Fault, FaultKind, Moment, Request, admit};

const GOOD: Request<'_> = Request {
    path: "/v1/realtime",
    query: Some("model=gpt-realtime-2.1"),
    authorization: Some("Bearer test-key"),
    beta: None,
};

fn outcome(request: Request<'_>) -> Result<String, (u16, &'static str)> {
    outcome_with(&plain(), 1, request)
}

fn outcome_with(options: &Options, connection: u32, request: Request<'_>) -> Result<String, (u16, &'static str)> {
    match admit(options, connection, request) {
        Admission::Welcome { model } => Ok(model),
        Admission::Refused(turned) => {
            let body: Value = serde_json::from_str(&turned.body).expect("a JSON body");
            assert_eq!(body["error"]["code"], turned.code);
            Err((turned.status, turned.code))
        }
        Admission::Ignored => Err((0, "ignored")),
    }
}

#[test]
fn a_bearer_key_and_one_model_open_a_session() {
    assert_eq!(outcome(GOOD), Ok("gpt-realtime-2.1".to_owned()));
    let more = Request { query: Some("trace=1&model=gpt-realtime-2"), ..GOOD };
    assert_eq!(outcome(more), Ok("gpt-realtime-2".to_owned()));
}

#[test]
fn anything_else_is_turned_away() {
    for authorization in [None, Some("test-key"), Some("Basic test-key"), Some("Bearer "), Some("bearer")] {
        assert_eq!(outcome(Request { authorization, ..GOOD }), Err((401, "missing_api_key")), "{authorization:?}");
    }
    let beta = Request { beta: Some("realtime=v1"), ..GOOD };
    assert_eq!(outcome(beta), Err((400, "beta_api_shape_disabled")));
    for query in [None, Some(""), Some("model="), Some("model=a&model=b"), Some("intent=transcription")] {
        assert_eq!(outcome(Request { query, ..GOOD }), Err((400, "missing_model")), "{query:?}");
    }
    assert_eq!(outcome(Request { path: "/v1/responses", ..GOOD }), Err((404, "not_found")));
    let locked = Options { key: Some("right-key".to_owned()), ..plain() };
    assert_eq!(outcome_with(&locked, 1, GOOD), Err((401, "invalid_api_key")));
    let right = Request { authorization: Some("Bearer right-key"), ..GOOD };
    assert!(outcome_with(&locked, 1, right).is_ok());
}

#[test]
fn a_fault_may_meet_one_connection_only() {
    let fault = |kind| Fault { connection: Some(2), at: Moment::Connect, kind };
    for (kind, expected) in [
        (FaultKind::Refuse(401), (401, "invalid_api_key")),
        (FaultKind::Refuse(429), (429, "rate_limit_exceeded")),
        (FaultKind::Refuse(500), (500, "server_error")),
        (FaultKind::Stall, (0, "ignored")),
    ] {
        let options = Options { faults: vec![fault(kind)], ..plain() };
        assert!(outcome_with(&options, 1, GOOD).is_ok());
        assert_eq!(outcome_with(&options, 2, GOOD), Err(expected));
        assert!(outcome_with(&options, 3, GOOD).is_ok());
    }
}
