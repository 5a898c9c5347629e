//! Everything that cargo alone cannot say, by name: `cargo xtask demo`, `test`, `worker` and the others. Only the command
//! line and the way a run ends stand here; each verb has a module.

mod bench;
mod checkout;
mod demo;
mod dev;
mod keys;
mod mishap;
mod ports;
mod processes;
mod progress;
mod setup;
mod stack;
mod steps;
mod tally;
mod tidy;
mod tools;
mod types;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::checkout::Checkout;
use crate::demo::Ending;
use crate::processes::Interrupted;

/// Builds, runs and checks Trunkline.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build and start everything on this machine and let a simulated person call.
    Demo {
        /// End after the call; the exit status is its verdict.
        #[arg(long)]
        once: bool,
        /// Let a browser watch the call, and check what it shows.
        #[arg(long, conflicts_with = "once")]
        browser: bool,
        /// Which call: a file of simulator/scenarios, without its ending.
        #[arg(long, value_name = "NAME", default_value = "clinic")]
        scenario: String,
        /// What happens to our own programs in the middle of the call; it must go on all the same.
        #[arg(long, value_name = "WHAT", requires = "once")]
        mishap: Option<mishap::Mishap>,
    },
    /// The same without the simulated call, with real keys from .dev.vars and .env.
    Dev {
        /// The Worker's port.
        #[arg(long, default_value_t = 8787)]
        port: u16,
        /// The media node's port.
        #[arg(long, default_value_t = 8080)]
        node_port: u16,
    },
    /// Every test: native, wasm, the real Worker, console, browser.
    Test {
        /// Only this step.
        #[arg(long, value_name = "STEP")]
        only: Option<String>,
        /// Show what the programs print while they run.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Measure in release; further arguments go to what measures.
    Bench {
        /// What.
        subject: bench::Subject,
        /// For the measuring program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Create once what a deployment needs: database, bucket, queues, keys, Fly app, TwiML App, number.
    Setup(setup::Options),
    /// Check the layout: layers, purity, secrets, file sizes, words.
    Tidy,
    /// Write the console's TypeScript types from the shared crate.
    GenTypes {
        /// Write nothing; fail when the file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Build the Worker into edge-worker/build; wrangler calls this.
    Worker {
        /// Quick and unoptimised (the choice under `wrangler dev`).
        #[arg(long)]
        dev: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    processes::stop_all_on_signals()?;
    let checkout = Checkout::here()?;
    match arguments.verb {
        Verb::Demo { once, browser, scenario, mishap } => {
            let ending = match (once, browser) {
                (_, true) => Ending::Browser,
                (true, false) => Ending::Verdict(mishap),
                (false, false) => Ending::Stay,
            };
            demo::run(&checkout, &scenario, ending)
        }
        Verb::Dev { port, node_port } => dev::run(&checkout, port, node_port),
        Verb::Test { only, verbose } => steps::test(&checkout, only.as_deref(), verbose),
        Verb::Bench { subject, arguments } => bench::run(&checkout, subject, &arguments),
        Verb::Setup(options) => setup::run(&checkout, &options),
        Verb::Tidy => tidy::check(&checkout),
        Verb::GenTypes { check } => types::generate(&checkout, check),
        Verb::Worker { dev } => worker::build_for_wrangler(&checkout, dev),
    }
}
