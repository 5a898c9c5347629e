use std::collections::HashMap;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{BYTES_PER_MS, FRAME_BYTES, LINES, Library, Recording, Table, Who, making, mulaw};

const HOW: &str = "make the recordings anew with `cargo run -p trunkline-simulator --example speech` (needs Debian's \
                   espeak-ng and sox) and commit simulator/speech/; a new line also needs its id in src/speech.rs";

fn library() -> &'static Library {
    Library::embedded()
}

fn spoken() -> Vec<&'static Recording> {
    library().recordings().iter().filter(|recording| recording.who() != Who::Noise).collect()
}

fn id(audio: &[u8]) -> Option<&'static str> {
    library().recognise(audio).map(|heard| heard.recording.id())
}

fn noise(id: &str) -> &'static [u8] {
    library().get(id).expect("a noise of the table").audio()
}

#[test]
fn the_files_are_those_of_the_table() {
    let table: Table = toml::from_str(LINES).expect("lines.toml parses");
    assert_eq!(table.line.len(), super::AUDIO.len(), "{HOW}");
    for line in &table.line {
        let recording = library().get(&line.id).expect("every line has audio");
        let audio = recording.audio();
        assert_eq!(line.file, format!("{}.ulaw", line.id), "{HOW}");
        assert_eq!(line.sha256, making::hex(&Sha256::digest(audio)), "`{}` has other bytes: {HOW}", line.id);
        assert_eq!(line.duration_ms as usize, audio.len() / BYTES_PER_MS, "`{}` has another length: {HOW}", line.id);
        assert_eq!(audio.len() % FRAME_BYTES, 0, "`{}` is not whole frames: {HOW}", line.id);
        assert_eq!(recording.text().is_empty(), recording.who() == Who::Noise, "`{}`", line.id);
    }
}

#[test]
fn speech_is_as_loud_as_on_a_telephone_and_short() {
    for recording in spoken() {
        let energy: f64 = recording.audio().iter().map(|byte| f64::from(mulaw::decode(*byte)).powi(2)).sum::<f64>();
        let decibels = 10.0 * (energy / recording.audio().len() as f64 / 32_768_f64.powi(2)).log10();
        assert!((-30.0..=-14.0).contains(&decibels), "`{}` is at {decibels:.1} dBFS", recording.id());
        assert!((700..=12_000).contains(&recording.duration_ms()), "`{}`", recording.id());
    }
    let answer = library().get("agent-hours").expect("the long answer");
    assert!((8_000..=11_000).contains(&answer.duration_ms()), "long enough to be interrupted");
}

/// A verdict can say from any frame's bytes which frame it was.
#[test]
fn no_two_frames_are_alike() {
    let mut seen = HashMap::new();
    for recording in library().recordings() {
        for (index, frame) in recording.frames().enumerate() {
            if let Some(other) = seen.insert(frame, (recording.id(), index)) {
                panic!("frame {index} of `{}` equals {other:?}", recording.id());
            }
            let located = library().locate(frame).map(|(recording, at)| (recording.id(), at));
            assert_eq!(located, Some((recording.id(), index * FRAME_BYTES)));
        }
    }
}

#[test]
fn each_recording_is_itself_and_nothing_else() {
    for recording in spoken() {
        let heard = library().hear(recording.audio());
        assert_eq!(heard.len(), 1, "`{}` sounds like {heard:?}", recording.id());
        assert_eq!(heard[0].recording, recording);
        assert_eq!(heard[0].covered, recording.audio().len());
        assert!(heard[0].to_the_end());
    }
}

#[test]
fn silence_and_noise_are_nobody() {
    assert_eq!(id(&[]), None);
    assert_eq!(id(&[mulaw::SILENCE; 24_000]), None);
    assert_eq!(id(&[0x7F; 24_000]), None);
    assert_eq!(id(noise("noise-street")), None);
    assert_eq!(id(noise("noise-clatter")), None);
    let tone: Vec<u8> = (0..16_000)
        .map(|at| mulaw::encode((8_000.0 * (f64::from(at) * std::f64::consts::TAU * 440.0 / 8_000.0).sin()) as i16))
        .collect();
    assert_eq!(id(&tone), None);
}

#[test]
fn two_lines_in_one_breath_are_both_heard() {
    let first = library().get("caller-yes").expect("a line").audio();
    let second = library().get("caller-name").expect("a line").audio();
    let audio = [first, &[mulaw::SILENCE; 1600], second].concat();
    let heard: Vec<_> = library().hear(&audio).iter().map(|heard| heard.recording.id()).collect();
    assert_eq!(heard, ["caller-yes", "caller-name"]);
}

#[test]
fn words_inside_an_instruction_find_their_recording() {
    let found = |text: &str, who| library().spoken_in(text, who).map(Recording::id);
    assert_eq!(
        found("Greet the caller with: \"Riverside clinic - good morning! How can I help you?\"", Who::Agent),
        Some("agent-greeting")
    );
    assert_eq!(found("Yes, that works for me", Who::Caller), Some("caller-yes"));
    assert_eq!(found("Yes, that works", Who::Caller), None);
    assert_eq!(found("", Who::Agent), None);
}

/// Audio that was made softer, mixed with noise and coded again has no byte left of the original.
#[test]
fn altered_audio_is_still_recognised() {
    for recording in spoken() {
        let mut state = 1_u32;
        let altered: Vec<u8> = recording
            .audio()
            .iter()
            .map(|byte| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hiss = f32::from((state >> 16) as u16) / 65_536.0 - 0.5;
                mulaw::encode((f32::from(mulaw::decode(*byte)) * 0.4 + hiss * 500.0) as i16)
            })
            .collect();
        let altered = [&[mulaw::SILENCE; 1000], altered.as_slice(), &[mulaw::SILENCE; 3000]].concat();
        assert_eq!(id(&altered), Some(recording.id()));
    }
}

/// What a telephone line does to 20 ms frames.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Arrives), 1 => Just(Fate::Lost), 1 => Just(Fate::Twice)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// 600 ms of any line, with frames lost and repeated, silence and noise around it, is that line.
    #[test]
    fn a_damaged_line_is_recognised(
        which in 0..24_usize,
        before in 0..8_000_usize,
        noisy in any::<bool>(),
        kept in 600..12_000_usize,
        after in 0..8_000_usize,
        fates in proptest::collection::vec(fate(), 600),
    ) {
        let lines = spoken();
        let line = lines[which % lines.len()];
        let mut audio = vec![mulaw::SILENCE; before];
        if noisy {
            audio.extend_from_slice(noise("noise-clatter"));
            audio.extend_from_slice(&noise("noise-street")[..before]);
        }
        for (frame, fate) in line.frames().take(kept / 20).zip(fates) {
            match fate {
                Fate::Arrives => audio.extend_from_slice(frame),
                Fate::Lost => {}
                Fate::Twice => { audio.extend_from_slice(frame); audio.extend_from_slice(frame); }
            }
        }
        audio.extend(vec![mulaw::SILENCE; after]);
        let heard: Vec<_> = library().hear(&audio).iter().map(|heard| heard.recording.id()).collect();
        prop_assert_eq!(heard, [line.id()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever bytes arrive, nothing panics and random bytes are nobody.
    #[test]
    fn random_bytes_are_nobody(audio in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        prop_assert_eq!(id(&audio), None);
        prop_assert!(library().locate(&audio[..audio.len().min(40)]).is_none());
    }
}
