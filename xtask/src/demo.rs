//! `cargo xtask demo`: everything built and started, and one simulated person calls. The simulator places the call and
//! judges it; here the parts are brought together.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::keys;
use crate::processes::{Echo, Program, wait_for_interrupt};
use crate::progress::{duration, say};
use crate::stack::{self, Plan, Ports, RunFolder, Secrets, Stack, Vars};

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

/// Builds, starts, calls. With `once` it ends after the verdict, which is its result; else it stays until Ctrl-C.
pub(crate) fn run(checkout: &Checkout, scenario: &str, once: bool) -> Result<()> {
    let started = Instant::now();
    let programs = stack::build(checkout, true)?;
    let mut folder = RunFolder::create(checkout)?;
    let result = call(checkout, scenario, once, started, &programs, &folder);
    if result.as_ref().is_err_and(|error| !error.is::<crate::processes::Interrupted>()) {
        say(&format!("the logs of this run: {}", folder.keep().join("logs").display()));
    }
    result
}

fn call(
    checkout: &Checkout,
    scenario: &str,
    once: bool,
    started: Instant,
    programs: &stack::Programs,
    folder: &RunFolder,
) -> Result<()> {
    let ports = Ports::reserve()?;
    let secrets = Secrets::generate()?;
    let auth_token = keys::hex::<16>()?;
    let mut node_vars = secrets.node_vars(ports, &folder.path("spool"));
    node_vars.extend([
        ("OPENAI_API_KEY".into(), format!("sk-fake-{}", keys::hex::<8>()?)),
        ("OPENAI_REALTIME_URL".into(), format!("ws://127.0.0.1:{}/v1/realtime", ports.provider)),
    ]);
    let plan = Plan {
        ports,
        edge_vars: [secrets.edge_vars(ports), twilio_vars(ports, &auth_token)?].concat(),
        edge_files: Vec::new(),
        node_vars,
        state: folder.path("state"),
        prebuilt: true,
        echo: Echo::Silent,
        media_node: &programs.media_node,
        folder,
    };
    let stack = Stack::start(checkout, &plan)?;
    say(&format!("ready after {}", duration(started.elapsed())));
    say("");
    say(&format!("  console      {}", ports.edge_url()));
    say(&format!("  set-up token {}", secrets.setup_token));
    say("");
    let verdict = folder.path("verdict.json");
    let mut simulator = Program::new(&programs.simulator)
        .arg("demo")
        .args(["--edge", &ports.edge_url(), "--setup-token", &secrets.setup_token])
        .args(["--auth-token", &auth_token, "--account-sid", ACCOUNT])
        .args(["--rest-listen", &format!("127.0.0.1:{}", ports.rest)])
        .args(["--provider-listen", &format!("127.0.0.1:{}", ports.provider)])
        .args(["--scenario", scenario, "--verdict"])
        .arg(&verdict)
        .dir(checkout.root())
        .log(folder.path("logs/simulator.log"))
        .echo(Echo::Lines);
    if once {
        simulator = simulator.arg("--once");
        let finished = simulator.start()?.wait_within(PATIENCE)?;
        stack.stop();
        if !finished.status.success() {
            bail!("the call was not as expected (the simulator ended with {})", finished.status);
        }
        say(&format!("the call was as expected; {} from start to end", duration(started.elapsed())));
        return Ok(());
    }
    let simulator = simulator.start()?;
    wait_for_interrupt();
    simulator.stop();
    stack.stop();
    Ok(())
}

/// The Worker's account at the simulated Twilio.
fn twilio_vars(ports: Ports, auth_token: &str) -> Result<Vars> {
    Ok(vec![
        ("TWILIO_ACCOUNT_SID".into(), ACCOUNT.into()),
        ("TWILIO_AUTH_TOKEN".into(), auth_token.into()),
        ("TWILIO_CALLER_ID".into(), CALLER_ID.into()),
        ("TWILIO_TWIML_APP_SID".into(), TWIML_APP.into()),
        ("TWILIO_API_KEY".into(), API_KEY.into()),
        ("TWILIO_API_SECRET".into(), keys::hex::<16>()?),
        ("TWILIO_API_BASE_URL".into(), format!("http://127.0.0.1:{}", ports.rest)),
    ])
}
