//! The operator of a deployment, as a client of the edge's HTTP API: makes the first administrator or signs in, takes an API
//! key, creates the agent, points the number, asks for calls, reads the history. No retries but those that wait for a fact.

use std::time::{Duration, Instant};

use crate::https;
use anyhow::{Context as _, Result, bail};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::agent::Agent;
use shared::api::{
    CallDetail, CallPage, CreatedKey, DefaultAgent, Health, PlacedCall, PointNumber, SessionView, VoiceToken,
};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A signed-in operator.
#[derive(Debug, Clone)]
pub struct Operator {
    edge: String,
    http: reqwest::Client,
    key: String,
}

impl Operator {
    /// Waits until the edge answers and a media node is alive.
    ///
    /// # Errors
    /// When that takes longer than `patience`; says what was missing.
    pub async fn wait_for_edge(edge: &str, patience: Duration) -> Result<Health> {
        let http = https::client().timeout(PATIENCE).build()?;
        let deadline = Instant::now() + patience;
        loop {
            let missing = match http.get(format!("{edge}/health")).send().await {
                Ok(answer) => match answer.json::<Health>().await {
                    Ok(health) if health.nodes_alive > 0 => return Ok(health),
                    Ok(_) => "no media node is alive".to_owned(),
                    Err(error) => format!("its health cannot be read: {error}"),
                },
                Err(error) => format!("it does not answer: {error}"),
            };
            if Instant::now() > deadline {
                bail!("the edge at {edge} is not ready: {missing}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// An operator who has an API key already.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn with_key(edge: &str, key: &str) -> Result<Self> {
        let http = https::client().timeout(PATIENCE).build()?;
        Ok(Self { edge: edge.trim_end_matches('/').to_owned(), http, key: key.to_owned() })
    }

    /// Makes the first administrator, or signs in when there is one, and takes an API key.
    ///
    /// # Errors
    /// When the edge refuses; the message is its own.
    pub async fn enter(edge: &str, setup_token: &str, email: &str, password: &str) -> Result<Self> {
        let mut operator = Self::with_key(edge, "")?;
        let view: SessionView = read(operator.request(Method::GET, "/api/session").send().await?).await?;
        let entrance = if view.needs_setup {
            operator
                .request(Method::POST, "/api/setup")
                .json(&json!({"token": setup_token, "email": email, "password": password}))
        } else {
            operator.request(Method::POST, "/api/session").json(&json!({"email": email, "password": password}))
        };
        let answer = entrance.send().await?;
        let cookie = answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok()?.split(';').next())
            .collect::<Vec<_>>()
            .join("; ");
        let view: SessionView = read(answer).await.context("signing in at the edge")?;
        let csrf = view.csrf_token.context("the edge signed nobody in")?;
        let created = operator
            .request(Method::POST, "/api/keys")
            .header("cookie", cookie)
            .header("x-csrf-token", csrf)
            .header("origin", operator.edge.clone())
            .json(&json!({"name": "simulator"}))
            .send()
            .await?;
        let created: CreatedKey = read(created).await.context("taking an API key")?;
        operator.key = created.key;
        Ok(operator)
    }

    /// The API key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The edge's address without a trailing slash.
    #[must_use]
    pub fn edge(&self) -> &str {
        &self.edge
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.edge));
        if self.key.is_empty() { request } else { request.bearer_auth(&self.key) }
    }

    async fn put<T: Serialize>(&self, path: &str, body: &T) -> Result<Value> {
        read(self.request(Method::PUT, path).json(body).send().await?).await.with_context(|| format!("PUT {path}"))
    }

    /// Creates or changes an agent.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn put_agent(&self, agent: &Agent) -> Result<()> {
        self.put(&format!("/api/agents/{}", agent.id), agent).await?;
        Ok(())
    }

    /// Says who answers where nothing else is said.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn set_default_agent(&self, agent: &shared::ids::AgentId) -> Result<()> {
        self.put("/api/agents/default", &DefaultAgent { agent: agent.clone() }).await?;
        Ok(())
    }

    /// Says who answers a number.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn point_number(&self, number: &str, agent: &shared::ids::AgentId) -> Result<()> {
        self.put(&format!("/api/numbers/{number}"), &PointNumber { agent: agent.clone() }).await?;
        Ok(())
    }

    /// Asks the edge to call somebody.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn place_call(&self, to: &str, from: &str, agent: Option<&str>) -> Result<PlacedCall> {
        let body = json!({"to": to, "from": from, "agent": agent});
        let answer = self.request(Method::POST, "/api/calls").json(&body).send().await?;
        read(answer).await.context("POST /api/calls")
    }

    /// An access token for a browser's telephone.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn voice_token(&self) -> Result<VoiceToken> {
        read(self.request(Method::POST, "/api/token").send().await?).await.context("POST /api/token")
    }

    /// A call with its state and transcript, from the edge.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn call(&self, call: &str) -> Result<CallDetail> {
        read(self.request(Method::GET, &format!("/api/calls/{call}")).send().await?).await
    }

    /// The newest calls of the history.
    ///
    /// # Errors
    /// When the edge refuses.
    pub async fn history(&self) -> Result<CallPage> {
        read(self.request(Method::GET, "/api/calls?limit=50").send().await?).await
    }
}

/// The body of a success, or the edge's own words about a refusal.
async fn read<T: DeserializeOwned>(answer: Response) -> Result<T> {
    let status = answer.status();
    let body = answer.bytes().await?;
    if status.is_success() {
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        return serde_json::from_slice(body).with_context(|| format!("HTTP {status} with an unexpected body"));
    }
    let said = serde_json::from_slice::<shared::api::ErrorBody>(&body).map(|body| body.error);
    match said {
        Ok(error) => bail!("HTTP {status}: {} ({})", error.message, error.code),
        Err(_) => bail!("HTTP {status}"),
    }
}
