//! A live call for measuring: every message is made beforehand, so that only the session's own work is counted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use session::{Action, Input, Now, Session, SessionConfig};
use shared::agent::Agent;
use shared::call::Direction;
use shared::ids::{AgentId, CallId, CallSid, Party, StreamSid};
use shared::node_api::CallPlan;
use shared::time::UnixMillis;

const STREAM: &str = "MZ00000000000000000000000000000001";

/// A session in the middle of a call.
pub(crate) struct Live {
    session: Session,
    now: Now,
    frame: String,
    delta: String,
    delta_length: Now,
    marks: Vec<String>,
}

impl Live {
    /// A call whose provider sends deltas of so many milliseconds.
    pub(crate) fn new(delta_ms: u64) -> Self {
        let mut agent = Agent::line_test(AgentId::parse("bench").expect("an id"));
        agent.voice.provider = "openai".to_owned();
        let plan = CallPlan {
            call: CallId::new(1, [1; 10]),
            call_sid: CallSid::parse("CA00000000000000000000000000000001").expect("a sid"),
            direction: Direction::Inbound,
            caller: Party::Unknown,
            agent,
            variables: std::collections::BTreeMap::new(),
            greeted: false,
            heard: Vec::new(),
            remaining_s: 1_000_000,
        };
        let audio = |ms: u64| STANDARD.encode((0..ms * 8).map(|byte| (byte * 37 % 251) as u8).collect::<Vec<_>>());
        let frame = format!(
            r#"{{"event":"media","sequenceNumber":"926","media":{{"track":"inbound","chunk":"925","timestamp":"18553","payload":"{}"}},"streamSid":"{STREAM}"}}"#,
            audio(20)
        );
        let delta = format!(
            r#"{{"type":"response.output_audio.delta","event_id":"event_CcYTN7w2j3n2Yqvq8Zm1x","response_id":"resp_CcYTMKj3a7Yp0c8Qk2n1d","item_id":"item_CcYTMl5o8xF2v0rQn4b6s","output_index":0,"content_index":0,"delta":"{}"}}"#,
            audio(delta_ms)
        );
        let session = Session::new(
            StreamSid::parse(STREAM).expect("a sid"),
            SessionConfig::default(),
            UnixMillis(1_700_000_000_000),
        );
        let mut live =
            Self { session, now: Now::ZERO, frame, delta, delta_length: Now::from_millis(delta_ms), marks: Vec::new() };
        live.input(Input::Begin(Box::new(plan)));
        live.input(Input::ProviderOpened);
        live.input(Input::ProviderText(
            r#"{"type":"session.updated","session":{"audio":{"input":{"format":{"type":"audio/pcmu"}},"output":{"format":{"type":"audio/pcmu"}}}}}"#,
        ));
        live.input(Input::ProviderText(
            r#"{"type":"response.created","response":{"id":"resp_CcYTMKj3a7Yp0c8Qk2n1d","status":"in_progress"}}"#,
        ));
        live
    }

    fn input(&mut self, input: Input<'_>) -> usize {
        self.session.handle(self.now, input);
        let mut bytes = 0;
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::ToTwilio(text) => {
                    bytes += text.len();
                    if text.starts_with(r#"{"event":"mark""#) {
                        self.marks.push(text);
                    }
                }
                Action::ToProvider(text) => bytes += text.len(),
                Action::OpenProvider(_)
                | Action::CloseProvider
                | Action::ToProviderBinary(_)
                | Action::Fact(_)
                | Action::Live { .. }
                | Action::OrderDone { .. }
                | Action::CloseTwilio
                | Action::Ended(_) => {}
            }
        }
        assert!(!self.session.is_over(), "the call goes on");
        bytes
    }

    /// One frame of the caller, to the provider. Returns the bytes that came out.
    pub(crate) fn frame_up(&mut self) -> usize {
        self.now += Now::from_millis(20);
        let frame = std::mem::take(&mut self.frame);
        let bytes = self.input(Input::Twilio(&frame));
        self.frame = frame;
        bytes
    }

    /// One delta of the provider, to Twilio, and what marks it caused back again. Returns the bytes that came out.
    pub(crate) fn delta_down(&mut self) -> usize {
        self.now += self.delta_length;
        let delta = std::mem::take(&mut self.delta);
        let bytes = self.input(Input::ProviderText(&delta));
        self.delta = delta;
        while let Some(mark) = self.marks.pop() {
            self.input(Input::Twilio(&mark));
        }
        bytes
    }
}
