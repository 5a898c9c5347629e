//! What the tests of this crate share: a deployment's variables, invented numbers and ids, Twilio's hand for signing.

use crate::config::Config;
use crate::http::{Method, Reply, Request, Response};
use crate::twin::World;
use shared::agent::Agent;
use shared::ids::{AgentId, CallSid, PhoneNumber, StreamSid};
use shared::time::UnixMillis;
use shared::twilio::signature::{Algorithm, sign};
use std::collections::BTreeMap;

pub(crate) const BASE: &str = "https://voice.example.com";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "ffeeddccbbaa99887766554433221100";
pub(crate) const SECOND_TOKEN: &str = "00112233445566778899aabbccddeeff";
pub(crate) const SETUP: &str = "set-up-token-of-the-tests";
pub(crate) const NODE_SECRET: &str = "node-secret-of-the-tests";
pub(crate) const CALLER: &str = "+14155550100";
pub(crate) const OURS: &str = "+15550100199";
/// 2026-01-01T00:00:00Z.
pub(crate) const START: UnixMillis = UnixMillis(1_767_225_600_000);

pub(crate) fn variables() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("TWILIO_ACCOUNT_SID", ACCOUNT.to_owned()),
        ("TWILIO_CALLER_ID", OURS.to_owned()),
        ("TWILIO_TWIML_APP_SID", "AP00000000000000000000000000000003".to_owned()),
        ("TWILIO_API_KEY", "SK00000000000000000000000000000002".to_owned()),
        ("TWILIO_API_SECRET", "fakeSecretFakeSecretFakeSecret00".to_owned()),
        ("TWILIO_AUTH_TOKEN", TOKEN.to_owned()),
        ("TWILIO_AUTH_TOKEN_SECONDARY", SECOND_TOKEN.to_owned()),
        ("TWILIO_SHARED_KEYS", "KEY1=shared-secret-of-the-tests".to_owned()),
        ("TICKET_SIGNING_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".to_owned()),
        ("NODE_SECRET", NODE_SECRET.to_owned()),
        ("SETUP_TOKEN", SETUP.to_owned()),
    ])
}

pub(crate) fn config() -> Config {
    let variables = variables();
    Config::read(&|name| variables.get(name).cloned()).unwrap()
}

pub(crate) fn world() -> World {
    World::new(config(), START).unwrap()
}

pub(crate) fn call_sid(n: u32) -> CallSid {
    CallSid::parse(&format!("CA{n:032}")).unwrap()
}

pub(crate) fn stream_sid(n: u32) -> StreamSid {
    StreamSid::parse(&format!("MZ{n:032}")).unwrap()
}

pub(crate) fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}

pub(crate) fn agent(id: &str) -> Agent {
    let mut agent = Agent::line_test(AgentId::parse(id).unwrap());
    agent.voice.provider = "openai".to_owned();
    agent.greeting = Some("Good morning.".to_owned());
    agent
}

/// A form as Twilio posts it to an address of ours, signed with the primary token.
pub(crate) fn twilio_post(target: &str, fields: &[(&str, &str)]) -> Request {
    signed_with(TOKEN, target, fields)
}

pub(crate) fn signed_with(token: &str, target: &str, fields: &[(&str, &str)]) -> Request {
    let mut request = Request::new(Method::Post, target);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let signature = sign(token.as_bytes(), Algorithm::HmacSha1, &format!("{BASE}{target}"), fields);
    request.headers = vec![
        ("content-type".into(), "application/x-www-form-urlencoded; charset=utf-8".into()),
        ("x-twilio-signature".into(), signature),
    ];
    request.body = body.into_bytes();
    request
}

/// The address of ours in a text that Twilio was given: without our origin, and without the fragment that Twilio strips.
pub(crate) fn target_of(address: &str) -> String {
    let rest = address.strip_prefix(BASE).unwrap_or_else(|| panic!("{address} is not ours"));
    rest.split('#').next().unwrap_or_default().replace("&amp;", "&")
}

/// The fields of a number's inbound call.
pub(crate) fn inbound_fields(call_sid: &CallSid) -> Vec<(&'static str, String)> {
    vec![
        ("AccountSid", ACCOUNT.into()),
        ("ApiVersion", "2010-04-01".into()),
        ("CallSid", call_sid.to_string()),
        ("CallStatus", "ringing".into()),
        ("Called", OURS.into()),
        ("Caller", CALLER.into()),
        ("Direction", "inbound".into()),
        ("From", CALLER.into()),
        ("FromCity", String::new()),
        ("To", OURS.into()),
    ]
}

pub(crate) fn borrowed<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|(n, v)| (*n, v.as_str())).collect()
}

pub(crate) fn response(reply: Reply) -> Response {
    match reply {
        Reply::Respond(response) => response,
        Reply::Upgrade(_) | Reply::Stream { .. } => panic!("not an answer: {reply:?}"),
    }
}

pub(crate) fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}

/// The value of an attribute of the first such element.
pub(crate) fn attribute(xml: &str, element: &str, name: &str) -> Option<String> {
    let tag = xml.split(&format!("<{element} ")).nth(1)?.split('>').next()?;
    let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
    Some(value.to_owned())
}
