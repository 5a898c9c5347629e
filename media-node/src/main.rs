//! The media node's program: variables in, log and runtime set up, the rest is the library's.

use anyhow::{Context as _, Result};
use media_node::{Config, drain, log, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("media-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    let config = Config::parse(|name| std::env::var(name).ok())
        .map_err(|mistakes| anyhow::anyhow!("the configuration is not complete:\n{}", listed(&mistakes.0)))?;
    log::init(&config.log).context("the log cannot be set up")?;
    // One thread: a call's wakes then never cross cores. Measured with `cargo xtask bench relay`, the runtime with several
    // threads costs a sixth more CPU per call, and one thread carries hundreds of calls; more cores are more nodes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(async {
        let shutdown = drain::by_signals().context("signals cannot be received")?;
        Ok(run(config, shutdown).await?)
    });
    // A name that is still being resolved must not keep the process alive.
    runtime.shutdown_background();
    ran
}

fn listed(mistakes: &[media_node::config::Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("  {mistake}")).collect::<Vec<_>>().join("\n")
}
