//! The fields of every webhook of a call, in Twilio's words. Sources: "TwiML voice request", "Call resource", "Media Streams",
//! "Recording status callbacks", "Real-time transcription".

use serde_json::json;

use super::super::Now;
use super::super::network::Overheard;
use super::super::twiml::Target;
use super::dialling::Dialled;
use super::{Action, Call, Direction, Purpose, Request, Status};

type Fields = Vec<(String, String)>;

fn field(fields: &mut Fields, name: &str, value: impl Into<String>) {
    fields.push((name.to_owned(), value.into()));
}

/// The name under which a status is subscribed to.
fn event(status: Status) -> &'static str {
    match status {
        Status::Queued | Status::Initiated => "initiated",
        Status::Ringing => "ringing",
        Status::InProgress => "answered",
        Status::Canceled | Status::NoAnswer | Status::Busy | Status::Failed | Status::Completed => "completed",
    }
}

impl Call {
    /// What every webhook of the leg carries.
    pub(super) fn standard_fields(&self, _now: Now) -> Fields {
        let mut fields = self.leg.fields.clone();
        for (name, value) in [
            ("AccountSid", self.leg.account_sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", self.leg.sid.as_str()),
            ("From", self.leg.from.as_str()),
            ("Caller", self.leg.from.as_str()),
            ("To", self.leg.to.as_str()),
            ("Called", self.leg.to.as_str()),
            ("Direction", self.leg.direction.as_str()),
            ("CallStatus", self.status.as_str()),
        ] {
            if !fields.iter().any(|(taken, _)| taken == name) {
                field(&mut fields, name, value);
            }
        }
        if let Some(by) = &self.answered_by {
            field(&mut fields, "AnsweredBy", by);
        }
        fields
    }

    fn notify(&mut self, purpose: Purpose, target: Option<Target>, fields: Fields) {
        if let Some(target) = target {
            self.actions.push_back(Action::Notify(Request { purpose, target, fields }));
        }
    }

    pub(super) fn notify_status(&mut self, now: Now, status: Status) {
        let wanted = if self.leg.status_events.is_empty() {
            event(status) == "completed"
        } else {
            self.leg.status_events.iter().any(|wanted| wanted == event(status))
        };
        if !wanted || self.leg.status_callback.is_none() {
            return;
        }
        let mut fields = self.standard_fields(now);
        self.progress_fields(now, &mut fields, self.notices);
        self.notices += 1;
        if status.is_terminal() {
            let seconds = self.duration_s().unwrap_or(0);
            field(&mut fields, "CallDuration", seconds.to_string());
            if status == Status::Completed {
                field(&mut fields, "Duration", seconds.div_ceil(60).to_string());
            }
            if let Some(code) = self.sip_code {
                field(&mut fields, "SipResponseCode", code.to_string());
            }
        }
        if self.leg.direction == Direction::OutboundApi && matches!(status, Status::Ringing | Status::InProgress) {
            field(&mut fields, "StirStatus", "B");
        }
        self.notify(Purpose::Status, self.leg.status_callback.clone(), fields);
    }

    fn progress_fields(&self, now: Now, fields: &mut Fields, sequence: u32) {
        field(fields, "CallbackSource", "call-progress-events");
        field(fields, "SequenceNumber", sequence.to_string());
        field(fields, "Timestamp", self.clock.rfc2822(now));
    }

    /// Sets the status of a dialled leg and tells whoever wants to know.
    pub(super) fn notify_dialled(&mut self, now: Now, leg: &mut Dialled, status: Status) {
        leg.status = status;
        if status.is_terminal() {
            leg.ended = Some(now);
        }
        if leg.callback.is_none() || !leg.events.iter().any(|wanted| wanted == event(status)) {
            return;
        }
        let mut fields = Fields::new();
        for (name, value) in [
            ("AccountSid", self.leg.account_sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", leg.sid.as_str()),
            ("ParentCallSid", self.leg.sid.as_str()),
            ("From", self.leg.from.as_str()),
            ("Caller", self.leg.from.as_str()),
            ("To", leg.to.as_str()),
            ("Called", leg.to.as_str()),
            ("Direction", "outbound-dial"),
            ("CallStatus", status.as_str()),
        ] {
            field(&mut fields, name, value);
        }
        self.progress_fields(now, &mut fields, leg.sequence);
        leg.sequence += 1;
        if status.is_terminal() {
            let lasted = leg.answered.map_or(0, |at| now.saturating_sub(at).as_millis().div_ceil(1000));
            field(&mut fields, "CallDuration", lasted.to_string());
            if status == Status::Completed {
                field(&mut fields, "Duration", lasted.div_ceil(60).to_string());
            }
        }
        self.notify(Purpose::Status, leg.callback.clone(), fields);
    }

    pub(super) fn notify_stream(&mut self, now: Now, sid: &str, event: &str, error: Option<&str>) {
        let Some(stream) = self.streams.get(sid) else { return };
        let target = stream.noun.status_callback.clone();
        let mut fields = Fields::new();
        field(&mut fields, "AccountSid", &self.leg.account_sid);
        field(&mut fields, "CallSid", &self.leg.sid);
        field(&mut fields, "StreamSid", sid);
        field(&mut fields, "StreamName", stream.noun.name.clone().unwrap_or_else(|| sid.to_owned()));
        field(&mut fields, "StreamEvent", event);
        if let Some(error) = error {
            field(&mut fields, "StreamError", error);
        }
        field(&mut fields, "Timestamp", self.clock.iso8601(now));
        self.notify(Purpose::Stream, target, fields);
    }

    pub(super) fn notify_transcription(&mut self, now: Now, sid: &str, event: &str, line: Option<&Overheard>) {
        let Some(transcription) = self.transcriptions.get_mut(sid) else { return };
        transcription.sequence += 1;
        let (noun, sequence) = (transcription.noun.clone(), transcription.sequence);
        let mut fields = Fields::new();
        field(&mut fields, "AccountSid", &self.leg.account_sid);
        field(&mut fields, "CallSid", &self.leg.sid);
        field(&mut fields, "TranscriptionSid", sid);
        field(&mut fields, "Timestamp", self.clock.iso8601(now));
        field(&mut fields, "SequenceId", sequence.to_string());
        field(&mut fields, "TranscriptionEvent", event);
        if event == "transcription-started" {
            field(&mut fields, "ProviderConfiguration", json!({"speechModel": "telephony"}).to_string());
            field(&mut fields, "TranscriptionEngine", &noun.engine);
            field(&mut fields, "Name", noun.name.clone().unwrap_or_else(|| sid.to_owned()));
            field(&mut fields, "Track", noun.track);
            field(&mut fields, "InboundTrackLabel", noun.labels[0].clone().unwrap_or_default());
            field(&mut fields, "OutboundTrackLabel", noun.labels[1].clone().unwrap_or_default());
            field(&mut fields, "PartialResults", noun.partial_results.to_string());
            field(&mut fields, "LanguageCode", &noun.language);
        }
        if let Some(line) = line {
            field(&mut fields, "LanguageCode", &noun.language);
            field(&mut fields, "Track", &line.track);
            let data = json!({"transcript": line.text, "confidence": 0.956_335});
            field(&mut fields, "TranscriptionData", data.to_string());
            field(&mut fields, "Final", "true");
        }
        self.notify(Purpose::Transcription, noun.status_callback, fields);
    }

    pub(super) fn notify_recording(&mut self, now: Now, sid: &str, status: &str) {
        let Some(recording) = self.recordings.get(sid) else { return };
        if !recording.noun.events.iter().any(|wanted| wanted == status) {
            return;
        }
        let account = &self.leg.account_sid;
        let url = format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{sid}");
        let mut fields = Fields::new();
        field(&mut fields, "AccountSid", account);
        field(&mut fields, "CallSid", &self.leg.sid);
        field(&mut fields, "RecordingSid", sid);
        field(&mut fields, "RecordingUrl", url);
        field(&mut fields, "RecordingStatus", status);
        if status == "completed" {
            let lasted = recording.until.unwrap_or(now).saturating_sub(recording.since);
            field(&mut fields, "RecordingDuration", lasted.as_secs().to_string());
        }
        field(&mut fields, "RecordingChannels", recording.noun.channels.to_string());
        field(&mut fields, "RecordingStartTime", self.clock.rfc2822(recording.since));
        field(&mut fields, "RecordingSource", recording.source);
        field(&mut fields, "RecordingTrack", recording.noun.track);
        let target = recording.noun.status_callback.clone();
        self.notify(Purpose::Recording, target, fields);
    }

    pub(super) fn notify_detection(&mut self, callback: Option<Target>) {
        let mut fields = Fields::new();
        field(&mut fields, "AccountSid", &self.leg.account_sid);
        field(&mut fields, "CallSid", &self.leg.sid);
        field(&mut fields, "AnsweredBy", self.answered_by.clone().unwrap_or_default());
        field(&mut fields, "MachineDetectionDuration", self.network.detection_ms.to_string());
        self.notify(Purpose::Detection, callback, fields);
    }
}
