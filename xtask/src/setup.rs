//! `cargo xtask setup`: what a deployment needs once, looked at, listed and then done step by step, asking before each.
//! Safe to repeat: what is there is left alone. The plan is `plan`'s; here it is talked about and carried out.

mod files;
mod plan;
mod twilio;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use self::plan::{BUCKET, DATABASE, Found, QUEUES, Step, Wanted};
use self::twilio::Account;
use crate::checkout::Checkout;
use crate::keys::{self, TicketKeys};
use crate::processes::{Program, find_program, inherited_path};
use crate::progress::say;
use crate::steps::WRANGLER_VARS;
use crate::tools;

/// Secrets of the Worker that only the person has.
const EDGE_GIVEN: [&str; 4] =
    ["TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_SECONDARY", "TWILIO_SHARED_KEYS", "ELEVENLABS_WEBHOOK_SECRET"];
/// Secrets of the node that only the person has.
const NODE_GIVEN: [&str; 2] = ["OPENAI_API_KEY", "ELEVENLABS_API_KEY"];

/// What to set up. Secrets are read from the environment, `.dev.vars` and `.env`, never from the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The Worker's public address, such as https://trunkline.you.workers.dev.
    #[arg(long, env = "PUBLIC_BASE_URL", value_name = "URL")]
    public_url: Option<String>,
    /// The Fly app's name, unique at Fly.
    #[arg(long, env = "FLY_APP", value_name = "NAME")]
    fly_app: Option<String>,
    /// The Twilio account.
    #[arg(long, env = "TWILIO_ACCOUNT_SID", value_name = "AC…")]
    account_sid: Option<String>,
    /// The number whose calls are answered, E.164. Bought when the account does not have it, after asking.
    #[arg(long, env = "TWILIO_CALLER_ID", value_name = "+…")]
    number: Option<String>,
    /// Ask nobody and touch nothing: print what a new deployment would take.
    #[arg(long)]
    dry_run: bool,
}

/// Everything for carrying out the plan.
struct Site<'a> {
    checkout: &'a Checkout,
    wanted: Wanted,
    account: Account,
    /// Secrets by name, the person's and those made here.
    secrets: BTreeMap<String, String>,
    /// Variables for wrangler.toml that became known on the way.
    learnt: BTreeMap<&'static str, String>,
}

/// Sets up a deployment.
pub(crate) fn run(checkout: &Checkout, options: &Options) -> Result<()> {
    let given = given(checkout)?;
    let wanted = wanted(options, &given)?;
    if options.dry_run {
        say("A new deployment takes these steps; what is there already is left alone:");
        for step in plan::steps(&wanted, &Found::default()) {
            say(&format!("  - {step}"));
        }
        return Ok(());
    }
    tools::npm_packages(checkout)?;
    let auth_token = given.get("TWILIO_AUTH_TOKEN").context(
        "TWILIO_AUTH_TOKEN is missing: put it into .dev.vars (the Worker's secrets; git ignores the file) or the environment",
    )?;
    if find_program("fly", &inherited_path()).is_none() {
        bail!(
            "the program fly is missing: install flyctl (https://fly.io/docs/flyctl/install/) and sign in with `fly auth login`"
        );
    }
    let account = Account::new("https://api.twilio.com", &wanted.account_sid, auth_token);
    let mut site = Site { checkout, wanted, account, secrets: given, learnt: BTreeMap::new() };
    say("Looking at what is there …");
    let found = site.look()?;
    let steps = plan::steps(&site.wanted, &found);
    say(&format!("{} steps are left:", steps.len()));
    for step in &steps {
        say(&format!("  - {step}"));
    }
    for step in &steps {
        if !ask_yes(&format!("{step}?"))? {
            bail!("stopped before: {step}. Run it again to go on from here");
        }
        site.take(step).with_context(|| format!("could not {step}"))?;
    }
    say("");
    say("Everything is there. Now: npx wrangler deploy, then fly deploy.");
    if steps.iter().any(|step| matches!(step, Step::PutEdgeSecrets(names) if names.contains("SETUP_TOKEN"))) {
        say(&format!(
            "The first administrator signs in at {} with this token, shown only now: {}",
            site.wanted.public_url,
            site.secret("SETUP_TOKEN")?
        ));
    }
    Ok(())
}

