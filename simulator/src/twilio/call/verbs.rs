//! What each verb of a document does to a call, and what its end leads to. `<Dial>` has its own file.

use std::time::Duration;

use super::super::stream::Kind;
use super::super::twiml::{Document, Recording, Stop, StreamNoun, Target, Transcription, Verb};
use super::super::{Alert, Now};
use super::{
    Action, Call, Direction, Doing, Fetched, LiveRecording, LiveStream, LiveTranscription, Purpose, Request, Status,
    StreamEnd, Timer,
};

/// How fast Twilio's own voice speaks.
const PER_CHARACTER: Duration = Duration::from_millis(65);
/// How long a digit sounds.
const PER_DIGIT: Duration = Duration::from_millis(250);
/// Nothing that is played once lasts longer here.
const LONGEST: Duration = Duration::from_secs(60);

impl Call {
    pub(super) fn run_document(&mut self, now: Now, document: Document) {
        for warning in document.warnings {
            self.alert(warning);
        }
        self.verbs = document.verbs.into();
        self.next_verb(now);
    }

    /// Plays verbs until one takes time; at the document's end the call is hung up.
    pub(super) fn next_verb(&mut self, now: Now) {
        self.generation += 1;
        self.doing = Doing::Nothing;
        while !self.status.is_terminal() {
            let first = std::mem::replace(&mut self.first_verb, false);
            let Some(verb) = self.verbs.pop_front() else {
                self.answer(now);
                return self.end(now, Status::Completed);
            };
            let unanswered = self.leg.direction == Direction::Inbound && self.answered.is_none();
            match &verb {
                Verb::Reject { .. } if first && unanswered => {}
                Verb::Pause { .. } if first && unanswered => {}
                Verb::Redirect(_) if unanswered => {}
                Verb::Dial(dial) if first && unanswered && dial.answer_on_bridge => {}
                Verb::Reject { .. }
                | Verb::Pause { .. }
                | Verb::Redirect(_)
                | Verb::Dial(_)
                | Verb::Say { .. }
                | Verb::Play { .. }
                | Verb::Hangup
                | Verb::Connect { .. }
                | Verb::StartStream(_)
                | Verb::StartTranscription(_)
                | Verb::StartRecording(_)
                | Verb::Stop(_)
                | Verb::Gather { .. } => self.answer(now),
            }
            if self.run_verb(now, verb, first && unanswered) {
                return;
            }
        }
    }

    /// Whether the verb takes time (or ended the call).
    fn run_verb(&mut self, now: Now, verb: Verb, unanswered_first: bool) -> bool {
        match verb {
            Verb::Say { text, times } => {
                let length = PER_CHARACTER * u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                self.announce(now, text, length.min(LONGEST) * times.clamp(1, 3));
            }
            Verb::Play { url: Some(url), times, .. } => {
                self.fetches += 1;
                self.doing = Doing::Loading { id: self.fetches, times };
                let target = Target { url, method: super::twiml::Method::Get };
                let request = Request { purpose: Purpose::Audio, target, fields: Vec::new() };
                self.actions.push_back(Action::Fetch(self.fetches, request));
            }
            Verb::Play { url: None, digits, times } => {
                let digits = digits.unwrap_or_default();
                let length = PER_DIGIT * u32::try_from(digits.len()).unwrap_or(u32::MAX);
                self.announce(now, format!("(digits {digits})"), length.min(LONGEST) * times.clamp(1, 3));
            }
            Verb::Pause { seconds } => {
                self.doing = Doing::Waiting;
                self.after(now, u64::from(seconds) * 1000, Timer::VerbEnds(self.generation));
            }
            Verb::Redirect(target) => self.fetch(now, Purpose::Voice, target, Vec::new()),
            Verb::Hangup => self.end(now, Status::Completed),
            Verb::Reject { busy } if unanswered_first => {
                self.end_with_sip(
                    now,
                    if busy { Status::Busy } else { Status::NoAnswer },
                    if busy { 486 } else { 603 },
                );
            }
            Verb::Reject { .. } => self.end(now, Status::Completed),
            Verb::Connect { action, stream } => {
                let sid = self.open_stream(Kind::Bidirectional, stream);
                self.doing = Doing::Streaming { sid, action };
            }
            Verb::Dial(dial) => self.dial(now, dial),
            Verb::Gather { .. } => self.gather(now, verb),
            Verb::StartStream(noun) => {
                self.open_stream(Kind::Unidirectional, noun);
                return false;
            }
            Verb::StartTranscription(noun) => {
                self.start_transcription(now, noun);
                return false;
            }
            Verb::StartRecording(noun) => {
                self.start_recording(now, noun, "StartCallRecordingTwiML");
                return false;
            }
            Verb::Stop(stop) => {
                self.stop_named(now, &stop);
                return false;
            }
        }
        true
    }

