//! The caller speaks while the agent does.

use crate::stage::*;
use serde_json::json;

/// 600 ms of `a1` at Twilio since 200 ms, 40 ms there and back, its first mark come back.
fn speaking() -> Stage {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    for at in 0..3 {
        let mark = format!("twilio: mark g1m{}", at + 1);
        stage.provider(200, &delta("r1", "a1", 199), &["twilio: 1592 bytes", &mark]);
    }
    stage.marks(439, &["g1m1"], &[]);
    stage
}

#[test]
fn clear_goes_first_and_the_item_ends_where_it_was_heard() {
    let mut stage = speaking();
    stage.provider(
        500,
        &speech_started("c1", 300),
        &[
            "twilio: clear",
            "provider: truncate a1/0 at 300",
            "fact: barged in a1 at 300",
            "fact: heard a1 300 of 597 cut",
        ],
    );
    // What Twilio flushes, and what was still on its way, changes nothing and is not passed on.
    stage.marks(505, &["g1m2", "g1m3"], &[]);
    stage.provider(510, &delta("r1", "a1", 200), &[]);
    stage.provider(515, &delta("r1", "a7", 200), &[]);
    stage.provider(520, &done("r1", "cancelled"), &[]);
    stage.provider(530, &transcript("r1", "a1", "We are open"), &["fact: agent said a1 at 200: We are open"]);
    stage.provider(
        531,
        &json!({"type": "conversation.item.truncated", "item_id": "a1", "content_index": 0, "audio_end_ms": 300}),
        &[],
    );
    // The next answer has marks of its own generation.
    stage.provider(900, &speech_stopped("c1"), &[]);
    stage.provider(950, &created("r2"), &[]);
    stage.provider(960, &delta("r2", "a2", 100), &["twilio: 800 bytes", "twilio: mark g2m4"]);
    stage.marks(970, &["g1m2", "g1m4", "g3m4", "g2m5", "nonsense"], &[]);
    stage.provider(980, &done("r2", "completed"), &[]);
    stage.marks(1_100, &["g2m4"], &["fact: heard a2 100 of 100"]);
    assert_eq!(stage.session.stats().deltas_dead, 2);
}

#[test]
fn a_finished_response_that_still_plays_is_cut_as_well() {
    let mut stage = speaking();
    stage.provider(450, &audio_done("r1", "a1"), &[]);
    stage.provider(450, &done("r1", "completed"), &[]);
    stage.provider(
        500,
        &speech_started("c1", 300),
        &[
            "twilio: clear",
            "provider: truncate a1/0 at 300",
            "fact: barged in a1 at 300",
            "fact: heard a1 300 of 597 cut",
        ],
    );
}

#[test]
fn nothing_is_sent_when_nothing_plays() {
    let mut stage = speaking();
    stage.provider(450, &done("r1", "completed"), &[]);
    stage.marks(840, &["g1m2", "g1m3"], &["fact: heard a1 597 of 597"]);
    stage.provider(2_000, &speech_started("c1", 300), &[]);
    stage.provider(2_100, &speech_started("c2", 300), &[]);
    assert_eq!(stage.session.stats().barge_ins, 0);
}

#[test]
fn what_was_heard_whole_is_not_truncated() {
    let mut stage = speaking();
    stage.provider(450, &audio_done("r1", "a1"), &[]);
    stage.provider(450, &done("r1", "completed"), &[]);
    // By time it has just been played; the last mark is still on its way, so a clear may yet cut its last breath.
    stage.provider(810, &speech_started("c1", 600), &["twilio: clear", "fact: heard a1 597 of 597"]);
    stage.marks(840, &["g1m2", "g1m3"], &[]);
    assert_eq!(stage.session.stats().barge_ins, 0);
}

#[test]
fn audio_whose_marks_stay_away_may_still_play() {
    let mut stage = speaking();
    stage.provider(450, &done("r1", "completed"), &[]);
    stage.provider(2_000, &speech_started("c1", 600), &["twilio: clear", "fact: heard a1 597 of 597"]);
    stage.provider(2_100, &speech_started("c2", 600), &[]);
}

