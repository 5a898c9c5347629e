//! The product's codec before the vendor's own types: everything that it can send, in every variant, must be accepted by
//! the `openai` package; and everything that the twin can send must be understood by the codec.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use session::provider::{ProviderCommand, ProviderEvent, Respond, Setup, Wire, codec};
use shared::agent::{TurnDetection, VoicePlan};
use shared::node_api::{HeardLine, Speaker};
use simulator::provider::openai::gallery;

/// Every command, with the settings that change what is written.
fn everything_sent() -> Vec<Value> {
    let turns = [
        TurnDetection::default(),
        TurnDetection::ServerVad { threshold: 0.9, prefix_padding_ms: 0, silence_duration_ms: 200 },
        TurnDetection::SemanticVad { eagerness: "low".to_owned() },
        TurnDetection::SemanticVad { eagerness: "auto".to_owned() },
    ];
    let mut sent = Vec::new();
    for turn_detection in turns {
        for (model, voice) in [(None, None), (Some("gpt-realtime-2.1-mini"), Some("cedar"))] {
            let voice = VoicePlan {
                provider: "openai".to_owned(),
                model: model.map(str::to_owned),
                voice: voice.map(str::to_owned),
                turn_detection: turn_detection.clone(),
            };
            let mut codec = codec("openai").expect("a codec");
            let setup = Setup {
                voice: &voice,
                instructions: "Be brief.\n\"Quote\" \\ \u{1f600}",
                language: "en-US",
                transcription_model: "gpt-transcribe",
            };
            let said = |speaker, text: &str| HeardLine { speaker, text: text.to_owned() };
            let (caller, agent) = (said(Speaker::Caller, "Hello?"), said(Speaker::Agent, "Good \"morning\"."));
            let commands = [
                ProviderCommand::Configure(setup),
                ProviderCommand::Hear("//8="),
                ProviderCommand::Remember(&caller),
                ProviderCommand::Remember(&agent),
                ProviderCommand::Know("The caller is a patient."),
                ProviderCommand::Respond { what: Respond::Freely },
                ProviderCommand::Respond { what: Respond::Saying("Good morning.") },
                ProviderCommand::Respond { what: Respond::Following("Ask for a name.") },
                ProviderCommand::Cancel { response: "resp_1" },
                ProviderCommand::Truncate { item: "item_1", content_index: 0, heard_ms: 1234 },
                ProviderCommand::AnswerTool { call: "call_1", output: "{\"error\":\"no\"}" },
            ];
            for command in commands {
                let Wire::Text(text) = codec.write(command) else { panic!("not a text: {command:?}") };
                sent.push(serde_json::from_str(&text).expect("JSON"));
            }
        }
    }
    sent
}

#[test]
#[ignore = "needs JUDGE_PYTHON, a Python with openai==3.51.0"]
fn the_vendors_own_types_accept_all_that_the_codec_sends() {
    let python = std::env::var_os("JUDGE_PYTHON").expect("JUDGE_PYTHON names a Python with openai==3.51.0");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("judges/openai_events.py");
    let lines: String = everything_sent()
        .into_iter()
        .map(|event| json!({ "direction": "client", "event": event }).to_string() + "\n")
        .collect();
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the judge starts");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("the judge ends");
    writer.join().expect("no panic").expect("the judge reads everything");
    let words = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&words));
}

#[test]
fn the_codec_understands_all_that_the_twin_sends() {
    let mut codec = codec("openai").expect("a codec");
    let mut understood = 0;
    for event in gallery().iter().filter(|event| !event.by_client) {
        let read = codec.read(&event.text).unwrap_or_else(|fault| panic!("{fault}: {}", event.text));
        // The twin sprinkles in kinds that no version knows; those alone may be unknown.
        let kind: Value = serde_json::from_str(&event.text).expect("JSON");
        let is_documented = simulator::provider::openai::SERVER_EVENTS.contains(&kind["type"].as_str().unwrap_or(""));
        assert!(!is_documented || read != ProviderEvent::Unknown, "unknown to the codec: {}", event.text);
        understood += usize::from(is_documented);
    }
    assert!(understood >= 32, "{understood} documented events in the gallery");
}
