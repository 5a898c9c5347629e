use super::*;

const INBOUND: &str = "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&CallSid=CA00000000000000000000000000000001&CallStatus=ringing&Called=%2B18005550199&CalledCity=&Caller=%2B14155550100&CallerCity=SAN+FRANCISCO&Direction=inbound&From=%2B14155550100&To=%2B18005550199&StirVerstat=TN-Validation-Passed-A";
const BASE: &str = "AccountSid=AC00000000000000000000000000000001&CallSid=CA00000000000000000000000000000001";

fn form(body: &str) -> Form {
    Form::parse(body.as_bytes()).unwrap()
}
fn callback(rest: &str) -> Result<Callback, InvalidForm> {
    CallbackRequest::read(&form(&format!("{BASE}&{rest}")), UnixMillis(7)).map(|r| r.callback)
}

#[test]
fn an_inbound_call() {
    let request = VoiceRequest::read(&form(INBOUND)).unwrap();
    assert_eq!(request.call.call_sid.as_str(), "CA00000000000000000000000000000001");
    assert_eq!(request.from, Party::read("+14155550100"));
    assert_eq!(request.direction, TwilioDirection::Inbound);
    assert_eq!(request.status, CallStatus::Ringing);
}

#[test]
fn odd_forms_are_refused() {
    for (body, why) in [
        ("a=1&a=2", InvalidForm::Duplicate),
        ("a=1&%61=1", InvalidForm::Duplicate),
        ("a", InvalidForm::Encoding),
        ("a=1&&b=2", InvalidForm::Encoding),
        ("=1", InvalidForm::Encoding),
        ("a=%", InvalidForm::Encoding),
        ("a=%4", InvalidForm::Encoding),
        ("a=%zz", InvalidForm::Encoding),
        ("a=%ff", InvalidForm::Encoding),
        ("%3Fcall%3Dcall_1=&a=1", InvalidForm::Name),
        ("%2Fafter-stream%3Fepoch=1", InvalidForm::Name),
        ("%26try=1", InvalidForm::Name),
        ("a%23b=1", InvalidForm::Name),
        ("a%25=1", InvalidForm::Name),
        ("a%0A=1", InvalidForm::Name),
        ("a+b=1", InvalidForm::Name),
        ("-apiFrom=1", InvalidForm::Name),
    ] {
        assert_eq!(Form::parse(body.as_bytes()), Err(why), "{body}");
    }
    assert_eq!(Form::parse(&vec![b'a'; MAX_FORM_BYTES + 1]), Err(InvalidForm::TooLarge));
    let many = (0..=MAX_FIELDS).map(|n| format!("f{n}=")).collect::<Vec<_>>().join("&");
    assert_eq!(Form::parse(many.as_bytes()), Err(InvalidForm::TooLarge));
    assert_eq!(form("a=one+%2B+two%20"), Form(vec![("a".into(), "one + two ".into())]));
}

#[test]
fn names_that_twilio_uses_are_taken() {
    for name in ["SipHeader_X-Order-7", "SpeechResult", "_", "1", "parameters[name]", "Zahl.ß"] {
        let body = form_urlencoded_name(name);
        assert_eq!(form(&body).get(name), Some("1"), "{name}");
    }
}

fn form_urlencoded_name(name: &str) -> String {
    let name: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
    format!("{name}=1")
}

#[test]
fn a_word_that_is_new_here_does_not_leave_the_caller_without_an_answer() {
    let read = |from: &str, to: &str| VoiceRequest::read(&form(&INBOUND.replace(from, to)));
    let direction = |word: &str| read("Direction=inbound", &format!("Direction={word}")).unwrap().direction;
    assert_eq!(direction("inbound-from-the-moon"), TwilioDirection::Inbound);
    assert_eq!(direction("outbound-from-the-moon"), TwilioDirection::OutboundDial);
    assert_eq!(read("CallStatus=ringing", "CallStatus=dancing").unwrap().status, CallStatus::Queued);
    let long = format!("From=%2B{}", "1".repeat(2_000));
    assert_eq!(read("From=%2B14155550100", &long).unwrap().from, Party::Unknown);
    assert!(read("&From=%2B14155550100", "").is_err());
}

