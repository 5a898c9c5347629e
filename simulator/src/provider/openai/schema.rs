//! Shapes of JSON that the twin accepts, as data, and the check that names the first thing that does not fit in the
//! words of the vendor's errors. What the values mean is not known here.

use serde_json::{Map, Value};

/// Why a client event was refused: the inside of an `error` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `error.code`, such as `unknown_parameter`.
    pub code: &'static str,
    /// `error.message`, for people.
    pub message: String,
    /// `error.param`: the path of the field at fault, such as `session.audio.input.format.rate`.
    pub param: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None }
    }

    pub(super) fn at(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    pub(super) fn invalid_value(param: &str, why: impl std::fmt::Display) -> Self {
        Self::new("invalid_value", format!("Invalid value for '{param}': {why}.")).at(param)
    }

    fn invalid_type(param: &str, expected: &str, got: &Value) -> Self {
        let got = match got {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Self::new("invalid_type", format!("Invalid type for '{param}': expected {expected}, but got {got} instead."))
            .at(param)
    }

    fn missing(param: &str) -> Self {
        Self::new("missing_required_parameter", format!("Missing required parameter: '{param}'.")).at(param)
    }

    fn unknown(param: &str) -> Self {
        Self::new("unknown_parameter", format!("Unknown parameter: '{param}'.")).at(param)
    }
}

/// What a value must look like.
pub(super) enum Shape {
    /// Anything at all, such as a tool's JSON schema.
    Any,
    /// A string of at most so many characters.
    Text(usize),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    Bool,
    /// An integer in this range, both ends included.
    Whole(i64, i64),
    /// A number in this range, both ends included.
    Number(f64, f64),
    List(&'static Self),
    /// An object with free keys: at most so many, of at most so many characters each.
    Map(usize, usize, &'static Self),
    /// An object with these fields and no others.
    Object(&'static [Field]),
    /// An object whose shape depends on one of its own strings.
    Tagged(&'static str, &'static [(&'static str, Self)]),
    /// Whichever fits the kind of JSON value.
    Either(&'static [Self]),
    /// Null, or this.
    OrNull(&'static Self),
}

/// A field of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

pub(super) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, required: true, shape }
}

pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, required: false, shape }
}

impl Shape {
    /// Checks `value`, which stands at `path` in the event (empty for the event itself).
    pub(super) fn check(&self, value: &Value, path: &str) -> Result<(), Refusal> {
        match self {
            Self::Any => Ok(()),
            Self::Text(longest) => {
                let text = value.as_str().ok_or_else(|| Refusal::invalid_type(path, "a string", value))?;
                if text.len() > *longest && text.chars().count() > *longest {
                    let message = format!("Invalid '{path}': string too long. Expected at most {longest} characters.");
                    return Err(Refusal::new("string_above_max_length", message).at(path));
                }
                Ok(())
            }
            Self::OneOf(words) => {
                let text = value.as_str().ok_or_else(|| Refusal::invalid_type(path, "a string", value))?;
                known_word(path, text, words.iter().copied()).map(|_| ())
            }
            Self::Bool => value.as_bool().map(|_| ()).ok_or_else(|| Refusal::invalid_type(path, "a boolean", value)),
            Self::Whole(least, most) => {
                let number = value.as_i64().ok_or_else(|| Refusal::invalid_type(path, "an integer", value))?;
                in_range(path, number >= *least && number <= *most, least, most)
            }
            Self::Number(least, most) => {
                let number = value.as_f64().ok_or_else(|| Refusal::invalid_type(path, "a number", value))?;
                in_range(path, number >= *least && number <= *most, least, most)
            }
            Self::List(shape) => {
                let list = value.as_array().ok_or_else(|| Refusal::invalid_type(path, "an array", value))?;
                list.iter().enumerate().try_for_each(|(index, entry)| shape.check(entry, &format!("{path}[{index}]")))
            }
            Self::Map(most, longest, shape) => {
                let map = object(value, path)?;
                if map.len() > *most {
                    return Err(Refusal::invalid_value(path, format_args!("at most {most} entries are allowed")));
                }
                map.iter().try_for_each(|(key, entry)| {
                    if key.chars().count() > *longest {
                        return Err(Refusal::invalid_value(path, format_args!("a key has over {longest} characters")));
                    }
                    shape.check(entry, &join(path, key))
                })
            }
            Self::Object(fields) => {
                let map = object(value, path)?;
                if let Some(stranger) = map.keys().find(|key| fields.iter().all(|field| field.name != key.as_str())) {
                    return Err(Refusal::unknown(&join(path, stranger)));
                }
                fields.iter().try_for_each(|field| match map.get(field.name) {
                    Some(entry) => field.shape.check(entry, &join(path, field.name)),
                    None if field.required => Err(Refusal::missing(&join(path, field.name))),
                    None => Ok(()),
                })
            }
            Self::Tagged(tag, variants) => {
                let map = object(value, path)?;
                let param = join(path, tag);
                let word = map.get(*tag).ok_or_else(|| Refusal::missing(&param))?;
                let word = word.as_str().ok_or_else(|| Refusal::invalid_type(&param, "a string", word))?;
                let word = known_word(&param, word, variants.iter().map(|(word, _)| *word))?;
                variants.iter().filter(|(name, _)| *name == word).try_for_each(|(_, shape)| shape.check(value, path))
            }
            Self::Either(shapes) => {
                let fitting = shapes.iter().find(|shape| shape.takes(value));
                let shape = fitting.ok_or_else(|| Refusal::invalid_type(path, "another type", value))?;
                shape.check(value, path)
            }
            Self::OrNull(shape) => {
                if value.is_null() {
                    return Ok(());
                }
                shape.check(value, path)
            }
        }
    }

    /// Whether the kind of JSON value is right, whatever it holds.
    fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text(_) | Self::OneOf(_) => value.is_string(),
            Self::Bool => value.is_boolean(),
            Self::Whole(..) | Self::Number(..) => value.is_number(),
            Self::List(_) => value.is_array(),
            Self::Map(..) | Self::Object(_) | Self::Tagged(..) => value.is_object(),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.takes(value)),
            Self::OrNull(shape) => value.is_null() || shape.takes(value),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| Refusal::invalid_type(path, "an object", value))
}

fn in_range(
    path: &str,
    fits: bool,
    least: impl std::fmt::Display,
    most: impl std::fmt::Display,
) -> Result<(), Refusal> {
    if fits { Ok(()) } else { Err(Refusal::invalid_value(path, format_args!("expected {least} to {most}"))) }
}

fn known_word<'a>(path: &str, word: &str, words: impl Iterator<Item = &'a str> + Clone) -> Result<&'a str, Refusal> {
    words.clone().find(|known| *known == word).ok_or_else(|| {
        let known = words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        // The stranger itself is cut short: it comes from outside and ends in an error message.
        let word: String = word.chars().take(64).collect();
        Refusal::new("invalid_value", format!("Invalid value: '{word}'. Supported values are: {known}.")).at(path)
    })
}
