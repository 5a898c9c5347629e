//! Every kind of event that the OpenAI Realtime twin sends, as JSON lines for a judge:
//! `cargo run -p trunkline-simulator --example openai_events | $JUDGE_PYTHON simulator/judges/openai_events.py`.

use std::io::Write as _;

use simulator::provider::openai::{gallery, line};

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for event in gallery() {
        writeln!(out, "{}", line(&event))?;
    }
    Ok(())
}
