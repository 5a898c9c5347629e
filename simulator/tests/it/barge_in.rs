//! Two thousand barge-ins: the session between the provider's twin and Twilio's player, joined by a network that delays,
//! jitters and stalls, all in virtual time.
//!
//! **What is true.** A listener hears an item until Twilio's player takes the `clear`: what was played by then was heard,
//! what was queued behind it was not, whoever knew what when. So the truth about an item is the number of its bytes that
//! the player has played in all, and it is compared with the position that the session reports in its fact and in its
//! `truncate`, to the fraction of a millisecond. (The telephone network's own way to the ear comes on top and is the same for
//! every frame.)
//!
//! **What the network may do.** Each link has a delay of its own, up to 120 ms one way. Whatever comes *from* Twilio or the
//! provider may be late besides: by jitter, and by stalls of up to 400 ms in which everything behind waits. The way *to*
//! Twilio jitters by up to 12 ms a message, and in a third of the calls audio stalls there, too. What such a stall does to
//! playback shows only in the marks that come back later: positions that are decided before that are counted apart, since
//! nobody can know them, and the bound is asserted for all others.

mod cast;
mod network;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use session::{Action, Input, Now, Session, SessionConfig};
use shared::call::EndReason;
use shared::ids::StreamSid;
use shared::node_api::{NodeEvent, NodeOrder};
use shared::time::UnixMillis;
use simulator::provider::openai::{self, Options, Twin};
use simulator::speech::Library;
use simulator::twilio::stream::{self, Kind, MediaStream, Opening, Track};

use network::{Dice, Link};

const BARGE_INS: usize = 2_000;
const BOUND_MS: f64 = 20.0;
const STREAM: &str = "MZ00000000000000000000000000000001";
const MS: u64 = 1_000;

/// Where in an answer the caller is meant to be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    Beginning,
    Anywhere,
    End,
}

/// One reported position against the truth.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// Reported minus true, milliseconds.
    error_ms: f64,
    /// Whether the item was playing when it was cut: all others are heard whole or not at all, which is easy.
    is_cut: bool,
    /// Whether every stall on the way to Twilio had shown.
    is_knowable: bool,
}

/// What a call showed.
#[derive(Default)]
struct Findings {
    barge_ins: usize,
    positions: Vec<Position>,
    after_done: usize,
    in_first_20_ms: usize,
    queued_items: usize,
    dead_deltas: u64,
    aims: BTreeMap<Aim, usize>,
    truncations: usize,
    played_ms: u64,
}

/// An item as the node saw it.
#[derive(Default)]
struct Item {
    received: u64,
    sent: Vec<Range<usize>>,
}

struct World {
    now: u64,
    dice: Dice,
    session: Session,
    stream: MediaStream,
    twin: Option<Twin>,
    options: Arc<Options>,
    to_twilio: Link,
    from_twilio: Link,
    to_provider: Link,
    from_provider: Link,
    opens_at: Option<u64>,
    next_frame: u64,
    /// What the caller will say, and when it begins.
    speech: Option<(u64, &'static [u8])>,
    items: BTreeMap<String, Item>,
    /// Bytes sent to Twilio in all.
    sent: usize,
    cut: BTreeMap<String, usize>,
    is_done: BTreeSet<String>,
    response_of: BTreeMap<String, String>,
    /// Item, heard, received, whether it was cut, whether every stall had shown.
    heard: Vec<(String, u32, u32, bool, bool)>,
    /// By when every stall on the way to Twilio has shown.
    settled_at: u64,
    barge_ins: usize,
    wanted: usize,
    is_over: bool,
    findings: Findings,
}

/// A member's text that holds no escapes.
fn word<'a>(json: &'a str, name: &str) -> &'a str {
    let (_, rest) = json.split_once(&format!("\"{name}\":\"")).expect(name);
    rest.split_once('"').expect(name).0
}

/// How many bytes a member's base64 stands for.
fn audio_len(json: &str, name: &str) -> usize {
    let text = word(json, name);
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count()
}

