//! The program's scenarios are sound, and mistakes in a user's are named.

use super::{EMBEDDED, Kind, Scenario};

const SOUND: &str = r#"
about = "A test."
kind = "inbound"
[[caller]]
heard = "agent-greeting"
after_ms = 300
say = "caller-hours"
[[caller]]
hang_up = true
[expect]
status = "completed"
barge_ins = 1
transcript = [{ who = "agent", line = "agent-greeting" }]
"#;

#[test]
fn every_scenario_of_the_program_can_be_played() {
    for (name, _) in EMBEDDED {
        let scenario = Scenario::load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(scenario.cast(1).is_ok(), "{name}");
        assert!(!scenario.about.trim().is_empty(), "{name}");
    }
    let clinic = Scenario::load("clinic").unwrap();
    assert_eq!((clinic.kind, clinic.expect.barge_ins), (Kind::Inbound, 1));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let wrong = |from: &str, to: &str| {
        let text = SOUND.replace(from, to);
        assert_ne!(text, SOUND);
        Scenario::read(&text).unwrap_err().to_string()
    };
    assert!(Scenario::read(SOUND).is_ok());
    for (from, to, expected) in [
        ("agent-greeting\"\nafter", "agent-sings\"\nafter", "caller[0]: no recording is called `agent-sings`"),
        ("caller-hours", "agent-hours", "caller[0]: `agent-hours` is not a line of the caller"),
        ("hang_up = true", "", "caller[1]: has no deed"),
        ("hang_up = true", "hang_up = true\nwait_ms = 1", "caller[1]: has two deeds"),
        ("after_ms = 300", "begun = \"agent-hours\"", "caller[0]: has two conditions"),
        (
            "line = \"agent-greeting\"",
            "line = \"caller-hours\"",
            "expect.transcript[0]: `caller-hours` is not a line of the Agent",
        ),
        ("status = \"completed\"", "status = \"ringing\"", "expect.status"),
        ("kind = \"inbound\"", "kind = \"inbound\"\nnumber = \"5550100\"", "number: must be"),
        ("hang_up = true", "press = \"x\"", "caller[1]: `press` takes"),
        (
            "line = \"agent-greeting\" }",
            "line = \"agent-greeting\", cut = true }, { who = \"agent\", line = \"agent-hours\", cut = true }",
            "expect.barge_ins",
        ),
    ] {
        let text = wrong(from, to);
        assert!(text.contains(expected), "{from} -> {to}: {text}");
    }
    let unknown = wrong("after_ms", "afterwards_ms");
    assert!(unknown.contains("afterwards_ms") && unknown.contains("line"), "{unknown}");
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let error = Scenario::load("opera").unwrap_err().to_string();
    assert!(error.contains("clinic") && error.contains("line-test"), "{error}");
    assert!(Scenario::load("missing.toml").unwrap_err().to_string().contains("missing.toml"));
}
