//! The built-in line test: a short tone, then the caller's own voice, 800 ms late. Late enough to be heard as an answer and
//! not as a telephone's own echo. It takes no turns, so nothing is interrupted or written down.

use super::{Capabilities, Codec, ProviderCommand, ProviderEvent, ProviderFault, Wire};
use crate::audio;
use crate::scan::base64_len;
use std::borrow::Cow;
use std::collections::VecDeque;

/// How late the voice comes back, in bytes of mu-law.
const DELAY_BYTES: usize = 6_400;
/// Frames that may wait whatever their size.
const FRAMES: usize = 1_000;

/// The line test's state: what was heard and has not come back yet.
#[derive(Debug, Default)]
pub(super) struct Echo {
    heard: VecDeque<(String, usize)>,
    heard_bytes: usize,
    events: VecDeque<ProviderEvent<'static>>,
}

impl Codec for Echo {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            is_local: true,
            takes_turns: false,
            interrupts_itself: true,
            wants_heard: false,
            takes_text: false,
        }
    }

    fn read<'a>(&mut self, _: &'a str) -> Result<ProviderEvent<'a>, ProviderFault> {
        Err(ProviderFault::Envelope)
    }

    fn read_binary<'a>(&mut self, _: &'a [u8]) -> Result<ProviderEvent<'a>, ProviderFault> {
        Err(ProviderFault::Envelope)
    }

    fn write(&mut self, command: ProviderCommand<'_>) -> Wire {
        match command {
            ProviderCommand::Configure(_) => {
                self.events.push_back(ProviderEvent::Ready);
                let tone = audio::greeting_tone();
                self.events.extend(audio::pieces(&tone).map(|(text, _)| ProviderEvent::Sound { payload: text.into() }));
            }
            ProviderCommand::Hear(payload) => {
                let bytes = base64_len(payload).unwrap_or(0);
                self.heard.push_back((payload.to_owned(), bytes));
                self.heard_bytes += bytes;
                while self.heard_bytes > DELAY_BYTES || self.heard.len() > FRAMES {
                    let Some((payload, bytes)) = self.heard.pop_front() else { break };
                    self.heard_bytes -= bytes;
                    self.events.push_back(ProviderEvent::Sound { payload: Cow::Owned(payload) });
                }
            }
            ProviderCommand::Remember(_)
            | ProviderCommand::Know(_)
            | ProviderCommand::Respond { .. }
            | ProviderCommand::Cancel { .. }
            | ProviderCommand::Truncate { .. }
            | ProviderCommand::AnswerTool { .. } => {}
        }
        Wire::Nothing
    }

    fn poll(&mut self) -> Option<ProviderEvent<'static>> {
        self.events.pop_front()
    }
}
