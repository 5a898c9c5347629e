use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::provider::openai::{SERVER_EVENTS, gallery, line};

#[test]
fn the_gallery_shows_every_kind_of_event() {
    let shown: BTreeSet<String> = gallery()
        .iter()
        .filter(|event| !event.by_client)
        .map(|event| {
            serde_json::from_str::<Value>(&event.text).map(|event| kind(&event).to_owned()).unwrap_or_default()
        })
        .collect();
    assert_eq!(shown, SERVER_EVENTS.iter().map(|kind| (*kind).to_owned()).collect());
}

/// What the judge says of these lines: whether all were accepted, and its words.
fn judge(lines: &str) -> (bool, String) {
    let python = std::env::var_os("JUDGE_PYTHON").expect("JUDGE_PYTHON names a Python with openai==3.51.0");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("judges/openai_events.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the judge starts");
    let mut stdin = child.stdin.take().expect("piped");
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("the judge ends");
    writer.join().expect("no panic").expect("the judge reads everything");
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

#[test]
#[ignore = "needs JUDGE_PYTHON, a Python with openai==3.51.0"]
fn the_vendors_own_types_accept_every_event() {
    let lines: String = gallery().iter().map(|event| line(event) + "\n").collect();
    let (accepted, words) = judge(&lines);
    assert!(accepted, "{words}");
}

/// The judge itself can say no: to a missing field, a stranger, a wrong type, deep inside as well.
#[test]
#[ignore = "needs JUDGE_PYTHON, a Python with openai==3.51.0"]
fn the_judge_refuses_what_is_wrong() {
    let all: Vec<Value> = gallery().iter().map(|event| serde_json::from_str(&line(event)).expect("JSON")).collect();
    let first = |wanted: &str| {
        all.iter().find(|line| kind(&line["event"]) == wanted).unwrap_or_else(|| panic!("a {wanted}")).clone()
    };
    let mut broken = Vec::new();
    let mut missing = first("response.output_audio.delta");
    missing["event"].as_object_mut().expect("an object").remove("item_id");
    broken.push(missing);
    let mut stranger = first("response.done");
    stranger["event"]["response"]["usage"]["coffee_tokens"] = json!(1);
    broken.push(stranger);
    let mut wrong = first("input_audio_buffer.speech_started");
    wrong["event"]["audio_start_ms"] = json!("12");
    broken.push(wrong);
    let mut deep = first("session.updated");
    deep["event"]["session"]["audio"]["input"]["format"]["rate"] = json!(8000);
    broken.push(deep);
    let mut client = first("session.update");
    client["event"]["session"]["voice"] = json!("marin");
    broken.push(client);
    broken.push(json!({ "direction": "server", "event": { "type": "response.audio.delta", "event_id": "e" } }));
    for line in broken {
        let (accepted, words) = judge(&line.to_string());
        assert!(!accepted, "{line} was accepted: {words}");
    }
    assert!(!judge("").0, "no events are no proof");
}
