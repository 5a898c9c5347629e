//! The phones: each sends a frame every 20 ms, evenly spread over the 20 ms, and takes what comes back. A frame carries its
//! number in its audio, so that it is recognised when it returns. Marks are returned when the audio before them has been
//! played, by a clock like Twilio's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::frames::{self, CLOSE, Frames, MASK, PING, PONG, TEXT};
use super::report::Traffic;
use super::standin::STREAM;

/// What a frame of Twilio's is.
const FRAME: Duration = Duration::from_millis(20);
/// Frames under way of which the moment of sending is remembered.
const REMEMBERED: usize = 4096;
/// Digits of a frame's number at the beginning of its audio; digits are base64 too.
const DIGITS: usize = 16;
/// A frame that took longer than this is late.
const LATE: Duration = Duration::from_millis(20);
/// How long frames under way are waited for at the end.
const LAST_FRAMES: Duration = Duration::from_millis(500);

/// Where phones call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    address: SocketAddr,
}

impl Target {
    pub(super) fn null(address: SocketAddr) -> Self {
        Self { address }
    }
    pub(super) fn node(address: SocketAddr) -> Self {
        Self { address }
    }
}

/// What all phones have seen since it was last forgotten.
#[derive(Debug, Default)]
struct Seen {
    sent: u64,
    round_trips_us: Vec<u32>,
    late: u64,
    marks: u64,
    unsent: u64,
    tick_lag_us: Vec<u32>,
    since: Option<Instant>,
}

struct Phone {
    socket: TcpStream,
    next: u64,
    /// When each of the last frames was sent, by number.
    sent: Vec<Option<Instant>>,
    /// When everything received has been played.
    played: Instant,
    marks: VecDeque<(Instant, Vec<u8>)>,
    wire: Vec<u8>,
    text: Vec<u8>,
    payload_at: Option<usize>,
    has_heard_itself: bool,
    is_over: bool,
}

/// Phones that are calling.
pub(super) struct Load {
    phones: Vec<Rc<RefCell<Phone>>>,
    seen: Rc<RefCell<Seen>>,
    ticker: JoinHandle<()>,
    listeners: Vec<JoinHandle<()>>,
}

