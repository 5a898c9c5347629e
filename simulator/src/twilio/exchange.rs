//! Twilio as a running service: the account, its numbers, every call as a task of its own, the queue of one call a second,
//! and the record of each call. The decisions are the machines'; here they meet clock, sockets and HTTP. The REST interface
//! in front of it is [`super::rest`].

mod line;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::caller::{Deed, Person, Step, UnknownRecording};

use super::call::{Call, Direction, Leg, Request, Source, Status, Update};
use super::network::Network;
use super::post::{Courier, Delivered, Mischief};
use super::sids::{Dice, WallClock};
use super::stream::{Farewell, MediaStream};
use super::twiml::Target;
use super::{Alert, Now};

/// Finished calls that are remembered; the oldest are forgotten beyond.
const REMEMBERED: usize = 20_000;

/// The account that this Twilio serves.
#[derive(Debug, Clone)]
pub struct Account {
    /// `AC…`.
    pub sid: String,
    /// Signs webhooks and opens the REST interface.
    pub auth_token: String,
    /// Further keys of the REST interface: `SK…` and secret.
    pub api_keys: Vec<(String, String)>,
    /// From one call that the account begins to the next.
    pub pace: Duration,
}

/// One of the account's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// `PN…`.
    pub sid: String,
    /// E.164.
    pub number: String,
    /// Asked for TwiML when somebody calls it.
    pub voice: Option<Target>,
    /// Asked when that fails.
    pub fallback: Option<Target>,
    /// Told once, when a call to it has ended.
    pub status_callback: Option<Target>,
}

/// What a call is played with: the network around it and the person on it.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The network.
    pub network: Network,
    /// What the person does.
    pub script: Vec<Step>,
    /// How callbacks suffer.
    pub mischief: Mischief,
    /// How streams that Twilio ends are ended.
    pub farewell: Farewell,
    /// Every so-manieth frame of the person's is lost before Twilio sends it on; 0: none.
    pub lose_every: u32,
    /// One more frame is sent after `stop`.
    pub stray_frame: bool,
    /// The person hangs up when it has rung for so long.
    pub gives_up_after: Option<Duration>,
    /// Seed of the noise and of the mischief.
    pub seed: u64,
}

impl Default for Cast {
    fn default() -> Self {
        Self {
            network: Network::default(),
            script: Vec::new(),
            mischief: Mischief::default(),
            farewell: Farewell::default(),
            lose_every: 0,
            stray_frame: false,
            gives_up_after: None,
            seed: 1,
        }
    }
}

/// Something that can be watched while it happens.
#[derive(Debug, Clone)]
pub struct Event {
    /// Since the exchange began.
    pub at: Now,
    /// Which call.
    pub call_sid: String,
    /// What.
    pub what: What,
}

/// See [`Event`].
#[derive(Debug, Clone)]
pub enum What {
    /// The call changed its state.
    Became(Status),
    /// The person did something.
    Did(Deed),
    /// Twilio itself speaks to the leg.
    Announced(String),
    /// A stream's socket is open.
    Streaming,
    /// The server cleared so many bytes that had not been played.
    Cleared(usize),
    /// Twilio's debugger got a line.
    Alerted(Alert),
}

/// All that happened in one call, for a verdict to judge.
#[derive(Debug)]
pub struct CallRecord {
    /// What was known when it began.
    pub leg: Leg,
    /// Its states.
    pub statuses: Vec<(Now, Status)>,
    /// When it began, was answered and ended.
    pub moments: [Option<Now>; 3],
    /// Seconds from answer to end, as Twilio counts.
    pub duration_s: Option<u64>,
    /// Every webhook that was requested.
    pub webhooks: Vec<Delivered>,
    /// Callbacks that were lost on the way on purpose.
    pub lost: Vec<Request>,
    /// Its streams, in order.
    pub streams: Vec<MediaStream>,
    /// Twilio's debugger.
    pub alerts: Vec<(Now, Alert)>,
    /// What the person did.
    pub deeds: Vec<(Now, Deed)>,
    /// What Twilio itself said to the leg.
    pub announced: Vec<(Now, String)>,
    /// Whether the person took every step of the script.
    pub script_finished: bool,
}

/// A change of a call's resource, as the REST interface shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What was known when the call began.
    pub leg: Leg,
    /// Its state.
    pub status: Status,
    /// Created, began, answered, ended.
    pub created: Now,
    /// See [`Resource::created`].
    pub started: Option<Now>,
    /// See [`Resource::created`].
    pub ended: Option<Now>,
    /// Seconds from answer to end.
    pub duration_s: Option<u64>,
    /// What answering-machine detection found.
    pub answered_by: Option<String>,
    /// How long it waits, or waited, for its turn.
    pub queue: Duration,
    /// When it last changed.
    pub updated: Now,
}

pub(super) enum Command {
    Update(Update, oneshot::Sender<Result<(), Alert>>),
}

