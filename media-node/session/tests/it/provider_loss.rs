//! A provider that does not come, does not want us, or goes away. The caller is never left in silence.

use crate::stage::*;
use serde_json::json;
use session::{DialFailure, Input};

/// What comes out when the apology is spoken, without its audio.
fn without_audio(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.starts_with("twilio: ")).collect()
}

const APOLOGY: &str = "Sorry, I am having trouble with my line. Please call again in a moment. Goodbye.";

/// What follows when the apology has been heard.
fn the_end(reason: &str) -> [String; 4] {
    [
        "fact: heard line-apology-1 5684 of 5684".into(),
        format!("fact: ended {reason}"),
        "close twilio".into(),
        format!("ended {reason}"),
    ]
}

#[test]
fn a_refusal_is_not_tried_again_and_is_apologised_for() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    let lines = stage.run(100, Input::ProviderFailed(DialFailure::from_status(401)));
    assert_eq!(lines.iter().filter(|line| line.starts_with("twilio: mark")).count(), 29);
    assert_eq!(
        without_audio(lines),
        ["fact: lost openai: refused 401".into(), format!("fact: agent said line-apology-1 at 100: {APOLOGY}")]
    );
    stage.twilio(200, &audio("a"), &[]);
    assert_eq!(stage.pass(10_000), the_end("ProviderRefused"));
}

#[test]
fn an_unreachable_provider_is_dialled_once_more_after_a_moment() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.check(100, Input::ProviderFailed(DialFailure::from_status(503)), &["fact: lost openai: unavailable 503"]);
    let again = stage.due().unwrap();
    assert!((300..600).contains(&again), "{again}");
    stage.wake(again, &["open openai"]);
    let lines = stage.run(600, Input::ProviderFailed(DialFailure::Unavailable { status: None }));
    assert_eq!(
        without_audio(lines),
        ["fact: lost openai: unavailable".into(), format!("fact: agent said line-apology-1 at 600: {APOLOGY}")]
    );
    assert_eq!(stage.pass(10_000), the_end("ProviderUnavailable"));
}

#[test]
fn an_apology_whose_marks_are_lost_ends_the_call_all_the_same() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.run(100, Input::ProviderFailed(DialFailure::from_status(401)));
    while stage.due().is_some_and(|at| at < 100 + 5_685 + 2_000) {
        stage.check(stage.due().unwrap(), Input::Timeout, &[]);
    }
    let lines = stage.run(stage.due().unwrap(), Input::Timeout);
    assert_eq!(lines.last().unwrap(), "ended ProviderRefused");
}

#[test]
fn a_provider_that_does_not_answer_the_dial_is_given_three_seconds_and_the_caller_a_word() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    assert_eq!(stage.due(), Some(1_510));
    let lines = stage.run(1_510, Input::Timeout);
    assert_eq!(without_audio(lines), ["fact: agent said line-moment-1 at 1510: One moment, please."]);
    stage.wake(3_010, &["fact: lost openai: not connected in time", "close provider", "open openai"]);
    stage.check(3_100, Input::ProviderOpened, &["provider: session.update"]);
    let lines = stage.run(6_100, Input::Timeout);
    assert_eq!(without_audio(lines)[..2], ["fact: lost openai: not configured in time", "close provider"]);
}

#[test]
fn a_rejected_configuration_is_a_refusal() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
    let refusal = error(
        "unknown_parameter",
        Some("trunkline-configure"),
        "Unknown parameter: 'session.audio.input.format.rate'.",
    );
    let lines = stage.run(100, Input::ProviderText(&refusal.to_string()));
    assert_eq!(
        without_audio(lines),
        [
            "fact: lost openai: refused unknown_parameter".into(),
            "close provider".into(),
            format!("fact: agent said line-apology-1 at 100: {APOLOGY}")
        ]
    );
}

