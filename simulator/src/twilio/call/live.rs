//! What runs beside a leg's verbs: streams, transcriptions and recordings that have been started. What they cause is
//! decided by the leg.

use super::*;

#[derive(Debug)]
pub(super) struct LiveStream {
    pub(super) kind: Kind,
    pub(super) noun: StreamNoun,
    pub(super) open: bool,
}

#[derive(Debug)]
pub(super) struct LiveTranscription {
    pub(super) noun: Transcription,
    pub(super) sequence: u32,
}

#[derive(Debug)]
pub(super) struct LiveRecording {
    pub(super) noun: Recording,
    pub(super) source: &'static str,
    pub(super) since: Now,
    pub(super) until: Option<Now>,
}
