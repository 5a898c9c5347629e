//! How Twilio delivers a webhook: signed, with the address's connection overrides, the retries they allow, 15 seconds at most,
//! redirects followed without the form; and how a callback may be duplicated, delayed or lost on the way. Sources: "Connection
//! overrides", "Webhooks security", the error dictionary. Which webhooks there are is [`super::call`]'s.

use std::time::{Duration, Instant};

use form_urlencoded::Serializer;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use reqwest::redirect::Policy;
use serde::Deserialize;

use crate::https;

use super::call::{Fetched, Purpose, Request};
use super::sids::Dice;
use super::signature::{sign, signed_address};
use super::twiml::{MAX_DOCUMENT, Method};
use super::{Alert, Now};

/// How many redirects are followed (error 11215 beyond).
const MOST_REDIRECTS: usize = 5;

/// What an address's fragment says about connecting to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overrides {
    /// TCP connect timeout (`ct`).
    pub connect: Duration,
    /// Longest wait for the first byte, and between two (`rt`).
    pub read: Duration,
    /// Longest in all, retries included (`tt`).
    pub total: Duration,
    /// Retries (`rc`), not attempts.
    pub retries: u32,
    /// On what they are made (`rp`).
    pub on: RetryOn,
}

/// On which failures a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryOn {
    /// No TCP or TLS connection.
    pub connect: bool,
    /// No answer in time.
    pub read: bool,
    /// A 4xx answer.
    pub client_error: bool,
    /// A 5xx answer.
    pub server_error: bool,
}

/// How an attempt ended, as far as retrying cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status.
    Answered(u16),
    /// No connection.
    NotConnected,
    /// Connected, and no whole answer in time or at all.
    NotAnswered,
}

impl Default for Overrides {
    fn default() -> Self {
        let on = RetryOn { connect: true, read: false, client_error: false, server_error: false };
        let read = Duration::from_secs(15);
        Self { connect: Duration::from_secs(5), read, total: read, retries: 1, on }
    }
}

impl Overrides {
    /// Reads the fragment of an address.
    ///
    /// # Errors
    /// 11243 when a value is out of its range; Twilio then does not make the request.
    pub fn of(url: &str) -> Result<Self, Alert> {
        let mut overrides = Self::default();
        let Some((_, fragment)) = url.split_once('#') else { return Ok(overrides) };
        let bad = |pair: &str| Alert::new(11243, format!("invalid connection override `{pair}`"));
        for pair in fragment.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| bad(pair))?;
            let ms = |most: u64| {
                let number = value.parse().ok().filter(|ms| (100..=most).contains(ms));
                number.map(Duration::from_millis).ok_or_else(|| bad(pair))
            };
            match key {
                "ct" => overrides.connect = ms(10_000)?,
                "rt" => overrides.read = ms(15_000)?,
                "tt" => overrides.total = ms(15_000)?,
                "rc" => overrides.retries = value.parse().ok().filter(|n| *n <= 5).ok_or_else(|| bad(pair))?,
                "rp" => overrides.on = RetryOn::read(value).ok_or_else(|| bad(pair))?,
                "sni" if matches!(value, "y" | "n") => {}
                "e" if !value.is_empty() => {}
                _ => return Err(bad(pair)),
            }
        }
        Ok(overrides)
    }

    /// Whether another attempt is made after this one (the first is number 1).
    #[must_use]
    pub fn again(&self, attempt: u32, outcome: Outcome) -> bool {
        let kind = match outcome {
            Outcome::Answered(status) => match status {
                400..=499 => self.on.client_error,
                500..=599 => self.on.server_error,
                _ => false,
            },
            Outcome::NotConnected => self.on.connect,
            Outcome::NotAnswered => self.on.read,
        };
        kind && attempt <= self.retries
    }
}

