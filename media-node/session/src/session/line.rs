//! Twilio's side of a session: the caller's audio, marks, keys and the stream's end.

use super::Session;
use crate::carrier::Heard;
use crate::phase::Phase;
use crate::provider::ProviderCommand;
use crate::timers::Timer;
use shared::call::EndReason;
use shared::node_api::NodeEvent;

impl Session {
    pub(super) fn carrier_said(&mut self, text: &str) {
        self.timers.set(Timer::Carrier, self.now + self.config.carrier_timeout);
        let heard = match self.carrier.read(text) {
            Ok(heard) => heard,
            Err(_) => return self.carrier_was_wrong(),
        };
        match heard {
            Heard::Audio { payload, bytes, dated_ms } => {
                if let Some(dated_ms) = dated_ms {
                    self.playback.frame(self.now, dated_ms);
                }
                self.caller_said(&payload, bytes);
            }
            Heard::Mark(name) => {
                self.playback(|playback, now, _, ended| {
                    playback.reached(now, &name, ended);
                });
            }
            Heard::Digit(digit) => self.fact(NodeEvent::Digit { digit }),
            Heard::Stop => self.finish(self.reason_or(EndReason::CallerHungUp)),
            Heard::Unknown => self.stats.twilio_unknown += 1,
        }
    }

    fn caller_said(&mut self, payload: &str, bytes: usize) {
        self.stats.frames_in += 1;
        if bytes == 0 || matches!(self.phase, Phase::Ending(_)) || !self.uplink.take(payload, bytes) {
            return;
        }
        self.command(ProviderCommand::Hear(payload));
        if self.capabilities.is_local {
            self.poll_codec();
        }
    }

    /// A few wrong messages are borne, whatever they were.
    fn carrier_was_wrong(&mut self) {
        self.stats.twilio_faults += 1;
        if self.stats.twilio_faults > u64::from(self.config.twilio_faults) {
            self.finish(EndReason::InvalidStream);
        }
    }
}