/// Secrets that the person has put into the environment, `.dev.vars` or `.env`; the environment wins.
fn given(checkout: &Checkout) -> Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for file in [".env", ".dev.vars"] {
        let path = checkout.path(file);
        if path.exists() {
            for pair in dotenvy::from_path_iter(&path).with_context(|| format!("reading {file}"))? {
                let (name, value) = pair.with_context(|| format!("{file} is not of the form NAME=value"))?;
                given.insert(name, value);
            }
        }
    }
    for name in EDGE_GIVEN.iter().chain(&NODE_GIVEN) {
        if let Ok(value) = std::env::var(name) {
            given.insert((*name).to_owned(), value);
        }
    }
    given.retain(|name, value| !value.is_empty() && EDGE_GIVEN.iter().chain(&NODE_GIVEN).any(|known| known == name));
    Ok(given)
}

/// What the person wants, asked for where the options do not say.
fn wanted(options: &Options, given: &BTreeMap<String, String>) -> Result<Wanted> {
    let value = |option: &Option<String>, question: &str, example: &str| match option {
        Some(value) => Ok(value.clone()),
        None if options.dry_run => Ok(example.to_owned()),
        None => ask(question),
    };
    let named = |names: &[&str]| -> BTreeSet<String> {
        names.iter().filter(|name| given.contains_key(**name)).map(|name| (*name).to_owned()).collect()
    };
    let wanted = Wanted {
        public_url: value(
            &options.public_url,
            "The Worker's public address (https://…)",
            "https://trunkline.example.workers.dev",
        )?
        .trim_end_matches('/')
        .to_owned(),
        fly_app: value(&options.fly_app, "A name for the Fly app", "trunkline-media")?,
        account_sid: value(&options.account_sid, "The Twilio account (AC…)", "AC00000000000000000000000000000000")?,
        number: value(&options.number, "The number to answer (+…)", "+14155550100")?,
        edge_given: named(&EDGE_GIVEN),
        node_given: named(&NODE_GIVEN),
    };
    check(&wanted)?;
    Ok(wanted)
}

/// Mistakes that would only show after a deploy.
fn check(wanted: &Wanted) -> Result<()> {
    let is_public = wanted.public_url.strip_prefix("https://").is_some_and(|host| {
        !host.is_empty() && !host.contains('/') && !host.starts_with("localhost") && !host.starts_with("127.")
    });
    if !is_public {
        bail!("the public address must be https:// and a host that Twilio can reach, without a path");
    }
    let sid = wanted.account_sid.strip_prefix("AC").unwrap_or_default();
    if sid.len() != 32 || !sid.chars().all(|digit| digit.is_ascii_hexdigit()) {
        bail!("a Twilio account is AC and 32 hex digits");
    }
    let digits = wanted.number.strip_prefix('+').unwrap_or_default();
    if !(7..=15).contains(&digits.len())
        || digits.starts_with('0')
        || !digits.chars().all(|digit| digit.is_ascii_digit())
    {
        bail!("the number must be in the form +14155550100");
    }
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if wanted.fly_app.is_empty() || !wanted.fly_app.chars().all(is_name) {
        bail!("a Fly app's name has only lower-case letters, digits and dashes");
    }
    Ok(())
}