#[test]
fn another_audio_format_is_refused_before_it_is_noise() {
    for formats in [
        json!({"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcm", "rate": 24000}}}),
        json!({"input": {"format": {"type": "audio/pcma"}}, "output": {"format": {"type": "audio/pcmu"}}}),
        json!({"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu", "rate": 16000}}}),
        json!({"output": {"format": {"type": "audio/pcmu"}}}),
        json!(null),
    ] {
        let mut stage = Stage::new();
        stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
        stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
        stage.provider(60, &delta("r0", "a0", 20), &[]);
        let updated =
            json!({"type": "session.updated", "event_id": "e", "session": {"type": "realtime", "audio": formats}});
        let lines = stage.run(100, Input::ProviderText(&updated.to_string()));
        assert_eq!(lines[0], "fact: lost openai: refused audio_format");
        assert!(stage.due().is_some());
    }
}

#[test]
fn a_drop_in_a_call_is_healed_with_what_was_heard() {
    let mut stage = Stage::live();
    stage.provider(200, &speech_started("c1", 0), &[]);
    stage.provider(300, &speech_stopped("c1"), &[]);
    stage.provider(310, &heard("c1", "When are you open?"), &["fact: caller said c1 at 200: When are you open?"]);
    stage.provider(320, &created("r1"), &[]);
    stage.provider(330, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.provider(340, &words("r1", "a1", "From nine"), &["live: agent From nine"]);
    // Mid-answer the socket goes. What plays goes on; what the caller says is kept.
    stage.check(
        350,
        Input::ProviderClosed { code: Some(1006) },
        &["fact: lost openai: closed 1006", "fact: agent said a1 at 330: From nine", "open openai"],
    );
    stage.twilio(360, &audio("a"), &[]);
    stage.marks(470, &["g1m1"], &["fact: heard a1 100 of 100"]);
    stage.check(500, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(
        600,
        &updated(),
        &[
            "fact: ready openai",
            "provider: user When are you open?",
            "provider: assistant From nine",
            "provider: respond: The telephone line was interrupted for a moment and is back. Say so in a few words and go on where the conversation stopped.",
            &hear("a"),
        ],
    );
}

#[test]
fn an_idle_provider_that_expires_comes_back_without_a_word() {
    let mut stage = Stage::live_with(|plan| plan.agent.limits.silence_s = 3_600);
    stage.provider(
        40_000,
        &error("session_expired", None, "Your session hit the maximum duration of 60 minutes."),
        &["fact: lost openai: session expired", "close provider", "open openai"],
    );
    stage.check(40_010, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(40_100, &updated(), &["fact: ready openai"]);
    // It had served long enough to earn another try, and does so again.
    stage.check(80_000, Input::ProviderClosed { code: Some(1001) }, &["fact: lost openai: closed 1001", "open openai"]);
    stage.check(80_010, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(80_100, &updated(), &["fact: ready openai"]);
    // One that goes at once is not tried for ever.
    let lines = stage.run(80_200, Input::ProviderClosed { code: None });
    assert_eq!(without_audio(lines)[0], "fact: lost openai: closed");
    assert_eq!(stage.pass(90_000), the_end("ProviderUnavailable"));
}

#[test]
fn the_greeting_is_said_even_if_the_first_provider_was_lost_before_it() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(100, &updated(), &["fact: ready openai", "provider: respond: Good morning."]);
    stage.check(150, Input::ProviderClosed { code: None }, &["fact: lost openai: closed", "open openai"]);
    stage.check(160, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(200, &updated(), &["fact: ready openai", "provider: respond: Good morning."]);
}

#[test]
fn the_fallback_speaks_when_the_first_cannot() {
    let mut stage = Stage::new();
    let mut plan = plan("openai");
    plan.agent.fallback = Some(crate::stage::plan("echo").agent.voice);
    stage.check(10, Input::Begin(Box::new(plan)), &["open openai"]);
    let lines = stage.run(100, Input::ProviderFailed(DialFailure::from_status(403)));
    assert_eq!(lines[..2], ["fact: lost openai: refused 403", "fact: ready echo"]);
}

#[test]
fn a_fatal_error_in_a_call_ends_it_with_an_apology() {
    let mut stage = Stage::live();
    let lines = stage.run(200, Input::ProviderText(&error("insufficient_quota", None, "…").to_string()));
    assert_eq!(without_audio(lines)[..2], ["fact: lost openai: refused insufficient_quota", "close provider"]);
}

#[test]
fn a_silent_provider_is_replaced() {
    let mut stage = Stage::live();
    stage.provider(200, &speech_started("c1", 0), &[]);
    stage.provider(300, &speech_stopped("c1"), &[]);
    stage.provider(310, &json!({"type": "input_audio_buffer.committed", "item_id": "c1"}), &[]);
    stage.wake(6_310, &["fact: lost openai: no response in time", "close provider", "open openai"]);
}

#[test]
fn a_response_that_stalls_after_its_audio_is_not_late_while_it_plays() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    for _ in 0..5 {
        stage.run(200, Input::ProviderText(&delta("r1", "a1", 2_000).to_string()));
    }
    assert_eq!(stage.due(), Some(5_400), "the first mark is awaited");
    for number in 1..=50 {
        stage.marks(5_000, &[&format!("g1m{number}")], &[]);
    }
    assert!(stage.due().unwrap() >= 6_200);
    stage.wake(6_200, &[]);
    assert!(stage.due().unwrap() > 10_000);
}

#[test]
fn a_failed_response_is_asked_for_once_more_then_the_provider_counts_as_lost() {
    let mut stage = Stage::live();
    let failed = |id| {
        json!({"type": "response.done", "response": {"id": id, "status": "failed",
        "status_details": {"type": "failed", "error": {"type": "server_error", "code": "rate_limit_exceeded"}}}})
    };
    stage.provider(200, &created("r1"), &[]);
    stage.provider(210, &failed("r1"), &["provider: respond"]);
    stage.provider(220, &created("r2"), &[]);
    stage.provider(230, &failed("r2"), &["fact: lost openai: responses failed", "close provider", "open openai"]);
}

#[test]
fn garbage_is_borne_and_then_it_is_too_much() {
    let mut stage = Stage::live();
    let garbage = [
        "{",
        "[1]",
        r#"{"type":7}"#,
        r#"{"type":"response.created","response":{}}"#,
        r#"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","content_index":0,"delta":"\u0022}"}"#,
    ];
    for number in 0..19 {
        stage.check(200, Input::ProviderText(garbage[number % garbage.len()]), &[]);
    }
    // Ten seconds later they are forgotten.
    stage.check(10_200, Input::ProviderBinary(b"\0\0"), &[]);
    for _ in 0..18 {
        stage.check(10_207, Input::ProviderText("?"), &[]);
    }
    assert_eq!(stage.session.stats().provider_faults, 38);
    stage.check(
        10_208,
        Input::ProviderText("?"),
        &["fact: lost openai: malformed messages", "close provider", "open openai"],
    );
}

#[test]
fn the_words_of_a_lost_connection_are_not_truncated_on_the_next() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.run(200, Input::ProviderText(&delta("r1", "a1", 3_000).to_string()));
    stage.check(
        210,
        Input::ProviderClosed { code: None },
        &["fact: lost openai: closed", "twilio: mark g1m16", "open openai"],
    );
    stage.check(220, Input::ProviderOpened, &["provider: session.update"]);
    let lines = stage.run(300, Input::ProviderText(&updated().to_string()));
    assert_eq!(lines[0], "fact: ready openai");
    stage.provider(
        700,
        &speech_started("c1", 0),
        &["twilio: clear", "fact: barged in a1 at 500", "fact: heard a1 500 of 3000 cut"],
    );
}
