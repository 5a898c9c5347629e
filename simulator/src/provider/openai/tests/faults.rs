use std::time::Duration;

use super::*;
use crate::provider::openai::{End, Fault, FaultKind, Moment, Output};
use crate::speech::Library;

fn with(at: Moment, kind: FaultKind) -> Options {
    Options { faults: vec![Fault { connection: None, at, kind }], ..plain() }
}

const MIDDLE: Moment = Moment::Response { number: 1, audio_ms: 1000 };

#[test]
fn a_session_expires_with_an_error_and_close_1001() {
    let mut client = telephoned(Options { session_seconds: 3600, ..plain() });
    client.wait(Duration::from_secs(3599));
    assert!(!client.twin.is_over());
    client.wait(Duration::from_secs(1));
    assert_eq!(client.latest("error").expect("it came")["error"]["code"], "session_expired");
    let reason = "Your session hit the maximum duration of 60 minutes.".to_owned();
    assert_eq!(client.closed(), Some(&Output::Close { code: 1001, reason }));
    assert_eq!(client.record().ended, Some((Duration::from_secs(3600), End::Closed(1001))));
    assert_eq!(client.send(&json!({ "type": "response.create" })), [] as [Value; 0], "nothing follows");
    assert_eq!(client.twin.poll_timeout(), None);
}

#[test]
fn a_connection_drops_or_closes_in_the_middle_of_an_answer() {
    for (kind, end) in [(FaultKind::Drop, End::Dropped), (FaultKind::Close(1011), End::Closed(1011))] {
        let mut client = telephoned(with(MIDDLE, kind));
        client.send(&json!({ "type": "response.create" }));
        client.wait(Duration::from_secs(10));
        assert!(client.closed().is_some());
        assert_eq!(client.record().ended.as_ref().map(|(_, how)| how), Some(&end));
        let sent_ms = client.record().items[0].audio_bytes / 8;
        assert!((1000..=1400).contains(&sent_ms), "{sent_ms}");
    }
}

#[test]
fn a_hanging_server_says_nothing_more_and_stays_connected() {
    let mut client = telephoned(with(MIDDLE, FaultKind::Hang));
    client.send(&json!({ "type": "response.create" }));
    client.wait(Duration::from_secs(10));
    client.forget();
    client.say("caller-booking");
    client.silence(3000);
    client.send(&json!({ "type": "response.create" }));
    client.wait(Duration::from_secs(30));
    assert_eq!(client.kinds(), [] as [&str; 0]);
    assert!(!client.twin.is_over());
    assert!(client.record().input_bytes > 40_000, "what is sent to it is still recorded");
}

#[test]
fn garbage_is_not_json_and_the_answer_goes_on() {
    let mut client = telephoned(with(MIDDLE, FaultKind::Garbage));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    assert_eq!(client.events().iter().filter(|event| event.is_string()).count(), 1);
    assert!(client.record().items[0].complete);
}

#[test]
fn a_response_fails_before_it_says_anything() {
    let at = Moment::Response { number: 2, audio_ms: 0 };
    let mut client = telephoned(with(at, FaultKind::FailResponse("rate_limit_exceeded".to_owned())));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    let answer = client.send(&json!({ "type": "response.create" }));
    assert_eq!(
        answer.iter().map(kind).collect::<Vec<_>>(),
        ["response.created", "rate_limits.updated", "response.done"]
    );
    let response = &answer[2]["response"];
    assert_eq!(response["status"], "failed");
    assert_eq!(response["status_details"]["error"]["code"], "rate_limit_exceeded");
    client.send(&json!({ "type": "response.create" }));
    assert_eq!(client.until("response.done")["response"]["status"], "completed", "a third may be asked for");
}

#[test]
fn an_answer_comes_in_the_wrong_format() {
    let at = Moment::Response { number: 1, audio_ms: 0 };
    let mut client = telephoned(with(at, FaultKind::WrongFormat));
    client.send(&json!({ "type": "response.create" }));
    client.until("response.done");
    let greeting = Library::embedded().get("agent-greeting").expect("a line").audio().len();
    assert_eq!(client.record().items[0].audio_bytes, greeting * 6);
}

#[test]
fn faults_have_their_place_and_can_be_written_in_toml() {
    let library = Library::embedded();
    for (at, kind) in [
        (Moment::Connect, FaultKind::Drop),
        (Moment::AfterMs(5), FaultKind::Refuse(500)),
        (Moment::AfterMs(5), FaultKind::WrongFormat),
    ] {
        assert!(with(at, kind).check(library).is_err());
    }
    let options: Options = toml::from_str(
        r#"
        seed = 7
        speed = 5.0
        chunks_ms = [130]
        keep = "events"
        late_deltas = { before_done = 2, after_done = 0 }
        faults = [
            { connection = 1, at = "connect", kind = { refuse = 429 } },
            { at = { response = { number = 2, audio_ms = 400 } }, kind = "drop" },
            { at = { after_ms = 30000 }, kind = "hang" },
        ]

        [script]
        greeting = ["agent-greeting"]
        otherwise = ["agent-not-understood"]

        [[script.answers]]
        heard = "caller-price"
        say = ["agent-one-moment"]
        tools = [{ name = "price_of", arguments = '{"service": "check-up"}' }]
        then = ["agent-price"]
        "#,
    )
    .expect("it parses");
    assert_eq!(options.check(library), Ok(()));
    assert_eq!(options.faults.len(), 3);
    assert_eq!(options.script.answers[0].tools[0].name, "price_of");
    assert_eq!(options.session_seconds, 3600, "the rest is the default");
    assert!(toml::from_str::<Options>("spede = 3.0").is_err(), "typing errors are found");
}
