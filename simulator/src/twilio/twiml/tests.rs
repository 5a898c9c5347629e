//! Documents in, verbs and alerts out.

use std::collections::BTreeMap;

use url::Url;

use super::{Alert, DialTarget, Document, Method, Origin, Target, Verb, read, read_inline};

fn origin() -> Origin {
    Origin { url: Url::parse("https://a.example/dir/voice?call=1").ok(), method: Method::Post }
}

fn played(body: &str) -> Document {
    read(&origin(), Some("text/xml; charset=utf-8"), body.as_bytes()).unwrap()
}

fn verbs(inner: &str) -> Vec<Verb> {
    let document = played(&format!("<Response>{inner}</Response>"));
    assert_eq!(document.warnings, [], "{inner}");
    document.verbs
}

fn codes(inner: &str) -> Vec<u16> {
    played(&format!("<Response>{inner}</Response>")).warnings.iter().map(|alert| alert.code).collect()
}

fn post(url: &str) -> Target {
    Target { url: url.into(), method: Method::Post }
}

#[test]
fn documents_that_twilio_gives_up_on() {
    let refused = |kind: Option<&str>, body: &[u8]| read(&origin(), kind, body).unwrap_err().code;
    let fine = b"<Response/>";
    assert_eq!(refused(None, fine), 12300);
    assert_eq!(refused(Some("application/json"), fine), 12300);
    assert_eq!(refused(Some("text/plain"), fine), 12300);
    assert_eq!(refused(Some("text/xml"), b""), 11770);
    assert_eq!(refused(Some("text/xml"), b" \n"), 11770);
    assert_eq!(refused(Some("text/xml"), b"<Response>"), 12100);
    assert_eq!(refused(Some("text/xml"), b"<Response>&nbsp;</Response>"), 12100);
    assert_eq!(refused(Some("text/xml"), b"<!DOCTYPE x [<!ENTITY a 'b'>]><Response/>"), 12100);
    assert_eq!(refused(Some("text/xml"), b"\xff\xfe"), 12100);
    assert_eq!(refused(Some("text/xml"), b"<response/>"), 12102);
    let large = format!("<Response><Say>{}</Say></Response>", "x".repeat(64 * 1024));
    assert_eq!(refused(Some("text/xml"), large.as_bytes()), 11750);
    assert_eq!(read(&origin(), Some("application/xml"), fine), Ok(Document::default()));
}

