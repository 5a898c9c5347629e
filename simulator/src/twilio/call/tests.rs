//! Calls as conversations in virtual time: what happens, and every action it leads to, in order and nothing else.

use std::time::Duration;

use super::super::network::{Network, Overheard, Reaction, Telephone};
use super::super::sids::{Dice, WallClock};
use super::super::twiml::{Method, Target};
use super::super::{Alert, Now};
use super::{
    Action, Call, Detection, Direction, Fetched, Input, Leg, Purpose, RecordPlan, Request, Source, Status, StreamEnd,
    Update,
};

fn ms(n: u64) -> Now {
    Duration::from_millis(n)
}

fn target(path: &str) -> Target {
    Target { url: format!("https://edge.example{path}"), method: Method::Post }
}

fn inbound() -> Leg {
    Leg {
        sid: "CA00000000000000000000000000000001".into(),
        account_sid: "AC00000000000000000000000000000001".into(),
        from: "+15550100111".into(),
        to: "+15550100122".into(),
        direction: Direction::Inbound,
        source: Source::Url(target("/voice")),
        fallback: Some(target("/voice/fallback")),
        status_callback: Some(target("/status")),
        status_events: Vec::new(),
        fields: vec![("FromCity".into(), String::new())],
        timeout_s: 60,
        time_limit_s: None,
        detection: None,
        record: None,
    }
}

fn outbound() -> Leg {
    let events = ["initiated", "ringing", "answered", "completed"].map(str::to_owned).to_vec();
    Leg { direction: Direction::OutboundApi, status_events: events, ..inbound() }
}

struct Line {
    call: Call,
    now: Now,
}

impl Line {
    fn new(leg: Leg, network: Network) -> Self {
        Self { call: Call::new(leg, network, WallClock::new(1_767_225_600_000), Dice::new(1)), now: Duration::ZERO }
    }

    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.call.poll_action()).map(show).collect()
    }

    fn on(&mut self, input: Input) -> Vec<String> {
        self.call.handle(self.now, input);
        self.drain()
    }

    /// Lets time pass, timers firing on the way.
    fn wait(&mut self, n: u64) -> Vec<String> {
        let until = self.now + ms(n);
        let mut shown = Vec::new();
        while let Some(at) = self.call.poll_timeout().filter(|at| *at <= until) {
            self.now = at;
            shown.extend(self.on(Input::Timeout));
        }
        self.now = until;
        shown
    }

    fn document(&mut self, id: u64, inner: &str) -> Vec<String> {
        let body = format!("<Response>{inner}</Response>").into_bytes();
        self.on(Input::Fetched(id, Ok(Fetched { status: 200, content_type: Some("text/xml".into()), body })))
    }

    fn stream_sid(&self) -> String {
        self.call.streams.keys().next().cloned().unwrap()
    }

    fn last(&mut self, input: Input, name: &str) -> Option<String> {
        self.call.handle(self.now, input);
        let mut value = None;
        while let Some(action) = self.call.poll_action() {
            if let Action::Fetch(_, request) | Action::Notify(request) = action {
                value = get(&request, name).map(str::to_owned).or(value);
            }
        }
        value
    }
}

fn get<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn show(action: Action) -> String {
    let path = |request: &Request| request.target.url.replace("https://edge.example", "");
    match action {
        Action::Fetch(id, request) => {
            let mut shown = format!("fetch {id} {}", path(&request));
            for name in ["CallStatus", "Digits", "DialCallStatus", "DialCallDuration", "ErrorCode", "AnsweredBy"] {
                if let Some(value) = get(&request, name) {
                    shown += &format!(" {value}");
                }
            }
            shown
        }
        Action::Notify(request) => match request.purpose {
            Purpose::Status => format!(
                "status {} seq {}{}",
                get(&request, "CallStatus").unwrap(),
                get(&request, "SequenceNumber").unwrap(),
                get(&request, "CallDuration").map(|d| format!(" {d} s")).unwrap_or_default()
            ),
            Purpose::Stream => get(&request, "StreamEvent").unwrap().to_owned(),
            Purpose::Recording => format!(
                "recording {}{}",
                get(&request, "RecordingStatus").unwrap(),
                get(&request, "RecordingDuration").map(|d| format!(" {d} s")).unwrap_or_default()
            ),
            Purpose::Transcription => format!(
                "{} {} {}",
                get(&request, "TranscriptionEvent").unwrap(),
                get(&request, "SequenceId").unwrap(),
                get(&request, "TranscriptionData").unwrap_or_default()
            ),
            Purpose::Detection => format!("detected {}", get(&request, "AnsweredBy").unwrap()),
            Purpose::Voice | Purpose::Action | Purpose::Fallback | Purpose::Audio => panic!("{request:?}"),
        },
        Action::OpenStream { noun, .. } => format!("open {}", noun.url),
        Action::StopStream { .. } => "stop stream".into(),
        Action::Announce { text, lasts } => format!("say {text:?} for {} ms", lasts.as_millis()),
        Action::Became(status) => format!("became {}", status.as_str()),
        Action::Alert(alert) => format!("alert {}", alert.code),
    }
}