#[test]
fn queued_items_were_not_heard_at_all() {
    let mut stage = speaking();
    stage.provider(450, &audio_done("r1", "a1"), &[]);
    stage.provider(450, &delta("r1", "a2", 100), &["twilio: 800 bytes", "twilio: mark g1m4"]);
    stage.provider(
        500,
        &speech_started("c1", 300),
        &[
            "twilio: clear",
            "provider: truncate a1/0 at 300",
            "provider: truncate a2/0 at 0",
            "fact: barged in a1 at 300",
            "fact: heard a1 300 of 597 cut",
            "fact: heard a2 0 of 100 cut",
        ],
    );
}

#[test]
fn an_answer_without_audio_is_dropped_without_a_word() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(300, &speech_started("c1", 200), &[]);
    stage.provider(310, &delta("r1", "a1", 100), &[]);
    stage.provider(320, &done("r1", "cancelled"), &[]);
}

#[test]
fn all_that_came_was_heard_and_more_would_have_come() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.marks(340, &["g1m1"], &[]);
    // Nothing plays, so there is nothing to clear; but the provider may have made more than it has sent.
    stage.provider(
        900,
        &speech_started("c1", 700),
        &["provider: truncate a1/0 at 100", "fact: barged in a1 at 100", "fact: heard a1 100 of 100 cut"],
    );
}

#[test]
fn speaking_on_interrupts_once() {
    let mut stage = speaking();
    stage.provider(
        500,
        &speech_started("c1", 300),
        &[
            "twilio: clear",
            "provider: truncate a1/0 at 300",
            "fact: barged in a1 at 300",
            "fact: heard a1 300 of 597 cut",
        ],
    );
    stage.provider(600, &speech_stopped("c1"), &[]);
    stage.provider(700, &speech_started("c2", 600), &[]);
}

#[test]
fn the_first_milliseconds_count() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.provider(
        205,
        &speech_started("c1", 100),
        &["twilio: clear", "provider: truncate a1/0 at 5", "fact: barged in a1 at 5", "fact: heard a1 5 of 100 cut"],
    );
}

#[test]
fn a_pause_in_the_audio_is_not_heard_audio() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.marks(340, &["g1m1"], &[]);
    stage.provider(1_000, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m2"]);
    stage.provider(
        1_030,
        &speech_started("c1", 700),
        &[
            "twilio: clear",
            "provider: truncate a1/0 at 130",
            "fact: barged in a1 at 130",
            "fact: heard a1 130 of 200 cut",
        ],
    );
}

#[test]
fn errors_about_what_was_over_are_borne() {
    let mut stage = speaking();
    stage.provider(
        450,
        &error("response_cancel_not_active", None, "Cancellation failed: no active response found"),
        &[],
    );
    stage.provider(460, &error("invalid_value", None, "Audio content of 300ms is already shorter than 301ms"), &[]);
    stage.provider(
        470,
        &error("unsupported_content_type", None, "Only model output audio messages can be truncated"),
        &[],
    );
    assert_eq!(stage.session.stats().provider_complaints, 0);
    stage.provider(480, &error("unknown_parameter", None, "?"), &[]);
    assert_eq!(stage.session.stats().provider_complaints, 1);
}

#[test]
fn an_answer_that_begins_while_the_caller_speaks_is_stopped() {
    let mut stage = Stage::new();
    stage.check(10, session::Input::Begin(Box::new(plan("openai"))), &["open openai"]);
    stage.check(50, session::Input::ProviderOpened, &["provider: session.update"]);
    stage.provider(100, &updated(), &["fact: ready openai", "provider: respond: Good morning."]);
    stage.provider(110, &speech_started("c1", 0), &[]);
    stage.provider(120, &created("r1"), &["provider: cancel r1"]);
    stage.provider(130, &delta("r1", "a1", 100), &[]);
    stage.provider(140, &done("r1", "cancelled"), &[]);
    stage.provider(600, &speech_stopped("c1"), &[]);
    stage.provider(650, &created("r2"), &[]);
    stage.provider(660, &delta("r2", "a2", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
}
