//! A scenario: everything about one simulated call, in one TOML file: the agent and its number, what the provider's twin says,
//! the network, what goes wrong, what the person does, and what has to come of it. Reading and checking live here; playing is
//! [`crate::world`]'s and judging [`crate::verdict`]'s.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use shared::agent::Agent;
use shared::call::{CallStatus, EndReason};

use crate::caller::{Act, Step, When};
use crate::provider::openai::Options;
use crate::speech::{Library, Who};
use crate::twilio::exchange::Cast;
use crate::twilio::network::Network;
use crate::twilio::post::Mischief;
use crate::twilio::rest::RestFault;
use crate::twilio::stream::Farewell;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        /// The scenarios inside the program, by name.
        pub const EMBEDDED: &[(&str, &str)] = &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*];
    };
}
embedded![
    "clinic",
    "line-test",
    "outbound",
    "no-answer",
    "faults",
    "lost-callbacks",
    "provider-lost",
    "oddities",
    "softphone"
];

/// Who begins the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A person calls the number.
    Inbound,
    /// The edge is asked, through its API, to call a person.
    Outbound,
    /// A person in a browser calls through the TwiML application.
    Browser,
}

/// How the audio is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AudioRule {
    /// Byte for byte between the person and the provider's twin, both ways.
    #[default]
    Provider,
    /// What the person says comes back, byte for byte.
    Echo,
    /// There is none to judge.
    None,
}

/// A scenario as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What happens, in a sentence or two.
    pub about: String,
    /// Who begins the call.
    pub kind: Kind,
    /// The account's number, E.164.
    #[serde(default = "our_number")]
    pub number: String,
    /// The person's number, E.164; of a browser: its identity.
    #[serde(default = "their_number")]
    pub person: String,
    /// The agent to create; none: the built-in line test.
    #[serde(default)]
    pub agent: Option<Agent>,
    /// How the provider's twin behaves.
    #[serde(default)]
    pub provider: Options,
    /// The network around the call.
    #[serde(default)]
    pub network: Network,
    /// How callbacks suffer.
    #[serde(default)]
    pub callbacks: Mischief,
    /// What goes wrong with Twilio's REST interface.
    #[serde(default)]
    pub rest_faults: Vec<RestFault>,
    /// Oddities of Twilio's side.
    #[serde(default)]
    pub twilio: TwilioOddities,
    /// What the person does.
    #[serde(default)]
    pub caller: Vec<CallerStep>,
    /// Fields that a browser sends with its call.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// How the watcher behaves.
    #[serde(default)]
    pub watcher: WatcherPlan,
    /// What has to come of it.
    pub expect: Expectation,
}

/// Oddities of Twilio's side in one call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwilioOddities {
    /// `stop-then-close` (documented), `stop-only` or `close-only`.
    pub farewell: FarewellWord,
    /// Every so-manieth frame of the person's is lost; 0: none.
    pub lose_every: u32,
    /// One more frame is sent after `stop`.
    pub stray_frame: bool,
    /// The REST interface's reads lag so long behind.
    pub read_lag_ms: u64,
    /// An inbound caller hangs up when it has rung for so long.
    pub hangs_up_ringing_ms: Option<u64>,
    /// Seed of the noise and of everything that goes wrong by chance.
    pub seed: Option<u64>,
}

/// See [`TwilioOddities::farewell`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FarewellWord {
    /// Documented.
    #[default]
    StopThenClose,
    /// Without a close.
    StopOnly,
    /// Without a `stop`.
    CloseOnly,
}

/// One step of the person's script, as written: at most one condition, and one deed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallerStep {
    /// Condition: this line of the agent was heard to its end.
    pub heard: Option<String>,
    /// Condition: this line of the agent began to sound.
    pub begun: Option<String>,
    /// Condition: the other side spoke and has been quiet for so many milliseconds.
    pub quiet_ms: Option<u64>,
    /// After the condition (without one: after the step before), milliseconds.
    pub after_ms: u64,
    /// How long the condition is waited for, milliseconds; 30 s if nothing is said.
    pub patience_ms: Option<u64>,
    /// Deed: speaks this recording.
    pub say: Option<String>,
    /// Deed: presses these keys.
    pub press: Option<String>,
    /// Deed: is silent for so many milliseconds.
    pub wait_ms: Option<u64>,
    /// Deed: stops (false) or resumes (true) reading what the server sends.
    pub listen: Option<bool>,
    /// Deed: hangs up.
    pub hang_up: bool,
}