const STREAM: &str = r#"<Connect action="/after"><Stream url="wss://node.example/media" statusCallback="https://edge.example/stream"/></Connect>"#;

#[test]
fn an_inbound_call_is_streamed_until_the_person_hangs_up() {
    let mut line = Line::new(inbound(), Network::default());
    assert_eq!(line.on(Input::Begin), ["became ringing", "fetch 1 /voice ringing"]);
    assert_eq!(line.wait(100), [""; 0]);
    assert_eq!(line.document(1, STREAM), ["became in-progress", "open wss://node.example/media"]);
    let sid = line.stream_sid();
    assert_eq!(line.on(Input::StreamOpened(sid)), ["stream-started"]);
    line.wait(65_500);
    assert_eq!(
        line.on(Input::HungUp),
        [
            "stream-stopped",
            "stop stream",
            "became completed",
            "fetch 2 /after completed",
            "status completed seq 0 66 s"
        ]
    );
    assert_eq!(line.document(2, "<Say>Nobody hears this.</Say>"), [""; 0], "the call is over");
    assert_eq!(line.on(Input::HungUp), [""; 0]);
    assert_eq!(line.call.poll_timeout(), None);
}

#[test]
fn the_fields_of_a_status_callback() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    line.document(1, STREAM);
    line.wait(61_000);
    line.call.handle(line.now, Input::HungUp);
    let mut status = None;
    while let Some(action) = line.call.poll_action() {
        if let Action::Notify(request) = action
            && request.purpose == Purpose::Status
        {
            status = Some(request);
        }
    }
    let status = status.unwrap();
    for (name, value) in [
        ("AccountSid", "AC00000000000000000000000000000001"),
        ("CallSid", "CA00000000000000000000000000000001"),
        ("From", "+15550100111"),
        ("Caller", "+15550100111"),
        ("To", "+15550100122"),
        ("Called", "+15550100122"),
        ("Direction", "inbound"),
        ("ApiVersion", "2010-04-01"),
        ("CallStatus", "completed"),
        ("CallDuration", "61"),
        ("Duration", "2"),
        ("SequenceNumber", "0"),
        ("CallbackSource", "call-progress-events"),
        ("Timestamp", "Thu, 01 Jan 2026 00:01:01 +0000"),
        ("SipResponseCode", "200"),
        ("FromCity", ""),
    ] {
        assert_eq!(get(&status, name), Some(value), "{name}");
    }
}

#[test]
fn an_outbound_call_reports_each_step() {
    let mut line = Line::new(outbound(), Network::default());
    assert_eq!(line.on(Input::Begin), ["became initiated", "status initiated seq 0"]);
    assert_eq!(line.wait(299), [""; 0]);
    assert_eq!(line.wait(1), ["became ringing", "status ringing seq 1"]);
    assert_eq!(line.wait(1200), ["became in-progress", "status in-progress seq 2", "fetch 1 /voice in-progress"]);
    assert_eq!(line.document(1, "<Pause length=\"2\"/>"), [""; 0]);
    assert_eq!(line.wait(2000), ["became completed", "status completed seq 3 2 s"]);
}

#[test]
fn calls_that_are_not_answered() {
    for (reaction, timeout_s, expected) in [
        (Reaction::Busy, 60, vec!["became ringing", "status ringing seq 1", "became busy", "status busy seq 2 0 s"]),
        (
            Reaction::Silent,
            20,
            vec!["became ringing", "status ringing seq 1", "became no-answer", "status no-answer seq 2 0 s"],
        ),
        (
            Reaction::Declines,
            60,
            vec!["became ringing", "status ringing seq 1", "became no-answer", "status no-answer seq 2 0 s"],
        ),
        (Reaction::Unreachable, 60, vec!["became failed", "status failed seq 1 0 s"]),
    ] {
        let network = Network { callee: Telephone { reaction, ..Telephone::default() }, ..Network::default() };
        let mut line = Line::new(Leg { timeout_s, ..outbound() }, network);
        line.on(Input::Begin);
        assert_eq!(line.wait(60_000), expected, "{reaction:?}");
        assert_eq!(line.call.poll_timeout(), None);
    }
}

