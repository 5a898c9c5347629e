//! `GET /api/calls/{sid}/transcript`: what was said, as JSON, as plain text, or as an event stream that lasts as long as the
//! call.

use super::Outcome;
use super::auth::Who;
use super::lookup::{self, FoundCall};
use crate::config::Config;
use crate::http::{Reply, Request, Response};
use crate::ports::Ports;
use shared::api::TranscriptBody;
use shared::node_api::Speaker;
use shared::transcript::TranscriptLine;

/// The forms that a client may ask for.
enum Form {
    Json,
    Text,
    Events,
}

/// Shows a transcript.
pub(super) async fn show<P: Ports>(config: &Config, ports: &P, request: &Request, who: &Who, name: &str) -> Outcome {
    let found = lookup::find(config, ports, name).await?;
    let head = match &found {
        FoundCall::Live(shown) => shown.snapshot.seq,
        // Its room says the end at once, and the stream then knows where that is.
        FoundCall::Stored(_) => u64::MAX,
    };
    let body = match found {
        FoundCall::Live(shown) => TranscriptBody {
            call: shown.snapshot.call,
            call_sid: shown.snapshot.call_sid,
            complete: shown.settled,
            lines: shown.snapshot.transcript,
        },
        FoundCall::Stored(stored) => TranscriptBody {
            call: stored.row.call,
            call_sid: stored.row.call_sid,
            complete: stored.settled,
            lines: stored.transcript,
        },
    };
    Ok(match wanted(request) {
        Form::Json => Reply::Respond(Response::json(200, &body)),
        Form::Text => {
            let text: String = body.lines.iter().map(line_of_text).collect();
            Reply::Respond(Response::text(200, "text/plain; charset=utf-8", text))
        }
        Form::Events => {
            let after = request.header("last-event-id").and_then(|id| id.trim().parse().ok());
            // An id that this call has not reached is another call's: everything anew.
            let after = after.filter(|after| *after <= head).unwrap_or_default();
            Reply::Stream { call: body.call, after, pass: who.pass() }
        }
    })
}

/// The first form in `Accept` that exists; JSON otherwise.
fn wanted(request: &Request) -> Form {
    let accept = request.header("accept").unwrap_or_default();
    for kind in accept.split(',').filter_map(|part| part.split(';').next()) {
        match kind.trim() {
            "application/json" => return Form::Json,
            "text/plain" => return Form::Text,
            "text/event-stream" => return Form::Events,
            _ => {}
        }
    }
    Form::Json
}

/// One line of plain text; a line break inside what was said becomes a space.
fn line_of_text(line: &TranscriptLine) -> String {
    let who = match line.speaker {
        Speaker::Caller => "Caller",
        Speaker::Agent => "Agent",
    };
    let cut = if line.heard.is_some_and(|part| part.cut) { " [interrupted]" } else { "" };
    let text: String = line.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("[{}] {who}: {text}{cut}\n", line.started_at.to_rfc3339())
}