/// Opens so many calls and lets them talk until every one has heard a frame of its own.
pub(super) async fn start(target: Target, calls: usize) -> Result<Load> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let mut phones = Vec::with_capacity(calls);
    let mut listeners = Vec::with_capacity(calls);
    for number in 0..calls {
        let (phone, frames) = timeout(Duration::from_secs(10), dial(target, number)).await.context("no answer")??;
        let phone = Rc::new(RefCell::new(phone));
        listeners.push(spawn_local(listen(Rc::clone(&phone), frames, Rc::clone(&seen))));
        phones.push(phone);
    }
    let ticker = spawn_local(talk(phones.clone(), Rc::clone(&seen)));
    let load = Load { phones, seen, ticker, listeners };
    let began = Instant::now();
    while !load.all_have_heard() {
        if began.elapsed() > Duration::from_secs(20) {
            bail!("some calls do not hear themselves");
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(load)
}

async fn dial(target: Target, number: usize) -> Result<(Phone, Frames)> {
    let mut socket = TcpStream::connect(target.address).await?;
    socket.set_nodelay(true)?;
    let mut frames = Frames::default();
    frames::connect(&mut socket, "/media", &mut frames).await?;
    let start = format!(
        concat!(
            r#"{{"event":"start","sequenceNumber":"1","streamSid":"{stream}","start":{{"#,
            r#""accountSid":"AC00000000000000000000000000000001","streamSid":"{stream}","callSid":"CA{number:032}","#,
            r#""tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"#,
            r#""customParameters":{{}}}}}}"#
        ),
        stream = STREAM,
        number = number
    );
    let mut wire = Vec::new();
    frames::write(&mut wire, TEXT, br#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#, Some(MASK));
    frames::write(&mut wire, TEXT, start.as_bytes(), Some(MASK));
    tokio::io::AsyncWriteExt::write_all(&mut socket, &wire).await?;
    let phone = Phone {
        socket,
        next: 0,
        sent: vec![None; REMEMBERED],
        played: Instant::now(),
        marks: VecDeque::new(),
        wire: Vec::new(),
        text: Vec::new(),
        payload_at: None,
        has_heard_itself: false,
        is_over: false,
    };
    Ok((phone, frames))
}

/// The clock of all phones: each has its place in the 20 ms.
async fn talk(phones: Vec<Rc<RefCell<Phone>>>, seen: Rc<RefCell<Seen>>) {
    let began = Instant::now();
    let count = u32::try_from(phones.len()).unwrap_or(u32::MAX);
    let mut due: VecDeque<(Instant, Rc<RefCell<Phone>>)> =
        (0u32..).zip(phones).map(|(place, phone)| (began + FRAME * place / count, phone)).collect();
    while let Some((at, _)) = due.front() {
        sleep_until(*at).await;
        while due.front().is_some_and(|(at, _)| *at <= Instant::now()) {
            let Some((at, phone)) = due.pop_front() else { break };
            let now = Instant::now();
            seen.borrow_mut().tick_lag_us.push(micros(now - at));
            phone.borrow_mut().speak(now, &mut seen.borrow_mut());
            due.push_back((at + FRAME, phone));
        }
    }
}

async fn listen(phone: Rc<RefCell<Phone>>, mut frames: Frames, seen: Rc<RefCell<Seen>>) {
    loop {
        // The socket is only looked at between readiness and the next await, so no borrow lives across one.
        let ready = std::future::poll_fn(|cx| phone.borrow().socket.poll_read_ready(cx)).await;
        let open = ready.and_then(|()| frames.fill(&phone.borrow().socket)).unwrap_or(false);
        let mut phone = phone.borrow_mut();
        let now = Instant::now();
        while let Some((opcode, payload)) = frames.next() {
            phone.hear(now, opcode, payload, &mut seen.borrow_mut());
        }
        if !open || phone.is_over {
            phone.is_over = true;
            return;
        }
    }
}

impl Phone {
    fn speak(&mut self, now: Instant, seen: &mut Seen) {
        use io::Write as _;
        if self.is_over {
            return;
        }
        while self.marks.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, mark)) = self.marks.pop_front() else { break };
            frames::write(&mut self.wire, TEXT, &mark, Some(MASK));
        }
        let (number, chunk) = (self.next, self.next + 1);
        self.next += 1;
        self.text.clear();
        // 160 bytes of mu-law are 216 characters.
        let _ = write!(
            self.text,
            concat!(
                r#"{{"event":"media","sequenceNumber":"{}","streamSid":"{}","media":{{"track":"inbound","#,
                r#""chunk":"{}","timestamp":"{}","payload":"{:0digits$}{:/<rest$}w=="}}}}"#
            ),
            chunk + 1,
            STREAM,
            chunk,
            chunk * 20,
            number,
            "",
            digits = DIGITS,
            rest = 213 - DIGITS,
        );
        frames::write(&mut self.wire, TEXT, &self.text, Some(MASK));
        if let Some(slot) = self.sent.get_mut(number as usize % REMEMBERED) {
            *slot = Some(now);
        }
        seen.sent += 1;
        match self.socket.try_write(&self.wire) {
            Ok(written) => drop(self.wire.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.is_over = true,
        }
        if !self.wire.is_empty() {
            seen.unsent += 1;
        }
    }

    fn hear(&mut self, now: Instant, opcode: u8, payload: &[u8], seen: &mut Seen) {
        match opcode {
            TEXT if payload.starts_with(br#"{"event":"media""#) => self.hear_audio(now, payload, seen),
            TEXT if payload.starts_with(br#"{"event":"mark""#) => {
                seen.marks += 1;
                self.marks.push_back((self.played, payload.to_vec()));
            }
            PING => frames::write(&mut self.wire, PONG, payload, Some(MASK)),
            CLOSE => self.is_over = true,
            _ => {}
        }
    }

    fn hear_audio(&mut self, now: Instant, text: &[u8], seen: &mut Seen) {
        const BEFORE: &[u8] = br#""payload":""#;
        let at = *self.payload_at.get_or_insert_with(|| {
            text.windows(BEFORE.len()).rposition(|part| part == BEFORE).map_or(0, |at| at + BEFORE.len())
        });
        let number =
            text.get(at..at + DIGITS).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
        let Some(sent) = number.and_then(|number| self.sent.get_mut(number % REMEMBERED)?.take()) else { return };
        self.has_heard_itself = true;
        // Frames that were sent before the counters were reset belong to nobody.
        if seen.since.is_none_or(|since| sent < since) {
            return;
        }
        let took = now - sent;
        seen.round_trips_us.push(micros(took));
        if took > LATE {
            seen.late += 1;
        }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

impl Load {
    fn all_have_heard(&self) -> bool {
        self.phones.iter().all(|phone| phone.borrow().has_heard_itself)
    }

    /// Counts from now on.
    pub(super) fn forget(&self) {
        *self.seen.borrow_mut() = Seen { since: Some(Instant::now()), ..Seen::default() };
    }

    /// Stops talking, waits for the frames under way, hangs up.
    pub(super) async fn finish(self) -> Traffic {
        self.ticker.abort();
        sleep(LAST_FRAMES).await;
        let hung_up_on = self.phones.iter().filter(|phone| phone.borrow().is_over).count();
        for phone in &self.phones {
            let mut phone = phone.borrow_mut();
            let mut wire = Vec::new();
            frames::write(&mut wire, TEXT, br#"{"event":"stop","stop":{}}"#, Some(MASK));
            let _ = phone.socket.try_write(&wire);
            phone.is_over = true;
        }
        sleep(Duration::from_millis(200)).await;
        for listener in &self.listeners {
            listener.abort();
        }
        let mut seen = self.seen.borrow_mut();
        let seen = std::mem::take(&mut *seen);
        Traffic::new(seen.sent, seen.round_trips_us, seen.late, seen.marks, seen.unsent, seen.tick_lag_us, hung_up_on)
    }
}
