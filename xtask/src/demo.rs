//! `cargo xtask demo`: everything built and started, and one simulated person calls. The simulator places the call and
//! judges it; here the parts are brought together.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::keys;
use crate::mishap::Mishap;
use crate::processes::{Echo, Finished, Interrupted, Program, wait_for_interrupt};
use crate::progress::{duration, say};
use crate::stack::{self, Plan, Ports, Programs, RunFolder, Secrets, Stack, Vars};
use crate::tools;

/// The simulated account. Nobody's: Twilio's are random.
const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// The simulated API key that signs Voice tokens.
const API_KEY: &str = "SK00000000000000000000000000000002";
/// The simulated TwiML App.
const TWIML_APP: &str = "AP00000000000000000000000000000003";
/// Our simulated number.
const CALLER_ID: &str = "+15550100100";
/// How long the simulated call, with its verdict, may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// What happens after the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything stays up until Ctrl-C.
    Stay,
    /// The verdict on the call is the result, whatever happens to our programs meanwhile.
    Verdict(Option<Mishap>),
    /// The call waits for a browser that watches it; the browser's checks and the verdict are the result.
    Browser,
}

/// Builds, starts, calls.
pub(crate) fn run(checkout: &Checkout, scenario: &str, ending: Ending) -> Result<()> {
    let started = Instant::now();
    let mut folder = RunFolder::create(checkout)?;
    let programs = stack::build(checkout, true, &folder.path("state"), &folder)?;
    let demo = Demo { checkout, scenario, ending, started, programs: &programs, folder: &folder };
    let result = demo.play();
    if result.as_ref().is_err_and(|error| !error.is::<Interrupted>()) {
        say(&format!("the logs of this run: {}", folder.keep().join("logs").display()));
    }
    result
}

struct Demo<'a> {
    checkout: &'a Checkout,
    scenario: &'a str,
    ending: Ending,
    started: Instant,
    programs: &'a Programs,
    folder: &'a RunFolder,
}

impl Demo<'_> {
    fn play(&self) -> Result<()> {
        let ports = Ports::reserve()?;
        let secrets = Secrets::generate()?;
        let twilio = twilio_vars(ports)?;
        let mut node_vars = secrets.node_vars(ports, &self.folder.path("spool"));
        node_vars.extend([
            ("OPENAI_API_KEY".into(), format!("sk-fake-{}", keys::hex::<8>()?)),
            ("OPENAI_REALTIME_URL".into(), format!("ws://127.0.0.1:{}/v1/realtime", ports.provider)),
        ]);
        let plan = Plan {
            ports,
            edge_vars: [secrets.edge_vars(ports), twilio.clone()].concat(),
            edge_files: Vec::new(),
            node_vars,
            state: self.folder.path("state"),
            prebuilt: true,
            echo: Echo::Silent,
            media_node: &self.programs.media_node,
            folder: self.folder,
        };
        let stack = Stack::start(self.checkout, &plan)?;
        say(&format!("ready after {}", duration(self.started.elapsed())));
        say(&format!("the console is at {}", ports.edge_url()));
        say("");
        let simulator = self.simulator(ports, &secrets.setup_token, &twilio);
        match self.ending {
            Ending::Stay => {
                let simulator = simulator.start()?;
                wait_for_interrupt();
                simulator.stop();
                stack.stop();
                Ok(())
            }
            Ending::Verdict(mishap) => {
                let mut simulator = simulator.arg("--once").start()?;
                let mut stack = stack;
                if let Some(mishap) = mishap {
                    mishap.happen(&mut simulator, &mut stack, self.checkout, &plan)?;
                }
                let finished = simulator.wait_within(PATIENCE)?;
                if let Some(mishap) = mishap {
                    mishap.aftermath(&stack)?;
                }
                stack.stop();
                self.judge(&finished)
            }
            Ending::Browser => {
                let (ready, start) = (self.folder.path("ready.json"), self.folder.path("start"));
                let waiting = simulator.args(["--once", "--ready-file"]).arg(&ready).arg("--start-file").arg(&start);
                let simulator = waiting.start()?;
                let watched = self.browser(&ready, &start)?.run()?;
                if !watched.status.success() {
                    return Err(watched.failure());
                }
                let finished = simulator.wait_within(PATIENCE)?;
                stack.stop();
                self.judge(&finished)?;
                // The last line counts the checks, for whoever runs us.
                say(watched.tail.last().map_or("", String::as_str));
                Ok(())
            }
        }
    }

    /// The simulator, which gets its secrets as variables: a command line can be read by others.
    fn simulator(&self, ports: Ports, setup_token: &str, twilio: &Vars) -> Program {
        Program::new(&self.programs.simulator)
            .arg("demo")
            .args(["--edge", &ports.edge_url(), "--account-sid", ACCOUNT])
            .args(["--rest-listen", &format!("127.0.0.1:{}", ports.rest)])
            .args(["--provider-listen", &format!("127.0.0.1:{}", ports.provider)])
            .args(["--scenario", self.scenario, "--verdict"])
            .arg(self.folder.path("verdict.json"))
            .env("SETUP_TOKEN", setup_token)
            .envs(twilio.iter().map(|(name, value)| (name, value)))
            .dir(self.checkout.root())
            .log(self.folder.path("logs/simulator.log"))
            .echo(Echo::Lines)
    }

    fn browser(&self, ready: &Path, start: &Path) -> Result<Program> {
        Ok(Program::new("npm")
            .args(["run", "--silent", "console:browser"])
            .dir(self.checkout.root())
            .env("PATH", self.checkout.search_path()?)
            .env("READY_FILE", ready)
            .env("START_FILE", start)
            .env("CHROMIUM", tools::chromium()?)
            .named("browser")
            .log(self.folder.path("logs/browser.log"))
            .echo(Echo::Lines))
    }

    fn judge(&self, simulator: &Finished) -> Result<()> {
        if !simulator.status.success() {
            bail!("the call was not as expected (the simulator ended with {})", simulator.status);
        }
        say(&format!("the call was as expected; {} from start to end", duration(self.started.elapsed())));
        Ok(())
    }
}

/// The Worker's account at the simulated Twilio.
fn twilio_vars(ports: Ports) -> Result<Vars> {
    Ok(vec![
        ("TWILIO_ACCOUNT_SID".into(), ACCOUNT.into()),
        ("TWILIO_AUTH_TOKEN".into(), keys::hex::<16>()?),
        ("TWILIO_CALLER_ID".into(), CALLER_ID.into()),
        ("TWILIO_TWIML_APP_SID".into(), TWIML_APP.into()),
        ("TWILIO_API_KEY".into(), API_KEY.into()),
        ("TWILIO_API_SECRET".into(), keys::hex::<16>()?),
        ("TWILIO_API_BASE_URL".into(), format!("http://127.0.0.1:{}", ports.rest)),
    ])
}
