//! Streams as conversations in virtual time: exact texts out, and what a strict Twilio complains about.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Farewell, Kind, MediaStream, Opening, Output, Track};

const SID: &str = "MZ00000000000000000000000000000001";

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn stream(kind: Kind) -> MediaStream {
    MediaStream::new(Opening {
        account_sid: "AC00000000000000000000000000000001".into(),
        call_sid: "CA00000000000000000000000000000001".into(),
        stream_sid: SID.into(),
        kind,
        tracks: vec![Track::Inbound],
        parameters: BTreeMap::from([("ticket".to_owned(), "v1.x".to_owned())]),
    })
}

fn opened() -> MediaStream {
    let mut stream = stream(Kind::Bidirectional);
    stream.open(ms(1000));
    while stream.poll_output().is_some() {}
    stream
}

fn texts(stream: &mut MediaStream) -> Vec<Value> {
    std::iter::from_fn(|| stream.poll_output())
        .map(|output| match output {
            Output::Text(text) => serde_json::from_str(&text).unwrap(),
            Output::Close => Value::String("close".into()),
        })
        .collect()
}

fn media(bytes: &[u8]) -> String {
    format!(r#"{{"event":"media","streamSid":"{SID}","media":{{"payload":"{}"}}}}"#, STANDARD.encode(bytes))
}

fn mark(name: &str) -> String {
    format!(r#"{{"event":"mark","streamSid":"{SID}","mark":{{"name":"{name}"}}}}"#)
}

#[test]
fn it_opens_speaks_and_stops_as_documented() {
    let mut stream = stream(Kind::Bidirectional);
    stream.say(ms(0), Track::Inbound, &[0xff; 160]);
    assert_eq!(texts(&mut stream), [] as [Value; 0], "nothing before the socket is open");
    stream.open(ms(1000));
    stream.say(ms(1005), Track::Inbound, &[0xff; 160]);
    stream.press('#');
    stream.say(ms(1025), Track::Inbound, &[0x7f; 160]);
    stream.stop(ms(1030), Farewell::StopThenClose);
    stream.say(ms(1045), Track::Inbound, &[0xff; 160]);
    let expected = [
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#.to_owned(),
        format!(
            r#"{{"event":"start","sequenceNumber":"1","streamSid":"{SID}","start":{{"accountSid":"AC00000000000000000000000000000001","streamSid":"{SID}","callSid":"CA00000000000000000000000000000001","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"ticket":"v1.x"}}}}}}"#
        ),
        format!(
            r#"{{"event":"media","sequenceNumber":"2","streamSid":"{SID}","media":{{"track":"inbound","chunk":"1","timestamp":"5","payload":"{}"}}}}"#,
            STANDARD.encode([0xff; 160])
        ),
        format!(
            r##"{{"event":"dtmf","sequenceNumber":"3","streamSid":"{SID}","dtmf":{{"track":"inbound_track","digit":"#"}}}}"##
        ),
        format!(
            r#"{{"event":"media","sequenceNumber":"4","streamSid":"{SID}","media":{{"track":"inbound","chunk":"2","timestamp":"25","payload":"{}"}}}}"#,
            STANDARD.encode([0x7f; 160])
        ),
        format!(
            r#"{{"event":"stop","sequenceNumber":"5","streamSid":"{SID}","stop":{{"accountSid":"AC00000000000000000000000000000001","callSid":"CA00000000000000000000000000000001"}}}}"#
        ),
        r#""close""#.to_owned(),
    ];
    let expected: Vec<Value> = expected.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(texts(&mut stream), expected);
    assert_eq!(stream.said().len(), 320);
}

#[test]
fn a_20_ms_frame_is_216_characters_of_base64() {
    let mut stream = opened();
    stream.say(ms(1020), Track::Inbound, &[0xff; 160]);
    let sent = texts(&mut stream);
    let payload = sent[0]["media"]["payload"].as_str().unwrap();
    assert_eq!((payload.len(), payload.ends_with("w==")), (216, true));
}

#[test]
fn marks_come_back_with_playback_and_all_at_once_after_a_clear() {
    let mut stream = opened();
    stream.handle(ms(1100), &media(&[1; 160]));
    stream.handle(ms(1100), &mark("first"));
    stream.handle(ms(1100), &media(&[2; 1600]));
    stream.handle(ms(1100), &mark("second"));
    stream.handle(ms(1100), &mark("third"));
    assert_eq!(texts(&mut stream), [] as [Value; 0]);
    assert_eq!(stream.poll_timeout(), Some(ms(1120)));
    stream.advance(ms(1120));
    let names =
        |sent: &[Value]| sent.iter().map(|m| m["mark"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&texts(&mut stream)), ["first"]);
    stream.handle(ms(1130), &format!(r#"{{"event":"clear","streamSid":"{SID}"}}"#));
    assert_eq!(names(&texts(&mut stream)), ["second", "third"]);
    assert_eq!(stream.clears(), [(ms(1130), 1760)]);
    stream.handle(ms(1131), &mark("on an empty buffer"));
    assert_eq!(names(&texts(&mut stream)), ["on an empty buffer"]);
    assert_eq!(stream.alerts(), []);
    assert_eq!(stream.player().played_of(0..1760), 240);
}

#[test]
fn what_a_strict_twilio_refuses() {
    let cases: &[(&str, u16)] = &[
        ("not json", 31951),
        ("[]", 31951),
        (r#"{"streamSid":"MZ00000000000000000000000000000001"}"#, 31951),
        (r#"{"event":"dance","streamSid":"MZ00000000000000000000000000000001"}"#, 31951),
        (r#"{"event":"clear"}"#, 31951),
        (r#"{"event":"clear","streamSid":"MZ00000000000000000000000000000002"}"#, 31951),
        (r#"{"event":"clear","streamSid":"MZ00000000000000000000000000000001","clear":{}}"#, 31951),
        (r#"{"event":"clear","stream_sid":"MZ00000000000000000000000000000001"}"#, 31951),
        (r#"{"event":"mark","streamSid":"MZ00000000000000000000000000000001"}"#, 31951),
        (r#"{"event":"mark","streamSid":"MZ00000000000000000000000000000001","mark":{}}"#, 31951),
        (r#"{"event":"mark","streamSid":"MZ00000000000000000000000000000001","mark":{"name":1}}"#, 31951),
        (r#"{"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"payload":"%%"}}"#, 31951),
        (r#"{"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"payload":"AA"}}"#, 31951),
        (
            r#"{"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"payload":"AAAA","track":"outbound"}}"#,
            31951,
        ),
    ];
    for (text, code) in cases {
        let mut stream = opened();
        stream.handle(ms(1100), text);
        let codes: Vec<u16> = stream.alerts().iter().map(|(_, alert)| alert.code).collect();
        assert_eq!(codes, [*code], "{text}");
        assert_eq!(stream.player().received(), b"", "{text} changes nothing");
        assert!(stream.is_open(), "{text} does not end the stream");
    }
    let mut stream = opened();
    stream.handle_binary(ms(1100));
    stream.handle_violation(ms(1200), "a fragmented ping");
    let codes: Vec<u16> = stream.alerts().iter().map(|(_, alert)| alert.code).collect();
    assert_eq!(codes, [31950, 31924]);
    assert!(!stream.is_open());
}

#[test]
fn a_listening_stream_takes_nothing_and_tells_no_digits() {
    let mut stream = stream(Kind::Unidirectional);
    stream.open(ms(0));
    texts(&mut stream);
    stream.press('1');
    stream.handle(ms(10), &media(&[1; 160]));
    assert_eq!(texts(&mut stream), [] as [Value; 0]);
    assert_eq!(stream.alerts()[0].1.code, 31951);
}

#[test]
fn a_stream_can_end_without_stop_or_without_close() {
    let mut silent = opened();
    silent.stop(ms(1100), Farewell::CloseOnly);
    assert_eq!(texts(&mut silent), ["close"]);
    let mut lingering = opened();
    lingering.stop(ms(1100), Farewell::StopOnly);
    let sent = texts(&mut lingering);
    assert_eq!((sent.len(), sent[0]["event"].as_str()), (1, Some("stop")));
    lingering.handle(ms(1101), &media(&[1; 160]));
    assert_eq!((lingering.alerts().len(), lingering.player().received().len()), (0, 0));
}

#[test]
fn a_stray_frame_comes_between_stop_and_close() {
    let mut stream = opened();
    stream.stop(ms(1100), Farewell::StopThenClose);
    stream.stray(ms(1101));
    let sent = texts(&mut stream);
    let events: Vec<&str> = sent.iter().map(|m| m["event"].as_str().unwrap_or("close")).collect();
    assert_eq!((events, stream.said().len()), (vec!["stop", "media", "close"], 0));
}

#[test]
fn too_much_audio_is_warned_about() {
    let mut stream = opened();
    let minute = media(&vec![0; 8000 * 60]);
    for _ in 0..10 {
        stream.handle(ms(1100), &minute);
    }
    assert_eq!(stream.alerts(), []);
    stream.handle(ms(1100), &minute);
    assert_eq!(stream.alerts()[0].1.code, 31931);
}
