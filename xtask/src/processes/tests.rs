//! Real programs of a few lines of shell: what is started is stopped, with everything it started itself.

use std::ffi::OsString;
use std::time::Duration;

use super::{Program, Running, find_program, inherited_path};

const PATIENCE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Program {
    Program::new("sh").arg("-c").arg(script)
}

fn is_alive(pid: i32) -> bool {
    // A zombie has been killed already; only its new parent is late to notice.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

fn grandchild(running: &mut Running) -> i32 {
    running.wait_for_line(PATIENCE, |line| line.strip_prefix("child ")?.parse().ok()).expect("the child's id")
}

#[test]
fn a_program_that_ends_well_gives_its_lines() {
    let finished = shell("echo one; echo two >&2").succeed().expect("ends well");
    let mut lines = finished.tail.clone();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(finished.leftovers, Vec::<String>::new());
}

#[test]
fn a_failure_names_the_program_its_status_and_its_last_lines() {
    let error = shell("echo reason; exit 3").named("thing").succeed().expect_err("fails").to_string();
    assert!(error.contains("thing") && error.contains("exit status: 3") && error.contains("reason"), "{error}");
}

#[test]
fn stopping_ends_the_whole_group() {
    let mut running = shell("sleep 1000 & echo child $!; wait").start().expect("starts");
    let child = grandchild(&mut running);
    assert!(is_alive(child));
    assert!(running.stop());
    assert!(!is_alive(child));
}

#[test]
fn dropping_stops_as_well() {
    let mut running = shell("sleep 1000 & echo child $!; wait").start().expect("starts");
    let child = grandchild(&mut running);
    drop(running);
    assert!(!is_alive(child));
}

#[test]
fn what_a_program_leaves_behind_is_named_and_killed() {
    let mut running = shell("sleep 1000 & echo child $!; exit 0").start().expect("starts");
    let child = grandchild(&mut running);
    let finished = running.wait().expect("ends");
    assert!(finished.status.success());
    assert_eq!(finished.leftovers, ["sleep"]);
    assert!(!is_alive(child));
}

#[test]
fn a_program_that_ends_instead_of_getting_ready_is_an_error_with_its_lines() {
    let mut running = shell("echo cannot bind").start().expect("starts");
    let error = running.wait_for_line(PATIENCE, |line| (line == "ready").then_some(())).expect_err("never ready");
    let text = format!("{error:#}");
    assert!(text.contains("ended before it was ready") && text.contains("cannot bind"), "{text}");
}

#[test]
fn a_program_that_is_not_ready_in_time_is_an_error() {
    let mut running = shell("echo still thinking; sleep 1000").start().expect("starts");
    let error = running.wait_for_line(Duration::from_millis(300), |line| (line == "ready").then_some(()));
    assert!(format!("{:#}", error.expect_err("late")).contains("not ready after"));
}

#[test]
fn every_line_goes_to_the_log_however_many_there_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("below/log");
    let script = "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done";
    let finished = shell(script).log(log).succeed().expect("ends well");
    assert_eq!(finished.text().expect("a log").lines().count(), 1000);
    assert_eq!(finished.tail.last().map(String::as_str), Some("line 999"));
    assert!(finished.tail.len() < 1000);
}

#[test]
fn lines_printed_before_anyone_waited_are_found() {
    let mut running = shell("echo ready; sleep 1000").start().expect("starts");
    running.wait_for_line(PATIENCE, |line| (line == "ready").then_some(())).expect("found");
    running.wait_for_line(Duration::from_millis(200), |line| (line == "ready").then_some(())).expect_err("only once");
}

#[test]
fn a_secret_goes_in_by_the_input() {
    let finished = shell("read word; echo got $word").input("secret\n".to_owned()).succeed().expect("ends well");
    assert_eq!(finished.tail, ["got secret"]);
    assert_eq!(shell("cat").succeed().expect("an empty input").tail, Vec::<String>::new());
}

#[test]
fn a_variable_can_be_kept_from_a_program() {
    let finished = shell("echo \"[${SECRET-none}]\"").env("SECRET", "x").env_remove("SECRET").succeed().expect("ends");
    assert_eq!(finished.tail, ["[none]"]);
    let finished = shell("echo \"[${CARGO_MANIFEST_DIR-none}]\"").bare_env().succeed().expect("ends");
    assert_eq!(finished.tail, ["[none]"]);
}

#[test]
fn programs_are_found_by_name_when_they_may_be_executed() {
    assert!(find_program("sh", &inherited_path()).is_some());
    assert_eq!(find_program("sh", &OsString::from("/nowhere")), None);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("plain"), "text").expect("written");
    assert_eq!(find_program("plain", folder.path().as_os_str()), None);
}
