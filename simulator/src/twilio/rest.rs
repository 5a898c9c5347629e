//! Twilio's REST interface, as far as calls and numbers go: authentication, forms in, JSON out, error codes, lists with
//! pages and filters, and the faults that a script asks for. Source: "Call resource", "Twilio's response", the error
//! dictionary. The calls themselves are [`super::exchange`]'s.

mod faults;
mod forms;
mod resources;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

pub use faults::{RestFault, RestFaultKind, RestFaults, RestVerb};
use forms::Form;

use super::Alert;
use super::exchange::Exchange;

/// How the interface behaves.
#[derive(Debug, Clone, Default)]
pub struct RestOptions {
    /// What goes wrong.
    pub faults: Vec<RestFault>,
    /// Reads show the state of so long ago.
    pub lag: Duration,
}

struct Desk {
    exchange: Exchange,
    faults: Mutex<RestFaults>,
    lag: Duration,
}

/// A refusal: HTTP status, Twilio's code, a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Twilio's code.
    pub code: u16,
    /// A sentence.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: u16, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn not_found(what: &str) -> Self {
        Self::new(404, 20404, format!("The requested resource {what} was not found"))
    }

    fn body(&self) -> Value {
        json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        })
    }
}

impl From<Alert> for Refusal {
    fn from(alert: Alert) -> Self {
        let status = if alert.code == 20404 { 404 } else { 400 };
        Self::new(status, alert.code, alert.what)
    }
}

/// The interface as a service of HTTP requests.
pub fn router(exchange: Exchange, options: RestOptions) -> Router {
    let desk = Desk { exchange, faults: Mutex::new(RestFaults::new(options.faults)), lag: options.lag };
    Router::new().fallback(answer).with_state(Arc::new(desk))
}

/// Serves the interface on a listener until the task is dropped.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    exchange: Exchange,
    options: RestOptions,
) -> std::io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let router = router(exchange, options);
    let task = tokio::spawn(async move {
        // It ends only with its task.
        let _ = axum::serve(listener, router).await;
    });
    Ok((address, task))
}

fn respond(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json;charset=utf-8")], body.to_string()).into_response()
}

async fn answer(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let account = &desk.exchange.account().sid;
    if let Err(refusal) = authenticate(&desk.exchange, &headers) {
        return respond(refusal.status, &refusal.body());
    }
    let prefix = format!("/2010-04-01/Accounts/{account}/");
    let Some(rest) = uri.path().strip_prefix(&prefix) else {
        let refusal = Refusal::not_found(uri.path());
        return respond(refusal.status, &refusal.body());
    };
    let Some(path) = rest.strip_suffix(".json") else {
        let xml = "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException><Code>20404</Code></RestException></TwilioResponse>";
        return (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/xml")], xml).into_response();
    };
    let segments: Vec<&str> = path.split('/').collect();
    let verb = match (&method, segments.as_slice()) {
        (&Method::POST, ["Calls"]) => RestVerb::Create,
        (&Method::GET, ["Calls"]) => RestVerb::List,
        (&Method::POST, ["Calls", _]) => RestVerb::Update,
        (&Method::GET, ["Calls", _]) => RestVerb::Fetch,
        _ => RestVerb::Other,
    };
    let fault = desk.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next(verb);
    if let Some(kind) = fault
        && !kind.is_carried_out()
    {
        return faults::answer(kind, None).await;
    }
    let form = Form::read(&headers, &method, &uri, &body);
    let result = match form {
        Err(refusal) => Err(refusal),
        Ok(form) => match (verb, segments.as_slice()) {
            (RestVerb::Create, _) => create(&desk, &form),
            (RestVerb::List, _) => Ok((200, resources::call_page(&desk.exchange, desk.lag, &form, uri.path()))),
            (RestVerb::Update, [_, sid]) => update(&desk, sid, &form).await,
            (RestVerb::Fetch, [_, sid]) => match desk.exchange.resource(sid, desk.lag) {
                Some(resource) => Ok((200, resources::call(&desk.exchange, &resource))),
                None => Err(Refusal::not_found(uri.path())),
            },
            (_, ["IncomingPhoneNumbers"]) if method == Method::GET => {
                Ok((200, resources::number_page(&desk.exchange, &form, uri.path())))
            }
            (_, ["IncomingPhoneNumbers", sid]) => resources::number(&desk.exchange, sid, &method, &form),
            _ => Err(Refusal::not_found(uri.path())),
        },
    };
    let (status, body) = result.unwrap_or_else(|refusal| (refusal.status, refusal.body()));
    match fault {
        Some(kind) => faults::answer(kind, Some((status, body))).await,
        None => respond(status, &body),
    }
}

fn authenticate(exchange: &Exchange, headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = || Refusal::new(401, 20003, "Authenticate");
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
    let encoded = value.strip_prefix("Basic ").ok_or_else(refused)?;
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refused)?;
    let (user, password) = decoded.split_once(':').ok_or_else(refused)?;
    let account = exchange.account();
    let own = user == account.sid && password == account.auth_token;
    let key = account.api_keys.iter().any(|(sid, secret)| user == sid && password == secret);
    if own || key { Ok(()) } else { Err(refused()) }
}

fn create(desk: &Desk, form: &Form) -> Result<(u16, Value), Refusal> {
    let leg = forms::create(form, &desk.exchange)?;
    let resource = desk.exchange.call_out(leg).map_err(|error| Refusal::new(500, 20500, error.to_string()))?;
    Ok((201, resources::call(&desk.exchange, &resource)))
}

async fn update(desk: &Desk, sid: &str, form: &Form) -> Result<(u16, Value), Refusal> {
    if desk.exchange.resource(sid, Duration::ZERO).is_none() {
        return Err(Refusal::not_found(sid));
    }
    let update = forms::update(form)?;
    let resource = desk.exchange.update(sid, update).await?;
    Ok((200, resources::call(&desk.exchange, &resource)))
}

/// A body that ends in the middle.
fn cut(status: u16, body: &Value) -> Response {
    let text = body.to_string();
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let broken = async {
        // Head and half must have left before the connection breaks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("cut"))
    };
    let pieces = futures_util::stream::iter([Ok(half)]).chain(futures_util::stream::once(broken));
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
