//! What an agent is: which voice speaks, what it is told, how it greets and where its limits lie. Agents are data of the
//! deployment's owner; a call keeps the version it began with. Tools come with their own module when agents get abilities.

use crate::ids::AgentId;
use serde::{Deserialize, Serialize};

/// An agent as stored, mirrored to the Switchboard and sent to the node in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Agent {
    /// Its name in addresses and configuration.
    pub id: AgentId,
    /// Raised with every change; the highest wins in mirrors.
    #[serde(default)]
    pub version: u32,
    /// What people call it.
    pub name: String,
    /// Who speaks for it.
    pub voice: VoicePlan,
    /// Who speaks when the first is unavailable.
    #[serde(default)]
    pub fallback: Option<VoicePlan>,
    /// The system instructions; at most [`Agent::MAX_TEXT`] characters.
    #[serde(default)]
    pub instructions: String,
    /// What it says first; none: it waits for the caller (`echo`: its tone).
    #[serde(default)]
    pub greeting: Option<String>,
    /// BCP 47, for example `en-US`.
    #[serde(default = "english")]
    pub language: String,
    /// Bounds of one call.
    #[serde(default)]
    pub limits: Limits,
}

/// One way to give an agent a voice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct VoicePlan {
    /// `openai`, `echo`, and others as they come.
    pub provider: String,
    /// The provider's model; none: the codec's default.
    #[serde(default)]
    pub model: Option<String>,
    /// The provider's voice; none: the codec's default.
    #[serde(default)]
    pub voice: Option<String>,
    /// How the end of the caller's turn is found.
    #[serde(default)]
    pub turn_detection: TurnDetection,
}

/// How a provider finds the end of the caller's turn (OpenAI's words; others map them).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub enum TurnDetection {
    /// By energy and silence.
    ServerVad {
        /// 0.0 to 1.0; higher needs louder speech.
        threshold: f32,
        /// Audio kept before the start of speech, milliseconds.
        prefix_padding_ms: u32,
        /// Silence that ends a turn, milliseconds.
        silence_duration_ms: u32,
    },
    /// By meaning; waits longer when a sentence sounds unfinished.
    SemanticVad {
        /// `low`, `medium`, `high` or `auto`.
        eagerness: String,
    },
}

impl Default for TurnDetection {
    fn default() -> Self {
        Self::ServerVad { threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 }
    }
}

/// Bounds of one call, all in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Limits {
    /// The call is ended politely after this long.
    pub max_duration_s: u32,
    /// Neither side speaks for this long: the call is ended politely.
    pub silence_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_duration_s: 3600, silence_s: 60 }
    }
}

fn english() -> String {
    "en-US".to_owned()
}

/// What is wrong with an agent, by field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidAgent {
    /// The JSON field's name.
    pub field: &'static str,
    /// What it must be.
    pub problem: &'static str,
}

impl Agent {
    /// Longest instructions or greeting, in characters.
    pub const MAX_TEXT: usize = 16_000;

    /// The agent that every deployment has: the built-in line test, which needs no account anywhere.
    pub fn line_test(id: AgentId) -> Self {
        Self {
            id,
            version: 0,
            name: "Line test".to_owned(),
            voice: VoicePlan {
                provider: "echo".to_owned(),
                model: None,
                voice: None,
                turn_detection: TurnDetection::default(),
            },
            fallback: None,
            instructions: String::new(),
            greeting: None,
            language: english(),
            limits: Limits::default(),
        }
    }

    /// Checks what the type alone cannot: lengths and ranges. The first fault is returned.
    pub fn validate(&self) -> Result<(), InvalidAgent> {
        let fault = |field, problem| Err(InvalidAgent { field, problem });
        if self.name.trim().is_empty() || self.name.chars().count() > 120 {
            return fault("name", "must be 1 to 120 characters");
        }
        if self.instructions.chars().count() > Self::MAX_TEXT {
            return fault("instructions", "must be at most 16000 characters");
        }
        if self.greeting.as_deref().is_some_and(|g| g.trim().is_empty() || g.chars().count() > Self::MAX_TEXT) {
            return fault("greeting", "must be 1 to 16000 characters, or absent");
        }
        if !(2..=35).contains(&self.language.len())
            || !self.language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return fault("language", "must be a language tag such as en-US");
        }
        if !(10..=4 * 3600).contains(&self.limits.max_duration_s) {
            return fault("limits.maxDurationS", "must be 10 to 14400 seconds");
        }
        if !(5..=3600).contains(&self.limits.silence_s) {
            return fault("limits.silenceS", "must be 5 to 3600 seconds");
        }
        self.voice.validate("voice")?;
        self.fallback.as_ref().map_or(Ok(()), |plan| plan.validate("fallback"))
    }
}

impl VoicePlan {
    fn validate(&self, field: &'static str) -> Result<(), InvalidAgent> {
        let fault = |problem| Err(InvalidAgent { field, problem });
        if self.provider.is_empty()
            || self.provider.len() > 32
            || !self.provider.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            return fault("provider must be 1 to 32 lower-case letters or digits");
        }
        if self.model.iter().chain(self.voice.iter()).any(|t| t.is_empty() || t.len() > 128) {
            return fault("model and voice must be 1 to 128 characters, or absent");
        }
        match &self.turn_detection {
            TurnDetection::ServerVad { threshold, prefix_padding_ms, silence_duration_ms } => {
                if !(0.0..=1.0).contains(threshold)
                    || *prefix_padding_ms > 5000
                    || !(100..=5000).contains(silence_duration_ms)
                {
                    return fault("turn detection: threshold 0 to 1, prefix at most 5000 ms, silence 100 to 5000 ms");
                }
            }
            TurnDetection::SemanticVad { eagerness } => {
                if !matches!(eagerness.as_str(), "low" | "medium" | "high" | "auto") {
                    return fault("turn detection: eagerness must be low, medium, high or auto");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_test_is_valid_and_faults_name_their_field() -> Result<(), Box<dyn std::error::Error>> {
        let mut agent = Agent::line_test(AgentId::parse("line-test")?);
        assert_eq!(agent.validate(), Ok(()));
        agent.limits.silence_s = 0;
        assert_eq!(agent.validate().map_err(|e| e.field), Err("limits.silenceS"));
        let read: Agent = serde_json::from_str(r#"{"id":"a","name":"A","voice":{"provider":"openai"}}"#)?;
        assert_eq!(read.limits, Limits::default());
        assert!(
            serde_json::from_str::<Agent>(r#"{"id":"a","name":"A","voice":{"provider":"openai"},"extra":1}"#).is_err()
        );
        Ok(())
    }
}