impl World {
    fn new(seed: u64, wanted: usize) -> Self {
        let mut dice = Dice(seed);
        let options = Arc::new(cast::options(&mut dice));
        let config = SessionConfig::default();
        let mut session = Session::new(StreamSid::parse(STREAM).unwrap(), config, UnixMillis(0));
        assert!(session.poll_action().is_some());
        let mut stream = MediaStream::new(Opening {
            account_sid: "AC00000000000000000000000000000001".to_owned(),
            call_sid: "CA00000000000000000000000000000001".to_owned(),
            stream_sid: STREAM.to_owned(),
            kind: Kind::Bidirectional,
            tracks: vec![Track::Inbound],
            parameters: BTreeMap::new(),
        });
        stream.open(Now::ZERO);
        while stream.poll_output().is_some() {}
        let mut world = Self {
            now: 0,
            to_twilio: Link::new(&mut dice, 12, if seed.is_multiple_of(3) { 400 } else { 0 }),
            from_twilio: Link::new(&mut dice, 25, 300),
            to_provider: Link::new(&mut dice, 40, 100),
            from_provider: Link::new(&mut dice, 40, 400),
            next_frame: dice.within(0..20 * MS),
            dice,
            session,
            stream,
            twin: None,
            options,
            opens_at: None,
            speech: None,
            items: BTreeMap::new(),
            sent: 0,
            cut: BTreeMap::new(),
            is_done: BTreeSet::new(),
            response_of: BTreeMap::new(),
            heard: Vec::new(),
            settled_at: 0,
            barge_ins: 0,
            wanted,
            is_over: false,
            findings: Findings::default(),
        };
        world.input(Input::Begin(cast::plan()), None);
        world
    }

    fn moment(&self) -> Now {
        Now::from_micros(self.now)
    }

    /// Hands the session an input; `item` is the provider's item whose audio it is.
    fn input(&mut self, input: Input<'_>, item: Option<&str>) {
        self.session.handle(self.moment(), input);
        while let Some(action) = self.session.poll_action() {
            assert!(!self.is_over, "an action after the verdict");
            self.act(action, item);
        }
    }

    fn act(&mut self, action: Action, item: Option<&str>) {
        match action {
            Action::ToTwilio(text) => {
                if text.starts_with(r#"{"event":"media""#) {
                    let bytes = audio_len(&text, "payload");
                    let item = item.expect("audio comes of the provider's audio only");
                    assert!(!self.cut.contains_key(item), "audio of an interrupted item after the clear");
                    let record = self.items.get_mut(item).unwrap();
                    record.sent.push(self.sent..self.sent + bytes);
                    self.sent += bytes;
                }
                let stall = self.to_twilio.send(self.now, &mut self.dice, text);
                if stall > 0 {
                    // It has arrived, the mark behind it has been reached and has come back, and a frame after it.
                    let shown = self.now + stall + self.to_twilio.delay + self.from_twilio.delay + 800 * MS;
                    self.settled_at = self.settled_at.max(shown);
                }
            }
            Action::ToProvider(text) => {
                if text.contains("conversation.item.truncate") {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    let item = message["item_id"].as_str().unwrap();
                    let received = self.items.get(item).map_or(0, |item| item.received);
                    assert!(received > 0, "truncates an item without audio");
                    assert!(message["audio_end_ms"].as_u64().unwrap() * 8 <= received, "truncates beyond what came");
                    self.findings.truncations += 1;
                }
                self.to_provider.send(self.now, &mut self.dice, text);
            }
            Action::Fact(NodeEvent::BargedIn { item, .. }) => {
                self.barge_ins += 1;
                let is_done = self.response_of.get(&item).is_some_and(|response| self.is_done.contains(response));
                self.findings.after_done += usize::from(is_done);
            }
            Action::Fact(NodeEvent::Heard { item, heard_ms, received_ms, cut }) => {
                if cut {
                    self.cut.insert(item.clone(), self.sent);
                }
                self.heard.push((item, heard_ms, received_ms, cut, self.now >= self.settled_at));
            }
            Action::Fact(NodeEvent::ProviderLost { reason, .. }) => panic!("the provider was lost: {reason}"),
            Action::OpenProvider(_) => {
                // There and back: the handshake.
                self.opens_at = Some(self.now + self.to_provider.delay + self.from_provider.delay);
            }
            Action::Ended(_) => self.is_over = true,
            Action::Fact(_)
            | Action::Live { .. }
            | Action::OrderDone { .. }
            | Action::CloseProvider
            | Action::CloseTwilio => {}
            Action::ToProviderBinary(_) => panic!("a binary message for this provider"),
        }
    }