    fn announce(&mut self, now: Now, text: String, lasts: Duration) {
        self.doing = Doing::Waiting;
        self.actions.push_back(Action::Announce { text, lasts });
        self.timers.push((now + lasts, Timer::VerbEnds(self.generation)));
    }

    pub(super) fn loaded(&mut self, now: Now, times: u32, result: Result<Fetched, Alert>) {
        let audio = result.and_then(|file| match file.content_type.as_deref().map(str::to_ascii_lowercase) {
            Some(kind) if kind.starts_with("audio/") => Ok(file.body.len()),
            _ => Err(Alert::new(12300, "a <Play> file that is not audio")),
        });
        match audio {
            Ok(bytes) => {
                let length = Duration::from_millis(bytes as u64 / 8).min(LONGEST) * times.clamp(1, 3);
                self.announce(now, "(a file is played)".to_owned(), length);
            }
            Err(alert) => {
                self.alert(alert);
                self.next_verb(now);
            }
        }
    }

    pub(super) fn verb_ended(&mut self, now: Now) {
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Waiting => self.next_verb(now),
            Doing::Gathering { verb, digits } => self.gathered(now, verb, digits),
            doing @ (Doing::Nothing
            | Doing::Fetching { .. }
            | Doing::Loading { .. }
            | Doing::Streaming { .. }
            | Doing::Dialling(_)) => self.doing = doing,
        }
    }

    fn gather(&mut self, now: Now, verb: Verb) {
        let Verb::Gather { prompts, timeout_s, .. } = &verb else { return };
        let mut spoken = Duration::ZERO;
        for prompt in prompts {
            match prompt {
                Verb::Say { text, .. } => {
                    let lasts = (PER_CHARACTER * u32::try_from(text.chars().count()).unwrap_or(u32::MAX)).min(LONGEST);
                    spoken += lasts;
                    self.actions.push_back(Action::Announce { text: text.clone(), lasts });
                }
                Verb::Pause { seconds } => spoken += Duration::from_secs(u64::from(*seconds)),
                Verb::Play { .. } => spoken += Duration::from_secs(1),
                // The reader lets nothing else be a prompt.
                Verb::Redirect(_)
                | Verb::Hangup
                | Verb::Reject { .. }
                | Verb::Connect { .. }
                | Verb::Dial(_)
                | Verb::StartStream(_)
                | Verb::StartTranscription(_)
                | Verb::StartRecording(_)
                | Verb::Stop(_)
                | Verb::Gather { .. } => {}
            }
        }
        let until = now + spoken + Duration::from_secs(u64::from(*timeout_s));
        self.timers.push((until, Timer::VerbEnds(self.generation)));
        self.doing = Doing::Gathering { verb, digits: String::new() };
    }

    pub(super) fn digit(&mut self, now: Now, digit: char) {
        let Doing::Gathering { verb, digits } = &mut self.doing else { return };
        let Verb::Gather { timeout_s, num_digits, finish_on_key, .. } = &*verb else { return };
        let finished = *finish_on_key == Some(digit);
        if !finished {
            digits.push(digit);
        }
        let full = num_digits.is_some_and(|n| digits.chars().count() >= n as usize);
        let timeout = Duration::from_secs(u64::from(*timeout_s));
        if finished || full {
            self.verb_ended(now);
        } else {
            self.generation += 1;
            self.timers.push((now + timeout, Timer::VerbEnds(self.generation)));
        }
    }

    fn gathered(&mut self, now: Now, verb: Verb, digits: String) {
        let Verb::Gather { action, action_on_empty, .. } = verb else { return };
        if digits.is_empty() && !action_on_empty {
            return self.next_verb(now);
        }
        self.generation += 1;
        self.fetch(now, Purpose::Action, action, vec![("Digits".to_owned(), digits)]);
    }

    fn open_stream(&mut self, kind: Kind, noun: StreamNoun) -> String {
        let sid = self.dice.sid("MZ");
        self.actions.push_back(Action::OpenStream { sid: sid.clone(), kind, noun: noun.clone() });
        self.streams.insert(sid.clone(), LiveStream { kind, noun, open: false });
        sid
    }

    pub(super) fn stream_opened(&mut self, now: Now, sid: &str) {
        if let Some(stream) = self.streams.get_mut(sid) {
            stream.open = true;
            self.notify_stream(now, sid, "stream-started", None);
        }
    }

    pub(super) fn stream_ended(&mut self, now: Now, sid: &str, end: StreamEnd) {
        let Some(stream) = self.streams.get(sid) else { return };
        let kind = stream.kind;
        let alert = match &end {
            StreamEnd::Refused(alert) => alert.clone(),
            StreamEnd::ServerClosed => Alert::new(31921, "the server closed the stream"),
            StreamEnd::Broken => Alert::new(31903, "the stream's socket broke"),
            StreamEnd::Violation => Alert::new(31924, "the server broke the WebSocket protocol"),
        };
        match &end {
            StreamEnd::ServerClosed => self.notify_stream(now, sid, "stream-stopped", None),
            StreamEnd::Refused(_) | StreamEnd::Broken | StreamEnd::Violation => {
                self.notify_stream(now, sid, "stream-error", Some(&alert.to_string()));
            }
        }
        self.alert(alert);
        self.streams.remove(sid);
        if kind == Kind::Unidirectional {
            return;
        }
        let dies = end == StreamEnd::Broken && !self.network.survives_stream_death;
        let Doing::Streaming { sid: present, action } = &self.doing else { return };
        if present != sid {
            return;
        }
        match action.clone() {
            _ if dies => self.end(now, Status::Completed),
            Some(action) => {
                self.generation += 1;
                self.fetch(now, Purpose::Action, action, Vec::new());
            }
            None => self.next_verb(now),
        }
    }

    pub(super) fn stop_stream(&mut self, now: Now, sid: &str) {
        if let Some(stream) = self.streams.get(sid) {
            if stream.open {
                self.notify_stream(now, sid, "stream-stopped", None);
            }
            self.streams.remove(sid);
            self.actions.push_back(Action::StopStream { sid: sid.to_owned() });
        }
    }

    fn start_transcription(&mut self, now: Now, noun: Transcription) {
        let sid = self.dice.sid("GT");
        if let Some(alert) = noun.refused.clone() {
            return self.alert(alert);
        }
        for (index, line) in self.network.overheard.clone().iter().enumerate() {
            if noun.track == "both_tracks" || noun.track == line.track {
                self.after(now, line.after_ms, Timer::Overheard(sid.clone(), index));
            }
        }
        self.transcriptions.insert(sid.clone(), LiveTranscription { noun, sequence: 0 });
        self.notify_transcription(now, &sid, "transcription-started", None);
    }

    pub(super) fn overheard(&mut self, now: Now, sid: &str, index: usize) {
        if self.transcriptions.contains_key(sid) {
            let line = self.network.overheard.get(index).cloned();
            self.notify_transcription(now, sid, "transcription-content", line.as_ref());
        }
    }

    pub(super) fn stop_transcription(&mut self, now: Now, sid: &str) {
        if self.transcriptions.contains_key(sid) {
            self.notify_transcription(now, sid, "transcription-stopped", None);
            self.transcriptions.remove(sid);
        }
    }

    pub(super) fn start_recording(&mut self, now: Now, noun: Recording, source: &'static str) {
        let sid = self.dice.sid("RE");
        self.recordings.insert(sid.clone(), LiveRecording { noun, source, since: now, until: None });
        self.notify_recording(now, &sid, "in-progress");
    }

    pub(super) fn stop_recording(&mut self, now: Now, sid: &str) {
        if let Some(recording) = self.recordings.get_mut(sid)
            && recording.until.is_none()
        {
            recording.until = Some(now);
            self.after(now, self.network.recording_ready_ms, Timer::RecordingReady(sid.to_owned()));
        }
    }

    /// Less than a second of audio is no recording.
    pub(super) fn recording_ready(&mut self, now: Now, sid: &str) {
        let Some(recording) = self.recordings.get(sid) else { return };
        let lasted = recording.until.unwrap_or(now).saturating_sub(recording.since);
        let status = if lasted < Duration::from_secs(1) { "absent" } else { "completed" };
        self.notify_recording(now, sid, status);
        self.recordings.remove(sid);
    }

    fn stop_named(&mut self, now: Now, stop: &Stop) {
        let named = |name: Option<&String>, sid: &String| name == Some(&stop.name) || *sid == stop.name;
        match stop.kind.as_str() {
            "Stream" => {
                let found =
                    self.streams.iter().find(|(sid, s)| named(s.noun.name.as_ref(), sid)).map(|(s, _)| s.clone());
                if let Some(sid) = found {
                    self.stop_stream(now, &sid);
                }
            }
            "Transcription" => {
                let all = self.transcriptions.iter();
                let found = { all }.find(|(sid, t)| named(t.noun.name.as_ref(), sid)).map(|(s, _)| s.clone());
                if let Some(sid) = found {
                    self.stop_transcription(now, &sid);
                }
            }
            _ => {
                let all = self.recordings.iter();
                let found = { all }.find(|(sid, r)| named(r.noun.name.as_ref(), sid)).map(|(s, _)| s.clone());
                if let Some(sid) = found {
                    self.stop_recording(now, &sid);
                }
            }
        }
    }
}
