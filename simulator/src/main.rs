//! The simulator as a program. Exit code 0: every verdict held; 1: one did not; 2: something was missing.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use simulator::demo::{self, CallArgs, DemoArgs, LoadArgs, ServeArgs};
use simulator::relay_bench::{self, RelayBenchArgs};

/// Plays Twilio, the AI provider, a caller and a watching browser around a Trunkline deployment.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play one call against a local stack, from setting it up to the verdict.
    Demo(Box<DemoArgs>),
    /// Call a deployment of your own, as Twilio would.
    Call(Box<CallArgs>),
    /// Call a deployment many times.
    Load(Box<LoadArgs>),
    /// Stand there as Twilio's REST interface and OpenAI's Realtime API.
    Serve(ServeArgs),
    /// Measure what the media node costs beside a relay that only forwards bytes.
    RelayBench(RelayBenchArgs),
    /// List the scenarios of the program.
    Scenarios,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::demo(*args).await,
        Command::Call(args) => demo::call(*args).await,
        Command::Load(args) => demo::load(*args).await,
        Command::Serve(args) => demo::serve(args).await,
        Command::RelayBench(args) => relay_bench::run(args).map(|()| true),
        Command::Scenarios => {
            for (name, _) in simulator::scenario::EMBEDDED {
                if let Ok(scenario) = simulator::scenario::Scenario::load(name) {
                    println!("{name:16} {}", scenario.about);
                }
            }
            Ok(true)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