#[test]
fn cancelling_depends_on_how_far_the_call_is() {
    let mut queued = Line::new(outbound(), Network::default());
    assert_eq!(queued.call.update(ms(0), Update::Cancel), Ok(()));
    assert_eq!(queued.drain(), ["became canceled"], "a queued call says nothing");
    assert_eq!(queued.on(Input::Begin), [""; 0]);

    let mut ringing = Line::new(outbound(), Network::default());
    ringing.on(Input::Begin);
    ringing.wait(400);
    assert_eq!(ringing.call.update(ringing.now, Update::Cancel), Ok(()));
    assert_eq!(ringing.drain(), ["became canceled", "status canceled seq 2 0 s"]);

    let mut talking = Line::new(outbound(), Network::default());
    talking.on(Input::Begin);
    talking.wait(2000);
    assert_eq!(talking.call.update(talking.now, Update::Cancel).unwrap_err().code, 21220);
    assert_eq!(talking.call.update(talking.now, Update::Complete), Ok(()));
    assert_eq!(talking.call.update(talking.now, Update::Complete).unwrap_err().code, 21220);
    assert_eq!(talking.call.status(), Status::Completed);
}

#[test]
fn a_rejected_call_is_never_answered() {
    for (inner, status) in [("<Reject/>", "no-answer"), ("<Reject reason=\"busy\"/>", "busy")] {
        let mut line = Line::new(inbound(), Network::default());
        line.on(Input::Begin);
        assert_eq!(line.document(1, inner), [format!("became {status}"), format!("status {status} seq 0 0 s")]);
    }
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    assert_eq!(
        line.document(1, "<Say>No.</Say><Reject/>"),
        ["became in-progress", r#"say "No." for 195 ms"#],
        "later it is a hang-up"
    );
    assert_eq!(line.wait(200), ["became completed", "status completed seq 0 1 s"]);
}

#[test]
fn a_first_pause_delays_the_answer_and_a_redirect_does_not_answer() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    assert_eq!(
        line.document(1, "<Pause length=\"3\"/><Redirect>/next?a=1&amp;b=2</Redirect><Say>never</Say>"),
        [""; 0]
    );
    assert_eq!(line.wait(3000), ["fetch 2 /next?a=1&b=2 ringing"]);
    assert_eq!(line.document(2, "<Hangup/>"), ["became in-progress", "became completed", "status completed seq 0 0 s"]);
}

#[test]
fn when_the_server_closes_the_stream_its_action_is_asked_and_later_verbs_never_run() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    line.document(1, &format!("{STREAM}<Say>never</Say>"));
    let sid = line.stream_sid();
    line.on(Input::StreamOpened(sid.clone()));
    assert_eq!(
        line.on(Input::StreamEnded(sid, StreamEnd::ServerClosed)),
        ["stream-stopped", "alert 31921", "fetch 2 /after in-progress"]
    );
    assert_eq!(line.document(2, STREAM), ["open wss://node.example/media"], "a rescue");
    let sid = line.stream_sid();
    let refused = StreamEnd::Refused(Alert::new(31920, "404"));
    assert_eq!(
        line.on(Input::StreamEnded(sid, refused)),
        ["stream-error", "alert 31920", "fetch 3 /after in-progress"]
    );
    assert_eq!(line.document(3, ""), ["became completed", "status completed seq 0 0 s"]);
}

