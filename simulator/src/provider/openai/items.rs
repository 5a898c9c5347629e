//! The conversation: its items in order, as their JSON stands on the server, and what may be done to them.

use serde_json::{Value, json};

use super::schema::Refusal;

/// The audio of an item that the model speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ItemAudio {
    /// Bytes sent to the client so far.
    pub(super) bytes: usize,
    pub(super) bytes_per_ms: usize,
    /// Set by a truncation.
    pub(super) kept_ms: Option<u64>,
}

impl ItemAudio {
    fn length_ms(&self) -> u64 {
        self.kept_ms.unwrap_or((self.bytes / self.bytes_per_ms.max(1)) as u64)
    }
}

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) id: String,
    /// As events show it; audio data is left out.
    pub(super) value: Value,
    /// Only for items spoken by the model.
    pub(super) audio: Option<ItemAudio>,
}

impl Item {
    /// Sets a field of the first content part; an item that is still being spoken shows none.
    pub(super) fn set_content(&mut self, name: &str, text: &str) {
        if let Some(Value::Object(part)) = self.value.get_mut("content").and_then(|content| content.get_mut(0)) {
            part.insert(name.to_owned(), json!(text));
        }
    }
}

/// The default conversation of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conversation {
    items: Vec<Item>,
}

impl Conversation {
    pub(super) fn get(&self, id: &str) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.id == id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Item> {
        self.items.iter_mut().rev().find(|item| item.id == id)
    }

    /// The function call with this `call_id`.
    pub(super) fn call(&self, call_id: &str) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.value["type"] == "function_call" && item.value["call_id"] == call_id)
    }

    /// Whether the call with this `call_id` has its output.
    pub(super) fn has_output(&self, call_id: &str) -> bool {
        self.items.iter().any(|item| item.value["type"] == "function_call_output" && item.value["call_id"] == call_id)
    }

    /// Appends an item; returns the id of the one before it.
    pub(super) fn push(&mut self, item: Item) -> Option<String> {
        let previous = self.items.last().map(|item| item.id.clone());
        self.items.push(item);
        previous
    }

    /// The id of the item before this one.
    pub(super) fn before(&self, id: &str) -> Option<String> {
        let at = self.items.iter().rposition(|item| item.id == id)?;
        self.items.get(at.checked_sub(1)?).map(|item| item.id.clone())
    }

    /// Puts a client's item where it wants it. Returns the id of the item before it.
    pub(super) fn insert(&mut self, item: Item, after: Option<&str>) -> Result<Option<String>, Refusal> {
        if self.get(&item.id).is_some() {
            let message = "Error adding item: an item with this id already exists in the conversation.";
            return Err(Refusal::new("item_create_duplicate_item_id", message).at("item.id"));
        }
        match after {
            None => Ok(self.push(item)),
            Some("root") => {
                self.items.insert(0, item);
                Ok(None)
            }
            Some(previous) => {
                let Some(at) = self.items.iter().position(|item| item.id == previous) else {
                    let message = "Error adding item: the previous item does not exist.";
                    return Err(Refusal::new("item_create_invalid_previous_item_id", message).at("previous_item_id"));
                };
                self.items.insert(at + 1, item);
                Ok(Some(previous.to_owned()))
            }
        }
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<(), Refusal> {
        let at = self.items.iter().position(|item| item.id == id);
        let at = at.ok_or_else(|| unknown_item("item_delete_invalid_item_id", "deleting"))?;
        self.items.remove(at);
        Ok(())
    }

    pub(super) fn retrieve(&self, id: &str) -> Result<&Item, Refusal> {
        self.get(id).ok_or_else(|| unknown_item("item_retrieve_invalid_item_id", "retrieving"))
    }

    /// Cuts a spoken item at what the caller heard: the transcript goes, since text is not aligned to audio.
    pub(super) fn truncate(&mut self, id: &str, content_index: u64, audio_end_ms: u64) -> Result<(), Refusal> {
        let item = self.items.iter_mut().rev().find(|item| item.id == id);
        let item = item.ok_or_else(|| unknown_item("item_truncate_invalid_item_id", "truncating"))?;
        let Some(audio) = item.audio.as_mut().filter(|audio| audio.bytes > 0) else {
            let message = "Only model output audio messages can be truncated.";
            return Err(Refusal::new("unsupported_content_type", message).at("item_id"));
        };
        if content_index > 0 {
            return Err(Refusal::invalid_value("content_index", "the item has one content part, 0"));
        }
        let length_ms = audio.length_ms();
        if audio_end_ms > length_ms {
            let message = format!("Audio content of {length_ms}ms is already shorter than {audio_end_ms}ms.");
            return Err(Refusal::new("invalid_value", message).at("audio_end_ms"));
        }
        audio.kept_ms = Some(audio_end_ms);
        item.set_content("transcript", "");
        Ok(())
    }
}

fn unknown_item(code: &'static str, doing: &str) -> Refusal {
    Refusal::new(code, format!("Error {doing} item: no item with this id exists.")).at("item_id")
}