/// How the watcher behaves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatcherPlan {
    /// Drops its socket after so many facts and comes back with `fromSeq`; every time it has seen so many more.
    pub drops_every: Option<u64>,
}

/// One line that the transcript must have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLine {
    /// Who says it.
    pub who: Who,
    /// The recording.
    #[serde(default)]
    pub line: Option<String>,
    /// The words, when it is no recording.
    #[serde(default)]
    pub text: Option<String>,
    /// Whether the caller cut it off.
    #[serde(default)]
    pub cut: bool,
    /// Whether only its beginning was said, because the provider was lost over it.
    #[serde(default)]
    pub broken: bool,
}

/// What has to come of the call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The call's last status.
    pub status: CallStatus,
    /// The verdict that the edge must give; none: any.
    #[serde(default)]
    pub reason: Option<EndReason>,
    /// Its transcript, in order.
    #[serde(default)]
    pub transcript: Vec<ExpectedLine>,
    /// How often the caller interrupts.
    #[serde(default)]
    pub barge_ins: usize,
    /// How far the amount heard of a cut line may be from the truth, milliseconds.
    #[serde(default = "heard_within")]
    pub heard_within_ms: u64,
    /// How much of the caller's audio may be lost when the call, or a session at the provider, ends, milliseconds.
    #[serde(default = "tail")]
    pub tail_ms: u64,
    /// How the audio is judged.
    #[serde(default)]
    pub audio: AudioRule,
    /// How many sessions there must be at the provider.
    #[serde(default = "one")]
    pub provider_sessions: usize,
    /// How long the edge may take, after the last callback, until browser and history know how the call ended, seconds.
    #[serde(default = "settles_within")]
    pub settles_within_s: u64,
    /// Keys that the edge must know of, in order.
    #[serde(default)]
    pub digits: String,
    /// Codes of Twilio's debugger that may appear; others may not.
    #[serde(default)]
    pub alerts: Vec<u16>,
    /// How often each webhook must have been requested at least, by its word.
    #[serde(default)]
    pub webhooks: BTreeMap<String, usize>,
}

fn our_number() -> String {
    "+15550100199".to_owned()
}
fn their_number() -> String {
    "+14155550100".to_owned()
}
fn heard_within() -> u64 {
    120
}
fn settles_within() -> u64 {
    20
}
fn one() -> usize {
    1
}
fn tail() -> u64 {
    400
}

/// Why a scenario cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is not one of the program's, and no file.
    #[error("there is no scenario `{name}`; the program has: {known}; or give the path of a .toml file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The file cannot be read.
    #[error("{path}: {problem}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        problem: String,
    },
    /// It is not TOML of the right shape; the text names line and field.
    #[error("{0}")]
    Malformed(String),
    /// A value that cannot be.
    #[error("{place}: {problem}")]
    Invalid {
        /// Which value, for example `caller[2]`.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn invalid(place: impl Into<String>, problem: impl Into<String>) -> ScenarioError {
    ScenarioError::Invalid { place: place.into(), problem: problem.into() }
}