impl Site<'_> {
    fn wrangler(&self, args: &[&str]) -> Result<Program> {
        Ok(Program::new(self.checkout.node_bin().join("wrangler"))
            .args(args)
            .dir(self.checkout.root())
            .env("PATH", self.checkout.search_path()?)
            .env("NO_COLOR", "1")
            .env_remove("CARGO_MANIFEST_DIR")
            .envs(WRANGLER_VARS))
    }

    fn fly(&self, args: &[&str]) -> Program {
        Program::new("fly").args(args).dir(self.checkout.root()).env("NO_COLOR", "1")
    }

    fn look(&self) -> Result<Found> {
        let text = |program: Program| -> Result<String> { Ok(program.succeed()?.tail.join("\n")) };
        let wrangler_toml = self.read("wrangler.toml")?;
        let (noted_database, api_key) = files::noted(&wrangler_toml, "TWILIO_API_KEY")?;
        let signed_in = text(self.wrangler(&["whoami"])?)?;
        if signed_in.contains("not authenticated") {
            bail!("sign in to Cloudflare first: npx wrangler login");
        }
        let databases = json(&text(self.wrangler(&["d1", "list", "--json"])?)?)?;
        let buckets = text(self.wrangler(&["r2", "bucket", "list"])?)?;
        let queues = text(self.wrangler(&["queues", "list"])?)?;
        // A Worker that was never deployed has no secrets, which wrangler calls an error.
        let edge_secrets = self.wrangler(&["secret", "list", "--format", "json"])?.run()?;
        let edge_secrets = if edge_secrets.status.success() { edge_secrets.tail.join("\n") } else { "[]".to_owned() };
        let apps = json(&text(self.fly(&["apps", "list", "--json"]))?)?;
        let fly_app = names(&apps, "Name").contains(&self.wanted.fly_app);
        let node_secrets = if fly_app {
            let list = json(&text(self.fly(&["secrets", "list", "--app", &self.wanted.fly_app, "--json"]))?)?;
            names(&list, "Name").into_iter().chain(names(&list, "name")).collect()
        } else {
            BTreeSet::new()
        };
        Ok(Found {
            database: database_id(&databases),
            noted_database,
            bucket: has_word(&buckets, BUCKET),
            queues: QUEUES.iter().filter(|queue| has_word(&queues, queue)).map(|queue| (*queue).to_owned()).collect(),
            edge_secrets: names(&json(&edge_secrets)?, "name"),
            fly_app,
            node_secrets,
            api_key,
            twiml_app: self.account.twiml_app()?,
            number: self.account.number(&self.wanted.number)?,
        })
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        let url = self.wanted.public_url.clone();
        match step {
            Step::CreateDatabase => {
                self.wrangler(&["d1", "create", DATABASE])?.succeed()?;
                let list = self.wrangler(&["d1", "list", "--json"])?.succeed()?.tail.join("\n");
                let id = database_id(&json(&list)?).context("the new database is not in the list")?;
                self.edit("wrangler.toml", |text| files::with_database(text, &id))
            }
            Step::NoteDatabase(id) => self.edit("wrangler.toml", |text| files::with_database(text, id)),
            Step::ApplyMigrations => {
                self.wrangler(&["d1", "migrations", "apply", DATABASE, "--remote"])?.succeed().map(drop)
            }
            Step::CreateBucket => self.wrangler(&["r2", "bucket", "create", BUCKET])?.succeed().map(drop),
            Step::CreateQueue(queue) => self.wrangler(&["queues", "create", queue])?.succeed().map(drop),
            Step::CreateFlyApp(app) => self.fly(&["apps", "create", app]).succeed().map(drop),
            Step::CreateApiKey => {
                let (sid, secret) = self.account.create_api_key()?;
                self.learnt.insert("TWILIO_API_KEY", sid);
                self.secrets.insert("TWILIO_API_SECRET".into(), secret);
                Ok(())
            }
            Step::CreateTwimlApp => self.account.create_twiml_app(&url).map(drop),
            Step::PointTwimlApp(app) => self.account.point_twiml_app(&app.sid, &url),
            Step::BuyNumber(number) => self.account.buy_number(number, &url),
            Step::PointNumber(number) => self.account.point_number(&number.sid, &url),
            Step::WriteFiles => self.write_files(),
            Step::PutEdgeSecrets(names) => self.put_edge_secrets(names),
            Step::PutNodeSecrets(names) => self.put_node_secrets(names),
        }
    }

    fn write_files(&mut self) -> Result<()> {
        let app = self.account.twiml_app()?.context("the TwiML App is not there")?;
        self.learnt.insert("TWILIO_TWIML_APP_SID", app.sid);
        self.learnt.insert("PUBLIC_BASE_URL", self.wanted.public_url.clone());
        self.learnt.insert("TWILIO_ACCOUNT_SID", self.wanted.account_sid.clone());
        self.learnt.insert("TWILIO_CALLER_ID", self.wanted.number.clone());
        let vars: Vec<(&str, &str)> = self.learnt.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.edit("wrangler.toml", |text| files::with_edge_vars(text, &vars))?;
        self.edit("fly.toml", |text| files::with_fly_app(text, &self.wanted.fly_app, &self.wanted.public_url))
    }

    fn put_edge_secrets(&mut self, names: &BTreeSet<String>) -> Result<()> {
        self.make_secrets(names)?;
        let values: serde_json::Map<String, Value> =
            names.iter().map(|name| Ok((name.clone(), self.secret(name)?.into()))).collect::<Result<_>>()?;
        let text = Value::Object(values).to_string();
        self.wrangler(&["secret", "bulk"])?.input(text).succeed().map(drop)
    }

    fn put_node_secrets(&mut self, names: &BTreeSet<String>) -> Result<()> {
        self.make_secrets(names)?;
        let lines: String =
            names.iter().map(|name| Ok(format!("{name}={}\n", self.secret(name)?))).collect::<Result<_>>()?;
        self.fly(&["secrets", "import", "--stage", "--app", &self.wanted.fly_app]).input(lines).succeed().map(drop)
    }

    /// Makes those of the named secrets that nobody gives: once, so that both sides get the same.
    fn make_secrets(&mut self, names: &BTreeSet<String>) -> Result<()> {
        let missing =
            |secrets: &BTreeMap<String, String>, name: &str| names.contains(name) && !secrets.contains_key(name);
        if missing(&self.secrets, "TICKET_SIGNING_KEY") || missing(&self.secrets, "TICKET_PUBLIC_KEY") {
            let pair = TicketKeys::generate()?;
            self.secrets.insert("TICKET_SIGNING_KEY".into(), pair.signing);
            self.secrets.insert("TICKET_PUBLIC_KEY".into(), pair.public);
        }
        for name in ["NODE_SECRET", "SETUP_TOKEN"] {
            if missing(&self.secrets, name) {
                self.secrets.insert(name.to_owned(), keys::token()?);
            }
        }
        Ok(())
    }

    fn secret(&self, name: &str) -> Result<&str> {
        self.secrets.get(name).map(String::as_str).with_context(|| format!("{name} is not known"))
    }

    fn read(&self, file: &str) -> Result<String> {
        std::fs::read_to_string(self.checkout.path(file)).with_context(|| format!("reading {file}"))
    }

    fn edit(&self, file: &str, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
        let text = change(&self.read(file)?)?;
        std::fs::write(self.checkout.path(file), text).with_context(|| format!("writing {file}"))
    }
}