#[test]
fn without_an_action_the_next_verb_runs() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    line.document(1, r#"<Connect><Stream url="wss://n.example/m"/></Connect><Say>Sorry</Say>"#);
    let sid = line.stream_sid();
    assert_eq!(line.on(Input::StreamEnded(sid, StreamEnd::Broken)), ["alert 31903", r#"say "Sorry" for 325 ms"#]);
}

#[test]
fn a_broken_stream_may_also_end_the_call() {
    let mut line = Line::new(inbound(), Network { survives_stream_death: false, ..Network::default() });
    line.on(Input::Begin);
    line.document(1, STREAM);
    let sid = line.stream_sid();
    line.on(Input::StreamOpened(sid.clone()));
    assert_eq!(
        line.on(Input::StreamEnded(sid, StreamEnd::Broken)),
        ["stream-error", "alert 31903", "became completed", "fetch 2 /after completed", "status completed seq 0 0 s"]
    );
}

#[test]
fn a_redirected_call_asks_the_interrupted_action_and_the_new_document() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    line.document(1, STREAM);
    let sid = line.stream_sid();
    line.on(Input::StreamOpened(sid));
    line.wait(1000);
    assert_eq!(line.call.update(line.now, Update::Redirect(Source::Url(target("/moved")))), Ok(()));
    assert_eq!(line.drain(), ["stream-stopped", "stop stream"]);
    assert_eq!(line.wait(325), ["fetch 2 /after in-progress"]);
    assert_eq!(line.wait(325), ["fetch 3 /moved in-progress"]);
    assert_eq!(line.document(2, "<Hangup/>"), [""; 0], "the answer of the verb that lost is ignored");
    assert_eq!(line.document(3, "<Pause/>"), [""; 0]);
    assert_eq!(
        line.call.update(line.now, Update::Redirect(Source::Inline("<Response><Say>Hi</Say></Response>".into()))),
        Ok(())
    );
    assert_eq!(line.wait(700), [r#"say "Hi" for 130 ms"#]);
}

#[test]
fn failures_go_to_the_fallback_once() {
    let broken = [
        Ok(Fetched { status: 500, content_type: Some("text/xml".into()), body: b"<Response/>".to_vec() }),
        Err(Alert::new(11205, "connection refused")),
        Ok(Fetched { status: 200, content_type: Some("text/xml".into()), body: b"<Response>".to_vec() }),
        Ok(Fetched { status: 200, content_type: Some("application/json".into()), body: b"{}".to_vec() }),
    ];
    for (result, code) in broken.into_iter().zip([11200, 11205, 12100, 12300]) {
        let mut line = Line::new(inbound(), Network::default());
        line.on(Input::Begin);
        assert_eq!(
            line.on(Input::Fetched(1, result)),
            [format!("alert {code}"), format!("fetch 2 /voice/fallback ringing {code}")]
        );
        let failed = Fetched { status: 503, content_type: None, body: Vec::new() };
        let given_up = line.on(Input::Fetched(2, Ok(failed)));
        assert_eq!(given_up[..2], ["alert 11200", "became in-progress"]);
        assert!(given_up[2].contains("application error"), "{given_up:?}");
        assert_eq!(line.wait(10_000), ["became completed", "status completed seq 0 4 s"]);
    }
}

#[test]
fn dialling_reaches_the_first_who_answers() {
    let mut network = Network::default();
    network.reached.insert(
        "client:rep_7".into(),
        Telephone { reacts_after_ms: 500, hangs_up_after_ms: Some(10_000), ..Telephone::default() },
    );
    network.reached.insert("+15550100133".into(), Telephone { reaction: Reaction::Silent, ..Telephone::default() });
    let mut line = Line::new(inbound(), network);
    line.on(Input::Begin);
    let dial = r#"<Dial answerOnBridge="true" action="/done" record="record-from-answer-dual" recordingStatusCallback="/rec"><Client statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed">rep_7</Client><Number statusCallback="/leg">+15550100133</Number></Dial><Say>never</Say>"#;
    assert_eq!(line.document(1, dial), ["status initiated seq 0"], "not answered yet");
    assert_eq!(line.wait(300), ["status ringing seq 1"]);
    assert_eq!(line.wait(500), ["became in-progress", "status in-progress seq 2", "status canceled seq 0 0 s"]);
    assert_eq!(
        line.wait(10_000),
        ["status completed seq 3 10 s", "fetch 2 /done in-progress completed 10"],
        "{:?}",
        line.call
    );
    assert_eq!(line.wait(1000), ["recording completed 10 s"]);
    assert_eq!(line.document(2, "<Hangup/>"), ["became completed", "status completed seq 0 11 s"]);
}

#[test]
fn dialling_nobody_who_answers() {
    for (reaction, status) in [
        (Reaction::Busy, "busy"),
        (Reaction::Declines, "no-answer"),
        (Reaction::Silent, "no-answer"),
        (Reaction::Unreachable, "failed"),
    ] {
        let mut network = Network::default();
        network.reached.insert("+15550100133".into(), Telephone { reaction, ..Telephone::default() });
        let mut line = Line::new(inbound(), network);
        line.on(Input::Begin);
        line.document(1, r#"<Dial action="/done">+15550100133</Dial>"#);
        assert_eq!(line.wait(30_000), [format!("fetch 2 /done in-progress {status}")], "{reaction:?}");
    }
}

#[test]
fn the_caller_who_hangs_up_in_a_dial_ends_both_legs() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    line.document(1, r#"<Dial action="/done"><Number statusCallback="/leg">+15550100133</Number></Dial>"#);
    line.wait(5000);
    assert_eq!(
        line.on(Input::HungUp),
        ["status completed seq 0 4 s", "became completed", "fetch 2 /done completed", "status completed seq 0 5 s"]
    );
}

#[test]
fn transcription_runs_beside_a_dial() {
    let overheard = vec![
        Overheard { after_ms: 2000, track: "inbound_track".into(), text: "hello".into() },
        Overheard { after_ms: 3000, track: "outbound_track".into(), text: "hi".into() },
    ];
    let mut line = Line::new(inbound(), Network { overheard, ..Network::default() });
    line.on(Input::Begin);
    let begun = line.document(
        1,
        r#"<Start><Transcription statusCallbackUrl="https://edge.example/t"/></Start><Dial>+15550100133</Dial>"#,
    );
    assert_eq!(begun, ["became in-progress", "transcription-started 1 "]);
    assert_eq!(
        line.wait(4000),
        [
            r#"transcription-content 2 {"confidence":0.956335,"transcript":"hello"}"#,
            r#"transcription-content 3 {"confidence":0.956335,"transcript":"hi"}"#
        ]
    );
    assert_eq!(line.on(Input::HungUp), ["transcription-stopped 4 ", "became completed", "status completed seq 0 4 s"]);
}

#[test]
fn digits_are_gathered() {
    let gather = r#"<Gather numDigits="3" action="/digits"><Say>Go</Say></Gather><Say>Nothing</Say>"#;
    let begin = || {
        let mut line = Line::new(inbound(), Network::default());
        line.on(Input::Begin);
        assert_eq!(line.document(1, gather), ["became in-progress", r#"say "Go" for 130 ms"#]);
        line
    };
    let mut full = begin();
    full.on(Input::Digit('1'));
    full.on(Input::Digit('2'));
    assert_eq!(full.on(Input::Digit('3')), ["fetch 2 /digits in-progress 123"]);
    let mut finished = begin();
    finished.on(Input::Digit('9'));
    assert_eq!(finished.on(Input::Digit('#')), ["fetch 2 /digits in-progress 9"]);
    let mut silent = begin();
    assert_eq!(silent.wait(5130), [r#"say "Nothing" for 455 ms"#]);
}

#[test]
fn recordings_and_machines_of_an_outbound_call() {
    let leg = Leg {
        record: Some(RecordPlan {
            callback: Some(target("/rec")),
            events: vec!["in-progress".into(), "completed".into()],
            channels: 2,
        }),
        detection: Some(Detection { asynchronous: Some(Some(target("/amd"))) }),
        ..outbound()
    };
    let mut line = Line::new(leg.clone(), Network::default());
    line.on(Input::Begin);
    let answered = line.wait(1500);
    assert_eq!(
        answered[2..],
        ["became in-progress", "status in-progress seq 2", "recording in-progress", "fetch 1 /voice in-progress"]
    );
    line.document(1, "<Pause length=\"60\"/>");
    assert_eq!(line.wait(4000), ["detected human"]);
    line.on(Input::HungUp);
    assert_eq!(line.wait(1000), ["recording completed 4 s"]);

    let waiting = Leg { detection: Some(Detection { asynchronous: None }), record: None, ..leg };
    let mut line = Line::new(waiting, Network::default());
    line.on(Input::Begin);
    assert_eq!(line.wait(5400)[4..], [""; 0], "no document before the verdict");
    assert_eq!(line.wait(200), ["fetch 1 /voice in-progress human"]);
}

#[test]
fn a_call_ends_at_its_time_limit() {
    let mut line = Line::new(Leg { time_limit_s: Some(30), ..outbound() }, Network::default());
    line.on(Input::Begin);
    line.wait(1500);
    line.document(1, STREAM);
    assert_eq!(line.wait(29_999), [""; 0]);
    assert_eq!(line.wait(1)[..2], ["stop stream", "became completed"]);
}

#[test]
fn the_interrupted_action_carries_the_state_of_its_moment() {
    let mut line = Line::new(inbound(), Network::default());
    line.on(Input::Begin);
    line.document(1, STREAM);
    assert_eq!(line.last(Input::HungUp, "CallDuration").as_deref(), Some("0"));
}