impl RetryOn {
    fn read(list: &str) -> Option<Self> {
        let mut on = Self { connect: false, read: false, client_error: false, server_error: false };
        for word in list.split(',') {
            match word {
                "ct" => on.connect = true,
                "rt" => on.read = true,
                "4xx" => on.client_error = true,
                "5xx" => on.server_error = true,
                "all" => on = Self { connect: true, read: true, client_error: true, server_error: true },
                _ => return None,
            }
        }
        Some(on)
    }
}

/// How callbacks suffer on their way. Documents (`/voice`, `action`) are never touched: without them there is no call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mischief {
    /// So many percent arrive twice.
    pub duplicate_percent: u8,
    /// So many percent never arrive.
    pub lose_percent: u8,
    /// So many percent are late, and so may be overtaken.
    pub delay_percent: u8,
    /// By at most so many milliseconds.
    pub delay_ms: u64,
    /// These never arrive: a purpose (`status`, `stream`, …) or an event (`completed`, `stream-stopped`, …).
    pub lose: Vec<String>,
}

/// One copy of a callback on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// How late it is.
    pub late: Duration,
    /// Whether it carries the same idempotency token as the first copy.
    pub same_token: bool,
}

impl Mischief {
    /// The copies of one callback that arrive; none: it is lost.
    #[must_use]
    pub fn copies(&self, request: &Request, dice: &mut Dice) -> Vec<Copy> {
        let words = ["CallStatus", "StreamEvent", "RecordingStatus", "TranscriptionEvent"];
        let event = request.fields.iter().find(|(name, _)| words.contains(&name.as_str())).map(|(_, v)| v.as_str());
        let named = |word: &String| Some(word.as_str()) == event || *word == word_of(request.purpose);
        // Always the same number of rolls, so that one callback's luck does not change the next one's.
        let (lost, late, by) = (dice.happens(self.lose_percent), dice.happens(self.delay_percent), dice.roll());
        let (twice, again, same_token) = (dice.happens(self.duplicate_percent), dice.roll(), dice.happens(50));
        if lost || self.lose.iter().any(named) {
            return Vec::new();
        }
        let delay = |roll: u64| Duration::from_millis(roll % self.delay_ms.saturating_add(1));
        let first = Copy { late: if late { delay(by) } else { Duration::ZERO }, same_token: true };
        let second = twice.then(|| Copy { late: delay(again), same_token });
        std::iter::once(first).chain(second).collect()
    }
}

fn word_of(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Voice => "voice",
        Purpose::Action => "action",
        Purpose::Fallback => "fallback",
        Purpose::Audio => "audio",
        Purpose::Status => "status",
        Purpose::Stream => "stream",
        Purpose::Recording => "recording",
        Purpose::Transcription => "transcription",
        Purpose::Detection => "detection",
    }
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// A webhook that was requested, for a verdict to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// When its first attempt began.
    pub at: Now,
    /// What was requested.
    pub request: Request,
    /// Every attempt.
    pub attempts: Vec<Attempt>,
    /// Why it failed in the end.
    pub failed: Option<Alert>,
}

impl Delivered {
    /// The word for what it was: `voice`, `status`, ….
    #[must_use]
    pub fn kind(&self) -> &'static str {
        word_of(self.request.purpose)
    }
}

/// The part of Twilio that makes requests.
#[derive(Debug, Clone)]
pub struct Courier {
    client: reqwest::Client,
    auth_token: String,
    started: Instant,
}