/// The JSON in a program's output: tools put warnings before it.
fn json(text: &str) -> Result<Value> {
    let start = text.find(['[', '{']).context("a tool printed no JSON")?;
    let mut values = serde_json::Deserializer::from_str(text.get(start..).unwrap_or_default()).into_iter();
    values.next().context("a tool printed no JSON")?.context("a tool printed broken JSON")
}

/// One field of every object in a list.
fn names(list: &Value, field: &str) -> BTreeSet<String> {
    let objects = list.as_array().into_iter().flatten();
    objects.filter_map(|object| object[field].as_str().map(str::to_owned)).collect()
}

fn database_id(list: &Value) -> Option<String> {
    let database = list.as_array()?.iter().find(|database| database["name"] == DATABASE)?;
    Some(database["uuid"].as_str()?.to_owned())
}

/// Whether a table that a tool drew has this name in it, alone: not as the beginning of another.
fn has_word(table: &str, name: &str) -> bool {
    table.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).any(|word| word == name)
}

fn ask(question: &str) -> Result<String> {
    print!("{question}: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        bail!("nobody answers: {question}");
    }
    Ok(line.trim().to_owned())
}

fn ask_yes(question: &str) -> Result<bool> {
    Ok(matches!(ask(&format!("{question} [y/N]"))?.as_str(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests;
