//! Asking a Durable Object and answering as one. A question is a POST with a JSON body; a socket is handed over as the
//! upgrade request that the object answers. Only this Worker can reach its objects, so nothing is authenticated here.

use crate::patience::{self, within};
use edge_core::ports::Unavailable;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use worker::js_sys::Reflect;
use worker::{Env, Error, Headers, Method, Request, RequestInit, Response, Result};

/// Where objects are asked; the host stands for whichever object the stub leads to.
const ASK: &str = "https://object/ask";
/// Where sockets are handed over.
const ATTACH: &str = "https://object/attach";
/// Header of a hand-over: what the object must know about the socket, JSON.
const ATTACHED: &str = "x-trunkline-socket";

/// Asks an object and waits a bounded time for its answer. When the object was being replaced the question is asked once
/// more; an overloaded one is left alone.
pub(crate) async fn ask<Q: Serialize, A: DeserializeOwned>(
    env: &Env,
    binding: &str,
    name: &str,
    question: &Q,
) -> std::result::Result<A, Unavailable> {
    let Ok(body) = serde_json::to_string(question) else { return Err(Unavailable) };
    let exchange = async {
        match post(env, binding, name, &body).await {
            Err(error) if says(&error, "retryable") && !says(&error, "overloaded") => {
                // A stub that has failed stays broken: each try has its own.
                post(env, binding, name, &body).await
            }
            outcome => outcome,
        }
    };
    let answer = within(patience::of_object(name), exchange).await.ok_or(Unavailable)?.map_err(|_| Unavailable)?;
    serde_json::from_str(&answer).map_err(|_| Unavailable)
}

async fn post(env: &Env, binding: &str, name: &str, body: &str) -> Result<String> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(body)));
    let stub = env.durable_object(binding)?.get_by_name(name)?;
    let mut response = stub.fetch_with_request(Request::new_with_init(ASK, &init)?).await?;
    if response.status_code() != 200 {
        return Err(Error::RustError("the object could not answer".to_owned()));
    }
    response.text().await
}

/// A flag that the runtime sets on the errors of objects.
fn says(error: &Error, flag: &str) -> bool {
    let (Error::UnknownJsError { original, .. } | Error::Internal(original)) = error else { return false };
    Reflect::get(original, &JsValue::from_str(flag)).is_ok_and(|value| value.is_truthy())
}

/// Hands a WebSocket over: the object's answer is the answer to the client's upgrade.
pub(crate) async fn attach(env: &Env, binding: &str, name: &str, what: &impl Serialize) -> Option<Response> {
    let work = async {
        let headers = Headers::new();
        headers.set("upgrade", "websocket")?;
        headers.set(ATTACHED, &serde_json::to_string(what)?)?;
        let mut init = RequestInit::new();
        init.with_headers(headers);
        let stub = env.durable_object(binding)?.get_by_name(name)?;
        stub.fetch_with_request(Request::new_with_init(ATTACH, &init)?).await
    };
    let response = within(patience::OBJECT, work).await?.ok()?;
    (response.status_code() == 101).then_some(response)
}

/// What an object is wanted for.
pub(crate) enum Wanted<Q, S> {
    /// An answer.
    Asked(Q),
    /// A socket.
    Attached(S),
}

/// Reads what this object is wanted for; none when this version does not understand it.
pub(crate) async fn wanted<Q: DeserializeOwned, S: DeserializeOwned>(mut request: Request) -> Option<Wanted<Q, S>> {
    if let Some(text) = request.headers().get(ATTACHED).ok()? {
        return serde_json::from_str(&text).ok().map(Wanted::Attached);
    }
    let body = request.text().await.ok()?;
    serde_json::from_str(&body).ok().map(Wanted::Asked)
}

/// An object's answer; without one, 503 tells the Worker that nothing is known.
pub(crate) fn answer<A: Serialize>(answer: Option<&A>) -> Result<Response> {
    match answer {
        Some(answer) => Response::ok(serde_json::to_string(answer)?),
        None => Response::empty().map(|response| response.with_status(503)),
    }
}
