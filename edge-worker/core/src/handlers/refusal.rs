//! Refusals: a status, a stable word, a sentence, and the field at fault. What is refused and why is each handler's matter.

use crate::http::Response;
use crate::ports::{DatabaseFault, Unavailable};
use serde::de::DeserializeOwned;
use shared::api::{ErrorBody, ErrorDetail};

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
    field: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal.
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), field: None, headers: Vec::new() }
    }
    /// A field that is not what it must be (400).
    pub(super) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(400, "invalid_field", message) }
    }
    /// Nothing has this name (404).
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, "not_found", format!("there is no such {what}"))
    }
    /// Something inside did not answer (503).
    pub(super) fn unavailable() -> Self {
        Self::new(503, "unavailable", "something inside did not answer; try again").with("retry-after", "2")
    }
    /// Too many attempts (429).
    pub(super) fn too_many(retry_after_s: u32) -> Self {
        Self::new(429, "too_many_requests", "too many attempts; try again later")
            .with("retry-after", retry_after_s.max(1).to_string())
    }
    /// The same with another status.
    #[must_use]
    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
    /// The same with one more header.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    /// The same with a field.
    #[must_use]
    pub(super) fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The answer.
    pub(super) fn into_response(self) -> Response {
        let detail = ErrorDetail { code: self.code, message: self.message, field: self.field };
        let mut response = Response::json(self.status, &ErrorBody { error: detail });
        response.headers.extend(self.headers);
        response
    }
}

impl From<Unavailable> for Refusal {
    fn from(Unavailable: Unavailable) -> Self {
        Self::unavailable()
    }
}

impl From<DatabaseFault> for Refusal {
    fn from(fault: DatabaseFault) -> Self {
        match fault {
            DatabaseFault::Constraint => Self::new(409, "conflict", "this conflicts with what is stored"),
            DatabaseFault::Overloaded | DatabaseFault::Unavailable => Self::unavailable(),
        }
    }
}

/// Reads a JSON body; the refusal names the field at fault.
pub(super) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        if inner.is_data() {
            let refusal = Refusal::new(400, "invalid_field", said(inner));
            if path == "." { refusal } else { refusal.about(path) }
        } else {
            Refusal::new(400, "invalid_json", "the body is not valid JSON")
        }
    })?;
    deserializer.end().map_err(|_| Refusal::new(400, "invalid_json", "the body is not valid JSON"))?;
    Ok(value)
}

/// Serde's sentence without its position.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(sentence, _)| sentence.to_owned())
}
