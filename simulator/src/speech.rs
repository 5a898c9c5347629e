//! The recorded speech of the simulated people: which recordings exist, what is said in them, their mu-law bytes, and
//! which of them was heard in some received audio. The bytes are inside the program. Who says what when is a scenario's
//! or a script's business, and pacing audio is the caller's; nothing here has a clock.

pub mod making;
pub mod mulaw;
mod recognise;
mod resemble;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use recognise::Heard;

/// The table of recordings as committed: `simulator/speech/lines.toml`.
pub const LINES: &str = include_str!("../speech/lines.toml");

/// Bytes of one 20 ms telephone frame; every recording is a whole number of them.
pub const FRAME_BYTES: usize = 160;

/// Bytes of mu-law per millisecond.
pub const BYTES_PER_MS: usize = mulaw::SAMPLE_RATE / 1000;

macro_rules! embedded {
    ($($id:literal),* $(,)?) => {
        /// The audio of every line, by id. A new line in the table needs its id here.
        const AUDIO: &[(&str, &[u8])] = &[$(($id, include_bytes!(concat!("../speech/", $id, ".ulaw")))),*];
    };
}

embedded![
    "caller-booking",
    "caller-tuesday",
    "caller-yes",
    "caller-name",
    "caller-hours",
    "caller-price",
    "caller-interrupts",
    "caller-repeat",
    "caller-person",
    "caller-goodbye",
    "agent-greeting",
    "agent-which-day",
    "agent-offer",
    "agent-booked",
    "agent-thanks-name",
    "agent-hours",
    "agent-price",
    "agent-one-moment",
    "agent-go-ahead",
    "agent-handover",
    "agent-not-understood",
    "agent-still-there",
    "agent-back-again",
    "agent-apology",
    "agent-goodbye",
    "noise-street",
    "noise-clatter",
];

/// Who is heard in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The person on the telephone.
    Caller,
    /// The voice of the AI provider.
    Agent,
    /// Nobody: a sound that is not speech.
    Noise,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Name by which scripts and scenarios ask for it; the file is `<id>.ulaw`.
    pub id: String,
    /// Whose voice it is.
    pub who: Who,
    /// The words, exactly as a transcript shows them; empty for noise.
    pub text: String,
    /// What sox synthesises instead of speech; only for noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synth: Option<String>,
    /// File name beside the table.
    #[serde(default)]
    pub file: String,
    /// Length of the audio: bytes / 8.
    #[serde(default)]
    pub duration_ms: u32,
    /// SHA-256 of the file in lower-case hex.
    #[serde(default)]
    pub sha256: String,
}

/// How espeak-ng speaks for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// Voice and variant: its `-v`.
    pub espeak: String,
    /// Its `-s`.
    pub words_per_minute: u16,
    /// Its `-p`, 0 to 99.
    pub pitch: u8,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Voices by [`Who`] in lower case.
    pub voice: BTreeMap<String, Voice>,
    /// The lines, in the table's order.
    pub line: Vec<Line>,
}

/// A line with its audio.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    line: Line,
    audio: &'static [u8],
}

impl fmt::Debug for Recording {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Recording").field(&self.line.id).finish()
    }
}

impl Recording {
    /// Name by which it is asked for.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.line.id
    }

    /// Whose voice it is.
    #[must_use]
    pub fn who(&self) -> Who {
        self.line.who
    }

    /// The words; empty for noise.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.line.text
    }

    /// Raw mu-law, 8 kHz, mono, no header; a whole number of 20 ms frames.
    #[must_use]
    pub fn audio(&self) -> &'static [u8] {
        self.audio
    }

    /// The 20 ms frames in order, 160 bytes each.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = &'static [u8]> + use<> {
        self.audio.chunks(FRAME_BYTES)
    }

    /// Length in milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> u32 {
        (self.audio.len() / BYTES_PER_MS) as u32
    }
}

/// Why the embedded table cannot be used; only reachable by editing it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// The table is not what [`Table`] says.
    #[error("lines.toml is malformed: {0}")]
    Malformed(String),
    /// A line of the table has no embedded audio.
    #[error("line `{0}` has no audio in the program")]
    NoAudio(String),
}

/// All recordings, by id, and the means to recognise them.
#[derive(Debug)]
pub struct Library {
    recordings: Vec<Recording>,
    anchors: recognise::Anchors,
    likeness: resemble::Likeness,
}

impl Library {
    /// The embedded recordings; built once, shared by all.
    ///
    /// # Panics
    /// If the committed table and the committed audio do not belong together, which the tests exclude.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static LIBRARY: LazyLock<Library> = LazyLock::new(|| match Library::load() {
            Ok(library) => library,
            Err(error) => panic!("{error}"),
        });
        &LIBRARY
    }

    fn load() -> Result<Self, LibraryError> {
        let table: Table = toml::from_str(LINES).map_err(|error| LibraryError::Malformed(error.to_string()))?;
        let mut recordings = Vec::with_capacity(table.line.len());
        for line in table.line {
            let Some((_, audio)) = AUDIO.iter().find(|(id, _)| *id == line.id) else {
                return Err(LibraryError::NoAudio(line.id));
            };
            recordings.push(Recording { line, audio });
        }
        let anchors = recognise::Anchors::of(&recordings);
        let likeness = resemble::Likeness::of(&recordings);
        Ok(Self { recordings, anchors, likeness })
    }

    /// All recordings in the table's order.
    #[must_use]
    pub fn recordings(&self) -> &[Recording] {
        &self.recordings
    }

    /// The recording of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Recording> {
        self.recordings.iter().find(|recording| recording.id() == id)
    }

    /// The longest line of `who` whose words all stand in `text`, in order and without a gap; case and punctuation do
    /// not matter. So an instruction such as `Greet the caller with: "…"` finds what it wants said.
    #[must_use]
    pub fn spoken_in(&self, text: &str, who: Who) -> Option<&Recording> {
        let text = words(text);
        self.recordings
            .iter()
            .filter(|recording| recording.who() == who && !recording.text().is_empty())
            .map(|recording| (words(recording.text()), recording))
            .filter(|(line, _)| text.windows(line.len()).any(|window| window == line.as_slice()))
            .max_by_key(|(line, _)| line.len())
            .map(|(_, recording)| recording)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