impl Courier {
    /// A courier who signs with this token; `started` is the origin of its times.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(auth_token: &str, started: Instant) -> Result<Self, reqwest::Error> {
        let client = client(Overrides::default().connect)?;
        Ok(Self { client, auth_token: auth_token.to_owned(), started })
    }

    /// Requests it, with retries, and says what came of it.
    pub async fn deliver(&self, request: Request, token: &str) -> (Delivered, Result<Fetched, Alert>) {
        let at = self.started.elapsed();
        let mut attempts = Vec::new();
        let result = match Overrides::of(&request.target.url) {
            Err(alert) => Err(alert),
            Ok(overrides) => self.attempts(&request, token, &overrides, &mut attempts).await,
        };
        let failed = match &result {
            Ok(fetched) if (200..300).contains(&fetched.status) => None,
            Ok(fetched) => Some(Alert::new(11200, format!("HTTP {}", fetched.status))),
            Err(alert) => Some(alert.clone()),
        };
        (Delivered { at, request, attempts, failed }, result)
    }

    async fn attempts(
        &self,
        request: &Request,
        token: &str,
        overrides: &Overrides,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Fetched, Alert> {
        let deadline = Instant::now() + overrides.total;
        let own = (overrides.connect != Overrides::default().connect).then(|| client(overrides.connect).ok()).flatten();
        let client = own.as_ref().unwrap_or(&self.client);
        for attempt in 1.. {
            let begun = Instant::now();
            let limit = overrides.read.min(deadline.saturating_duration_since(begun));
            let result = tokio::time::timeout(limit, self.attempt(client, request, token)).await;
            let (outcome, result) = match result {
                Err(_) => (Outcome::NotAnswered, Err(Alert::new(11200, "no answer in time"))),
                Ok(Err(Failure::NotConnected(alert))) => (Outcome::NotConnected, Err(alert)),
                Ok(Err(Failure::NotAnswered(alert))) => (Outcome::NotAnswered, Err(alert)),
                Ok(Ok(fetched)) => (Outcome::Answered(fetched.status), Ok(fetched)),
            };
            attempts.push(Attempt { outcome, took: begun.elapsed() });
            if !overrides.again(attempt, outcome) || Instant::now() >= deadline {
                return result;
            }
        }
        unreachable!("attempts are counted from one without end")
    }

    async fn attempt(&self, client: &reqwest::Client, request: &Request, token: &str) -> Result<Fetched, Failure> {
        let bare = request.target.url.split_once('#').map_or(request.target.url.as_str(), |(before, _)| before);
        let mut url = bare.to_owned();
        let mut form = request.fields.clone();
        let mut method = request.target.method;
        if method == Method::Get && !form.is_empty() {
            let query: String = Serializer::new(String::new()).extend_pairs(&form).finish();
            url = format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' });
            form.clear();
        }
        for _ in 0..=MOST_REDIRECTS {
            let mut headers = HeaderMap::new();
            let signature =
                sign(&self.auth_token, &signed_address(&url), if method == Method::Post { &form } else { &[] });
            for (name, value) in [("x-twilio-signature", signature.as_str()), ("i-twilio-idempotency-token", token)] {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
            headers.insert(USER_AGENT, HeaderValue::from_static("TwilioProxy/1.1"));
            let builder = match method {
                Method::Get => client.get(&url),
                Method::Post => {
                    headers.insert(
                        CONTENT_TYPE,
                        HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8"),
                    );
                    let body: String = Serializer::new(String::new()).extend_pairs(&form).finish();
                    client.post(&url).body(body)
                }
            };
            let mut response = builder.headers(headers).send().await.map_err(Failure::from)?;
            let status = response.status().as_u16();
            if let Some(next) =
                response.headers().get(LOCATION).filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308))
            {
                let next = next.to_str().ok().and_then(|next| response.url().join(next).ok());
                let Some(next) = next else {
                    return Err(Failure::NotAnswered(Alert::new(11215, "a redirect to nowhere")));
                };
                (url, form, method) = (next.to_string(), Vec::new(), Method::Get);
                continue;
            }
            let content_type =
                response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(Failure::from)? {
                body.extend_from_slice(&chunk);
                // A file to play may be large; of a document one byte too many is enough to refuse it.
                if request.purpose != Purpose::Audio && body.len() > MAX_DOCUMENT {
                    break;
                }
            }
            return Ok(Fetched { status, content_type, body });
        }
        Err(Failure::NotAnswered(Alert::new(11215, "too many redirects")))
    }
}

