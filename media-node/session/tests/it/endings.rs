//! The ways a call ends. Each has one verdict and nothing after it.

use crate::stage::*;
use serde_json::json;
use session::{Input, Now, SessionConfig};
use shared::call::EndReason;

#[test]
fn a_socket_that_breaks_is_a_lost_stream() {
    let mut stage = Stage::live();
    stage.check(200, Input::TwilioClosed, &["close provider", "fact: ended StreamLost", "ended StreamLost"]);
    stage.twilio(201, &stop(), &[]);
    stage.check(202, Input::Abort(EndReason::InternalError), &[]);
    assert_eq!(stage.due(), None);
}

#[test]
fn a_stream_without_audio_is_lost() {
    let mut stage = Stage::with(SessionConfig::default());
    let mut plan = plan("openai");
    plan.agent.greeting = None;
    stage.check(10, Input::Begin(Box::new(plan)), &["open openai"]);
    stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(100, &updated(), &["fact: ready openai"]);
    stage.twilio(1_000, &audio("a"), &[&hear("a")]);
    stage.wake(6_000, &["close provider", "fact: ended StreamLost", "close twilio", "ended StreamLost"]);
}

#[test]
fn what_was_being_said_when_the_caller_hung_up_is_told() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.provider(210, &words("r1", "a1", "Good"), &["live: agent Good"]);
    stage.twilio(
        250,
        &stop(),
        &[
            "close provider",
            "fact: agent said a1 at 200: Good",
            "twilio: clear",
            "fact: heard a1 50 of 100 cut",
            "fact: ended CallerHungUp",
            "close twilio",
            "ended CallerHungUp",
        ],
    );
}

#[test]
fn fifty_wrong_messages_are_borne() {
    let mut stage = Stage::live();
    let wrong = [
        "{".to_owned(),
        r#"{"event":"start"}"#.to_owned(),
        audio("a").to_string().replace(STREAM, "MZ00000000000000000000000000000002"),
        audio("a").to_string().replace("inbound", "outbound"),
        audio("a").to_string().replace("==", "\\\"=="),
    ];
    for number in 0..50 {
        stage.check(200, Input::Twilio(&wrong[number % wrong.len()]), &[]);
    }
    stage.twilio(300, &audio("a"), &[&hear("a")]);
    stage.check(
        400,
        Input::Twilio("\0"),
        &["close provider", "fact: ended InvalidStream", "close twilio", "ended InvalidStream"],
    );
}

/// The next deadline ends the call with the goodbye.
fn goodbye(stage: &mut Stage, at: u64, reason: &str) {
    assert_eq!(stage.due(), Some(at), "the next deadline");
    assert_eq!(
        stage.pass(at + 4_600),
        [
            "close provider".to_owned(),
            format!(
                "fact: agent said line-goodbye-1 at {at}: I have to end this call now. Thank you for calling. Goodbye."
            ),
            "fact: heard line-goodbye-1 4558 of 4558".to_owned(),
            format!("fact: ended {reason}"),
            "close twilio".to_owned(),
            format!("ended {reason}"),
        ]
    );
}

#[test]
fn silence_ends_a_call_politely() {
    let mut stage = Stage::live_with(|plan| plan.agent.limits.silence_s = 10);
    stage.provider(5_000, &speech_started("c1", 0), &[]);
    stage.provider(6_000, &speech_stopped("c1"), &[]);
    stage.provider(6_100, &created("r1"), &[]);
    stage.provider(6_100, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.provider(6_100, &done("r1", "completed"), &[]);
    stage.marks(6_240, &["g1m1"], &["fact: heard a1 100 of 100"]);
    // Ten seconds after the last word, not after the call's beginning.
    stage.wake(10_100, &[]);
    goodbye(&mut stage, 16_200, "Silence");
}

#[test]
fn the_longest_call_ends_politely() {
    let mut stage = Stage::live_with(|plan| {
        plan.remaining_s = 30;
        plan.agent.limits.silence_s = 3_600;
    });
    goodbye(&mut stage, 30_010, "MaxDuration");
}

#[test]
fn a_caller_who_hangs_up_during_the_goodbye_does_not_change_the_verdict() {
    let mut stage = Stage::live_with(|plan| plan.remaining_s = 10);
    stage.run(10_010, Input::Timeout);
    stage.twilio(
        10_510,
        &stop(),
        &[
            "twilio: clear",
            "fact: heard line-goodbye-1 500 of 4558 cut",
            "fact: ended MaxDuration",
            "close twilio",
            "ended MaxDuration",
        ],
    );
}

#[test]
fn long_queued_audio_is_not_waited_for() {
    let mut stage = Stage::live_with(|plan| plan.remaining_s = 10);
    stage.provider(9_000, &created("r1"), &[]);
    for _ in 0..4 {
        stage.run(9_000, Input::ProviderText(&delta("r1", "a1", 2_000).to_string()));
    }
    assert_eq!(stage.pass(10_009), [""; 0]);
    let lines = stage.run(10_010, Input::Timeout);
    assert_eq!(lines[..3], ["close provider", "twilio: clear", "fact: heard a1 1010 of 8000 cut"]);
}

#[test]
fn a_node_that_drains_lets_the_call_go_on_and_says_sorry_in_time() {
    let mut stage = Stage::live_with(|plan| plan.agent.limits.silence_s = 3_600);
    stage.check(1_000, Input::Drain { deadline: Now::from_secs(60) }, &[]);
    stage.twilio(30_000, &audio("a"), &[&hear("a")]);
    assert_eq!(
        stage.pass(59_500),
        [
            "close provider",
            "fact: agent said line-apology-1 at 53316: Sorry, I am having trouble with my line. Please call again in a moment. Goodbye.",
            "fact: heard line-apology-1 5684 of 5684",
            "fact: ended NodeStopped",
            "close twilio",
            "ended NodeStopped",
        ]
    );
}

#[test]
fn a_deadline_that_leaves_no_time_is_kept() {
    let mut stage = Stage::live();
    stage.check(1_000, Input::Drain { deadline: Now::from_millis(1_500) }, &[]);
    stage.run(1_000, Input::Timeout);
    let lines = stage.run(1_500, Input::Timeout);
    assert_eq!(lines.last().unwrap(), "ended NodeStopped");
}

#[test]
fn a_plan_that_never_comes_is_apologised_for() {
    let mut stage = Stage::new();
    assert_eq!(
        stage.pass(20_000),
        [
            "fact: agent said line-moment-1 at 3000: One moment, please.",
            "fact: heard line-moment-1 1723 of 1723",
            "fact: agent said line-apology-2 at 10000: Sorry, I am having trouble with my line. Please call again in a moment. Goodbye.",
            "fact: heard line-apology-2 5684 of 5684",
            "fact: ended InternalError",
            "close twilio",
            "ended InternalError"
        ]
    );
}

#[test]
fn a_refused_node_ends_without_a_word() {
    let mut stage = Stage::new();
    stage.check(
        10,
        Input::Abort(EndReason::InternalError),
        &["fact: ended InternalError", "close twilio", "ended InternalError"],
    );
    stage.check(20, Input::Begin(Box::new(plan("openai"))), &[]);
    stage.twilio(30, &json!({"event": "media"}), &[]);
}
