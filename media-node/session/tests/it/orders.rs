//! What the room wants done.

use crate::stage::*;
use session::Input;
use shared::call::EndReason;
use shared::node_api::NodeOrder;

fn tell(id: u64, text: &str) -> Input<'static> {
    Input::Order { id, order: NodeOrder::Tell { text: text.into() } }
}

#[test]
fn an_end_is_carried_out_at_once() {
    let mut stage = Stage::live();
    stage.provider(200, &created("r1"), &[]);
    stage.provider(200, &delta("r1", "a1", 100), &["twilio: 800 bytes", "twilio: mark g1m1"]);
    stage.check(
        240,
        Input::Order { id: 7, order: NodeOrder::End { reason: EndReason::OperatorHungUp } },
        &[
            "order 7 done",
            "close provider",
            "twilio: clear",
            "fact: heard a1 40 of 100 cut",
            "fact: ended OperatorHungUp",
            "close twilio",
            "ended OperatorHungUp",
        ],
    );
}

#[test]
fn a_tell_is_known_and_answered() {
    let mut stage = Stage::live();
    stage.check(
        200,
        tell(1, "The caller is a member."),
        &["provider: system The caller is a member.", "order 1 done", "provider: respond"],
    );
    stage.check(210, tell(1, "The caller is a member."), &["order 1 done"]);
    // While it answers, the next answer waits.
    stage.provider(220, &created("r1"), &[]);
    stage.check(230, tell(2, "Be quick."), &["provider: system Be quick.", "order 2 done"]);
    stage.provider(240, &done("r1", "completed"), &["provider: respond"]);
    stage.check(250, tell(3, &"x".repeat(4_001)), &["order 3: the text has more than 4000 characters"]);
    stage.check(
        260,
        Input::Order { id: 4, order: NodeOrder::Unknown },
        &["order 4: this node does not know the order"],
    );
}

#[test]
fn an_answer_that_was_asked_for_too_early_is_asked_for_again() {
    let mut stage = Stage::live();
    stage.check(200, tell(1, "x"), &["provider: system x", "order 1 done", "provider: respond"]);
    stage.provider(205, &error("conversation_already_has_active_response", None, "…"), &[]);
    stage.provider(206, &created("r1"), &[]);
    stage.provider(210, &done("r1", "completed"), &[]);
}

#[test]
fn a_tell_waits_for_the_provider() {
    let mut stage = Stage::new();
    stage.check(0, tell(1, "one"), &[]);
    let mut plan = plan("openai");
    plan.agent.greeting = None;
    stage.check(10, Input::Begin(Box::new(plan)), &["open openai"]);
    for id in 2..=16 {
        stage.check(20, tell(id, "more"), &[]);
    }
    stage.check(20, tell(17, "more"), &["order 17: too much is waiting for the agent"]);
    stage.check(50, Input::ProviderOpened, &["provider: session.update"]);
    let lines = stage.run(100, Input::ProviderText(&updated().to_string()));
    assert_eq!(lines[..3], ["fact: ready openai", "provider: system one", "order 1 done"]);
    assert_eq!((lines.len(), lines.last().unwrap().as_str()), (1 + 32 + 1, "provider: respond"));
}

#[test]
fn the_line_test_cannot_be_told_anything() {
    let mut stage = Stage::new();
    stage.run(0, Input::Begin(Box::new(plan("echo"))));
    stage.check(10, tell(1, "x"), &["order 1: this agent cannot be told anything"]);
}

#[test]
fn tells_that_nobody_will_hear_are_answered() {
    let mut stage = Stage::new();
    stage.check(0, tell(1, "x"), &[]);
    stage.check(
        10,
        Input::Abort(EndReason::InternalError),
        &["order 1: the call is ending", "fact: ended InternalError", "close twilio", "ended InternalError"],
    );
}
