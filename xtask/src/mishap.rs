//! What may happen to our own programs in the middle of a demo's call, on purpose: the call must not notice. Only process
//! signals and restarts live here; whether the call was as expected is the simulator's verdict.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::checkout::Checkout;
use crate::processes::Running;
use crate::progress::say;
use crate::stack::{Plan, Stack};

/// How long until the call is far enough, and how long a drained node may take to go once its call is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mishap {
    /// The node is asked to stop (SIGTERM, as at a deploy): it takes no new calls, finishes this one and goes by itself.
    DrainNode,
    /// The Worker's processes are killed (SIGKILL) and started again on the same state.
    RestartWorker,
}

impl Mishap {
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = [Self::DrainNode, Self::RestartWorker];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DrainNode => "drain-node",
            Self::RestartWorker => "restart-worker",
        }
    }

    /// Waits until both have spoken, then strikes.
    pub(crate) fn happen(
        self,
        simulator: &mut Running,
        stack: &mut Stack,
        checkout: &Checkout,
        plan: &Plan<'_>,
    ) -> Result<()> {
        simulator.wait_for_line(PATIENCE, |line| line.contains("  caller  ").then_some(()))?;
        match self {
            Self::DrainNode => {
                say("          (the media node is asked to stop)");
                stack.node.ask_to_stop();
            }
            Self::RestartWorker => {
                say("          (the Worker is killed)");
                stack.edge.kill();
                stack.edge = Stack::start_edge(checkout, plan, "edge-again")?;
                say("          (the Worker is back)");
            }
        }
        Ok(())
    }

    /// What must be true of our programs once the call is over.
    pub(crate) fn aftermath(self, stack: &Stack) -> Result<()> {
        match self {
            Self::DrainNode => {
                let status = stack.node.see_end(PATIENCE)?;
                ensure!(status.success(), "the drained media node ended with {status}");
            }
            Self::RestartWorker => {}
        }
        Ok(())
    }
}
