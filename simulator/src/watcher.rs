//! A browser that watches a call: rebuilds it from the snapshot and the facts that follow, notices gaps and repetitions,
//! loses its connection when told to and comes back with `fromSeq`. [`Page`] is the pure part; the rest is its socket. What
//! it should have seen is [`crate::verdict`]'s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use shared::call::CallState;
use shared::console_api::{BoardMessage, CallFact, PROTOCOL_VERSION, ServerMessage, StampedFact};
use shared::node_api::{NodeEvent, Speaker};
use shared::transcript::{HeardPart, TranscriptLine};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What a page shows about one call.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The last fact shown; none: nothing came yet.
    pub seq: Option<u64>,
    /// The call's life.
    pub state: CallState,
    /// What was said, by line.
    pub lines: BTreeMap<String, TranscriptLine>,
    /// Keys pressed, in order.
    pub digits: String,
    /// How often the caller interrupted.
    pub barge_ins: usize,
    /// Facts that came twice.
    pub duplicates: u64,
    /// Facts that were missing when a later one came.
    pub gaps: u64,
    /// Snapshots received.
    pub snapshots: u64,
    /// Facts received.
    pub facts: u64,
    /// Interim texts received.
    pub live: u64,
    /// Whether the edge said that the call is over, and up to which fact.
    pub ended: Option<u64>,
    /// Messages that could not be read, or that broke the protocol.
    pub faults: Vec<String>,
}

/// Something that a person at the page would notice.
#[derive(Debug, Clone, PartialEq)]
pub enum Noticed {
    /// A line has its final text.
    Said(TranscriptLine),
    /// The caller interrupted; so much of the line had been heard.
    BargedIn {
        /// The line's key.
        key: String,
        /// Milliseconds.
        heard_ms: u32,
    },
    /// How much of a line was heard is known.
    Heard {
        /// The line's key.
        key: String,
        /// How much.
        part: HeardPart,
    },
    /// The caller pressed a key.
    Digit(char),
    /// The provider's session was lost.
    ProviderLost,
    /// The call is over.
    Ended,
}

impl Page {
    /// Takes a message in; says what is new to see.
    pub fn apply(&mut self, message: ServerMessage) -> Vec<Noticed> {
        match message {
            ServerMessage::Snapshot { protocol, call } => {
                if protocol != PROTOCOL_VERSION {
                    self.faults.push(format!("protocol {protocol} instead of {PROTOCOL_VERSION}"));
                }
                self.snapshots += 1;
                if self.seq.is_some_and(|seen| call.seq < seen) {
                    self.faults.push(format!("a snapshot of fact {} after fact {:?}", call.seq, self.seq));
                }
                self.seq = Some(call.seq);
                self.state = call.state;
                let known = std::mem::take(&mut self.lines);
                self.lines = call.transcript.into_iter().map(|line| (line.key.clone(), line)).collect();
                let new = self.lines.values().filter(|line| !known.contains_key(&line.key) && !line.text.is_empty());
                new.cloned().map(Noticed::Said).collect()
            }
            ServerMessage::Facts { facts } => facts.into_iter().flat_map(|fact| self.fact(fact)).collect(),
            ServerMessage::Live { .. } => {
                self.live += 1;
                Vec::new()
            }
            ServerMessage::Ended { seq } => {
                if self.seq != Some(seq) {
                    self.faults.push(format!("the call ended with fact {seq}, but {:?} was the last shown", self.seq));
                }
                self.ended = Some(seq);
                vec![Noticed::Ended]
            }
        }
    }

    fn fact(&mut self, stamped: StampedFact) -> Vec<Noticed> {
        self.facts += 1;
        let next = self.seq.map_or(1, |seq| seq + 1);
        if stamped.seq < next {
            self.duplicates += 1;
            return Vec::new();
        }
        self.gaps += stamped.seq - next;
        self.seq = Some(stamped.seq);
        match stamped.fact {
            CallFact::Life { event } => {
                self.state.apply(&event);
                Vec::new()
            }
            CallFact::Node { epoch, event, .. } => self.node_event(epoch.0, event),
            CallFact::Transcribed { transcription_sid, track, sequence, text, at } => {
                let key = format!("{transcription_sid}:{}:{sequence}", track.as_str());
                let line =
                    TranscriptLine { key: key.clone(), speaker: track.speaker(), text, started_at: at, heard: None };
                self.lines.insert(key, line.clone());
                vec![Noticed::Said(line)]
            }
            CallFact::Opened { .. } | CallFact::Bound { .. } | CallFact::Owner { .. } => Vec::new(),
        }
    }