fn client(connect_timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    https::client()
        .redirect(Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(20))
        .build()
}

enum Failure {
    NotConnected(Alert),
    NotAnswered(Alert),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        // The error's own text would repeat the address with its query.
        if error.is_connect() {
            Self::NotConnected(Alert::new(11205, "no connection"))
        } else {
            Self::NotAnswered(Alert::new(
                11200,
                if error.is_timeout() { "no answer in time" } else { "a broken answer" },
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::twiml::Target;
    use super::*;

    #[test]
    fn overrides_are_read_from_the_fragment() {
        let read = |fragment: &str| Overrides::of(&format!("https://a.example/st?c=1{fragment}"));
        assert_eq!(read(""), Ok(Overrides::default()));
        let overrides = read("#rc=3&rt=4000&rp=ct,rt,5xx&ct=100&tt=15000&sni=n&e=dublin").unwrap();
        assert_eq!((overrides.retries, overrides.read.as_millis(), overrides.connect.as_millis()), (3, 4000, 100));
        assert_eq!(overrides.on, RetryOn { connect: true, read: true, client_error: false, server_error: true });
        for bad in ["#rc=6", "#rp=6xx", "#rp=", "#ct=99", "#rt=15001", "#tt=x", "#zz=1", "#rc"] {
            assert_eq!(read(bad).map_err(|alert| alert.code), Err(11243), "{bad}");
        }
    }

    #[test]
    fn by_default_only_a_failed_connection_is_tried_again_and_only_once() {
        let default = Overrides::default();
        assert!(default.again(1, Outcome::NotConnected));
        assert!(!default.again(2, Outcome::NotConnected));
        for outcome in [Outcome::NotAnswered, Outcome::Answered(500), Outcome::Answered(404), Outcome::Answered(200)] {
            assert!(!default.again(1, outcome), "{outcome:?}");
        }
        let all = Overrides::of("https://a.example#rc=2&rp=all").unwrap();
        assert!(all.again(2, Outcome::Answered(500)) && all.again(2, Outcome::Answered(404)));
        assert!(!all.again(3, Outcome::Answered(500)) && !all.again(1, Outcome::Answered(204)));
    }

    fn callback(status: &str) -> Request {
        Request {
            purpose: Purpose::Status,
            target: Target { url: "https://a.example".into(), method: Method::Post },
            fields: vec![("CallStatus".into(), status.into())],
        }
    }

    #[test]
    fn mischief_is_repeatable_and_as_frequent_as_asked() {
        let mischief =
            Mischief { duplicate_percent: 30, lose_percent: 20, delay_percent: 50, delay_ms: 1000, lose: vec![] };
        let run = |seed| {
            let mut dice = Dice::new(seed);
            (0..1000).map(|_| mischief.copies(&callback("ringing"), &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        let all = run(1);
        let lost = all.iter().filter(|copies| copies.is_empty()).count();
        let twice = all.iter().filter(|copies| copies.len() == 2).count();
        assert!((150..250).contains(&lost) && (180..300).contains(&twice), "{lost} lost, {twice} twice");
        assert!(all.iter().flatten().all(|copy| copy.late <= Duration::from_secs(1)));
        let none = Mischief::default().copies(&callback("ringing"), &mut Dice::new(1));
        assert_eq!(none, [Copy { late: Duration::ZERO, same_token: true }]);
    }

    #[test]
    fn named_callbacks_are_lost() {
        let mischief = Mischief { lose: vec!["completed".into()], ..Mischief::default() };
        assert_eq!(mischief.copies(&callback("completed"), &mut Dice::new(1)), []);
        assert_eq!(mischief.copies(&callback("busy"), &mut Dice::new(1)).len(), 1);
        let all = Mischief { lose: vec!["status".into()], ..Mischief::default() };
        assert_eq!(all.copies(&callback("busy"), &mut Dice::new(1)), []);
    }
}
