//! `cargo xtask bench`: builds what is measured in release and hands over to what measures it. The figures and how they
//! are taken are the measuring programs' matter.

use anyhow::Result;
use clap::ValueEnum;

use crate::checkout::Checkout;
use crate::processes::{Echo, Program};
use crate::progress::step;
use crate::steps::quiet_vars;
use crate::{stack, tools, worker};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// Paced calls through the release node against the provider's twin, beside a relay that only forwards bytes.
    Relay,
    /// The Worker in bare workerd: size, first answer, `/voice` at a fixed rate, beside a Worker in JavaScript.
    Worker,
}

/// Measures one subject, passing `arguments` on.
pub(crate) fn run(checkout: &Checkout, subject: Subject, arguments: &[String]) -> Result<()> {
    let program = match subject {
        Subject::Relay => {
            step("media node and simulator", || stack::native(checkout))?;
            let release = checkout.target().join("release");
            Program::new(release.join("simulator")).args(["relay-bench", "--node"]).arg(release.join("media-node"))
        }
        Subject::Worker => {
            step("tools", || tools::for_building(checkout).map(drop))?;
            step("Worker", || worker::build(checkout, worker::Build::Release, Echo::Pulse))?;
            Program::new("node").arg("edge-worker/e2e/bench/worker.mjs")
        }
    };
    program.args(arguments).dir(checkout.root()).envs(quiet_vars(checkout)?).echo(Echo::Lines).succeed().map(drop)
}
