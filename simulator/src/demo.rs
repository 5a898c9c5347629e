//! The commands of the program: `demo` plays a scenario against a local stack from setting up to the verdict, `call` against
//! anybody's deployment, `load` many calls at once, `serve` only stands there as Twilio and the provider.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use url::Url;

use crate::operator::Operator;
use crate::scenario::{Kind, Scenario};
use crate::screen::Screen;
use crate::twilio::exchange::{Account, Exchange};
use crate::verdict::Verdict;
use crate::world::{Webhooks, World};

/// The demo's administrator. Only ever made on this machine.
const EMAIL: &str = "operator@demo.example";
const PASSWORD: &str = "only for the local demo";

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// `simulator demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Address of the edge, on this machine.
    #[arg(long)]
    pub edge: String,
    /// The edge's SETUP_TOKEN.
    #[arg(long, env = "SETUP_TOKEN", hide_env_values = true)]
    pub setup_token: String,
    /// The edge's TWILIO_AUTH_TOKEN: webhooks are signed with it.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    pub auth_token: String,
    /// The edge's TWILIO_ACCOUNT_SID.
    #[arg(long, env = "TWILIO_ACCOUNT_SID")]
    pub account_sid: String,
    /// Where Twilio's REST interface is played: the edge's TWILIO_API_BASE_URL.
    #[arg(long)]
    pub rest_listen: SocketAddr,
    /// Where OpenAI's Realtime API is played: the node's OPENAI_REALTIME_URL.
    #[arg(long)]
    pub provider_listen: SocketAddr,
    /// A scenario's name, or a .toml file.
    #[arg(long, default_value = "clinic")]
    pub scenario: String,
    /// The edge's TWILIO_API_KEY, when it uses one.
    #[arg(long, env = "TWILIO_API_KEY")]
    pub api_key: Option<String>,
    /// The edge's TWILIO_API_SECRET.
    #[arg(long, env = "TWILIO_API_SECRET", hide_env_values = true)]
    pub api_secret: Option<String>,
    /// End after the call, with 0 if the verdict holds and 1 if not.
    #[arg(long)]
    pub once: bool,
    /// Write the verdict as JSON here.
    #[arg(long)]
    pub verdict: Option<PathBuf>,
    /// Write {"edge","email","password","apiKey","number"} here when the call could begin.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// Wait for this file before the call.
    #[arg(long)]
    pub start_file: Option<PathBuf>,
    /// Seed of everything that happens by chance; by the clock if none.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// `simulator call`.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// Address of the edge, or of anything that answers /voice.
    #[arg(long)]
    pub edge: String,
    /// Its TWILIO_AUTH_TOKEN: webhooks are signed with it.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    pub auth_token: String,
    /// Its TWILIO_ACCOUNT_SID.
    #[arg(long, env = "TWILIO_ACCOUNT_SID")]
    pub account_sid: String,
    /// An API key of the edge (tl_live_…): then the call is watched and its history judged.
    #[arg(long, env = "TRUNKLINE_API_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// A scenario's name, or a .toml file.
    #[arg(long, default_value = "line-test")]
    pub scenario: String,
    /// The number that is called, instead of the scenario's.
    #[arg(long)]
    pub number: Option<String>,
    /// Who calls, instead of the scenario's.
    #[arg(long)]
    pub from: Option<String>,
    /// The path that answers calls.
    #[arg(long, default_value = "/voice")]
    pub voice: String,
    /// Play the provider's twin here too, for a node that can reach it; without it the deployment's own provider answers.
    #[arg(long)]
    pub provider_listen: Option<SocketAddr>,
    /// Play Twilio's REST interface here too, for an edge that can reach it.
    #[arg(long)]
    pub rest_listen: Option<SocketAddr>,
    /// Write the verdict as JSON here.
    #[arg(long)]
    pub verdict: Option<PathBuf>,
    /// Seed of everything that happens by chance; by the clock if none.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// `simulator load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// As of `call`.
    #[command(flatten)]
    pub call: CallArgs,
    /// Calls begun a second.
    #[arg(long, default_value_t = 1.0)]
    pub rate: f64,
    /// How many calls.
    #[arg(long, default_value_t = 10)]
    pub calls: u32,
}

