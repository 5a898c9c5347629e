use super::*;
use proptest::prelude::*;

fn sid(prefix: &str, n: u32) -> String {
    format!("{prefix}{n:032}")
}

fn status(status: CallStatus, second: i64) -> CallEvent {
    CallEvent::Status {
        status,
        at: UnixMillis(second * 1000),
        duration_s: (status == CallStatus::Completed).then_some(12),
        sip_code: None,
    }
}

/// The eight events of one call: four statuses, a stream's, a recording's, a transcription's, and the node's verdict.
fn eight() -> Vec<CallEvent> {
    vec![
        status(CallStatus::Initiated, 1),
        status(CallStatus::Ringing, 2),
        status(CallStatus::InProgress, 3),
        status(CallStatus::Completed, 15),
        CallEvent::Stream { stream_sid: StreamSid::parse(&sid("MZ", 1)).unwrap(), phase: StreamPhase::Stopped },
        CallEvent::Recording {
            recording_sid: RecordingSid::parse(&sid("RE", 1)).unwrap(),
            phase: RecordingPhase::Completed,
            duration_s: Some(11),
        },
        CallEvent::Transcription {
            transcription_sid: TranscriptionSid::parse(&sid("GT", 1)).unwrap(),
            phase: TranscriptionPhase::Stopped,
        },
        CallEvent::Ended { reason: EndReason::CallerHungUp, at: UnixMillis(14_900) },
    ]
}

fn permutations(n: usize, visit: &mut impl FnMut(&[usize])) {
    fn go(order: &mut Vec<usize>, k: usize, visit: &mut impl FnMut(&[usize])) {
        if k == order.len() {
            return visit(order);
        }
        for i in k..order.len() {
            order.swap(k, i);
            go(order, k + 1, visit);
            order.swap(k, i);
        }
    }
    go(&mut (0..n).collect(), 0, visit);
}

#[test]
fn all_orders_of_eight_events_with_duplicates_end_in_one_state() {
    let events = eight();
    let mut expected = CallState::default();
    for event in &events {
        expected.apply(event);
    }
    assert_eq!(expected.status, CallStatus::Completed);
    assert_eq!(expected.termination(), Some(EndReason::CallerHungUp.into()));
    assert_eq!(expected.connected_s(), Some(12));
    let mut orders = 0;
    permutations(events.len(), &mut |order| {
        orders += 1;
        let mut state = CallState::default();
        for (step, &index) in order.iter().enumerate() {
            state.apply(&events[index]);
            // A duplicate of something already seen, at every step another one.
            assert!(!state.apply(&events[order[(step * 5 + 3) % (step + 1)]]), "a duplicate changed the state");
        }
        assert_eq!(state, expected);
    });
    assert_eq!(orders, 40_320);
}

#[test]
fn a_terminal_call_stays_terminal_and_late_facts_still_count() {
    let mut state = CallState::default();
    state.apply(&status(CallStatus::Completed, 15));
    assert!(state.is_over());
    state.apply(&status(CallStatus::InProgress, 3));
    assert_eq!(state.status, CallStatus::Completed);
    assert_eq!(state.answered_at, Some(UnixMillis(3000)));
    assert_eq!(state.termination(), Some(EndReason::CarrierReported.into()));
}

#[test]
fn the_words_are_twilios() {
    for word in
        ["queued", "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"]
    {
        assert_eq!(CallStatus::read(word).map(CallStatus::as_str), Some(word));
        assert_eq!(serde_json::to_value(CallStatus::read(word)).unwrap(), serde_json::json!(word));
    }
    assert_eq!(CallStatus::read("answered"), Some(CallStatus::InProgress));
    assert_eq!(CallStatus::read("Completed"), None);
}

proptest! {
    #[test]
    fn any_subset_in_any_order_is_a_join(picks in proptest::collection::vec(0usize..8, 0..24), split in 0usize..24) {
        let events = eight();
        let mut forward = CallState::default();
        for &i in &picks {
            let was_over = forward.is_over();
            forward.apply(&events[i]);
            prop_assert!(!was_over || forward.is_over());
        }
        let (head, tail) = picks.split_at(split.min(picks.len()));
        let mut other = CallState::default();
        for &i in tail.iter().chain(head).rev() {
            other.apply(&events[i]);
        }
        prop_assert_eq!(forward, other);
    }
}
