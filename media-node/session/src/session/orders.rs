//! What the room wants done during a call. An id is carried out once, however often it comes; the last 64 are remembered.

use super::Session;
use crate::Action;
use crate::phase::Phase;
use crate::provider::ProviderCommand;
use crate::responses::Ask;
use shared::node_api::NodeOrder;

const REMEMBERED: usize = 64;
/// Tells that wait for a provider.
const TELLS: usize = 16;
const TELL_CHARS: usize = 4_000;

impl Session {
    pub(super) fn order(&mut self, id: u64, order: NodeOrder) {
        if self.orders.contains(&id) {
            return self.done(id, None);
        }
        if self.orders.len() >= REMEMBERED {
            self.orders.pop_front();
        }
        self.orders.push_back(id);
        match order {
            NodeOrder::End { reason } => {
                self.done(id, None);
                self.finish(self.reason_or(reason));
            }
            NodeOrder::Tell { text } if text.chars().count() > TELL_CHARS => {
                self.done(id, Some("the text has more than 4000 characters"));
            }
            NodeOrder::Tell { text } => match self.phase {
                Phase::Live => {
                    self.tell(id, &text);
                    self.ask(Ask::Freely);
                }
                Phase::AwaitingPlan | Phase::Connecting | Phase::Configuring if self.tells.len() < TELLS => {
                    self.tells.push_back((id, text));
                }
                Phase::AwaitingPlan | Phase::Connecting | Phase::Configuring => {
                    self.done(id, Some("too much is waiting for the agent"));
                }
                Phase::Ending(_) | Phase::Over => self.done(id, Some("the call is ending")),
            },
            NodeOrder::Unknown => self.done(id, Some("this node does not know the order")),
        }
    }

    /// Tells the agent something; the answer is asked for by the caller of this.
    pub(super) fn tell(&mut self, id: u64, text: &str) {
        if self.capabilities.takes_text {
            self.command(ProviderCommand::Know(text));
            self.done(id, None);
        } else {
            self.done(id, Some("this agent cannot be told anything"));
        }
    }

    pub(super) fn done(&mut self, id: u64, error: Option<&str>) {
        self.actions.push_back(Action::OrderDone { id, error: error.map(str::to_owned) });
    }
}