/// `simulator serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The account that is played.
    #[arg(long, env = "TWILIO_ACCOUNT_SID")]
    pub account_sid: String,
    /// Its auth token.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    pub auth_token: String,
    /// An API key of it.
    #[arg(long, env = "TWILIO_API_KEY")]
    pub api_key: Option<String>,
    /// Its secret.
    #[arg(long, env = "TWILIO_API_SECRET", hide_env_values = true)]
    pub api_secret: Option<String>,
    /// Where Twilio's REST interface is played.
    #[arg(long)]
    pub rest_listen: SocketAddr,
    /// Where OpenAI's Realtime API is played.
    #[arg(long)]
    pub provider_listen: SocketAddr,
    /// Who answers the calls that are placed: a scenario's name, or a .toml file.
    #[arg(long, default_value = "outbound")]
    pub scenario: String,
    /// Numbers of the account besides the scenario's, E.164.
    #[arg(long)]
    pub number: Vec<String>,
}

fn seed(given: Option<u64>) -> u64 {
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64))
}

fn account(sid: &str, auth_token: &str, key: Option<(String, String)>) -> Account {
    Account {
        sid: sid.to_owned(),
        auth_token: auth_token.to_owned(),
        api_keys: key.into_iter().collect(),
        pace: Duration::from_secs(1),
    }
}

