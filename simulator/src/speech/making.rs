//! How the recordings are made: espeak-ng speaks, sox cuts the telephone band and levels, and the rest (trimming, the
//! line's own faint noise, whole frames, mu-law) is arithmetic here, so that the same versions of both programs give the
//! same bytes again. The running simulator never needs this; the committed files are the result.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{BYTES_PER_MS, FRAME_BYTES, Line, Table, Voice, Who, mulaw};

/// Peak level of the telephone's noise under every line, on the 16-bit scale: about -60 dBFS. It makes every 20 ms of
/// every recording unlike any other, so a lost or repeated frame can be told from its bytes.
const LINE_NOISE: i32 = 48;

/// What counts as silence when the ends are trimmed, on the 16-bit scale.
const TRIM_BELOW: i32 = 160;

/// Silence kept before the first and after the last sound.
const MARGIN_MS: usize = 60;

/// Makes every recording of `directory/lines.toml` anew and writes the audio and the completed table there. Returns the
/// ids whose bytes changed. Needs `espeak-ng` and `sox` in the path.
///
/// # Errors
/// If a program is missing or fails, or the folder cannot be read or written.
pub fn regenerate(directory: &Path) -> Result<Vec<String>> {
    let path = directory.join("lines.toml");
    let source = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut table: Table = toml::from_str(&source)?;
    let mut changed = Vec::new();
    for line in &mut table.line {
        let audio = record(line, &table.voice).with_context(|| format!("recording `{}`", line.id))?;
        let sha256 = hex(&Sha256::digest(&audio));
        if sha256 != line.sha256 {
            changed.push(line.id.clone());
        }
        line.file = format!("{}.ulaw", line.id);
        line.duration_ms = u32::try_from(audio.len() / BYTES_PER_MS)?;
        line.sha256 = sha256;
        std::fs::write(directory.join(&line.file), audio)?;
    }
    std::fs::write(path, render(&source, &table))?;
    Ok(changed)
}

fn record(line: &Line, voices: &std::collections::BTreeMap<String, Voice>) -> Result<Vec<u8>> {
    let sound = match (&line.synth, line.who) {
        (Some(recipe), Who::Noise) => sox(&["-R", "-n"], recipe.split_whitespace(), None)?,
        (None, Who::Caller) => speak(&line.text, voices.get("caller").context("no voice for the caller")?)?,
        (None, Who::Agent) => speak(&line.text, voices.get("agent").context("no voice for the agent")?)?,
        (Some(_), Who::Caller | Who::Agent) => bail!("speech is not synthesised by sox"),
        (None, Who::Noise) => bail!("noise needs a `synth` recipe"),
    };
    let sound = if line.who == Who::Noise { sound } else { trim(&sound) };
    let mut noise = LineNoise::of(&line.id);
    let frames = sound.len().div_ceil(FRAME_BYTES);
    let audio = (0..frames * FRAME_BYTES).map(|at| {
        let sample = i32::from(sound.get(at).copied().unwrap_or(0)) + noise.next();
        mulaw::encode(sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16)
    });
    Ok(audio.collect())
}

fn speak(text: &str, voice: &Voice) -> Result<Vec<i16>> {
    let wave = Command::new("espeak-ng")
        .args(["-v", &voice.espeak, "-s", &voice.words_per_minute.to_string()])
        .args(["-p", &voice.pitch.to_string(), "--stdout", "--", text])
        .output()
        .context("espeak-ng is needed (Debian: apt install espeak-ng)")?;
    if !wave.status.success() {
        bail!("espeak-ng: {}", String::from_utf8_lossy(&wave.stderr).trim());
    }
    sox(&["-R", "--ignore-length", "-t", "wav", "-"], "sinc 300-3400 gain -n -4".split(' '), Some(&wave.stdout))
}

/// Runs sox to 8 kHz mono 16-bit samples: `sox <from> <raw to stdout> <effects>`.
fn sox<'a>(from: &[&str], effects: impl Iterator<Item = &'a str>, stdin: Option<&[u8]>) -> Result<Vec<i16>> {
    use std::io::Write as _;
    use std::process::Stdio;

    let mut child = Command::new("sox")
        .args(["-D"])
        .args(from)
        .args(["-t", "raw", "-r", "8000", "-c", "1", "-b", "16", "-e", "signed-integer", "-L", "-"])
        .args(effects)
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("sox is needed (Debian: apt install sox)")?;
    // Written from a thread: sox starts to answer before it has read all.
    let writer = child.stdin.take().zip(stdin.map(<[u8]>::to_vec));
    let writer = writer.map(|(mut pipe, bytes)| std::thread::spawn(move || pipe.write_all(&bytes)));
    let output = child.wait_with_output()?;
    if let Some(writer) = writer {
        // A sox that stopped reading has said why on its error output.
        let _ = writer.join();
    }
    if !output.status.success() {
        bail!("sox: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn trim(sound: &[i16]) -> Vec<i16> {
    let loud = |sample: &i16| i32::from(*sample).abs() >= TRIM_BELOW;
    let Some(first) = sound.iter().position(loud) else { return Vec::new() };
    let last = sound.iter().rposition(loud).unwrap_or(first);
    let margin = MARGIN_MS * BYTES_PER_MS;
    let mut trimmed = vec![0; margin.saturating_sub(first)];
    trimmed.extend_from_slice(&sound[first.saturating_sub(margin)..(last + margin).min(sound.len())]);
    trimmed
}

/// White noise from a fixed seed per line (splitmix64).
struct LineNoise(u64);

impl LineNoise {
    fn of(id: &str) -> Self {
        // FNV-1a: any fixed spread of the name will do.
        Self(
            id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 40) as i32 % (2 * LINE_NOISE + 1) - LINE_NOISE
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The table as it is committed: the comment that opens the old one, then all values.
fn render(source: &str, table: &Table) -> String {
    let mut text = String::new();
    for comment in source.lines().take_while(|line| line.starts_with('#')) {
        let _ = writeln!(text, "{comment}");
    }
    for (who, voice) in &table.voice {
        let _ = write!(
            text,
            "\n[voice.{who}]\nespeak = {:?}\nwords_per_minute = {}\npitch = {}\n",
            voice.espeak, voice.words_per_minute, voice.pitch
        );
    }
    for line in &table.line {
        let who = match line.who {
            Who::Caller => "caller",
            Who::Agent => "agent",
            Who::Noise => "noise",
        };
        let _ = write!(text, "\n[[line]]\nid = {:?}\nwho = {who:?}\ntext = {:?}\n", line.id, line.text);
        if let Some(synth) = &line.synth {
            let _ = writeln!(text, "synth = {synth:?}");
        }
        let _ =
            write!(text, "file = {:?}\nduration_ms = {}\nsha256 = {:?}\n", line.file, line.duration_ms, line.sha256);
    }
    text
}