impl Scenario {
    /// One of the program's scenarios by name, or a file by path.
    ///
    /// # Errors
    /// When there is none, or it cannot be played; the message says where.
    pub fn load(name: &str) -> Result<Self, ScenarioError> {
        if let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
            return Self::read(text);
        }
        if Path::new(name).extension().is_none_or(|extension| extension != "toml") {
            let known = EMBEDDED.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
            return Err(ScenarioError::Unknown { name: name.to_owned(), known });
        }
        let text = std::fs::read_to_string(name)
            .map_err(|error| ScenarioError::Unreadable { path: name.to_owned(), problem: error.to_string() })?;
        Self::read(&text)
    }

    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn read(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError::Malformed(error.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let library = Library::embedded();
        let is_number = |text: &str| shared::ids::PhoneNumber::parse(text).is_ok();
        if !is_number(&self.number) {
            return Err(invalid("number", "must be a number in E.164, such as +15550100199"));
        }
        if self.kind == Kind::Browser {
            shared::ids::ClientIdentity::parse(&self.person).map_err(|error| invalid("person", error.to_string()))?;
        } else if !is_number(&self.person) {
            return Err(invalid("person", "must be a number in E.164, such as +14155550100"));
        }
        if let Some(agent) = &self.agent {
            agent.validate().map_err(|error| invalid("agent", error.to_string()))?;
        }
        self.provider.check(library).map_err(|error| invalid("provider", error.to_string()))?;
        self.script()?;
        for (index, line) in self.expect.transcript.iter().enumerate() {
            let place = format!("expect.transcript[{index}]");
            match (&line.line, &line.text) {
                (Some(id), None) => {
                    let recording =
                        library.get(id).ok_or_else(|| invalid(&place, format!("no recording is called `{id}`")))?;
                    if recording.who() != line.who {
                        return Err(invalid(place, format!("`{id}` is not a line of the {:?}", line.who)));
                    }
                }
                (None, Some(_)) => {}
                (Some(_), Some(_)) | (None, None) => return Err(invalid(place, "needs either `line` or `text`")),
            }
            if line.cut && line.who != Who::Agent {
                return Err(invalid(format!("expect.transcript[{index}]"), "only the agent's lines can be cut off"));
            }
        }
        let cuts = self.expect.transcript.iter().filter(|line| line.cut).count();
        if self.expect.barge_ins < cuts {
            return Err(invalid("expect.barge_ins", format!("is less than the {cuts} lines that are cut off")));
        }
        if !self.expect.status.is_terminal() {
            return Err(invalid("expect.status", "must be one in which a call ends"));
        }
        Ok(())
    }

    /// The person's script.
    ///
    /// # Errors
    /// At the first step with two conditions, no deed, two deeds, or a recording that does not exist.
    pub fn script(&self) -> Result<Vec<Step>, ScenarioError> {
        let steps = self.caller.iter().enumerate();
        steps.map(|(index, step)| step.read().map_err(|problem| invalid(format!("caller[{index}]"), problem))).collect()
    }

    /// What the call is played with.
    ///
    /// # Errors
    /// As [`Scenario::script`].
    pub fn cast(&self, seed: u64) -> Result<Cast, ScenarioError> {
        Ok(Cast {
            network: self.network.clone(),
            script: self.script()?,
            mischief: self.callbacks.clone(),
            farewell: match self.twilio.farewell {
                FarewellWord::StopThenClose => Farewell::StopThenClose,
                FarewellWord::StopOnly => Farewell::StopOnly,
                FarewellWord::CloseOnly => Farewell::CloseOnly,
            },
            lose_every: self.twilio.lose_every,
            stray_frame: self.twilio.stray_frame,
            gives_up_after: self.twilio.hangs_up_ringing_ms.map(Duration::from_millis),
            seed: self.twilio.seed.unwrap_or(seed),
        })
    }
}

impl CallerStep {
    fn read(&self) -> Result<Step, String> {
        let library = Library::embedded();
        let mut conditions = Vec::new();
        conditions.extend(self.heard.clone().map(When::Heard));
        conditions.extend(self.begun.clone().map(When::Begun));
        conditions.extend(self.quiet_ms.map(|ms| When::Quiet(Duration::from_millis(ms))));
        let when = match conditions.len() {
            0 => When::Next,
            1 => conditions.remove(0),
            _ => return Err("has two conditions; `heard`, `begun` and `quiet_ms` exclude each other".to_owned()),
        };
        let mut deeds = Vec::new();
        deeds.extend(self.say.clone().map(Act::Say));
        deeds.extend(self.press.clone().map(Act::Press));
        deeds.extend(self.wait_ms.map(|ms| Act::Wait(Duration::from_millis(ms))));
        deeds.extend(self.listen.map(Act::Listen));
        deeds.extend(self.hang_up.then_some(Act::HangUp));
        let act = match deeds.len() {
            1 => deeds.remove(0),
            0 => return Err("has no deed: one of `say`, `press`, `wait_ms`, `listen`, `hang_up`".to_owned()),
            _ => return Err("has two deeds; write two steps".to_owned()),
        };
        for (id, who) in [(&self.heard, Who::Agent), (&self.begun, Who::Agent), (&self.say, Who::Caller)] {
            let Some(id) = id else { continue };
            let recording = library.get(id).ok_or_else(|| format!("no recording is called `{id}`"))?;
            // A caller may well make noise.
            if recording.who() != who && !(who == Who::Caller && recording.who() == Who::Noise) {
                return Err(format!(
                    "`{id}` is not a line of the {}",
                    if who == Who::Agent { "agent" } else { "caller" }
                ));
            }
        }
        if self
            .press
            .as_ref()
            .is_some_and(|keys| keys.is_empty() || !keys.chars().all(|c| "0123456789ABCD*#".contains(c)))
        {
            return Err("`press` takes the keys 0-9, A-D, * and #".to_owned());
        }
        Ok(Step {
            when,
            after: Duration::from_millis(self.after_ms),
            act,
            patience: Duration::from_millis(self.patience_ms.unwrap_or(30_000)),
        })
    }
}

#[cfg(test)]
mod tests;