    fn node_event(&mut self, epoch: u32, event: NodeEvent) -> Vec<Noticed> {
        match event {
            NodeEvent::Said { speaker, item, text, started_at } => {
                let key = format!("{epoch}:{item}");
                let heard = self.lines.get(&key).and_then(|line| line.heard);
                let line = TranscriptLine { key: key.clone(), speaker, text, started_at, heard };
                self.lines.insert(key, line.clone());
                vec![Noticed::Said(line)]
            }
            NodeEvent::Heard { item, heard_ms, received_ms, cut } => {
                let key = format!("{epoch}:{item}");
                let part = HeardPart { heard_ms, received_ms, cut };
                self.lines
                    .entry(key.clone())
                    .or_insert_with(|| TranscriptLine {
                        key: key.clone(),
                        speaker: Speaker::Agent,
                        text: String::new(),
                        started_at: shared::time::UnixMillis(i64::MAX),
                        heard: None,
                    })
                    .heard = Some(part);
                vec![Noticed::Heard { key, part }]
            }
            NodeEvent::BargedIn { item, heard_ms } => {
                self.barge_ins += 1;
                vec![Noticed::BargedIn { key: format!("{epoch}:{item}"), heard_ms }]
            }
            NodeEvent::Digit { digit } => {
                self.digits.push(digit);
                vec![Noticed::Digit(digit)]
            }
            NodeEvent::ProviderLost { .. } => vec![Noticed::ProviderLost],
            NodeEvent::StreamStarted { .. }
            | NodeEvent::ProviderReady { .. }
            | NodeEvent::Ended { .. }
            | NodeEvent::Unknown => Vec::new(),
        }
    }

    /// The lines that have a text, in the order in which they were said.
    #[must_use]
    pub fn transcript(&self) -> Vec<&TranscriptLine> {
        let mut lines: Vec<&TranscriptLine> = self.lines.values().filter(|line| !line.text.is_empty()).collect();
        lines.sort_by(|a, b| (a.started_at, &a.key).cmp(&(b.started_at, &b.key)));
        lines
    }
}

/// What a watcher saw in the end.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// The page.
    pub page: Page,
    /// How often it connected.
    pub connections: u64,
}

/// A watcher at work.
#[derive(Debug)]
pub struct Watcher {
    noticed: Option<mpsc::Receiver<(Instant, Noticed)>>,
    watched: Arc<Mutex<Watched>>,
    task: tokio::task::JoinHandle<()>,
}

impl Watcher {
    /// Opens a page about a call; `drops_every` so many facts it loses its connection.
    #[must_use]
    pub fn open(edge: &str, key: &str, call: &str, drops_every: Option<u64>) -> Self {
        // Whoever reads these too slowly misses some; the page itself misses nothing.
        let (sender, noticed) = mpsc::channel(1024);
        let watched = Arc::new(Mutex::new(Watched::default()));
        let at = edge.replacen("http", "ws", 1);
        let watch = Watch {
            at,
            key: key.to_owned(),
            call: call.to_owned(),
            drops_every,
            watched: Arc::clone(&watched),
            sender,
        };
        Self { noticed: Some(noticed), watched, task: tokio::spawn(watch.run()) }
    }

    /// What a person at the page would notice, as it happens; once.
    pub fn take_noticed(&mut self) -> Option<mpsc::Receiver<(Instant, Noticed)>> {
        self.noticed.take()
    }

    /// What was seen when the edge said that the call is over, or until `patience` was at its end.
    pub async fn finish(mut self, patience: Duration) -> Watched {
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
        lock(&self.watched).clone()
    }
}

