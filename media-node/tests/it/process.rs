//! The program itself: what it prints, what it refuses, how signals end it.

use crate::support::phone::{Phone, frame};
use crate::support::{SOON, soon};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

fn program(variables: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_media-node"))
        .env_clear()
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program")
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = soon(lines.next_line()).await.expect("text").expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

#[tokio::test]
async fn it_says_where_it_listens_lets_calls_finish_on_both_signals_and_exits_with_zero() {
    let mut plan = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(plan, "provider = \"echo\"").expect("a written plan");
    let path = plan.path().to_str().expect("a plain path");
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = program(&[("PORT", "0"), ("STANDALONE_PLAN", path)]);
        let mut lines = BufReader::new(node.stdout.take().expect("a pipe")).lines();
        let address = next(&mut lines).await["listening"].as_str().and_then(|a| a.parse().ok()).expect("an address");
        let mut phone = Phone::call(address, json!({})).await;
        phone.listen(1).await;
        let pid = Pid::from_raw(i32::try_from(node.id().expect("alive")).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("a signal");
        // It has heard the signal once it turns others away, and still carries this call.
        soon(async { while Phone::dial(address, "/media", &[]).await.is_ok() {} }).await;
        for number in 0..100 {
            phone.speak(&frame(number)).await;
        }
        phone.listen(160).await;
        phone.hang_up().await;
        phone.closed().await;
        drop(phone);
        let mut last = Value::Null;
        while let Some(line) = soon(lines.next_line()).await.expect("text") {
            last = serde_json::from_str(&line).expect("JSON");
        }
        assert_eq!(last["event"], json!({"kind": "ended", "reason": "caller_hung_up"}));
        assert_eq!(soon(node.wait()).await.expect("an end").code(), Some(0));
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_told_at_once_and_without_its_values() {
    let mut node = program(&[("PORT", "hunter2"), ("EDGE_URL", "http://hunter2.example"), ("NODE_SECRET", "hunter2")]);
    let mut said = String::new();
    let mut stderr = node.stderr.take().expect("a pipe");
    tokio::time::timeout(SOON, stderr.read_to_string(&mut said)).await.expect("an end").expect("text");
    assert_eq!(soon(node.wait()).await.expect("an end").code(), Some(1));
    for name in ["PORT", "EDGE_URL", "TICKET_PUBLIC_KEY"] {
        assert!(said.contains(name), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}
