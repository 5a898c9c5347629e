//! Providers: where they are dialled. (Codecs follow.)

use shared::agent::VoicePlan;
use shared::secret::Secret;

/// Where providers are and with which keys; data that the driver fills from its variables.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `OPENAI_REALTIME_URL`; none: OpenAI's own.
    pub openai_url: Option<String>,
    /// `OPENAI_API_KEY`.
    pub openai_key: Option<Secret>,
}

/// A WebSocket handshake to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialRequest {
    /// `wss://` (or `ws://`) with its query.
    pub url: String,
    /// Header names in lower case and their values.
    pub headers: Vec<(&'static str, Secret)>,
}

/// Why there is nothing to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No codec has this name.
    #[error("unknown provider")]
    UnknownProvider,
    /// The provider is built in and has no socket.
    #[error("the provider has no socket")]
    NoSocket,
    /// This node has no key for it.
    #[error("no key for the provider")]
    NoKey,
}

/// How the provider of a plan is reached.
pub fn dial(plan: &VoicePlan, endpoints: &Endpoints) -> Result<DialRequest, DialError> {
    match plan.provider.as_str() {
        "openai" => {
            let key = endpoints.openai_key.as_ref().ok_or(DialError::NoKey)?;
            let base = endpoints.openai_url.as_deref().unwrap_or("wss://api.openai.com/v1/realtime");
            let model = plan.model.as_deref().unwrap_or("gpt-realtime-2.1");
            let mark = if base.contains('?') { '&' } else { '?' };
            Ok(DialRequest {
                url: format!("{base}{mark}model={model}"),
                headers: vec![("authorization", Secret::new(format!("Bearer {}", key.expose())))],
            })
        }
        "echo" => Err(DialError::NoSocket),
        _ => Err(DialError::UnknownProvider),
    }
}
