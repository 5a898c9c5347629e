//! Makes the recorded speech anew: `cargo run -p trunkline-simulator --example speech`. Needs Debian's espeak-ng and sox.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("speech");
    let changed = simulator::speech::making::regenerate(&directory)?;
    if changed.is_empty() {
        println!("every recording is as it was");
    }
    for id in changed {
        println!("changed: {id}");
    }
    Ok(())
}