struct Entry {
    order: u64,
    history: Arc<Mutex<Vec<Resource>>>,
    commands: mpsc::Sender<Command>,
    record: watch::Receiver<Option<Arc<CallRecord>>>,
}

struct State {
    numbers: BTreeMap<String, Number>,
    calls: HashMap<String, Entry>,
    created: u64,
    cast: Cast,
    cast_by_number: HashMap<String, Cast>,
    next_turn: Instant,
    dice: Dice,
}

struct Inner {
    account: Account,
    courier: Courier,
    started: Instant,
    clock: WallClock,
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
    placed: watch::Sender<Vec<String>>,
}

/// The running service. Clones are the same one.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    /// A service for this account, without numbers. `seed` decides all identifiers.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(account: Account, seed: u64) -> Result<Self, reqwest::Error> {
        let started = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let inner = Inner {
            courier: Courier::new(&account.auth_token, started)?,
            account,
            started,
            clock: WallClock::new(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
            state: Mutex::new(State {
                numbers: BTreeMap::new(),
                calls: HashMap::new(),
                created: 0,
                cast: Cast::default(),
                cast_by_number: HashMap::new(),
                next_turn: started,
                dice: Dice::new(seed),
            }),
            events: broadcast::channel(4096).0,
            placed: watch::channel(Vec::new()).0,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The account it serves.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.0.account
    }

    /// The origin of every [`Now`] here.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The wall time of the origin.
    #[must_use]
    pub fn clock(&self) -> WallClock {
        self.0.clock
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Adds a number to the account, or changes it.
    pub fn set_number(&self, number: Number) {
        lock(&self.0.state).numbers.insert(number.number.clone(), number);
    }

    /// The account's numbers.
    #[must_use]
    pub fn numbers(&self) -> Vec<Number> {
        lock(&self.0.state).numbers.values().cloned().collect()
    }

    /// A new identifier.
    #[must_use]
    pub fn sid(&self, prefix: &str) -> String {
        lock(&self.0.state).dice.sid(prefix)
    }

    /// Who answers the calls that the account begins: at this number, or wherever nothing else is said.
    pub fn set_cast(&self, number: Option<&str>, cast: Cast) {
        let mut state = lock(&self.0.state);
        match number {
            Some(number) => {
                state.cast_by_number.insert(number.to_owned(), cast);
            }
            None => state.cast = cast,
        }
    }

    /// Somebody calls one of the account's numbers.
    ///
    /// # Errors
    /// When the script names a recording that does not exist.
    pub fn call_in(&self, from: &str, number: &Number, cast: Cast) -> Result<String, UnknownRecording> {
        let silence = Source::Inline("<Response><Reject/></Response>".to_owned());
        let city = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = vec![
            city("FromCity", "SAN FRANCISCO"),
            city("FromState", "CA"),
            city("FromZip", "94105"),
            city("FromCountry", "US"),
            city("CallerCity", "SAN FRANCISCO"),
            city("CallerState", "CA"),
            city("CallerZip", "94105"),
            city("CallerCountry", "US"),
            city("ToCity", ""),
            city("ToState", ""),
            city("ToZip", ""),
            city("ToCountry", "US"),
            city("CalledCity", ""),
            city("CalledState", ""),
            city("CalledZip", ""),
            city("CalledCountry", "US"),
            city("CallToken", r#"{"parentCallInfoToken":"simulated"}"#),
            city("StirVerstat", "TN-Validation-Passed-A"),
        ];
        self.arrive(from, &number.number, number.voice.clone().map_or(silence, Source::Url), number, fields, cast)
    }

    /// A browser calls through the account's TwiML application, whose settings are given as a number's.
    ///
    /// # Errors
    /// When the script names a recording that does not exist.
    pub fn call_from_browser(
        &self,
        identity: &str,
        application: &Number,
        parameters: &BTreeMap<String, String>,
        cast: Cast,
    ) -> Result<String, UnknownRecording> {
        let source = application.voice.clone().map_or(Source::Inline("<Response/>".to_owned()), Source::Url);
        let to = parameters.get("To").cloned().unwrap_or_default();
        let mut fields: Vec<(String, String)> = parameters.clone().into_iter().collect();
        fields.retain(|(name, _)| name != "To");
        fields.push(("ApplicationSid".to_owned(), application.sid.clone()));
        self.arrive(&format!("client:{identity}"), &to, source, application, fields, cast)
    }

    fn arrive(
        &self,
        from: &str,
        to: &str,
        source: Source,
        settings: &Number,
        fields: Vec<(String, String)>,
        cast: Cast,
    ) -> Result<String, UnknownRecording> {
        let leg = Leg {
            sid: self.sid("CA"),
            account_sid: self.0.account.sid.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
            direction: Direction::Inbound,
            source,
            fallback: settings.fallback.clone(),
            status_callback: settings.status_callback.clone(),
            status_events: Vec::new(),
            fields,
            timeout_s: 60,
            time_limit_s: None,
            detection: None,
            record: None,
        };
        self.begin(leg, cast, Duration::ZERO).map(|resource| resource.leg.sid)
    }

    /// The account begins a call: it waits for its turn, then is dialled.
    ///
    /// # Errors
    /// When the script of whoever answers names a recording that does not exist.
    pub fn call_out(&self, leg: Leg) -> Result<Resource, UnknownRecording> {
        let (cast, queue) = {
            let mut state = lock(&self.0.state);
            let now = Instant::now();
            let turn = state.next_turn.max(now);
            state.next_turn = turn + self.0.account.pace;
            let cast = state.cast_by_number.get(&leg.to).unwrap_or(&state.cast).clone();
            (cast, turn - now)
        };
        let resource = self.begin(leg, cast, queue)?;
        self.0.placed.send_modify(|placed| placed.push(resource.leg.sid.clone()));
        Ok(resource)
    }

    fn begin(&self, leg: Leg, cast: Cast, queue: Duration) -> Result<Resource, UnknownRecording> {
        let sid = leg.sid.clone();
        let created = self.0.started.elapsed();
        let resource = Resource {
            leg: leg.clone(),
            status: Status::Queued,
            created,
            started: None,
            ended: None,
            duration_s: None,
            answered_by: None,
            queue,
            updated: created,
        };
        let person = Person::new(cast.script.clone(), cast.seed)?;
        let (commands, inbox) = mpsc::channel(16);
        let (done, record) = watch::channel(None);
        let history = Arc::new(Mutex::new(vec![resource.clone()]));
        let dice = {
            let mut state = lock(&self.0.state);
            state.created += 1;
            let entry = Entry { order: state.created, history: Arc::clone(&history), commands, record };
            state.calls.insert(sid, entry);
            forget_oldest(&mut state.calls);
            state.dice.fork()
        };
        let call = Call::new(leg, cast.network.clone(), self.0.clock, dice);
        tokio::spawn(line::Line::new(self.clone(), call, person, cast, history, queue).run(inbox, done));
        Ok(resource)
    }

    /// Changes a live call.
    ///
    /// # Errors
    /// 20404 when there is none of this sid, 21220 when its state does not allow it.
    pub async fn update(&self, sid: &str, update: Update) -> Result<Resource, Alert> {
        let commands = lock(&self.0.state).calls.get(sid).map(|entry| entry.commands.clone());
        let commands = commands.ok_or_else(|| Alert::new(20404, "no such call"))?;
        let (answer, answered) = oneshot::channel();
        let over = || Alert::new(21220, "Call is not in the expected state. It is over.");
        commands.send(Command::Update(update, answer)).await.map_err(|_| over())?;
        answered.await.map_err(|_| over())??;
        self.resource(sid, Duration::ZERO).ok_or_else(|| Alert::new(20404, "no such call"))
    }

    /// A call as it was so long ago; none when it did not exist then.
    #[must_use]
    pub fn resource(&self, sid: &str, ago: Duration) -> Option<Resource> {
        let seen = self.0.started.elapsed().saturating_sub(ago);
        let state = lock(&self.0.state);
        let history = lock(&state.calls.get(sid)?.history);
        history.iter().rev().find(|resource| ago.is_zero() || resource.updated <= seen).cloned()
    }

    /// Every call as it was so long ago, newest first.
    #[must_use]
    pub fn resources(&self, ago: Duration) -> Vec<Resource> {
        let mut sids: Vec<(u64, String)> =
            lock(&self.0.state).calls.iter().map(|(sid, entry)| (entry.order, sid.clone())).collect();
        sids.sort_by(|a, b| b.cmp(a));
        sids.iter().filter_map(|(_, sid)| self.resource(sid, ago)).collect()
    }

    /// The record of a call, once it is over and every callback has been delivered.
    ///
    /// # Errors
    /// When there is no such call.
    pub async fn record(&self, sid: &str) -> Result<Arc<CallRecord>, Alert> {
        let record = lock(&self.0.state).calls.get(sid).map(|entry| entry.record.clone());
        let mut record = record.ok_or_else(|| Alert::new(20404, "no such call"))?;
        let done = record.wait_for(Option::is_some).await.map_err(|_| Alert::new(20404, "the call was lost"))?;
        done.clone().ok_or_else(|| Alert::new(20404, "the call was lost"))
    }

    /// The sids of the calls that the account began, as they grow.
    #[must_use]
    pub fn placed(&self) -> watch::Receiver<Vec<String>> {
        self.0.placed.subscribe()
    }

    pub(super) fn tell(&self, call_sid: &str, what: What) {
        // Nobody may be watching.
        let _ = self.0.events.send(Event { at: self.0.started.elapsed(), call_sid: call_sid.to_owned(), what });
    }
}

fn forget_oldest(calls: &mut HashMap<String, Entry>) {
    if calls.len() <= REMEMBERED {
        return;
    }
    let finished = calls.iter().filter(|(_, entry)| entry.record.borrow().is_some());
    if let Some(oldest) = finished.min_by_key(|(_, entry)| entry.order).map(|(sid, _)| sid.clone()) {
        calls.remove(&oldest);
    }
}