    /// Whatever happens next. `false`: nothing will.
    fn step(&mut self) -> bool {
        let micros = |at: Now| u64::try_from(at.as_nanos().div_ceil(1_000)).unwrap();
        let moments = [
            self.to_twilio.next(),
            self.from_twilio.next(),
            self.to_provider.next(),
            self.from_provider.next(),
            self.opens_at.unwrap_or(u64::MAX),
            self.session.poll_timeout().map_or(u64::MAX, micros),
            self.twin.as_ref().and_then(Twin::poll_timeout).map_or(u64::MAX, micros),
            self.stream.poll_timeout().map_or(u64::MAX, micros),
            self.next_frame,
        ];
        let (which, at) = moments.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
        if self.is_over || at == u64::MAX {
            return false;
        }
        self.now = self.now.max(at);
        match which {
            0 => {
                let (_, text) = self.to_twilio.queue.pop_front().unwrap();
                self.stream.handle(self.moment(), &text);
                self.drain_stream();
            }
            1 => {
                let (_, text) = self.from_twilio.queue.pop_front().unwrap();
                self.input(Input::Twilio(&text), None);
            }
            2 => {
                let (_, text) = self.to_provider.queue.pop_front().unwrap();
                let outputs = self.twin.as_mut().unwrap().handle(&text, Now::from_micros(self.now));
                self.drain_twin(outputs);
            }
            3 => {
                let (_, text) = self.from_provider.queue.pop_front().unwrap();
                self.provider_says(&text);
            }
            4 => {
                self.opens_at = None;
                let (twin, outputs) = Twin::open(Arc::clone(&self.options), 1, "gpt-realtime-2.1", self.moment(), 0);
                self.twin = Some(twin);
                self.drain_twin(outputs);
                self.input(Input::ProviderOpened, None);
            }
            5 => self.input(Input::Timeout, None),
            6 => {
                let outputs = self.twin.as_mut().unwrap().handle_timeout(Now::from_micros(self.now));
                self.drain_twin(outputs);
            }
            7 => {
                self.stream.advance(self.moment());
                self.drain_stream();
            }
            _ => self.caller_frame(),
        }
        true
    }

    fn drain_stream(&mut self) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                stream::Output::Text(text) => {
                    self.from_twilio.send(self.now, &mut self.dice, text);
                }
                stream::Output::Close => panic!("Twilio closes"),
            }
        }
    }

    fn drain_twin(&mut self, outputs: Vec<openai::Output>) {
        for output in outputs {
            match output {
                openai::Output::Text(text) => {
                    self.from_provider.send(self.now, &mut self.dice, text);
                }
                openai::Output::Close { .. } | openai::Output::Drop => panic!("the twin closes"),
            }
        }
    }

    fn provider_says(&mut self, text: &str) {
        let mut of_item = None;
        // Most messages need no reading here.
        if text.contains("\"response.output_audio.delta\"") {
            let (item, bytes) = (word(text, "item_id").to_owned(), audio_len(text, "delta") as u64);
            // What comes of an interrupted item is dropped and does not count as received.
            if !self.cut.contains_key(&item) {
                self.items.entry(item.clone()).or_default().received += bytes;
            }
            self.response_of.insert(item.clone(), word(text, "response_id").to_owned());
            of_item = Some(item);
        } else if text.contains("\"response.created\"") {
            self.plan_interruption();
        } else if text.contains("\"response.done\"") {
            let message: Value = serde_json::from_str(text).unwrap();
            self.is_done.insert(message["response"]["id"].as_str().unwrap().to_owned());
        }
        self.input(Input::ProviderText(text), of_item.as_deref());
    }

    /// An answer has begun: the caller will speak into it.
    fn plan_interruption(&mut self) {
        let library = Library::embedded();
        let aim = match self.dice.within(0..10) {
            0..4 => Aim::Beginning,
            4..8 => Aim::Anywhere,
            _ => Aim::End,
        };
        *self.findings.aims.entry(aim).or_default() += 1;
        // From here to the first sound, and from a first word to its being noticed, as seen at this node.
        let first_audio = self.options.first_audio_ms * MS;
        let notice = 165 * MS + self.from_twilio.delay + self.to_provider.delay + self.from_provider.delay;
        let length = 3_600 * MS;
        let noticed = match aim {
            Aim::Beginning => first_audio + self.dice.within(0..220 * MS),
            Aim::Anywhere => first_audio + self.dice.within(0..length),
            Aim::End => first_audio + length - 500 * MS + self.dice.within(0..700 * MS),
        };
        let at = self.now + noticed.saturating_sub(notice);
        let speech: &'static [u8] = if self.dice.one_in(4) {
            library.get("caller-yes").unwrap().audio()
        } else {
            // A third of a second of somebody's voice: noise to the recogniser, speech to the detector.
            &library.get("caller-interrupts").unwrap().audio()[800..3_360]
        };
        self.speech = Some((at, speech));
    }

    fn caller_frame(&mut self) {
        const SILENCE: [u8; 160] = [0xff; 160];
        let frame = match &mut self.speech {
            Some((at, rest)) if *at <= self.now => {
                let (frame, more) = rest.split_at(rest.len().min(160));
                self.speech = (!more.is_empty()).then_some((0, more));
                frame
            }
            Some(_) | None => &SILENCE,
        };
        self.stream.say(Now::from_micros(self.now), Track::Inbound, frame);
        self.next_frame = self.now + 20 * MS;
        self.drain_stream();
        if self.barge_ins >= self.wanted && self.speech.is_none() && self.dice.one_in(20) {
            self.speech = None;
            self.input(Input::Order { id: 1, order: NodeOrder::End { reason: EndReason::CallerHungUp } }, None);
        }
    }

    /// Plays the call to its end and compares.
    fn play(mut self) -> Findings {
        while self.step() {
            assert!(self.now < 600_000 * MS, "the call does not end");
        }
        // What is on its way to Twilio still arrives: the last clear takes effect.
        while let Some((at, text)) = self.to_twilio.queue.pop_front() {
            self.now = self.now.max(at);
            self.stream.handle(self.moment(), &text);
        }
        self.stream.advance(self.moment());
        assert_eq!(self.stream.alerts(), [], "Twilio has complaints");
        let player = self.stream.player();
        for (item, heard_ms, received_ms, cut, is_knowable) in &self.heard {
            let record = &self.items[item];
            let played: usize = record.sent.iter().map(|range| player.played_of(range.clone())).sum();
            let truth = played as f64 / 8.0;
            assert!(heard_ms <= received_ms);
            let is_cut = *cut && (played > 0 || *heard_ms > 0);
            self.findings.positions.push(Position {
                error_ms: f64::from(*heard_ms) - truth,
                is_cut,
                is_knowable: *is_knowable,
            });
            self.findings.in_first_20_ms += usize::from(*cut && played > 0 && played <= 160);
            self.findings.queued_items += usize::from(*cut && played == 0);
            if *cut {
                // By the clear that cut it, and by the player's own account.
                let end = record.sent.last().map_or(0, |range| range.end);
                assert!(end <= self.cut[item]);
            }
        }
        let twin = self.twin.as_ref().unwrap().record();
        assert_eq!(twin.violations, [], "the provider has complaints");
        assert!(twin.truncations.iter().all(|truncation| truncation.accepted));
        for truncation in &twin.truncations {
            let reported = self.heard.iter().find(|(item, ..)| *item == truncation.item_id).unwrap();
            assert_eq!(u64::from(reported.1), truncation.audio_end_ms, "the provider is told what the fact says");
        }
        self.findings.barge_ins = self.barge_ins;
        self.findings.dead_deltas = self.session.stats().deltas_dead;
        self.findings.played_ms = self.now / MS;
        self.findings
    }
}

