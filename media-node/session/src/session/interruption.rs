//! Barge-in: the caller speaks while the agent does. Twilio's buffer is cleared first, because that is what stops the sound;
//! then the provider is told what was heard of each item, and what still comes of them is dropped.

use super::Session;
use crate::Action;
use crate::playback::{Heard, Source};
use crate::provider::ProviderCommand;
use crate::timers::Timer;

impl Session {
    /// Stops the agent, if it speaks or is about to. Nothing is sent when nothing runs and nothing is queued: noise on the
    /// line must not cost anything.
    pub(super) fn barge_in(&mut self) {
        let running = self.responses.running().filter(|response| !self.playback.is_dead(response)).map(str::to_owned);
        let is_audible = self.playback.is_audible(self.now);
        if running.is_none() && !is_audible {
            return;
        }
        let items = self.playback.interrupt(self.now);
        if is_audible {
            self.actions.push_back(Action::ToTwilio(self.carrier.clear()));
        }
        if let Some(response) = &running {
            self.playback.kill(response);
            self.timers.clear(Timer::Response);
            if !self.capabilities.interrupts_itself {
                self.command(ProviderCommand::Cancel { response });
            }
        }
        if self.capabilities.wants_heard {
            for heard in items.iter().filter(|heard| heard.cut) {
                self.truncate(heard);
            }
        }
        if let Some(playing) = items.iter().find(|heard| heard.cut) {
            self.tell_cut(playing.source.item(), playing.heard_ms);
        }
        self.tell_heard(items);
    }

    fn truncate(&mut self, heard: &Heard) {
        match &heard.source {
            // An item of a connection that is gone is unknown to this one.
            Source::Spoken { connection, item, content_index, .. } if *connection == self.connection => {
                let command =
                    ProviderCommand::Truncate { item, content_index: *content_index, heard_ms: heard.heard_ms };
                self.command(command);
            }
            Source::Spoken { .. } | Source::Clip { .. } => {}
        }
    }
}
