//! The line test: a tone, then the caller's own voice.

use crate::stage::*;
use session::Input;

#[test]
fn a_tone_then_the_callers_voice_eight_hundred_milliseconds_late() {
    let mut stage = Stage::new();
    stage.twilio(0, &audio("early"), &[]);
    stage.check(
        10,
        Input::Begin(Box::new(plan("echo"))),
        &["fact: ready echo", "twilio: 1599 bytes", "twilio: 1599 bytes", "twilio: 802 bytes"],
    );
    for frame in 1..40 {
        stage.twilio(frame * 20, &audio("quiet"), &[]);
    }
    for frame in 40..60 {
        let lines = {
            let text = audio(&format!("n{frame}")).to_string();
            stage.session.handle(session::Now::from_millis(frame * 20), Input::Twilio(&text));
            std::iter::from_fn(|| stage.session.poll_action()).collect::<Vec<_>>()
        };
        let [session::Action::ToTwilio(text)] = &lines[..] else { panic!("{lines:?}") };
        let expected = if frame == 40 { "early==" } else { "quiet==" };
        assert!(text.contains(expected), "frame {frame} returns {expected}");
    }
    // No turns, no silence limit; it ends like every call.
    stage.twilio(200_000, &stop(), &["fact: ended CallerHungUp", "close twilio", "ended CallerHungUp"]);
}

#[test]
fn an_unknown_provider_is_refused_with_an_apology() {
    let mut stage = Stage::new();
    let lines = stage.run(10, Input::Begin(Box::new(plan("nobody"))));
    assert_eq!(lines[0], "fact: lost nobody: unknown provider");
    assert!(lines.last().unwrap().contains("line-apology-1"));
}
