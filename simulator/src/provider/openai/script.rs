//! What the twin's agent says: a table from what was heard to what is answered, by the ids of recordings. It stands where
//! the vendor has a model.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::speech::Library;

/// The agent's part. All names are ids of recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Said when a response is asked for before anything was heard.
    pub greeting: Vec<String>,
    /// Answers by what was heard. Several for the same words are used in turn; the last one stays.
    pub answers: Vec<Answer>,
    /// Said to unknown words, and when there is nothing to answer.
    pub otherwise: Vec<String>,
    /// Said when the caller has been silent for `idle_timeout_ms`.
    pub silence: Vec<String>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The recording that was heard.
    pub heard: String,
    /// What is said, one recording after the other in one item.
    #[serde(default)]
    pub say: Vec<String>,
    /// Says each recording as an audio item of its own, within one response.
    #[serde(default)]
    pub separate_items: bool,
    /// Function calls in the same response, after what is said.
    #[serde(default)]
    pub tools: Vec<ToolCall>,
    /// What the next response says once every call has its output.
    #[serde(default)]
    pub then: Vec<String>,
}

/// A function call of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The function's name.
    pub name: String,
    /// JSON text, streamed as it stands; a script may well make it invalid.
    #[serde(default = "no_arguments")]
    pub arguments: String,
}

fn no_arguments() -> String {
    "{}".to_owned()
}

/// A script that names something that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// No recording has this id.
    #[error("no recording is called `{0}`")]
    UnknownRecording(String),
    /// An answer without words and without calls.
    #[error("the answer to `{0}` says nothing and calls nothing")]
    EmptyAnswer(String),
}

impl Default for Script {
    fn default() -> Self {
        Self::clinic()
    }
}

impl Script {
    /// The booking line of a clinic: the script of the demo.
    #[must_use]
    pub fn clinic() -> Self {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let answer = |heard: &str, say: &[&str]| Answer { heard: heard.to_owned(), say: ids(say), ..Answer::default() };
        Self {
            greeting: ids(&["agent-greeting"]),
            answers: vec![
                answer("caller-booking", &["agent-which-day"]),
                answer("caller-tuesday", &["agent-offer"]),
                answer("caller-yes", &["agent-booked"]),
                answer("caller-name", &["agent-thanks-name"]),
                answer("caller-hours", &["agent-hours"]),
                answer("caller-price", &["agent-price"]),
                answer("caller-interrupts", &["agent-go-ahead"]),
                answer("caller-repeat", &["agent-offer"]),
                answer("caller-person", &["agent-handover"]),
                answer("caller-goodbye", &["agent-goodbye"]),
            ],
            otherwise: ids(&["agent-not-understood"]),
            silence: ids(&["agent-still-there"]),
        }
    }

    /// Checks that every name is a recording's.
    ///
    /// # Errors
    /// The first name that is not, or an answer that does nothing.
    pub fn check(&self, library: &Library) -> Result<(), ScriptError> {
        let answers = self
            .answers
            .iter()
            .flat_map(|answer| std::iter::once(&answer.heard).chain(&answer.say).chain(&answer.then));
        let mut names = self.greeting.iter().chain(&self.otherwise).chain(&self.silence).chain(answers);
        if let Some(unknown) = names.find(|name| library.get(name).is_none()) {
            return Err(ScriptError::UnknownRecording(unknown.clone()));
        }
        match self.answers.iter().find(|answer| answer.say.is_empty() && answer.tools.is_empty()) {
            Some(empty) => Err(ScriptError::EmptyAnswer(empty.heard.clone())),
            None => Ok(()),
        }
    }
}

/// Where one conversation stands in the script.
#[derive(Debug, Default)]
pub(super) struct Prompter {
    used: HashMap<String, usize>,
}

impl Prompter {
    /// The answer to what was heard; the next one each time the same is heard.
    pub(super) fn answer<'a>(&mut self, script: &'a Script, heard: &str) -> Option<&'a Answer> {
        let answers: Vec<&Answer> = script.answers.iter().filter(|answer| answer.heard == heard).collect();
        let used = self.used.entry(heard.to_owned()).or_default();
        let answer = answers.get(*used).or(answers.last()).copied();
        *used += 1;
        answer
    }
}
