//! A whole run put together: Twilio's service and REST interface, the provider's twin, a deployment's operator and watcher,
//! and one scenario played from the first ring to the verdict. What each of them is stands in its own module; the words on
//! the screen are [`crate::screen`]'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use shared::api::{CallDetail, CallRow};
use shared::ids::AgentId;

use crate::operator::Operator;
use crate::provider::openai::{self, Record, Server};
use crate::scenario::{AudioRule, Kind, Scenario};
use crate::screen::Screen;
use crate::twilio::exchange::{Account, CallRecord, Exchange, Number};
use crate::twilio::rest::{self, RestOptions};
use crate::twilio::token;
use crate::twilio::twiml::{Method, Target};
use crate::verdict::{Evidence, Verdict};
use crate::watcher::{Watched, Watcher};

/// How long a whole call may take.
const LONGEST_CALL: Duration = Duration::from_secs(600);

/// The addresses of the deployment that Twilio calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// Asked for TwiML.
    pub voice: String,
    /// Asked when that fails; none: nobody.
    pub fallback: Option<String>,
    /// Told when a call has ended; none: nobody.
    pub status: Option<String>,
}

impl Webhooks {
    /// Those of an edge, with the connection overrides that make Twilio try again.
    #[must_use]
    pub fn of(edge: &str) -> Self {
        let edge = edge.trim_end_matches('/');
        let retried = "#rc=2&rp=5xx,ct,rt";
        Self {
            voice: format!("{edge}/voice{retried}"),
            fallback: Some(format!("{edge}/voice/fallback{retried}")),
            status: Some(format!("{edge}/api/calls/status{retried}")),
        }
    }
}

/// Twilio and the provider, running.
pub struct World {
    /// Twilio.
    pub exchange: Exchange,
    /// Where its REST interface listens.
    pub rest: SocketAddr,
    /// The provider's twin; none when the deployment has a real provider.
    pub provider: Option<Server>,
    rest_task: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.rest_task.abort();
    }
}

/// A call that was played.
#[derive(Debug)]
pub struct Played {
    /// What Twilio saw.
    pub record: Arc<CallRecord>,
    /// What the provider's twin saw.
    pub provider: Vec<Record>,
    /// What the browser saw.
    pub watched: Option<Watched>,
    /// What came of it.
    pub verdict: Verdict,
}

fn post(url: String) -> Target {
    Target { url, method: Method::Post }
}

impl World {
    /// Starts Twilio, and the twin if it gets an address.
    ///
    /// # Errors
    /// When an address cannot be bound or the scenario's provider cannot work.
    pub async fn open(
        account: Account,
        rest: SocketAddr,
        provider: Option<SocketAddr>,
        scenario: &Scenario,
        seed: u64,
    ) -> Result<Self> {
        let exchange = Exchange::new(account, seed)?;
        let lag = Duration::from_millis(scenario.twilio.read_lag_ms);
        let options = RestOptions { faults: scenario.rest_faults.clone(), lag };
        let (rest, rest_task) =
            rest::serve(rest, exchange.clone(), options).await.with_context(|| format!("listening on {rest}"))?;
        let provider = match provider {
            Some(address) => Some(openai::listen(address, scenario.provider.clone()).await?),
            None => None,
        };
        Ok(Self { exchange, rest, provider, rest_task })
    }

    /// Gives the account its number, with these webhooks.
    pub fn own(&self, number: &str, webhooks: &Webhooks) -> Number {
        let known = self.exchange.numbers().into_iter().find(|known| known.number == number);
        let number = Number {
            sid: known.map_or_else(|| self.exchange.sid("PN"), |known| known.sid),
            number: number.to_owned(),
            voice: Some(post(webhooks.voice.clone())),
            fallback: webhooks.fallback.clone().map(post),
            status_callback: webhooks.status.clone().map(post),
        };
        self.exchange.set_number(number.clone());
        number
    }

