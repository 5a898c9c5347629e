//! Whole calls over real sockets: Twilio's service against a tiny deployment.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use simulator::caller::{Act, Step, When};
use simulator::demo::{self, CallArgs, LoadArgs};
use simulator::scenario::Scenario;
use simulator::screen::Screen;
use simulator::twilio::call::Status;
use simulator::twilio::exchange::{Account, Cast, Exchange, Number};
use simulator::twilio::post::Mischief;
use simulator::twilio::stream::Farewell;
use simulator::twilio::twiml::{Method, Target};
use simulator::world::{Webhooks, World};
use tokio::io::AsyncWriteExt as _;

use crate::edge::{ACCOUNT, Edge, TOKEN};

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) fn account() -> Account {
    Account {
        sid: ACCOUNT.to_owned(),
        auth_token: TOKEN.to_owned(),
        api_keys: vec![("SK00000000000000000000000000000002".to_owned(), "secret".to_owned())],
        pace: Duration::from_millis(300),
    }
}

fn number(edge: &Edge) -> Number {
    let target = |path: &str| Some(Target { url: format!("{}{path}", edge.url), method: Method::Post });
    Number {
        sid: "PN00000000000000000000000000000001".to_owned(),
        number: "+15550100122".to_owned(),
        voice: target("/voice?a=1%2F2#rc=2&rp=5xx"),
        fallback: target("/fallback"),
        status_callback: target("/status"),
    }
}

fn hang_up_after(ms: u64) -> Cast {
    let step =
        Step { when: When::Next, after: Duration::from_millis(ms), act: Act::HangUp, patience: Duration::from_secs(9) };
    Cast { script: vec![step], ..Cast::default() }
}

#[tokio::test]
async fn a_person_calls_and_hears_the_echo_of_every_byte() {
    let edge = Edge::open(None).await;
    edge.twiml("/voice", &edge.stream());
    let scenario = Scenario::read(
        r#"
        about = "An echo."
        kind = "inbound"
        [[caller]]
        after_ms = 300
        say = "caller-yes"
        [[caller]]
        wait_ms = 300
        [[caller]]
        hang_up = true
        [expect]
        status = "completed"
        audio = "echo"
        [expect.webhooks]
        voice = 1
        stream = 2
        action = 1
        status = 1
        "#,
    )
    .unwrap();
    let world = World::open(account(), ANY, None, &scenario, 7).await.unwrap();
    let webhooks =
        Webhooks { voice: format!("{}/voice", edge.url), fallback: None, status: Some(format!("{}/status", edge.url)) };
    let played = world.play(&scenario, &webhooks, None, &Screen::Dark, 7).await.unwrap();
    assert!(played.verdict.holds(), "\n{}", played.verdict);

    let hooks = edge.hooks();
    assert!(hooks.iter().all(|hook| hook.signed), "{hooks:?}");
    let status = hooks.iter().find(|hook| hook.path == "/status").unwrap();
    assert_eq!((status.get("CallStatus"), status.get("SequenceNumber")), ("completed", "0"));
    let [stream] = played.record.streams.as_slice() else { panic!() };
    let (said, received) = (stream.said(), stream.player().received());
    assert!(said.starts_with(received) && said.len() - received.len() < 8000, "{} {}", said.len(), received.len());
    assert_eq!(stream.alerts(), []);
}

#[tokio::test]
async fn when_the_media_server_closes_the_next_document_is_asked_for() {
    let edge = Edge::open(Some(10)).await;
    edge.twiml("/voice", &edge.stream());
    edge.twiml("/after", &edge.stream());
    edge.twiml("/after", "<Hangup/>");
    let exchange = Exchange::new(account(), 1).unwrap();
    let sid = exchange.call_in("+14155550100", &number(&edge), Cast::default()).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    let codes: Vec<u16> = record.alerts.iter().map(|(_, alert)| alert.code).collect();
    assert_eq!(codes, [31921, 31921]);
    assert_eq!(record.streams.len(), 2, "it was rescued once");
    assert_eq!(edge.paths().iter().filter(|path| *path == "/after").count(), 2);
    assert_eq!(record.statuses.last().map(|(_, status)| *status), Some(Status::Completed));
}