#[test]
fn two_thousand_barge_ins() {
    const CALLS: u64 = 270;
    let wanted = 8;
    let started = std::time::Instant::now();
    let workers = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let findings: Vec<Findings> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    (worker..CALLS)
                        .step_by(workers as usize)
                        .map(|seed| World::new(seed, wanted).play())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a call failed")).collect()
    });

    let total = |of: fn(&Findings) -> usize| findings.iter().map(of).sum::<usize>();
    let positions: Vec<Position> = findings.iter().flat_map(|call| call.positions.iter().copied()).collect();
    let (knowable, early): (Vec<&Position>, Vec<&Position>) = positions.iter().partition(|at| at.is_knowable);
    let mut errors: Vec<f64> = knowable.iter().filter(|at| at.is_cut).map(|at| at.error_ms).collect();
    errors.sort_by(f64::total_cmp);
    let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let worst = |positions: &[&Position]| positions.iter().map(|at| at.error_ms.abs()).fold(0.0, f64::max);
    let at = |sorted: &[f64], share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let barge_ins = total(|call| call.barge_ins);
    println!(
        "{barge_ins} barge-ins in {CALLS} calls ({} s of telephone) in {:.1} s",
        findings.iter().map(|call| call.played_ms).sum::<u64>() / 1_000,
        started.elapsed().as_secs_f64(),
    );
    println!(
        "{} items cut while they played: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, worst {:.2} ms ({:+.2} to {:+.2})",
        sizes.len(),
        at(&sizes, 0.5),
        at(&sizes, 0.9),
        at(&sizes, 0.99),
        at(&sizes, 1.0),
        at(&errors, 0.0),
        at(&errors, 1.0),
    );
    let (after_done, first, queued) =
        (total(|call| call.after_done), total(|call| call.in_first_20_ms), total(|call| call.queued_items));
    let (truncations, dead) =
        (total(|call| call.truncations), findings.iter().map(|call| call.dead_deltas).sum::<u64>());
    println!(
        "{after_done} after response.done, {first} within an item's first 20 ms, {queued} of items not begun, {truncations} truncations, {dead} late deltas dropped"
    );
    assert!(errors.len() >= BARGE_INS);
    let early_cuts = early.iter().filter(|at| at.is_cut).count();
    println!("{early_cuts} cut before a stall on the way to Twilio had shown: worst {:.2} ms", worst(&early));
    // Not vacuous: every kind of moment was met often.
    assert!(after_done > 200 && first > 20 && queued > 20 && truncations > 1_500 && dead > 500);
    assert!(worst(&knowable) <= BOUND_MS, "a position is off by {} ms", worst(&knowable));
}