    /// Makes the deployment ready for a scenario: its agent exists and answers its number. Returns the agent.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn prepare(operator: &Operator, scenario: &Scenario) -> Result<AgentId> {
        let agent = match &scenario.agent {
            Some(agent) => {
                operator.put_agent(agent).await.context("creating the agent")?;
                agent.id.clone()
            }
            None => AgentId::parse("line-test")?,
        };
        operator.point_number(&scenario.number, &agent).await.context("pointing the number at the agent")?;
        Ok(agent)
    }

    /// Plays a scenario to its verdict. With an operator the browser watches and the history is judged.
    ///
    /// # Errors
    /// When the call cannot even be begun.
    pub async fn play(
        &self,
        scenario: &Scenario,
        webhooks: &Webhooks,
        operator: Option<&Operator>,
        screen: &Screen,
        seed: u64,
    ) -> Result<Played> {
        let number = self.own(&scenario.number, webhooks);
        let cast = scenario.cast(seed)?;
        let sessions_before = self.provider.as_ref().map_or(0, |provider| provider.stats().records().len());
        let events = self.exchange.watch();
        let call_sid = match (scenario.kind, operator) {
            (Kind::Inbound, _) => self.exchange.call_in(&scenario.person, &number, cast)?,
            (Kind::Browser, operator) => {
                let (identity, sid) = match operator {
                    Some(operator) => self.registered(operator).await?,
                    None => (scenario.person.clone(), self.exchange.sid("AP")),
                };
                let application = Number { sid, ..number };
                self.exchange.call_from_browser(&identity, &application, &scenario.parameters, cast)?
            }
            (Kind::Outbound, Some(operator)) => {
                self.exchange.set_cast(Some(&scenario.person), cast);
                self.place(operator, scenario).await?
            }
            (Kind::Outbound, None) => bail!("an outbound scenario needs an API key, to ask the edge for the call"),
        };
        let mut watcher = operator
            .map(|operator| Watcher::open(operator.edge(), operator.key(), &call_sid, scenario.watcher.drops_every));
        let showing =
            screen.follow(&self.exchange, &call_sid, events, watcher.as_mut().and_then(Watcher::take_noticed));

        let record = tokio::time::timeout(LONGEST_CALL, self.exchange.record(&call_sid)).await;
        let record = record.context("the call did not end")?.map_err(|alert| anyhow::anyhow!("{alert}"))?;
        let afterwards = Duration::from_secs(scenario.expect.settles_within_s);
        let deadline = Instant::now() + afterwards;
        let watched = match watcher {
            Some(watcher) => Some(watcher.finish(afterwards).await),
            None => None,
        };
        showing.abort();
        let (detail, row) = match operator {
            Some(operator) => history(operator, &call_sid, scenario, deadline).await,
            None => (None, None),
        };
        let provider = match &self.provider {
            Some(provider) => {
                // The last session may still be closing.
                let closed = provider.stats().wait_until(|stats| stats.open() == 0);
                let _ = tokio::time::timeout(Duration::from_secs(5), closed).await;
                provider.stats().records().split_off(sessions_before)
            }
            None => Vec::new(),
        };
        let judged = if self.provider.is_some() { scenario.clone() } else { without_provider(scenario) };
        let evidence = Evidence {
            scenario: &judged,
            record: &record,
            provider: &provider,
            watched: watched.as_ref(),
            detail: detail.as_ref(),
            row: row.as_ref(),
        };
        let verdict = Verdict::of(evidence);
        Ok(Played { record, provider, watched, verdict })
    }

    /// A browser of the operator's registers with a token of the edge's: its identity, and the application it may call.
    async fn registered(&self, operator: &Operator) -> Result<(String, String)> {
        let given = operator.voice_token().await?;
        let account = self.exchange.account();
        let now_s = self.exchange.clock().unix_ms(self.exchange.started().elapsed()) / 1000;
        let grant = token::read(&given.token, &account.sid, &account.api_keys, now_s);
        let grant = grant.map_err(|alert| anyhow::anyhow!("Twilio refuses the edge's access token: {alert}"))?;
        if grant.identity != given.identity {
            bail!("the edge's answer names another identity than its token");
        }
        Ok((grant.identity, grant.application_sid.context("the token allows no outgoing calls")?))
    }

    async fn place(&self, operator: &Operator, scenario: &Scenario) -> Result<String> {
        let mut placed = self.exchange.placed();
        let before = placed.borrow().len();
        let agent = scenario.agent.as_ref().map(|agent| agent.id.as_str());
        let answer = operator.place_call(&scenario.person, &scenario.number, agent).await?;
        if let Some(sid) = answer.call_sid {
            return Ok(sid.as_str().to_owned());
        }
        // The edge does not know whether the call exists; Twilio does.
        let made = tokio::time::timeout(Duration::from_secs(10), placed.wait_for(|sids| sids.len() > before)).await;
        let sids = made.context("no call was made")??;
        sids.get(before).cloned().context("no call was made")
    }
}

/// Audio cannot be compared with that of a provider who is not ours.
fn without_provider(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    if scenario.expect.audio == AudioRule::Provider {
        scenario.expect.audio = AudioRule::None;
    }
    scenario
}

/// Waits until the history tells the call's end.
async fn history(
    operator: &Operator,
    call_sid: &str,
    scenario: &Scenario,
    deadline: Instant,
) -> (Option<CallDetail>, Option<CallRow>) {
    loop {
        let detail = operator.call(call_sid).await.ok();
        let listed = operator.history().await.ok().and_then(|page| {
            page.calls.into_iter().find(|row| row.call_sid.as_ref().is_some_and(|sid| sid.as_str() == call_sid))
        });
        let told = detail.as_ref().is_some_and(|detail| {
            detail.call.status.is_terminal() && detail.transcript.len() >= scenario.expect.transcript.len()
        });
        let listed_end = listed.as_ref().is_some_and(|row| row.status.is_terminal() && row.duration_s.is_some());
        let unanswered = listed.as_ref().is_some_and(|row| row.status.is_terminal() && row.answered_at.is_none());
        if (told && (listed_end || unanswered)) || Instant::now() > deadline {
            return (detail, listed);
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
