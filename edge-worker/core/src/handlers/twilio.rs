//! Everything that Twilio asks and reports. A request counts only when its signature matches the configured public address,
//! its fields have their grammar and its account is ours; before that nothing is woken. After that Twilio always gets an
//! answer that it can use: TwiML for a question, an empty 204 for a report.

use super::refusal::Refusal;
use crate::config::Config;
use crate::http::{Method, Request, Response};
use crate::ports::{Level, Patience, Ports, Record, Unavailable, within};
use crate::route::Route;
use shared::ids::CallId;
use shared::time::UnixMillis;
use shared::twilio::signature::{self, Refused, Signed};
use shared::twilio::twiml;
use shared::twilio::webhook::{CallFields, Form, InvalidForm};
use std::future::Future;

pub(super) mod addresses;
mod after_stream;
mod callback;
mod voice;

/// What the caller hears when nothing else can be done.
pub(super) const SORRY: &str = "We are sorry, something went wrong on our side. Please call again in a moment.";

/// How long a question may take inside, milliseconds. Twilio waits for four seconds and then asks elsewhere or hangs up, so
/// whoever is asked answers before that, be it with "one moment, please".
const QUESTION_MS: u32 = 3_000;
/// How long a report may take to be parked, after its room has had its time.
const PARKING_MS: u32 = 2_000;

/// A request that is Twilio's.
struct Webhook<'a> {
    /// Its fields, from the body or (GET) the query.
    form: Form,
    /// The request itself, for its query.
    request: &'a Request,
    /// The call named in our own address, if it names one.
    call: Option<CallId>,
}

impl Webhook<'_> {
    /// A parameter that we put into our own address; none when it is absent.
    fn ours(&self, name: &str) -> Option<String> {
        self.request.query_value(name)
    }

    /// How often we have sent Twilio round in a circle because something inside did not answer.
    fn tries(&self) -> u32 {
        self.ours("try").and_then(|n| n.parse().ok()).unwrap_or_default()
    }
}

/// Answers Twilio.
pub(super) async fn handle<P: Ports>(
    config: &Config,
    ports: &P,
    now: UnixMillis,
    request: &Request,
    route: Route,
) -> Result<Response, Refusal> {
    let webhook = admit(config, ports, request)?;
    if route == Route::AfterStream {
        return Ok(xml(&after_stream::answer(config, ports, &webhook).await));
    }
    if is_question(route) {
        let last = route == Route::Fallback;
        return Ok(xml(&voice::answer(config, ports, now, &webhook, last).await));
    }
    // A callback is recognised by its fields, whatever address it came to.
    Ok(callback::take(config, ports, now, &webhook).await)
}

/// What a question's answer is made from, if it comes in time.
async fn in_time<T>(
    ports: &impl Patience,
    work: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Unavailable> {
    within(ports, QUESTION_MS, work).await.unwrap_or(Err(Unavailable))
}

/// Whether Twilio wants TwiML there.
fn is_question(route: Route) -> bool {
    matches!(route, Route::Voice | Route::Fallback | Route::AfterStream)
}

/// What Twilio is told when the deployment is not configured: nothing can be verified, so nothing is done.
pub(super) fn sorry(route: Route) -> Response {
    if is_question(route) { xml(&twiml::Response::apology(SORRY)) } else { Response::empty(204) }
}

fn xml(document: &twiml::Response) -> Response {
    Response::text(200, twiml::CONTENT_TYPE, document.to_xml())
}

/// The checks before anything is believed.
fn admit<'a, P: Ports>(config: &Config, ports: &P, request: &'a Request) -> Result<Webhook<'a>, Refusal> {
    let refuse = |status, detail: String| {
        let message = "a request in Twilio's name was refused";
        ports.record(Record { level: Level::Warn, message, call: None, detail: Some(detail.clone()) });
        Refusal::new(status, "not_twilio", detail)
    };
    let malformed = |invalid: InvalidForm| refuse(400, invalid.to_string());
    let posted = request.method == Method::Post;
    let query = request.query.as_deref();
    let source = if posted { request.body.as_slice() } else { query.unwrap_or_default().as_bytes() };
    // The signature covers every field as it was sent, duplicates included; the grammar comes after it.
    let fields = Form::decode(source).map_err(malformed)?;
    let signed_fields: Vec<(&str, &str)> =
        if posted { fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect() } else { Vec::new() };
    let target = query.map_or_else(|| request.path.clone(), |q| format!("{}?{q}", request.path));
    let url = config.address(&target);
    let signed = Signed {
        url: &url,
        signature: request.header(signature::HEADER),
        settings: request.header(signature::SETTINGS_HEADER),
    };
    config.twilio_keys.verify(signed, &signed_fields).map_err(|refused| {
        let status = if refused == Refused::Missing { 400 } else { 403 };
        refuse(status, refused.to_string())
    })?;
    let form = Form::parse(source).map_err(malformed)?;
    let fields = CallFields::read(&form).map_err(malformed)?;
    if fields.account_sid != config.account {
        return Err(refuse(403, "the request is about another account".to_owned()));
    }
    let named = query.is_some_and(|q| form_urlencoded::parse(q.as_bytes()).any(|(name, _)| name == "call"));
    let call = request.query_value("call").and_then(|text| CallId::parse(&text).ok());
    if named && call.is_none() {
        return Err(refuse(400, "the call in the address is not valid".to_owned()));
    }
    Ok(Webhook { form, request, call })
}

/// Notes a form that has our account's signature and yet a field without its grammar. It is Twilio's all the same: whoever
/// asks is answered in Twilio's language, since a caller may be waiting.
fn malformed<P: Ports>(ports: &P, invalid: &InvalidForm) {
    let message = "a signed request of Twilio's could not be read";
    ports.record(Record { level: Level::Error, message, call: None, detail: Some(invalid.to_string()) });
}
