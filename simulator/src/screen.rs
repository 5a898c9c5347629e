//! What a person at the terminal reads while a call is played: a line for everything that is said or happens, with the time
//! since the call began. It only shows; it remembers and decides nothing.

use std::time::{Duration, Instant};

use shared::node_api::Speaker;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::caller::Deed;
use crate::speech::Library;
use crate::twilio::Now;
use crate::twilio::call::Status;
use crate::twilio::exchange::{Event, Exchange, What};
use crate::watcher::Noticed;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// To standard output.
    Terminal,
    /// Nowhere.
    Dark,
}

impl Screen {
    /// Prints a line.
    pub fn line(&self, text: &str) {
        if *self == Self::Terminal {
            println!("{text}");
        }
    }

    /// Shows a call until the task is aborted: what Twilio sees, and what the browser sees (without one: what the person
    /// hears and says).
    #[must_use]
    pub fn follow(
        self,
        exchange: &Exchange,
        call_sid: &str,
        mut events: broadcast::Receiver<Event>,
        noticed: Option<mpsc::Receiver<(Instant, Noticed)>>,
    ) -> JoinHandle<()> {
        let call_sid = call_sid.to_owned();
        let (started, clock, began) = (exchange.started(), exchange.clock(), exchange.started().elapsed());
        let mut show = Show { screen: self, began, watched: noticed.is_some(), texts: Vec::new() };
        tokio::spawn(async move {
            let mut noticed = noticed;
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Ok(event) if event.call_sid == call_sid => show.event(event.at, &event.what),
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                    Some((at, new)) = next(&mut noticed) => {
                        let at = at.saturating_duration_since(started);
                        show.noticed(at, new, |unix_ms| {
                            Duration::from_millis(u64::try_from(unix_ms - clock.unix_ms(Duration::ZERO)).unwrap_or(0))
                        });
                    }
                }
            }
        })
    }
}

async fn next(noticed: &mut Option<mpsc::Receiver<(Instant, Noticed)>>) -> Option<(Instant, Noticed)> {
    match noticed {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

struct Show {
    screen: Screen,
    began: Now,
    watched: bool,
    texts: Vec<(String, String)>,
}

impl Show {
    fn print(&self, at: Now, text: &str) {
        let ms = at.saturating_sub(self.began).as_millis();
        self.screen.line(&format!("  {:02}:{:02}.{}  {text}", ms / 60_000, ms / 1000 % 60, ms / 100 % 10));
    }

    fn event(&self, at: Now, what: &What) {
        match what {
            What::Became(status) => self.print(at, state(*status)),
            What::Streaming => self.print(at, "(the media stream is open)"),
            What::Announced(text) => self.print(at, &format!("twilio  {text}")),
            What::Cleared(bytes) => {
                self.print(at, &format!("(the caller interrupts: {} ms of audio are not played)", bytes / 8))
            }
            What::Alerted(alert) => self.print(at, &format!("(Twilio's debugger: {alert})")),
            What::Did(deed) => self.did(at, deed),
        }
    }

    fn did(&self, at: Now, deed: &Deed) {
        let words = |id: &str| Library::embedded().get(id).map_or(id, |recording| recording.text()).to_owned();
        match deed {
            Deed::Began(id) if !self.watched => self.print(at, &format!("caller  {}", words(id))),
            Deed::HeardBegin(id, began) if !self.watched => self.print(*began, &format!("agent   {}", words(id))),
            Deed::Pressed(key) if !self.watched => self.print(at, &format!("(the caller presses {key})")),
            Deed::Despaired(step) => {
                self.print(at, &format!("(the caller waited in vain in step {} and hangs up)", step + 1));
            }
            Deed::HungUp => self.print(at, "(the caller hangs up)"),
            Deed::Listens(false) => self.print(at, "(the caller's side stops reading)"),
            Deed::Listens(true) => self.print(at, "(the caller's side reads again)"),
            Deed::Began(_) | Deed::HeardBegin(..) | Deed::Pressed(_) | Deed::Finished(_) | Deed::HeardEnd(_) => {}
        }
    }

    fn noticed(&mut self, at: Now, new: Noticed, since_start: impl Fn(i64) -> Now) {
        match new {
            Noticed::Said(line) => {
                // After a reconnection the page may learn again what it knew.
                if self.texts.iter().any(|(key, text)| *key == line.key && *text == line.text) {
                    return;
                }
                let who = match line.speaker {
                    Speaker::Caller => "caller",
                    Speaker::Agent => "agent ",
                };
                self.print(since_start(line.started_at.0), &format!("{who}  {}", line.text));
                self.texts.push((line.key, line.text));
            }
            Noticed::BargedIn { key, heard_ms } => {
                let text = self.texts.iter().find(|(known, _)| *known == key).map(|(_, text)| text.as_str());
                let of = text.map(|text| format!(" of “{}…”", text.chars().take(30).collect::<String>()));
                self.print(at, &format!("------  interrupted after {heard_ms} ms{}", of.unwrap_or_default()));
            }
            Noticed::Digit(digit) => self.print(at, &format!("caller  presses {digit}")),
            Noticed::ProviderLost => self.print(at, "(the provider's session was lost)"),
            Noticed::Heard { .. } | Noticed::Ended => {}
        }
    }
}

fn state(status: Status) -> &'static str {
    match status {
        Status::Queued => "(queued)",
        Status::Initiated => "(dialling)",
        Status::Ringing => "(ringing)",
        Status::InProgress => "(answered)",
        Status::Canceled => "(cancelled before the answer)",
        Status::NoAnswer => "(not answered)",
        Status::Busy => "(busy)",
        Status::Failed => "(could not be connected)",
        Status::Completed => "(the call is over)",
    }
}
