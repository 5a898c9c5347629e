//! A node without an edge: the plan file that every stream gets, and facts as lines on standard output. It is how benchmarks,
//! and people who bring their own TwiML, run the node. Deciding when that is allowed lives in `config`.
//!
//! ```toml
//! provider = "openai"            # or all of an agent, as in the API, under [agent]
//! instructions = "Be brief."
//! greeting = "Good morning."
//! [limits]
//! maxDurationS = 600
//! ```

use crate::metrics::Metrics;
use serde::{Deserialize, Serialize};
use shared::agent::{Agent, Limits, TurnDetection, VoicePlan};
use shared::call::Direction;
use shared::ids::{AgentId, CallId, CallSid, Party, StreamSid};
use shared::node_api::{CallPlan, NodeEvent};
use shared::time::UnixMillis;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

/// What every stream of a standalone node gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Who speaks.
    pub agent: Agent,
    /// Values for the agent's instructions.
    pub variables: BTreeMap<String, String>,
}

/// Why a plan file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// There is no such file, or it may not be read.
    #[error("names a file that cannot be read")]
    Unreadable,
    /// Not TOML of the right shape. The parser's words name fields and lines.
    #[error("is not a plan: {0}")]
    Shape(String),
    /// The agent breaks a rule of its own.
    #[error("has an invalid agent: {0}")]
    Agent(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanFile {
    #[serde(default)]
    agent: Option<toml::Table>,
    provider: Option<String>,
    model: Option<String>,
    voice: Option<String>,
    turn_detection: Option<TurnDetection>,
    fallback: Option<VoicePlan>,
    instructions: Option<String>,
    greeting: Option<String>,
    language: Option<String>,
    limits: Option<Limits>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

/// Reads a plan file.
pub fn read_plan(path: &Path) -> Result<Plan, PlanProblem> {
    parse_plan(&std::fs::read_to_string(path).map_err(|_| PlanProblem::Unreadable)?)
}

/// Reads a plan from its text. Fields beside `[agent]` overrule those in it.
pub fn parse_plan(text: &str) -> Result<Plan, PlanProblem> {
    let shape = |error: toml::de::Error| PlanProblem::Shape(error.message().to_owned());
    let file: PlanFile = toml::from_str(text).map_err(shape)?;
    let mut agent = match file.agent {
        Some(mut table) => {
            table.entry("id").or_insert_with(|| "standalone".into());
            table.entry("name").or_insert_with(|| "Standalone".into());
            table.try_into::<Agent>().map_err(shape)?
        }
        None if file.provider.is_some() => {
            let id = AgentId::parse("standalone").map_err(|e| PlanProblem::Agent(e.to_string()))?;
            Agent { name: "Standalone".to_owned(), ..Agent::line_test(id) }
        }
        None => return Err(PlanProblem::Shape("it needs `provider` or an `[agent]`".to_owned())),
    };
    let voice = &mut agent.voice;
    voice.provider = file.provider.unwrap_or_else(|| voice.provider.clone());
    voice.model = file.model.or_else(|| voice.model.take());
    voice.voice = file.voice.or_else(|| voice.voice.take());
    voice.turn_detection = file.turn_detection.unwrap_or_else(|| voice.turn_detection.clone());
    agent.fallback = file.fallback.or(agent.fallback);
    agent.instructions = file.instructions.unwrap_or(agent.instructions);
    agent.greeting = file.greeting.or(agent.greeting);
    agent.language = file.language.unwrap_or(agent.language);
    agent.limits = file.limits.unwrap_or(agent.limits);
    agent.validate().map_err(|e| PlanProblem::Agent(e.to_string()))?;
    Ok(Plan { agent, variables: file.variables })
}

impl Plan {
    /// The plan of one call. Twilio does not say who calls, only the TwiML's author could.
    pub fn for_call(&self, call: CallId, call_sid: CallSid) -> CallPlan {
        CallPlan {
            call,
            call_sid,
            direction: Direction::Inbound,
            caller: Party::Unknown,
            agent: self.agent.clone(),
            variables: self.variables.clone(),
            greeted: false,
            heard: Vec::new(),
            remaining_s: self.agent.limits.max_duration_s,
        }
    }
}

/// Where a standalone node's lines go. Bounded: a reader that stops reading costs facts, never the callers' audio.
pub type Lines = SyncSender<String>;
/// How many lines may wait for a reader.
pub const MAX_LINES_WAITING: usize = 16_384;

/// One call's facts on their way to the lines.
#[derive(Debug)]
pub(crate) struct FactWriter {
    call_sid: CallSid,
    stream_sid: StreamSid,
    line: u64,
    lines: Lines,
    metrics: Arc<Metrics>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FactLine<'a> {
    call_sid: &'a CallSid,
    stream_sid: &'a StreamSid,
    line: u64,
    at: UnixMillis,
    event: &'a NodeEvent,
}

impl FactWriter {
    pub(crate) fn new(call_sid: CallSid, stream_sid: StreamSid, lines: Lines, metrics: Arc<Metrics>) -> Self {
        Self { call_sid, stream_sid, line: 0, lines, metrics }
    }

    /// Writes a fact; one that cannot be taken is counted.
    pub(crate) fn write(&mut self, at: UnixMillis, event: &NodeEvent) {
        self.line += 1;
        let (call_sid, stream_sid) = (&self.call_sid, &self.stream_sid);
        let text = serde_json::to_string(&FactLine { call_sid, stream_sid, line: self.line, at, event });
        match self.lines.try_send(text.unwrap_or_default()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.facts_lost.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_may_be_short_or_a_whole_agent() -> Result<(), PlanProblem> {
        let short = parse_plan("provider = \"echo\"\n[limits]\nmaxDurationS = 60")?;
        assert_eq!((short.agent.voice.provider.as_str(), short.agent.limits.max_duration_s), ("echo", 60));
        let whole = parse_plan(
            "greeting = \"Hello.\"\n[variables]\nshop = \"north\"\n[agent]\nname = \"Front desk\"\nlanguage = \"de-DE\"\n\
             [agent.voice]\nprovider = \"openai\"\nmodel = \"m\"",
        )?;
        assert_eq!(whole.agent.voice.model.as_deref(), Some("m"));
        assert_eq!((whole.agent.greeting.as_deref(), whole.agent.language.as_str()), (Some("Hello."), "de-DE"));
        assert_eq!(whole.variables["shop"], "north");
        Ok(())
    }

    #[test]
    fn a_wrong_plan_says_what_is_wrong() {
        for (text, word) in [
            ("", "provider"),
            ("provider = 1", "string"),
            ("provider = \"echo\"\ncolour = \"red\"", "colour"),
            ("provider = \"Echo!\"", "provider"),
            ("provider = \"echo\"\n[limits]\nsilenceS = 1", "silenceS"),
        ] {
            let problem = parse_plan(text).expect_err(text).to_string();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
