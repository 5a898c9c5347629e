//! What a deployment still lacks: from what is wanted and what was found, the steps in order. Nothing is done here.

use std::collections::BTreeSet;
use std::fmt;

/// The database, bucket, queues and Worker that wrangler.toml names.
pub(crate) const DATABASE: &str = "trunkline";
/// Where recordings go.
pub(crate) const BUCKET: &str = "trunkline-recordings";
/// Deliveries that are due, and those that nobody could handle.
pub(crate) const QUEUES: [&str; 2] = ["trunkline-deliveries", "trunkline-deliveries-dead"];
/// The TwiML App's name at Twilio, by which it is found again.
pub(crate) const TWIML_APP: &str = "Trunkline";

/// What the person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The Worker's public address: `https://host`, no slash at the end.
    pub(crate) public_url: String,
    /// The Fly app's name.
    pub(crate) fly_app: String,
    /// The Twilio account.
    pub(crate) account_sid: String,
    /// The number whose calls we answer and from which we call, E.164.
    pub(crate) number: String,
    /// Secrets of the Worker that the person gave, by name.
    pub(crate) edge_given: BTreeSet<String>,
    /// Secrets of the node that the person gave, by name: providers' keys.
    pub(crate) node_given: BTreeSet<String>,
}

/// A number or app at Twilio as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointed {
    /// Its sid.
    pub(crate) sid: String,
    /// Where its calls go now; empty: nowhere.
    pub(crate) voice_url: String,
}

/// What is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The id of the database at Cloudflare.
    pub(crate) database: Option<String>,
    /// The database id in wrangler.toml.
    pub(crate) noted_database: String,
    /// Whether the bucket is there.
    pub(crate) bucket: bool,
    /// Queues that are there.
    pub(crate) queues: BTreeSet<String>,
    /// Names of the Worker's secrets.
    pub(crate) edge_secrets: BTreeSet<String>,
    /// Whether the Fly app is there.
    pub(crate) fly_app: bool,
    /// Names of the Fly app's secrets.
    pub(crate) node_secrets: BTreeSet<String>,
    /// `TWILIO_API_KEY` in wrangler.toml; empty: none.
    pub(crate) api_key: String,
    /// Our TwiML App.
    pub(crate) twiml_app: Option<Pointed>,
    /// The number, when the account has it.
    pub(crate) number: Option<Pointed>,
}

/// One thing to do. The person is asked before each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Create the D1 database and write its id into wrangler.toml.
    CreateDatabase,
    /// Write the id of the database that is there into wrangler.toml.
    NoteDatabase(String),
    /// Bring the database's tables up to date.
    ApplyMigrations,
    /// Create the bucket for recordings.
    CreateBucket,
    /// Create a queue.
    CreateQueue(&'static str),
    /// Create the Fly app.
    CreateFlyApp(String),
    /// Create the Twilio API key that signs Voice tokens.
    CreateApiKey,
    /// Create the TwiML App through which browsers call.
    CreateTwimlApp,
    /// Point the TwiML App at us.
    PointTwimlApp(Pointed),
    /// Buy the number.
    BuyNumber(String),
    /// Point the number at us.
    PointNumber(Pointed),
    /// Write addresses and names into wrangler.toml and fly.toml.
    WriteFiles,
    /// Give the Worker secrets, by name.
    PutEdgeSecrets(BTreeSet<String>),
    /// Give the node secrets, by name.
    PutNodeSecrets(BTreeSet<String>),
}

/// Where a number's and the TwiML App's calls go.
pub(crate) fn voice_url(public_url: &str) -> String {
    format!("{public_url}/voice")
}

