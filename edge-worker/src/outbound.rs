//! The only way out to the internet: one request, its time and its answer bounded, redirects not followed. Whom to ask and
//! what the answer means is the core's.

use crate::patience::{self, within};
use edge_core::http::Method;
use edge_core::ports::{Incoming, NoAnswer, Outgoing};
use futures::StreamExt as _;
use wasm_bindgen::JsValue;
use worker::{AbortController, Fetch, Headers, Request, RequestInit, RequestRedirect, Response};

/// The most that is read of an answer, bytes; the rest is not fetched.
const ANSWER_CAP: usize = 256 * 1024;

/// Sends a request to Twilio's REST service.
pub(crate) async fn send(outgoing: Outgoing) -> Result<Incoming, NoAnswer> {
    let abort = AbortController::default();
    let signal = abort.signal();
    let exchange = async {
        let response = Fetch::Request(request(outgoing)?).send_with_signal(&signal).await?;
        read(response).await
    };
    match within(patience::TWILIO, exchange).await {
        Some(Ok(incoming)) => Ok(incoming),
        // The runtime's message quotes the address, which carries the account's name: it is not logged.
        Some(Err(_)) => Err(NoAnswer),
        None => {
            abort.abort();
            Err(NoAnswer)
        }
    }
}

fn request(outgoing: Outgoing) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("authorization", outgoing.authorization.expose())?;
    headers.set("accept", "application/json")?;
    let mut init = RequestInit::new();
    init.with_method(match outgoing.method {
        Method::Get => worker::Method::Get,
        Method::Post => worker::Method::Post,
        Method::Put => worker::Method::Put,
        Method::Patch => worker::Method::Patch,
        Method::Delete => worker::Method::Delete,
        Method::Head | Method::Other => return Err(worker::Error::RustError("no such method".to_owned())),
    });
    // A redirect would carry the credential somewhere else.
    init.with_redirect(RequestRedirect::Manual);
    if let Some(form) = outgoing.form {
        headers.set("content-type", "application/x-www-form-urlencoded")?;
        init.with_body(Some(JsValue::from_str(&form)));
    }
    init.with_headers(headers);
    Request::new_with_init(&outgoing.url, &init)
}

async fn read(mut response: Response) -> worker::Result<Incoming> {
    let status = response.status_code();
    let retry_after_s = response.headers().get("retry-after")?.and_then(|text| text.trim().parse().ok());
    let mut body = Vec::new();
    if let Ok(mut stream) = response.stream() {
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk?);
            if body.len() >= ANSWER_CAP {
                body.truncate(ANSWER_CAP);
                break;
            }
        }
    }
    Ok(Incoming { status, retry_after_s, body })
}
