//! Calls in which nothing goes wrong.

use crate::stage::*;
use serde_json::json;
use session::Input;

#[test]
fn an_inbound_call_from_greeting_to_hanging_up() {
    let mut stage = Stage::new();
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(60, &json!({"type": "session.created", "event_id": "event_1", "session": {}}), &[]);
    stage.provider(100, &updated(), &["fact: ready openai", "provider: respond: Good morning."]);

    // The greeting: 500 ms in one piece, split so that marks stand at most 200 ms apart.
    stage.provider(300, &created("r1"), &[]);
    stage.provider(310, &words("r1", "a1", "Good"), &["live: agent Good"]);
    stage.provider(
        320,
        &delta("r1", "a1", 500),
        &[
            "twilio: 1599 bytes",
            "twilio: mark g1m1",
            "twilio: 1599 bytes",
            "twilio: mark g1m2",
            "twilio: 802 bytes",
            "twilio: mark g1m3",
        ],
    );
    stage.provider(330, &audio_done("r1", "a1"), &[]);
    stage.provider(330, &transcript("r1", "a1", "Good morning."), &["fact: agent said a1 at 320: Good morning."]);
    stage.provider(335, &done("r1", "completed"), &[]);
    stage.marks(570, &["g1m1"], &[]);
    stage.marks(870, &["g1m2", "g1m3"], &["fact: heard a1 500 of 500"]);

    // The caller's audio is passed on as it is; the turn is dated by when it began, not by when it was noticed.
    for at in 0..50 {
        stage.twilio(1_000 + at * 20, &audio("abc"), &[&hear("abc")]);
    }
    stage.provider(2_000, &speech_started("c1", 400), &[]);
    stage.provider(2_400, &speech_stopped("c1"), &[]);
    stage.provider(2_450, &created("r2"), &[]);
    stage.provider(2_500, &delta("r2", "a2", 20), &["twilio: 160 bytes", "twilio: mark g1m4"]);
    stage.provider(2_510, &delta("r2", "a2", 20), &["twilio: 160 bytes"]);
    stage.provider(2_520, &heard("c1", "Hello!"), &["fact: caller said c1 at 1400: Hello!"]);
    stage.provider(2_530, &audio_done("r2", "a2"), &["twilio: mark g1m5"]);
    stage.provider(2_540, &done("r2", "completed"), &[]);
    stage.marks(2_600, &["g1m4", "g1m5"], &["fact: heard a2 40 of 40"]);

    stage.twilio(3_000, &stop(), &["close provider", "fact: ended CallerHungUp", "close twilio", "ended CallerHungUp"]);
    stage.check(3_001, Input::TwilioClosed, &[]);
}

#[test]
fn early_words_wait_until_the_configuration_is_in_force() {
    let mut stage = Stage::new();
    stage.twilio(0, &audio("a"), &[]);
    stage.check(10, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.twilio(20, &audio("b"), &[]);
    stage.check(30, Input::ProviderOpened, &["provider: session.update"]);
    stage.twilio(40, &audio("c"), &[]);
    stage.provider(
        50,
        &updated(),
        &["fact: ready openai", "provider: respond: Good morning.", &hear("a"), &hear("b"), &hear("c")],
    );
    stage.twilio(60, &audio("d"), &[&hear("d")]);
    assert_eq!(stage.session.stats().uplink_lost_ms, 0);
}

#[test]
fn only_the_newest_ten_seconds_wait_and_the_rest_is_counted() {
    let mut stage = Stage::new();
    for at in 0..600 {
        stage.twilio(at, &audio("a"), &[]);
    }
    stage.check(600, Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.check(610, Input::ProviderOpened, &["provider: session.update"]);
    let lines = stage.run(620, Input::ProviderText(&updated().to_string()));
    assert_eq!(lines.len(), 2 + 500);
    assert_eq!(stage.session.stats().uplink_lost_ms, 2_000);
}

#[test]
fn words_of_both_sides_are_shown_as_they_come() {
    let mut stage = Stage::live();
    let caller = |text| json!({"type": "conversation.item.input_audio_transcription.delta", "item_id": "c1", "content_index": 0, "delta": text});
    stage.provider(200, &speech_started("c1", 0), &[]);
    stage.provider(900, &caller("Do you "), &["live: caller Do you "]);
    stage.provider(910, &caller("have "), &[]);
    stage.provider(1_010, &caller("a table?"), &["live: caller Do you have a table?"]);
    stage.provider(1_020, &heard("c1", "Do you have a table?"), &["fact: caller said c1 at 200: Do you have a table?"]);
    stage.provider(1_030, &caller("late"), &[]);
    stage.provider(1_040, &heard("c1", "Do you have a table?"), &[]);
}

#[test]
fn keys_are_facts() {
    let mut stage = Stage::live();
    let key = |digit| json!({"event": "dtmf", "streamSid": STREAM, "dtmf": {"track": "inbound_track", "digit": digit}});
    stage.twilio(200, &key("#"), &["fact: digit #"]);
    stage.twilio(300, &key("x"), &[]);
    assert_eq!(stage.session.stats().twilio_faults, 1);
}

#[test]
fn two_items_of_one_response_play_in_order() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.provider(200, &audio_done("r1", "a1"), &[]);
    stage.provider(210, &delta("r1", "a2", 100), &["twilio: 800 bytes", "twilio: mark g1m2"]);
    stage.provider(210, &transcript("r1", "a2", "Second."), &["fact: agent said a2 at 300: Second."]);
    stage.provider(220, &done("r1", "completed"), &[]);
    stage.marks(330, &["g1m1"], &["fact: heard a1 100 of 100"]);
    stage.marks(430, &["g1m2"], &["fact: heard a2 100 of 100"]);
}

#[test]
fn marks_that_never_come_back_are_given_up() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.provider(210, &done("r1", "completed"), &[]);
    stage.wake(5_300, &["fact: heard a1 100 of 100"]);
    stage.marks(5_400, &["g1m1"], &[]);
}

#[test]
fn unknown_functions_are_answered_so_that_the_conversation_goes_on() {
    let mut stage = Stage::live();
    let call = |status| {
        json!({"type": "response.output_item.done", "response_id": "r1", "output_index": 0,
        "item": {"id": "f1", "type": "function_call", "status": status, "name": "book", "call_id": "call_1", "arguments": "{}"}})
    };
    stage.provider(200, &created("r1"), &[]);
    stage.provider(210, &call("incomplete"), &[]);
    stage.provider(220, &call("completed"), &["provider: function_call_output call_1"]);
    stage.provider(230, &done("r1", "completed"), &["provider: respond"]);
}

#[test]
fn what_is_unknown_is_counted_and_ignored() {
    let mut stage = Stage::live();
    stage.provider(200, &json!({"type": "ping", "event_id": "e"}), &[]);
    stage.provider(200, &json!({"type": "rate_limits.updated", "rate_limits": []}), &[]);
    stage.twilio(200, &json!({"event": "applause"}), &[]);
    let stats = stage.session.stats();
    assert_eq!((stats.provider_unknown, stats.twilio_unknown, stats.provider_faults), (1, 1, 0));
}

#[test]
fn time_does_not_go_back() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.check(250, Input::Timeout, &[]);
    stage.session.handle(session::Now::from_millis(50), Input::ProviderText(&speech_started("c1", 0).to_string()));
    stage.check(
        250,
        Input::Timeout,
        &["twilio: clear", "provider: truncate a1/0 at 50", "fact: barged in a1 at 50", "fact: heard a1 50 of 100 cut"],
    );
}
