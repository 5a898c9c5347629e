//! The REST interface as a client meets it.

use std::time::Duration;

use serde_json::Value;
use simulator::twilio::exchange::{Exchange, Number};
use simulator::twilio::rest::{RestFault, RestFaultKind, RestOptions, RestVerb, serve};

use crate::edge::{ACCOUNT, Edge, TOKEN};
use crate::walk::{ANY, account};

struct Client {
    http: reqwest::Client,
    base: String,
    exchange: Exchange,
}

impl Client {
    async fn new(options: RestOptions) -> Self {
        let exchange = Exchange::new(account(), 1).unwrap();
        exchange.set_number(Number {
            sid: "PN00000000000000000000000000000001".to_owned(),
            number: "+15550100122".to_owned(),
            voice: None,
            fallback: None,
            status_callback: None,
        });
        let (address, _) = serve(ANY, exchange.clone(), options).await.unwrap();
        let base = format!("http://{address}/2010-04-01/Accounts/{ACCOUNT}");
        Self { http: reqwest::Client::new(), base, exchange }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(format!("{}/{path}", self.base)).basic_auth(ACCOUNT, Some(TOKEN)).form(form);
        read(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}/{path}", self.base)).basic_auth(ACCOUNT, Some(TOKEN));
        read(request.send().await.unwrap()).await
    }