fn is_loopback(edge: &str) -> Result<bool> {
    let url = Url::parse(edge).with_context(|| format!("{edge} is not an address"))?;
    Ok(match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

/// Writes a file that appears whole or not at all.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text).with_context(|| format!("writing {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("writing {}", path.display()))
}

fn report(screen: Screen, verdict: &Verdict, file: Option<&Path>) -> Result<()> {
    screen.line(&format!("\nVerdict:\n{verdict}\n"));
    match file {
        Some(path) => {
            let text = json!({"holds": verdict.holds(), "checks": verdict.checks, "figures": verdict.figures});
            write_whole(path, &text.to_string())
        }
        None => Ok(()),
    }
}

/// Whoever is called from the console's page answers as the outbound scenario's person does.
fn somebody_answers(exchange: &Exchange, seed: u64) -> Result<()> {
    exchange.set_cast(None, Scenario::load("outbound")?.cast(seed)?);
    Ok(())
}

/// Plays the demo; whether its verdict holds.
///
/// # Errors
/// When something is missing or refuses; the message says what.
pub async fn demo(args: DemoArgs) -> Result<bool> {
    if !is_loopback(&args.edge)? {
        bail!(
            "the demo makes an administrator with a known password, so it plays only on this machine; for a deployment use `simulator call`"
        );
    }
    let screen = Screen::Terminal;
    let scenario = Scenario::load(&args.scenario)?;
    let seed = seed(args.seed);
    let key = args.api_key.clone().zip(args.api_secret.clone());
    let account = account(&args.account_sid, &args.auth_token, key);
    let world = World::open(account, args.rest_listen, Some(args.provider_listen), &scenario, seed).await?;
    let webhooks = Webhooks::of(&args.edge);
    world.own(&scenario.number, &webhooks);
    somebody_answers(&world.exchange, seed)?;

    screen.line("Waiting for the edge and a media node …");
    Operator::wait_for_edge(&args.edge, Duration::from_secs(120)).await?;
    let operator = Operator::enter(&args.edge, &args.setup_token, EMAIL, PASSWORD).await.context(
        "the edge's administrator could not be made or signed in; if its local data is from elsewhere, delete it",
    )?;
    let agent = World::prepare(&operator, &scenario).await?;
    operator.set_default_agent(&agent).await?;
    if let Some(path) = &args.ready_file {
        let ready = json!({
            "edge": args.edge, "email": EMAIL, "password": PASSWORD, "apiKey": operator.key(), "number": scenario.number,
        });
        write_whole(path, &ready.to_string())?;
    }
    if let Some(path) = &args.start_file {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    screen.line(&format!("\n{}\n", scenario.about));
    let played = world.play(&scenario, &webhooks, Some(&operator), &screen, seed).await?;
    report(screen, &played.verdict, args.verdict.as_deref())?;
    if args.once {
        return Ok(played.verdict.holds());
    }
    screen.line(&format!("The console: {}   sign in as {EMAIL} with the password “{PASSWORD}”.", args.edge));
    screen.line("Calls that you place there are answered by a simulated person. Ctrl-C to stop.");
    tokio::signal::ctrl_c().await?;
    Ok(played.verdict.holds())
}

/// Plays one call against a deployment; whether its verdict holds.
///
/// # Errors
/// As [`demo`].
pub async fn call(args: CallArgs) -> Result<bool> {
    let screen = Screen::Terminal;
    let seed = seed(args.seed);
    let (world, scenario, webhooks, operator) = deployment(&args, seed).await?;
    screen.line(&format!("{}\n", scenario.about));
    let played = world.play(&scenario, &webhooks, operator.as_ref(), &screen, seed).await?;
    report(screen, &played.verdict, args.verdict.as_deref())?;
    Ok(played.verdict.holds())
}

async fn deployment(args: &CallArgs, seed: u64) -> Result<(World, Scenario, Webhooks, Option<Operator>)> {
    let mut scenario = Scenario::load(&args.scenario)?;
    if let Some(number) = &args.number {
        scenario.number.clone_from(number);
    }
    if let Some(from) = &args.from {
        scenario.person.clone_from(from);
    }
    let account = account(&args.account_sid, &args.auth_token, None);
    let world = World::open(account, args.rest_listen.unwrap_or(ANY), args.provider_listen, &scenario, seed).await?;
    let edge = args.edge.trim_end_matches('/');
    let webhooks = Webhooks { voice: format!("{edge}{}", args.voice), ..Webhooks::of(edge) };
    let operator = args.key.as_deref().map(|key| Operator::with_key(edge, key)).transpose()?;
    if operator.is_none() {
        // Nobody watches, so nothing can be said about transcript and history.
        scenario.expect.transcript.clear();
        scenario.expect.barge_ins = 0;
    }
    if scenario.kind == Kind::Outbound && args.rest_listen.is_none() {
        bail!("an outbound scenario needs --rest-listen, and an edge whose TWILIO_API_BASE_URL is that address");
    }
    Ok((world, scenario, webhooks, operator))
}

/// Plays many calls; whether every verdict holds.
///
/// # Errors
/// As [`demo`].
pub async fn load(args: LoadArgs) -> Result<bool> {
    if !(args.rate.is_finite() && args.rate > 0.0) {
        bail!("--rate must be a positive number");
    }
    let first_seed = seed(args.call.seed);
    let (world, scenario, webhooks, _) = deployment(&args.call, first_seed).await?;
    if scenario.kind != Kind::Inbound {
        bail!("load plays inbound scenarios");
    }
    let number = world.own(&scenario.number, &webhooks);
    let begun = Instant::now();
    let mut calls = Vec::new();
    for n in 0..args.calls {
        tokio::time::sleep_until((begun + Duration::from_secs_f64(f64::from(n) / args.rate)).into()).await;
        let cast = scenario.cast(first_seed.wrapping_add(u64::from(n)))?;
        calls.push(world.exchange.call_in(&scenario.person, &number, cast)?);
    }
    let mut failed = 0;
    let mut voice: Vec<u128> = Vec::new();
    for sid in &calls {
        let record = world.exchange.record(sid).await.map_err(|alert| anyhow::anyhow!("{alert}"))?;
        for hook in record.webhooks.iter().filter(|hook| hook.kind() == "voice") {
            voice.extend(hook.attempts.iter().map(|attempt| attempt.took.as_millis()));
        }
        let webhooks_failed = record.webhooks.iter().any(|hook| hook.failed.is_some());
        let wrong_end =
            record.statuses.last().is_none_or(|(_, status)| status.as_str() != scenario.expect.status.as_str());
        if webhooks_failed || wrong_end || !record.script_finished {
            failed += 1;
            let alerts: Vec<String> = record.alerts.iter().map(|(_, alert)| alert.to_string()).collect();
            println!("  {sid} went wrong: {}", alerts.join("; "));
        }
    }
    voice.sort_unstable();
    let at = |share: f64| voice.get(((voice.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or(0);
    println!(
        "{} calls at {} a second in {:.1} s, {failed} went wrong",
        calls.len(),
        args.rate,
        begun.elapsed().as_secs_f64()
    );
    println!("/voice answered in {} ms in the middle, {} ms at p99, {} ms at most", at(0.5), at(0.99), at(1.0));
    Ok(failed == 0)
}

/// Stands there as Twilio and the provider until Ctrl-C.
///
/// # Errors
/// When an address cannot be bound.
pub async fn serve(args: ServeArgs) -> Result<bool> {
    let scenario = Scenario::load(&args.scenario)?;
    let seed = seed(None);
    let account = account(&args.account_sid, &args.auth_token, args.api_key.zip(args.api_secret));
    let world = World::open(account, args.rest_listen, Some(args.provider_listen), &scenario, seed).await?;
    world.exchange.set_cast(None, scenario.cast(seed)?);
    for number in std::iter::once(&scenario.number).chain(&args.number) {
        world.exchange.set_number(crate::twilio::exchange::Number {
            sid: world.exchange.sid("PN"),
            number: number.clone(),
            voice: None,
            fallback: None,
            status_callback: None,
        });
    }
    println!("Twilio's REST interface: http://{}", world.rest);
    if let Some(provider) = &world.provider {
        println!("OpenAI's Realtime API: {}", provider.url());
    }
    println!("Ctrl-C to stop.");
    tokio::signal::ctrl_c().await?;
    Ok(true)
}
