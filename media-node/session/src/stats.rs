//! Counters of one session, for metrics: how much went through, and what was wrong with the rest. Nothing here is private.

/// Counts since the stream's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Audio messages from Twilio.
    pub frames_in: u64,
    /// Audio messages to Twilio.
    pub frames_out: u64,
    /// Marks sent to Twilio.
    pub marks_out: u64,
    /// The caller's audio that nobody heard, milliseconds.
    pub uplink_lost_ms: u64,
    /// Audio deltas dropped because their item had been interrupted.
    pub deltas_dead: u64,
    /// Audio deltas dropped because too much was queued at Twilio.
    pub deltas_full: u64,
    /// Interruptions by the caller.
    pub barge_ins: u64,
    /// Messages from Twilio that were wrong.
    pub twilio_faults: u64,
    /// Messages from Twilio of an unknown kind.
    pub twilio_unknown: u64,
    /// Messages from providers that were wrong.
    pub provider_faults: u64,
    /// Messages from providers of an unknown kind.
    pub provider_unknown: u64,
    /// Requests that a provider could not do, the harmless ones excepted.
    pub provider_complaints: u64,
    /// Provider connections opened.
    pub connections: u64,
}