struct Watch {
    at: String,
    key: String,
    call: String,
    drops_every: Option<u64>,
    watched: Arc<Mutex<Watched>>,
    sender: mpsc::Sender<(Instant, Noticed)>,
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    async fn run(self) {
        while lock(&self.watched).page.ended.is_none() {
            let from = lock(&self.watched).page.seq.map(|seq| format!("&fromSeq={seq}")).unwrap_or_default();
            let url = format!("{}/ws/transcriptions?callSid={}{from}", self.at, self.call);
            // The room may not exist yet, or its edge may be starting again.
            if let Ok(socket) = connect(&url, &self.key).await {
                self.look(socket).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reads until the call is over or the connection is lost, by accident or because the plan says so: then without a close
    /// frame.
    async fn look(&self, mut socket: Socket) {
        let drop_at = {
            let mut watched = lock(&self.watched);
            watched.connections += 1;
            self.drops_every.map(|every| watched.page.facts + every)
        };
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let (ended, facts) = {
                let mut watched = lock(&self.watched);
                match serde_json::from_str::<ServerMessage>(&text) {
                    Ok(message) => {
                        for new in watched.page.apply(message) {
                            // Full, or nobody reads.
                            let _ = self.sender.try_send((Instant::now(), new));
                        }
                    }
                    Err(error) => watched.page.faults.push(format!("an unreadable message: {error}")),
                }
                (watched.page.ended.is_some(), watched.page.facts)
            };
            if ended {
                let _ = socket.close(None).await;
                return;
            }
            if drop_at.is_some_and(|at| facts >= at) {
                return;
            }
        }
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(url: &str, key: &str) -> Result<Socket, Error> {
    crate::https::ready();
    let mut request = url.into_client_request()?;
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {key}")) {
        request.headers_mut().insert("authorization", value);
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// Waits on the live board until `fact` holds of some message.
///
/// # Errors
/// When the socket cannot be opened or ends before.
pub async fn watch_board(edge: &str, key: &str, mut fact: impl FnMut(&BoardMessage) -> bool) -> anyhow::Result<()> {
    let mut socket = connect(&format!("{}/ws/calls", edge.replacen("http", "ws", 1)), key).await?;
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message? {
            let message: BoardMessage = serde_json::from_str(&text)?;
            if fact(&message) {
                let _ = socket.send(Message::Close(None)).await;
                return Ok(());
            }
        }
    }
    anyhow::bail!("the board's socket ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::ids::Epoch;
    use shared::time::UnixMillis;

    fn fact(seq: u64, event: NodeEvent) -> StampedFact {
        StampedFact { seq, at: UnixMillis(seq as i64), fact: CallFact::Node { epoch: Epoch(1), line: seq, event } }
    }

    fn said(item: &str, text: &str, at: i64) -> NodeEvent {
        NodeEvent::Said { speaker: Speaker::Agent, item: item.into(), text: text.into(), started_at: UnixMillis(at) }
    }

    #[test]
    fn a_page_counts_gaps_and_repetitions_and_orders_by_time() {
        let mut page = Page::default();
        page.apply(ServerMessage::Facts {
            facts: vec![fact(1, said("b", "second", 20)), fact(2, said("a", "first", 10))],
        });
        page.apply(ServerMessage::Facts {
            facts: vec![fact(2, said("a", "first", 10)), fact(5, NodeEvent::Digit { digit: '7' })],
        });
        assert_eq!((page.duplicates, page.gaps, page.seq), (1, 2, Some(5)));
        let texts: Vec<&str> = page.transcript().iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts, page.digits.as_str()), (vec!["first", "second"], "7"));
        assert_eq!(page.apply(ServerMessage::Ended { seq: 5 }), [Noticed::Ended]);
        assert_eq!(page.faults, [] as [String; 0]);
        page.apply(ServerMessage::Ended { seq: 9 });
        assert_eq!(page.faults.len(), 1);
    }

    #[test]
    fn how_much_was_heard_may_come_before_the_words() {
        let mut page = Page::default();
        let heard = NodeEvent::Heard { item: "a".into(), heard_ms: 100, received_ms: 200, cut: true };
        page.apply(ServerMessage::Facts { facts: vec![fact(1, heard)] });
        assert_eq!(page.transcript().len(), 0);
        page.apply(ServerMessage::Facts { facts: vec![fact(2, said("a", "words", 10))] });
        let part = HeardPart { heard_ms: 100, received_ms: 200, cut: true };
        assert_eq!(page.transcript()[0].heard, Some(part));
    }
}