/// The steps that are left, in the order in which they can be done.
pub(crate) fn steps(wanted: &Wanted, found: &Found) -> Vec<Step> {
    let mut steps = Vec::new();
    match &found.database {
        None => steps.push(Step::CreateDatabase),
        Some(id) if *id != found.noted_database => steps.push(Step::NoteDatabase(id.clone())),
        Some(_) => {}
    }
    steps.push(Step::ApplyMigrations);
    if !found.bucket {
        steps.push(Step::CreateBucket);
    }
    steps.extend(QUEUES.into_iter().filter(|queue| !found.queues.contains(*queue)).map(Step::CreateQueue));
    if !found.fly_app {
        steps.push(Step::CreateFlyApp(wanted.fly_app.clone()));
    }
    // A key's secret is shown once: a key whose secret the Worker does not have is of no use.
    let new_key = found.api_key.is_empty() || !found.edge_secrets.contains("TWILIO_API_SECRET");
    if new_key {
        steps.push(Step::CreateApiKey);
    }
    let here = voice_url(&wanted.public_url);
    match &found.twiml_app {
        None => steps.push(Step::CreateTwimlApp),
        Some(app) if app.voice_url != here => steps.push(Step::PointTwimlApp(app.clone())),
        Some(_) => {}
    }
    match &found.number {
        None => steps.push(Step::BuyNumber(wanted.number.clone())),
        Some(number) if number.voice_url != here => steps.push(Step::PointNumber(number.clone())),
        Some(_) => {}
    }
    steps.push(Step::WriteFiles);
    let (edge, node) = secrets(wanted, found, new_key);
    if !edge.is_empty() {
        steps.push(Step::PutEdgeSecrets(edge));
    }
    if !node.is_empty() {
        steps.push(Step::PutNodeSecrets(node));
    }
    steps
}

/// Which secrets each side gets. What both sides share is made anew as soon as one of them lacks it, since neither gives
/// back what it has; a ticket lives for a minute, so nothing is lost by that.
fn secrets(wanted: &Wanted, found: &Found, new_key: bool) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut edge = wanted.edge_given.clone();
    let mut node = wanted.node_given.clone();
    for (edge_name, node_name) in [("TICKET_SIGNING_KEY", "TICKET_PUBLIC_KEY"), ("NODE_SECRET", "NODE_SECRET")] {
        if !found.edge_secrets.contains(edge_name) || !found.node_secrets.contains(node_name) {
            edge.insert(edge_name.to_owned());
            node.insert(node_name.to_owned());
        }
    }
    if new_key {
        edge.insert("TWILIO_API_SECRET".to_owned());
    }
    if !found.edge_secrets.contains("SETUP_TOKEN") {
        edge.insert("SETUP_TOKEN".to_owned());
    }
    (edge, node)
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::CreateDatabase => write!(out, "create the D1 database {DATABASE} and note its id in wrangler.toml"),
            Self::NoteDatabase(id) => write!(out, "note the id of the D1 database, {id}, in wrangler.toml"),
            Self::ApplyMigrations => write!(out, "bring the tables of the D1 database up to date"),
            Self::CreateBucket => write!(out, "create the R2 bucket {BUCKET}"),
            Self::CreateQueue(queue) => write!(out, "create the queue {queue}"),
            Self::CreateFlyApp(app) => write!(out, "create the Fly app {app}"),
            Self::CreateApiKey => write!(out, "create a Twilio API key named {TWIML_APP}"),
            Self::CreateTwimlApp => write!(out, "create the TwiML App {TWIML_APP}"),
            Self::PointTwimlApp(app) => {
                write!(out, "point the TwiML App at this deployment (now: {})", or_none(&app.voice_url))
            }
            Self::BuyNumber(number) => write!(out, "BUY the number {number} at Twilio, which costs money every month"),
            Self::PointNumber(number) => {
                write!(out, "point the number at this deployment (now: {})", or_none(&number.voice_url))
            }
            Self::WriteFiles => write!(out, "write addresses and names into wrangler.toml and fly.toml"),
            Self::PutEdgeSecrets(secrets) => write!(out, "give the Worker these secrets: {}", names(secrets)),
            Self::PutNodeSecrets(secrets) => write!(out, "give the media node these secrets: {}", names(secrets)),
        }
    }
}