#[tokio::test]
async fn a_5xx_is_tried_again_when_the_address_says_so_and_then_the_fallback_answers() {
    let edge = Edge::open(None).await;
    edge.page("/voice", 503, "");
    edge.twiml("/fallback", "<Pause length=\"1\"/>");
    let exchange = Exchange::new(account(), 1).unwrap();
    let sid = exchange.call_in("+14155550100", &number(&edge), Cast::default()).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    let hooks = edge.hooks();
    let voice: Vec<_> = hooks.iter().filter(|hook| hook.path == "/voice").collect();
    assert_eq!(voice.len(), 3, "once, and two retries");
    assert!(voice.iter().all(|hook| hook.token == voice[0].token && hook.signed), "the fragment is not signed");
    let fallback = hooks.iter().find(|hook| hook.path == "/fallback").unwrap();
    assert_eq!(fallback.get("ErrorCode"), "11200");
    assert_eq!(record.statuses.last().map(|(_, status)| *status), Some(Status::Completed));
}

#[tokio::test]
async fn callbacks_come_twice_or_never_as_the_mischief_says() {
    let edge = Edge::open(None).await;
    edge.twiml("/voice", &edge.stream());
    let exchange = Exchange::new(account(), 1).unwrap();
    let mischief = Mischief {
        duplicate_percent: 100,
        delay_percent: 100,
        delay_ms: 300,
        lose: vec!["stream-started".to_owned()],
        ..Mischief::default()
    };
    let cast = Cast { mischief, ..hang_up_after(400) };
    let sid = exchange.call_in("+14155550100", &number(&edge), cast).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    let count = |path: &str| edge.paths().iter().filter(|p| *p == path).count();
    assert_eq!((count("/status"), count("/stream"), count("/voice")), (2, 2, 1));
    assert_eq!(record.lost.len(), 1);
}