    /// Waits for a call's state by its own changes.
    async fn until(&self, sid: &str, wanted: &str) -> Value {
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let (_, call) = self.get(&format!("Calls/{sid}.json")).await;
                if call["status"] == wanted {
                    return call;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap()
    }
}

async fn read(response: reqwest::Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

const TO: (&str, &str) = ("To", "+14155550100");
const FROM: (&str, &str) = ("From", "+15550100122");
const PAUSE: (&str, &str) = ("Twiml", "<Response><Pause length=\"30\"/></Response>");

#[tokio::test]
async fn a_call_is_created_answered_redirected_and_ended() {
    let mut edge = Edge::open(None).await;
    edge.twiml("/voice", "<Pause length=\"30\"/>");
    edge.twiml("/moved", "<Pause length=\"30\"/>");
    let client = Client::new(RestOptions::default()).await;
    let (url, status_url, moved) =
        (format!("{}/voice", edge.url), format!("{}/status", edge.url), format!("{}/moved", edge.url));
    let events = ["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event));
    let form = [&[TO, FROM, ("Url", url.as_str()), ("StatusCallback", status_url.as_str())][..], &events].concat();
    let (status, call) = client.post("Calls.json", &form).await;
    assert_eq!(
        (status, call["status"].as_str(), call["direction"].as_str()),
        (201, Some("queued"), Some("outbound-api"))
    );
    let sid = call["sid"].as_str().unwrap().to_owned();
    assert_eq!(call["uri"], format!("/2010-04-01/Accounts/{ACCOUNT}/Calls/{sid}.json"));
    assert_eq!((&call["duration"], &call["queue_time"]), (&Value::Null, &Value::from("0")));

    let voice = edge.arrived(|hook| hook.path == "/voice").await;
    assert_eq!((voice.get("CallStatus"), voice.get("Direction"), voice.signed), ("in-progress", "outbound-api", true));
    let path = format!("Calls/{sid}.json");
    assert_eq!(client.post(&path, &[("Status", "canceled")]).await.1["code"], 21220, "it was answered");
    let (status, live) = client.post(&path, &[("Url", &moved)]).await;
    assert_eq!((status, live["status"].as_str()), (200, Some("in-progress")));
    edge.arrived(|hook| hook.path == "/moved").await;
    assert_eq!(client.post(&path, &[("Status", "completed")]).await.0, 200);
    let ended = client.until(&sid, "completed").await;
    assert!(ended["duration"].as_str().is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{ended}");
    assert_eq!(client.post(&path, &[("Status", "completed")]).await.1["code"], 21220);
    edge.arrived(|hook| hook.get("CallStatus") == "completed").await;
    let told: Vec<(String, String)> = edge
        .hooks()
        .iter()
        .filter(|hook| hook.path == "/status")
        .map(|hook| (hook.get("SequenceNumber").to_owned(), hook.get("CallStatus").to_owned()))
        .collect();
    let expected = ["initiated", "ringing", "in-progress", "completed"];
    let expected: Vec<_> = expected.iter().enumerate().map(|(n, s)| (n.to_string(), (*s).to_owned())).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said_with_its_code() {
    let client = Client::new(RestOptions::default()).await;
    let url = ("Url", "https://a.example/voice");
    for (form, code) in [
        (vec![FROM, url], 21201),
        (vec![TO, url], 21213),
        (vec![("To", "5550100"), FROM, url], 21211),
        (vec![TO, ("From", "me"), url], 21212),
        (vec![TO, ("From", "+15550100133"), url], 21210),
        (vec![TO, FROM], 21205),
        (vec![TO, FROM, ("Url", "ftp://a.example")], 21205),
        (vec![TO, FROM, url, ("StatusCallback", "https://my_host.example")], 21205),
        (vec![TO, FROM, url, ("Method", "PUT")], 21209),
        (vec![TO, FROM, url, ("SendDigits", "hello")], 21206),
        (vec![TO, FROM, url, ("Timeout", "601")], 21208),
        (vec![TO, FROM, url, ("StatusCallbackEvent", "sneezed")], 20422),
        (vec![TO, FROM, url, ("StatusCallbackEvents", "completed")], 20001),
        (vec![TO, FROM, url, ("MachineDetection", "maybe")], 21263),
    ] {
        let (status, body) = client.post("Calls.json", &form).await;
        assert_eq!((status, body["code"].as_u64()), (400, Some(code)), "{form:?}");
        assert_eq!((body["status"].as_u64(), body["message"].is_string()), (Some(400), true));
    }
    assert_eq!(client.get("Calls.json").await.1["calls"], Value::from(Vec::<Value>::new()), "nothing was created");
    assert_eq!(client.get("Calls/CA00000000000000000000000000000009.json").await.1["code"], 20404);
    let missing = "Calls/CA00000000000000000000000000000009.json";
    assert_eq!(client.post(missing, &[("Status", "completed")]).await.0, 404);
}

#[tokio::test]
async fn only_the_account_and_its_keys_may_enter() {
    let client = Client::new(RestOptions::default()).await;
    let url = format!("{}/Calls.json", client.base);
    for (user, password, expected) in [
        (ACCOUNT, TOKEN, 200),
        ("SK00000000000000000000000000000002", "secret", 200),
        (ACCOUNT, "wrong", 401),
        ("SK00000000000000000000000000000002", TOKEN, 401),
    ] {
        let answer = client.http.get(&url).basic_auth(user, Some(password)).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{user}");
    }
    let answer = client.http.get(&url).send().await.unwrap();
    assert_eq!(read(answer).await.1["code"], 20003);
}

#[tokio::test]
async fn calls_wait_for_their_turn_and_a_waiting_one_is_cancelled_without_a_word() {
    let mut edge = Edge::open(None).await;
    let client = Client::new(RestOptions::default()).await;
    let status_url = format!("{}/status", edge.url);
    let events = ["initiated", "completed"].map(|event| ("StatusCallbackEvent", event));
    let form = [&[TO, FROM, PAUSE, ("StatusCallback", status_url.as_str())][..], &events].concat();
    let mut sids = Vec::new();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (_, call) = client.post("Calls.json", &form).await;
        sids.push(call["sid"].as_str().unwrap().to_owned());
        waits.push(call["queue_time"].as_str().unwrap().parse::<u64>().unwrap());
    }
    assert!(waits[0] == 0 && waits.is_sorted() && (500..=900).contains(&waits[3]), "{waits:?}");
    let cancelled = client.post(&format!("Calls/{}.json", sids[3]), &[("Status", "canceled")]).await;
    assert_eq!((cancelled.0, cancelled.1["status"].as_str()), (200, Some("canceled")));
    edge.arrived(|hook| hook.get("CallSid") == sids[2]).await;
    let order: Vec<String> = edge.hooks().iter().map(|hook| hook.get("CallSid").to_owned()).collect();
    assert_eq!(order, sids[..3], "one after the other, and the cancelled one never");
    client.exchange.record(&sids[3]).await.unwrap();
    assert!(edge.hooks().iter().all(|hook| hook.get("CallSid") != sids[3]));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let client = Client::new(RestOptions::default()).await;
    for n in 0..5 {
        let to = format!("+1415555010{}", n % 2);
        assert_eq!(client.post("Calls.json", &[("To", &to), FROM, PAUSE]).await.0, 201);
    }
    let (_, even) = client.get("Calls.json?To=%2B14155550100").await;
    assert_eq!(even["calls"].as_array().unwrap().len(), 3);
    let (_, first) = client.get("Calls.json?PageSize=2").await;
    let mut seen: Vec<Value> = first["calls"].as_array().unwrap().clone();
    let mut next = first["next_page_uri"].as_str().map(str::to_owned);
    assert_eq!(first["previous_page_uri"], Value::Null);
    while let Some(uri) = next {
        let (_, page) = client.get(uri.rsplit_once('/').unwrap().1).await;
        seen.extend(page["calls"].as_array().unwrap().iter().cloned());
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    assert_eq!(seen.len(), 5);
    let day = |filter: &str| format!("Calls.json?StartTime%3E=2020-01-01&{filter}");
    assert_eq!(client.get(&day("Status=completed")).await.1["calls"].as_array().unwrap().len(), 0);
    assert_eq!(client.get(&day("PageSize=50")).await.1["calls"].as_array().unwrap().len(), 5);
    assert_eq!(client.get("Calls.json?StartTime%3C=2020-01-01").await.1["calls"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn faults_come_in_their_turn_and_some_do_their_work_first() {
    let fault = |nth, kind| RestFault { on: RestVerb::Create, nth: Some(nth), kind };
    let faults = vec![
        fault(1, RestFaultKind::ServerError),
        fault(2, RestFaultKind::TooMany),
        fault(3, RestFaultKind::ServerErrorAfter),
        fault(4, RestFaultKind::CutAfter),
        fault(5, RestFaultKind::Gateway),
        fault(6, RestFaultKind::SilenceAfter),
    ];
    let client = Client::new(RestOptions { faults, lag: Duration::ZERO }).await;
    let made = async || client.get("Calls.json").await.1["calls"].as_array().unwrap().len();
    let form = [TO, FROM, PAUSE];
    assert_eq!((client.post("Calls.json", &form).await.1["code"].as_u64(), made().await), (Some(20500), 0));
    assert_eq!((client.post("Calls.json", &form).await.0, made().await), (429, 0));
    assert_eq!((client.post("Calls.json", &form).await.0, made().await), (500, 1));
    assert_eq!((client.post("Calls.json", &form).await.1, made().await), (Value::Null, 2), "half a body");
    assert_eq!((client.post("Calls.json", &form).await, made().await), ((502, Value::Null), 2));
    let silent = client.http.post(format!("{}/Calls.json", client.base)).basic_auth(ACCOUNT, Some(TOKEN)).form(&form);
    let silent = silent.timeout(Duration::from_millis(300)).send().await;
    assert!(silent.is_err_and(|error| error.is_timeout()));
    assert_eq!(made().await, 3);
    assert_eq!(client.post("Calls.json", &form).await.0, 201);
}

#[tokio::test]
async fn reads_may_lag_behind() {
    let client = Client::new(RestOptions { faults: Vec::new(), lag: Duration::from_millis(400) }).await;
    let (_, call) = client.post("Calls.json", &[TO, FROM, PAUSE]).await;
    let path = format!("Calls/{}.json", call["sid"].as_str().unwrap());
    assert_eq!(client.get(&path).await.0, 404, "not seen yet");
    client.until(call["sid"].as_str().unwrap(), "queued").await;
}

#[tokio::test]
async fn numbers_can_be_read_and_pointed() {
    let client = Client::new(RestOptions::default()).await;
    let (_, page) = client.get("IncomingPhoneNumbers.json?PhoneNumber=%2B15550100122").await;
    let sid = page["incoming_phone_numbers"][0]["sid"].as_str().unwrap().to_owned();
    let path = format!("IncomingPhoneNumbers/{sid}.json");
    client
        .post(&path, &[("VoiceUrl", "https://a.example/voice"), ("StatusCallback", "https://a.example/status")])
        .await;
    let (_, number) = client.get(&path).await;
    assert_eq!(number["voice_url"], "https://a.example/voice");
    assert_eq!(number["status_callback"], "https://a.example/status");
}