#[test]
fn fields_that_ran_together_are_refused() {
    // The same signature as the genuine form: a field's beginning moved into its neighbour's value.
    let moved = INBOUND.replace("&Called=%2B18005550199", "Called%2B18005550199=");
    assert!(VoiceRequest::read(&form(&moved)).is_err());
    for (from, to) in [
        ("CallSid=CA", "CallSid=ca"),
        ("CallStatus=ringing", "CallStatus=ringing%20"),
        ("Direction=inbound", "Direction="),
    ] {
        assert!(VoiceRequest::read(&form(&INBOUND.replace(from, to))).is_err(), "{to}");
    }
}

#[test]
fn callbacks_are_recognised_by_their_fields() {
    assert_eq!(
        callback(
            "CallStatus=completed&CallDuration=12&Duration=1&SequenceNumber=3&Timestamp=Sun%2C+25+Mar+2018+09%3A53%3A19+%2B0000&CallbackSource=call-progress-events&SipResponseCode=200"
        ),
        Ok(Callback::Life(CallEvent::Status {
            status: CallStatus::Completed,
            at: UnixMillis(1_521_971_599_000),
            duration_s: Some(12),
            sip_code: Some(200)
        }))
    );
    assert_eq!(
        callback(
            "StreamSid=MZ00000000000000000000000000000001&StreamEvent=stream-error&StreamError=x&Timestamp=2026-01-01T00%3A00%3A00Z"
        ),
        Ok(Callback::Life(CallEvent::Stream {
            stream_sid: StreamSid::parse("MZ00000000000000000000000000000001").unwrap(),
            phase: StreamPhase::Error
        }))
    );
    assert_eq!(
        callback(
            "RecordingSid=RE00000000000000000000000000000001&RecordingStatus=completed&RecordingDuration=11&CallStatus=completed"
        ),
        Ok(Callback::Life(CallEvent::Recording {
            recording_sid: RecordingSid::parse("RE00000000000000000000000000000001").unwrap(),
            phase: RecordingPhase::Completed,
            duration_s: Some(11)
        }))
    );
    assert_eq!(
        callback("AnsweredBy=machine_end_beep&MachineDetectionDuration=3200"),
        Ok(Callback::AnsweredBy("machine_end_beep".into()))
    );
    assert_eq!(callback("Digits=1"), Err(InvalidForm::Missing("CallStatus")));
    assert_eq!(callback("CallStatus=exploded"), Err(InvalidForm::Field("CallStatus")));
    assert_eq!(callback("CallStatus=completed&CallDuration=-1"), Err(InvalidForm::Field("CallDuration")));
}

#[test]
fn real_time_transcription() {
    let words = "TranscriptionEvent=transcription-content&LanguageCode=en-US&TranscriptionSid=GT00000000000000000000000000000001&Track=outbound_track&SequenceId=2&Final=true&Timestamp=2024-06-25T18%3A45%3A21.454203Z&TranscriptionData=%7B%22transcript%22%3A%22Hello%22%2C%22confidence%22%3A0.9956335%7D";
    let Ok(Callback::Words(read)) = callback(words) else { panic!("not words") };
    assert_eq!(
        (read.sequence, read.is_final, read.text.as_str(), read.track),
        (2, true, "Hello", Track::OutboundTrack)
    );
    assert_eq!(read.at, UnixMillis(1_719_341_121_454));
    assert_eq!(callback(&words.replace("Hello%22", "Hello")), Err(InvalidForm::Field("TranscriptionData")));
    let started =
        "TranscriptionEvent=transcription-started&TranscriptionSid=GT00000000000000000000000000000001&SequenceId=1";
    assert!(matches!(
        callback(started),
        Ok(Callback::Life(CallEvent::Transcription { phase: TranscriptionPhase::Running, .. }))
    ));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), tail in "[a-zA-Z0-9%=&+]{0,80}") {
        let _ = Form::parse(&body).map(|f| CallbackRequest::read(&f, UnixMillis(0)));
        let text = format!("{INBOUND}&{tail}");
        let _ = Form::parse(text.as_bytes()).map(|f| (VoiceRequest::read(&f), CallbackRequest::read(&f, UnixMillis(0))));
    }
}