#[tokio::test]
async fn a_stream_that_nobody_answers_is_an_error_and_the_call_goes_on() {
    let edge = Edge::open(None).await;
    edge.twiml("/voice", r#"<Connect><Stream url="ws://127.0.0.1:1/media"/></Connect><Pause/>"#);
    let exchange = Exchange::new(account(), 1).unwrap();
    let sid = exchange.call_in("+14155550100", &number(&edge), Cast::default()).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    assert_eq!(record.alerts[0].1.code, 31902);
    assert!(record.duration_s >= Some(1), "{:?}", record.duration_s);
}

#[tokio::test]
async fn a_caller_who_gives_up_while_it_rings_is_never_answered() {
    let mut edge = Edge::open(None).await;
    edge.twiml("/voice", r#"<Dial answerOnBridge="true"><Number>+14155550123</Number></Dial>"#);
    let exchange = Exchange::new(account(), 1).unwrap();
    let cast = Cast { gives_up_after: Some(Duration::from_millis(400)), ..Cast::default() };
    let sid = exchange.call_in("+14155550100", &number(&edge), cast).unwrap();
    let status = edge.arrived(|hook| hook.path == "/status").await;
    assert_eq!((status.get("CallStatus"), status.get("CallSid")), ("canceled", sid.as_str()));
    let record = exchange.record(&sid).await.unwrap();
    assert_eq!(record.moments[1], None);
}

#[tokio::test]
async fn a_fragmented_control_frame_ends_the_stream_as_a_violation() {
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let media = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        // A ping without the final bit, and nothing in it.
        socket.get_mut().write_all(&[0x09, 0x00]).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let edge = Edge::open(None).await;
    let stream = format!(r#"<Connect><Stream url="ws://{media}" statusCallback="{}/stream"/></Connect>"#, edge.url);
    edge.twiml("/voice", &stream);
    let exchange = Exchange::new(account(), 1).unwrap();
    let sid = exchange.call_in("+14155550100", &number(&edge), Cast::default()).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    assert!(
        record.alerts.iter().all(|(_, alert)| alert.code == 31924) && !record.alerts.is_empty(),
        "{:?}",
        record.alerts
    );
    let events: Vec<String> = edge.hooks().iter().map(|hook| hook.get("StreamEvent").to_owned()).collect();
    assert!(events.contains(&"stream-error".to_owned()), "{events:?}");
}

#[tokio::test]
async fn a_call_from_a_browser_is_dialled_on_and_transcribed() {
    let edge = Edge::open(None).await;
    let transcription = format!(r#"<Start><Transcription statusCallbackUrl="{}/said"/></Start>"#, edge.url);
    edge.twiml("/voice", &format!(r#"{transcription}<Dial action="/done">+14155550123</Dial>"#));
    edge.twiml("/done", "<Hangup/>");
    let mut scenario = Scenario::load("softphone").unwrap();
    for telephone in scenario.network.reached.values_mut() {
        telephone.hangs_up_after_ms = Some(600);
    }
    for (line, ms) in scenario.network.overheard.iter_mut().zip([1300, 1500]) {
        line.after_ms = ms;
    }
    scenario.expect.transcript.clear();
    let world = World::open(account(), ANY, None, &scenario, 7).await.unwrap();
    let webhooks =
        Webhooks { voice: format!("{}/voice", edge.url), fallback: None, status: Some(format!("{}/status", edge.url)) };
    let played = world.play(&scenario, &webhooks, None, &Screen::Dark, 7).await.unwrap();
    assert!(played.verdict.holds(), "\n{}", played.verdict);
    let voice = edge.hooks().into_iter().find(|hook| hook.path == "/voice").unwrap();
    assert_eq!((voice.get("From"), voice.get("To")), ("client:rep_7", "+14155550123"));
    assert!(voice.get("ApplicationSid").starts_with("AP"));
    let done = edge.hooks().into_iter().find(|hook| hook.path == "/done").unwrap();
    assert_eq!((done.get("DialCallStatus"), done.get("DialBridged")), ("completed", "true"));
}

#[tokio::test]
async fn many_calls_at_once_are_played_and_counted() {
    let edge = Edge::open(None).await;
    edge.twiml("/voice", &edge.stream());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.toml");
    let text = "about = \"Short.\"\nkind = \"inbound\"\n[[caller]]\nafter_ms = 200\nhang_up = true\n[expect]\nstatus = \"completed\"\naudio = \"none\"\n";
    std::fs::write(&file, text).unwrap();
    let call = |edge: &str| CallArgs {
        edge: edge.to_owned(),
        auth_token: TOKEN.to_owned(),
        account_sid: ACCOUNT.to_owned(),
        key: None,
        scenario: file.display().to_string(),
        number: None,
        from: None,
        voice: "/voice".to_owned(),
        provider_listen: None,
        rest_listen: None,
        verdict: None,
        seed: Some(1),
    };
    assert!(demo::load(LoadArgs { call: call(&edge.url), rate: 50.0, calls: 20 }).await.unwrap());
    assert_eq!(edge.paths().iter().filter(|path| *path == "/voice").count(), 20);
    assert!(demo::call(call(&edge.url)).await.unwrap());
    let nobody = demo::load(LoadArgs { call: call("http://127.0.0.1:1"), rate: 50.0, calls: 2 }).await;
    assert!(!nobody.unwrap(), "calls that nobody answers are not counted as good");
}

#[tokio::test]
async fn a_stopped_stream_is_the_servers_to_close() {
    let edge = Edge::open(None).await;
    edge.twiml("/voice", &edge.stream());
    let exchange = Exchange::new(account(), 1).unwrap();
    let cast = Cast { farewell: Farewell::StopOnly, stray_frame: true, ..hang_up_after(300) };
    let sid = exchange.call_in("+14155550100", &number(&edge), cast).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    assert_eq!(record.alerts, [], "it was closed");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_an_error_of_its_own() {
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let plain = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Not a TLS record.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let edge = Edge::open(None).await;
    edge.twiml("/voice", &format!(r#"<Connect><Stream url="wss://{plain}/media"/></Connect>"#));
    let exchange = Exchange::new(account(), 1).unwrap();
    let sid = exchange.call_in("+14155550100", &number(&edge), Cast::default()).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    assert!(matches!(record.alerts[0].1.code, 31904 | 31910), "{:?}", record.alerts);

    let voice = Some(Target { url: format!("https://{plain}/voice"), method: Method::Post });
    let secure = Number { voice, fallback: None, ..number(&edge) };
    let sid = exchange.call_in("+14155550100", &secure, Cast::default()).unwrap();
    let record = exchange.record(&sid).await.unwrap();
    assert_eq!(record.alerts[0].1.code, 11205);
}