#[test]
fn simple_verbs_and_their_defaults() {
    assert_eq!(
        verbs(r#"<Say voice="Polly.Joanna-Neural">R&amp;D <emphasis>now</emphasis></Say><Pause/><Pause length="3"/>"#),
        [Verb::Say { text: "R&D now".into(), times: 1 }, Verb::Pause { seconds: 1 }, Verb::Pause { seconds: 3 }]
    );
    assert_eq!(
        verbs("<Play>tone.wav</Play><Play digits=\"1w#\"/>"),
        [
            Verb::Play { url: Some("https://a.example/dir/tone.wav".into()), digits: None, times: 1 },
            Verb::Play { url: None, digits: Some("1w#".into()), times: 1 }
        ]
    );
    assert_eq!(
        verbs("<Redirect method=\"GET\">/next?x=1&amp;y=2</Redirect><Hangup/><Reject/><Reject reason=\"busy\"/>"),
        [
            Verb::Redirect(Target { url: "https://a.example/next?x=1&y=2".into(), method: Method::Get }),
            Verb::Hangup,
            Verb::Reject { busy: false },
            Verb::Reject { busy: true }
        ]
    );
}

#[test]
fn a_connected_stream_with_its_parameters() {
    let found = verbs(
        r#"<Connect action="/after?call=c&amp;epoch=1"><Stream url="wss://n.example/media/n1" statusCallback="https://a.example/s?c=1&amp;d=2"><Parameter name="ticket" value="a&quot;b&lt;c>&amp;d'e"/></Stream></Connect>"#,
    );
    let [Verb::Connect { action, stream }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(action.as_ref(), Some(&post("https://a.example/after?call=c&epoch=1")));
    assert_eq!(stream.url, "wss://n.example/media/n1");
    assert_eq!(stream.status_callback, Some(post("https://a.example/s?c=1&d=2")));
    assert_eq!(stream.parameters, BTreeMap::from([("ticket".into(), "a\"b<c>&d'e".into())]));
    assert_eq!((stream.inbound, stream.outbound, stream.refused.clone()), (true, false, None));
}

#[test]
fn stream_addresses_that_cannot_be_connected() {
    let refused = |url: &str, track: &str| {
        let found = verbs(&format!(r#"<Connect><Stream url="{url}" {track}/></Connect>"#));
        match found.as_slice() {
            [Verb::Connect { stream, .. }] => stream.refused.as_ref().map(|alert| alert.code),
            _ => panic!("{found:?}"),
        }
    };
    assert_eq!(refused("wss://n.example/media", ""), None);
    assert_eq!(refused("/media", ""), None, "relative: the document's host over wss");
    assert_eq!(refused("ws://127.0.0.1:9/media/a", ""), None);
    assert_eq!(refused("ws://n.example/media", ""), Some(31922));
    assert_eq!(refused("https://n.example/media", ""), Some(31922));
    assert_eq!(refused("wss://", ""), Some(31923));
    assert_eq!(refused("wss://n.example/media?ticket=1", ""), Some(31920));
    assert_eq!(refused("wss://n.example/media", r#"track="both_tracks""#), Some(31941));
}

#[test]
fn a_parameter_has_fewer_than_500_characters() {
    let with = |n: usize| {
        let body = format!(
            r#"<Response><Connect><Stream url="wss://n.example/m"><Parameter name="name" value="{}"/></Stream></Connect></Response>"#,
            "v".repeat(n)
        );
        let document = played(&body);
        let kept = match document.verbs.as_slice() {
            [Verb::Connect { stream, .. }] => stream.parameters.len(),
            _ => 9,
        };
        (kept, document.warnings.len())
    };
    assert_eq!(with(495), (1, 0));
    assert_eq!(with(496), (0, 1));
}

#[test]
fn unknown_things_are_warned_about_and_left_out() {
    for (inner, expected) in [
        ("<Dance/>", vec![12200]),
        ("<say>hello</say>", vec![12200]),
        (r#"<Say loud="yes">hello</Say>"#, vec![12200]),
        ("<Say><b>hello</b></Say>", vec![12200]),
        (r#"<Pause length="0"/>"#, vec![12200]),
        (r#"<Hangup now="true"/>"#, vec![12200]),
        ("hello", vec![12200]),
        ("<Connect/>", vec![12200]),
        ("<Connect><Stream/></Connect>", vec![12200, 12200]),
        ("<Connect><Number>+15550100123</Number></Connect>", vec![12200, 12200]),
        ("<Play/>", vec![12200]),
        ("<Dial/>", vec![12200]),
        ("<Dial>5550100</Dial>", vec![13223, 12200]),
        ("<Dial><Client/></Dial>", vec![12200, 12200]),
        ("<Redirect>ftp://a.example</Redirect>", vec![11100]),
        (r#"<Start><Transcription statusCallbackUrl="/t"/></Start>"#, vec![11100]),
        (r#"<Connect><Stream url="wss://n.example/m" statusCallback="/s"/></Connect>"#, vec![11100]),
        (r#"<Start><Recording recordingStatusCallbackEvent="completed sneezed"/></Start>"#, vec![12200]),
        ("<Stop><Stream/></Stop>", vec![12200]),
    ] {
        assert_eq!(codes(inner), expected, "{inner}");
    }
    let document = played("<Response><Dance/><Hangup/></Response>");
    assert_eq!(document.verbs, [Verb::Hangup], "the rest is played");
}

#[test]
fn dialling_people() {
    let found = verbs(
        r#"<Dial answerOnBridge="true" callerId="+14155550100" record="record-from-answer-dual" timeLimit="3600" timeout="20" recordingStatusCallbackEvent="in-progress completed" recordingStatusCallback="/rec" action="/done"><Number statusCallbackEvent="initiated answered" statusCallback="/st">+14155550123</Number><Client><Identity>rep_7</Identity><Parameter name="a" value="b"/></Client></Dial>"#,
    );
    let [Verb::Dial(dial)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((dial.answer_on_bridge, dial.timeout_s, dial.time_limit_s), (true, 20, 3600));
    assert_eq!(dial.caller_id.as_deref(), Some("+14155550100"));
    assert_eq!(dial.recording_events, ["in-progress", "completed"]);
    assert_eq!(dial.recording_callback, Some(post("https://a.example/rec")));
    let [number, client] = dial.nouns.as_slice() else { panic!("{dial:?}") };
    assert_eq!(number.target, DialTarget::Number("+14155550123".into()));
    assert_eq!(number.events, ["initiated", "answered"]);
    assert_eq!(client.target.to(), "client:rep_7");
    assert_eq!(client.parameters, BTreeMap::from([("a".into(), "b".into())]));
    assert_eq!(client.events, ["completed"]);
    let [Verb::Dial(plain)] = &verbs("<Dial>+14155550123</Dial>")[..] else { panic!() };
    assert_eq!((plain.timeout_s, plain.time_limit_s, plain.nouns.len()), (30, 14_400, 1));
}

#[test]
fn starting_and_stopping() {
    let found = verbs(
        r#"<Start><Transcription statusCallbackUrl="https://a.example/t?x=1&amp;y=2" track="both_tracks" partialResults="false"/></Start><Start><Stream url="wss://n.example/l" name="ears" track="both_tracks"/></Start><Start><Recording/></Start><Stop><Stream name="ears"/></Stop>"#,
    );
    let [
        Verb::StartTranscription(transcription),
        Verb::StartStream(stream),
        Verb::StartRecording(recording),
        Verb::Stop(stop),
    ] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(transcription.status_callback, Some(post("https://a.example/t?x=1&y=2")));
    assert_eq!((transcription.engine.as_str(), transcription.language.as_str()), ("google", "en-US"));
    assert_eq!((stream.inbound, stream.outbound, stream.name.as_deref()), (true, true, Some("ears")));
    assert_eq!(
        (recording.channels, recording.track, recording.events.as_slice()),
        (2, "both", &["completed".to_owned()][..])
    );
    assert_eq!((stop.kind.as_str(), stop.name.as_str()), ("Stream", "ears"));
    let [Verb::StartTranscription(bad)] = &verbs(r#"<Start><Transcription transcriptionEngine="Ears"/></Start>"#)[..]
    else {
        panic!()
    };
    assert_eq!(bad.refused.as_ref().map(|alert| alert.code), Some(32650));
}

#[test]
fn gathering_digits() {
    let found = verbs("<Gather numDigits=\"4\" finishOnKey=\"\"><Say>Press four keys.</Say></Gather>");
    let [Verb::Gather { action, prompts, timeout_s, num_digits, finish_on_key, action_on_empty }] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(action, &post("https://a.example/dir/voice?call=1"), "the document itself");
    assert_eq!(
        (prompts.len(), *timeout_s, *num_digits, *finish_on_key, *action_on_empty),
        (1, 5, Some(4), None, false)
    );
}

#[test]
fn an_inline_document_needs_absolute_addresses() {
    let inline = Origin { url: None, method: Method::Post };
    let document = read_inline(&inline, b"<Response><Gather/><Redirect>/next</Redirect></Response>").unwrap();
    assert_eq!(document.verbs, []);
    let codes: Vec<u16> = document.warnings.iter().map(|Alert { code, .. }| *code).collect();
    assert_eq!(codes, [11100, 11100]);
}
