//! Twilio's REST service as far as the control plane uses it, written from its documentation: creating, fetching, ending and
//! listing calls. Answers can be scripted; without a script it behaves.

use crate::http::Method;
use crate::ports::{Incoming, NoAnswer, Outgoing};
use serde_json::{Value, json};
use shared::time::UnixMillis;
use std::collections::{BTreeMap, VecDeque};

/// A call at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Twilio's status.
    pub status: String,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// Seconds connected, once over.
    pub duration: Option<String>,
    /// When it was created.
    pub created: UnixMillis,
}

/// What happens to the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// It is answered so and has no effect.
    Answer(Incoming),
    /// It is lost on the way.
    Lost,
    /// It has its effect, and the answer is lost.
    AnswerLost,
}

/// A request as Twilio received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path, with the query.
    pub path: String,
    /// Its form's fields.
    pub form: Vec<(String, String)>,
}

/// Twilio.
#[derive(Debug, Default)]
pub struct Twilio {
    /// Its calls.
    pub calls: BTreeMap<String, Call>,
    /// What happens to the next requests.
    pub script: VecDeque<Script>,
    /// Every request it received.
    pub received: Vec<Received>,
}

impl Twilio {
    pub(super) fn answer(&mut self, request: Outgoing, now: UnixMillis) -> Result<Incoming, NoAnswer> {
        let path = request.url.splitn(4, '/').nth(3).map(|p| format!("/{p}")).unwrap_or_default();
        let form: Vec<(String, String)> =
            form_urlencoded::parse(request.form.unwrap_or_default().as_bytes()).into_owned().collect();
        self.received.push(Received { method: request.method, path: path.clone(), form: form.clone() });
        match self.script.pop_front() {
            Some(Script::Answer(incoming)) => return Ok(incoming),
            Some(Script::Lost) => return Err(NoAnswer),
            Some(Script::AnswerLost) => {
                self.serve(request.method, &path, &form, now);
                return Err(NoAnswer);
            }
            None => {}
        }
        Ok(self.serve(request.method, &path, &form, now))
    }

    fn serve(&mut self, method: Method, path: &str, form: &[(String, String)], now: UnixMillis) -> Incoming {
        let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let sid = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json").to_owned();
        match (method, sid.as_str()) {
            (Method::Post, "Calls") => {
                let sid = format!("CA{:032}", 9_000 + self.calls.len());
                let call = Call {
                    status: "queued".into(),
                    from: field("From"),
                    to: field("To"),
                    duration: None,
                    created: now,
                };
                self.calls.insert(sid.clone(), call);
                self.show(201, &sid)
            }
            (Method::Get, "Calls") => {
                let wanted: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let same = |call: &Call| {
                    wanted.get("To").is_none_or(|to| *to == call.to)
                        && wanted.get("From").is_none_or(|f| *f == call.from)
                };
                let calls: Vec<Value> =
                    self.calls.iter().filter(|(_, call)| same(call)).map(|(sid, call)| resource(sid, call)).collect();
                reply(200, &json!({ "calls": calls, "next_page_uri": null }))
            }
            (Method::Post, _) if self.calls.contains_key(&sid) => {
                if let Some(call) = self.calls.get_mut(&sid)
                    && matches!(field("Status").as_str(), "completed" | "canceled")
                {
                    if !matches!(call.status.as_str(), "queued" | "ringing" | "in-progress") {
                        return reply(
                            400,
                            &json!({"code": 21220, "message": "Call is not in-progress", "status": 400}),
                        );
                    }
                    call.status = "completed".into();
                    call.duration = Some("7".into());
                }
                self.show(200, &sid)
            }
            (Method::Get, _) if self.calls.contains_key(&sid) => self.show(200, &sid),
            _ => reply(404, &json!({"code": 20404, "message": "not found", "status": 404})),
        }
    }

    fn show(&self, status: u16, sid: &str) -> Incoming {
        let body = self.calls.get(sid).map_or(Value::Null, |call| resource(sid, call));
        reply(status, &body)
    }
}

fn resource(sid: &str, call: &Call) -> Value {
    let over = !matches!(call.status.as_str(), "queued" | "ringing" | "in-progress");
    json!({
        "sid": sid,
        "status": call.status,
        "direction": "outbound-api",
        "from": call.from,
        "to": call.to,
        "duration": call.duration,
        "start_time": null,
        "end_time": over.then(|| call.created.plus(60_000).to_rfc2822()),
        "date_created": call.created.to_rfc2822(),
    })
}

/// An answer of Twilio's.
pub fn reply(status: u16, body: &Value) -> Incoming {
    Incoming { status, retry_after_s: None, body: body.to_string().into_bytes() }
}
