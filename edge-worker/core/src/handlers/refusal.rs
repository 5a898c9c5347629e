//! Refusals: a status, a stable word, a sentence, and the field at fault. What is refused and why is each handler's matter.

use crate::http::Response;
use crate::ports::{DatabaseFault, Unavailable};
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shared::api::{ErrorBody, ErrorDetail};
use std::collections::BTreeSet;
use std::fmt;

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

/// Longest message or field's name of a refusal that quotes what was sent, characters.
const LONGEST_QUOTE: usize = 200;

/// Reads a JSON body, which must be an object without a key that stands twice (readers differ in which one counts). The
/// refusal names the field at fault.
pub(super) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    match parse::<Whole>(body)? {
        Whole::Object => parse(body),
        Whole::Other => Err(Refusal::new(400, "invalid_field", "the body must be a JSON object")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        if inner.is_data() {
            let sentence = said(inner);
            let path = if path == "." { String::new() } else { path };
            let field = match sentence.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
                Some(missing) if path.is_empty() => missing.to_owned(),
                Some(missing) => format!("{path}.{missing}"),
                None => path,
            };
            let refusal = Refusal::new(400, "invalid_field", cut(&sentence));
            if field.is_empty() { refusal } else { refusal.about(cut(&field)) }
        } else {
            Refusal::new(400, "invalid_json", "the body is not valid JSON")
        }
    })?;
    deserializer.end().map_err(|_| Refusal::new(400, "invalid_json", "the body is not valid JSON"))?;
    Ok(value)
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST_QUOTE).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Any JSON value, read only to see what it is and that no object in it has a key twice.
enum Whole {
    Object,
    Other,
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Whole, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let again = keys.contains(&key);
            map.next_value::<Whole>()?;
            if again {
                return Err(A::Error::custom(format!("`{key}` stands twice in the same object")));
            }
            keys.insert(key);
        }
        Ok(Whole::Object)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Whole, A::Error> {
        while list.next_element::<Whole>()?.is_some() {}
        Ok(Whole::Other)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Whole, E> {
        Ok(Whole::Other)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Whole, E> {
        Ok(Whole::Other)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Whole, E> {
        Ok(Whole::Other)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Whole, E> {
        Ok(Whole::Other)
    }
    fn visit_str<E>(self, _: &str) -> Result<Whole, E> {
        Ok(Whole::Other)
    }
    fn visit_unit<E>(self) -> Result<Whole, E> {
        Ok(Whole::Other)
    }
}

/// Serde's sentence without its position.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(sentence, _)| sentence.to_owned())
}
