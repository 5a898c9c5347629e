//! The session's numbers: how long it waits for what, and how much it keeps. What they bound is told where it is done.

use core::time::Duration;

/// Every bound of a session that an operator or a test may want to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// How long the plan may take to arrive; then the call ends (`InternalError`: nobody said what to do).
    pub plan_timeout: Duration,
    /// How long the provider's socket may take to open.
    pub connect_timeout: Duration,
    /// How long the provider may take to accept its configuration once the socket is open.
    pub configure_timeout: Duration,
    /// How long the provider may take between the end of a turn (or a request to speak) and its first sign of a response.
    pub response_timeout: Duration,
    /// How long Twilio's audio may be absent (50 frames a second are promised) before the stream counts as lost.
    pub carrier_timeout: Duration,
    /// How late a mark may be against the time at which its audio should have been played before it is given up.
    pub mark_timeout: Duration,
    /// How long the caller may hear nothing while the provider is away before the filler sentence.
    pub filler_after: Duration,
    /// Twilio's audio that is kept while nobody can hear it, milliseconds; the oldest is dropped.
    pub uplink_ms: u32,
    /// Audio that may be queued unplayed at Twilio, milliseconds; more is dropped (Twilio itself drops at ten minutes).
    pub playout_ms: u32,
    /// Messages from Twilio that may be wrong before the stream is ended.
    pub twilio_faults: u32,
    /// The model that writes down what the caller says, in the provider's words.
    pub transcription_model: String,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            plan_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            configure_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(6),
            carrier_timeout: Duration::from_secs(5),
            mark_timeout: Duration::from_secs(5),
            filler_after: Duration::from_millis(1500),
            uplink_ms: 10_000,
            playout_ms: 300_000,
            twilio_faults: 50,
            transcription_model: "gpt-transcribe".to_owned(),
        }
    }
}
