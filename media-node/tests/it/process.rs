//! The program itself: what it prints, what it refuses, how signals end it.

use crate::support::phone::{Phone, frame};
use crate::support::provider::{KEY, Provider};
use crate::support::{SOON, soon};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

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

/// What the process has in memory, KiB.
fn resident(node: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id().expect("alive"))).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_caller_who_does_not_read_costs_half_a_mebibyte_at_most() {
    let mut provider = Provider::start().await;
    let mut plan = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(plan, "provider = \"openai\"").expect("a written plan");
    let path = plan.path().to_str().expect("a plain path");
    let variables = [("OPENAI_REALTIME_URL", provider.url.as_str()), ("OPENAI_API_KEY", KEY)];
    let mut node = program(&[&[("PORT", "0"), ("STANDALONE_PLAN", path)][..], &variables].concat());
    let mut lines = BufReader::new(node.stdout.take().expect("a pipe")).lines();
    let address = next(&mut lines).await["listening"].as_str().and_then(|a| a.parse().ok()).expect("an address");
    // One call that has had everything a call can have, so that only what is unread counts below.
    let mut phone = Phone::call(address, json!({})).await;
    let mut voice = provider.configured().await;
    voice.begin("r1", "i1").await;
    for _ in 0..50 {
        voice.delta("r1", "i1", &[7; 8000]).await;
    }
    phone.listen(400_000).await;
    let before = resident(&node);

    // Speech without end for somebody who reads none of it: more than the kernels between provider and node can hold, so
    // the node has read it, and for longer than it waits for a reader before it drops the oldest.
    let (mut most, mut sent) = (0, 0);
    let began = Instant::now();
    while sent < 10_000_000 || began.elapsed() < Duration::from_secs(4) {
        for _ in 0..5 {
            voice.delta("r1", "i1", &[7; 8000]).await;
            sent += 10_700;
        }
        phone.speak(&frame(1)).await;
        most = most.max(resident(&node));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(most < before + 512, "{before} KiB became {most} KiB");
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