fn or_none(url: &str) -> &str {
    if url.is_empty() { "nowhere" } else { url }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Found, Pointed, QUEUES, Step, Wanted, steps};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn wanted() -> Wanted {
        Wanted {
            public_url: "https://line.example".into(),
            fly_app: "line-media".into(),
            account_sid: "AC00000000000000000000000000000001".into(),
            number: "+14155550100".into(),
            edge_given: BTreeSet::new(),
            node_given: BTreeSet::new(),
        }
    }

    fn complete() -> Found {
        let here = |sid: &str| Some(Pointed { sid: sid.into(), voice_url: "https://line.example/voice".into() });
        Found {
            database: Some("d1".into()),
            noted_database: "d1".into(),
            bucket: true,
            queues: set(&QUEUES),
            edge_secrets: set(&[
                "TICKET_SIGNING_KEY",
                "NODE_SECRET",
                "TWILIO_AUTH_TOKEN",
                "TWILIO_API_SECRET",
                "SETUP_TOKEN",
            ]),
            fly_app: true,
            node_secrets: set(&["TICKET_PUBLIC_KEY", "NODE_SECRET", "OPENAI_API_KEY"]),
            api_key: "SK00000000000000000000000000000001".into(),
            twiml_app: here("AP1"),
            number: here("PN1"),
        }
    }

    #[test]
    fn a_new_deployment_needs_everything_in_an_order_that_works() {
        let mut wanted = wanted();
        wanted.edge_given = set(&["TWILIO_AUTH_TOKEN"]);
        wanted.node_given = set(&["OPENAI_API_KEY"]);
        assert_eq!(
            steps(&wanted, &Found::default()),
            [
                Step::CreateDatabase,
                Step::ApplyMigrations,
                Step::CreateBucket,
                Step::CreateQueue(QUEUES[0]),
                Step::CreateQueue(QUEUES[1]),
                Step::CreateFlyApp("line-media".into()),
                Step::CreateApiKey,
                Step::CreateTwimlApp,
                Step::BuyNumber("+14155550100".into()),
                Step::WriteFiles,
                Step::PutEdgeSecrets(set(&[
                    "TICKET_SIGNING_KEY",
                    "NODE_SECRET",
                    "TWILIO_AUTH_TOKEN",
                    "TWILIO_API_SECRET",
                    "SETUP_TOKEN"
                ])),
                Step::PutNodeSecrets(set(&["TICKET_PUBLIC_KEY", "NODE_SECRET", "OPENAI_API_KEY"])),
            ]
        );
    }

    #[test]
    fn a_complete_deployment_only_checks_its_tables_and_files() {
        assert_eq!(steps(&wanted(), &complete()), [Step::ApplyMigrations, Step::WriteFiles]);
    }

    #[test]
    fn a_secret_that_two_sides_share_is_renewed_on_both_when_one_lacks_it() {
        let mut found = complete();
        found.node_secrets.remove("TICKET_PUBLIC_KEY");
        let steps = steps(&wanted(), &found);
        assert!(steps.contains(&Step::PutEdgeSecrets(set(&["TICKET_SIGNING_KEY"]))), "{steps:?}");
        assert!(steps.contains(&Step::PutNodeSecrets(set(&["TICKET_PUBLIC_KEY"]))), "{steps:?}");
    }

    #[test]
    fn an_api_key_whose_secret_is_lost_is_made_again() {
        let mut found = complete();
        found.edge_secrets.remove("TWILIO_API_SECRET");
        let steps = steps(&wanted(), &found);
        assert!(steps.contains(&Step::CreateApiKey));
        assert!(steps.contains(&Step::PutEdgeSecrets(set(&["TWILIO_API_SECRET"]))));
    }

    #[test]
    fn what_points_elsewhere_is_named_with_where_it_points_before_it_is_changed() {
        let mut found = complete();
        let old = Pointed { sid: "PN1".into(), voice_url: "https://old.example/twiml".into() };
        found.number = Some(old.clone());
        let steps = steps(&wanted(), &found);
        assert_eq!(steps[1], Step::PointNumber(old));
        assert_eq!(steps[1].to_string(), "point the number at this deployment (now: https://old.example/twiml)");
    }

    #[test]
    fn a_database_that_is_there_is_noted_and_not_created() {
        let mut found = complete();
        found.noted_database = "00000000-0000-0000-0000-000000000000".into();
        assert_eq!(steps(&wanted(), &found)[0], Step::NoteDatabase("d1".into()));
    }
}
