//! The runtime's requests and responses as the core's plain values and back: only the parts that the core looks at cross the
//! border between JavaScript and wasm. What an answer says is the core's.

use crate::patience::within;
use edge_core::http::{Method, Request, Response};
use edge_core::{route, security};
use futures::StreamExt as _;
use std::time::Duration;
use worker::{Headers, ResponseBuilder, Result};

/// How long a client may take to send its body.
const BODY: Duration = Duration::from_secs(15);

/// Reads a request; an error means that its body could not be read, so nobody is there to be answered.
pub(crate) async fn read(request: &mut worker::Request) -> Result<Request> {
    let method = Method::read(request.inner().method().as_str());
    let url = request.inner().url();
    let (path, query) = target(&url);
    let mut read = Request {
        method,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: headers(request.headers()),
        body: Vec::new(),
        ip: None,
    };
    // Set by the platform, which overwrites what a client sends under this name.
    read.ip = read.header("cf-connecting-ip").map(str::to_owned);
    let cap = route::body_cap(method, path);
    if cap > 0 && method.is_unsafe() {
        let length = read.header("content-length").and_then(|text| text.parse::<usize>().ok());
        read.body = within(BODY, body(request, length, cap)).await.ok_or("the body did not arrive in time")??;
    }
    Ok(read)
}

/// Path and query as they stand in the address, still encoded: Twilio signs them as sent.
fn target(url: &str) -> (&str, Option<&str>) {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let target = after_scheme.find(['/', '?']).and_then(|start| after_scheme.get(start..)).unwrap_or("/");
    let target = target.split_once('#').map_or(target, |(before, _)| before);
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

fn headers(headers: &Headers) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in headers.0.entries().into_iter().flatten() {
        let pair = worker::js_sys::Array::from(&entry);
        if let (Some(name), Some(value)) = (pair.get(0).as_string(), pair.get(1).as_string()) {
            all.push((name, value));
        }
    }
    all
}

/// At most one byte more than the cap, so that a body over it is seen as such and the rest is never held.
async fn body(request: &mut worker::Request, length: Option<usize>, cap: usize) -> Result<Vec<u8>> {
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    // The runtime delivers no more than was announced.
    if length.is_some_and(|length| length <= cap) {
        return request.bytes().await;
    }
    let mut stream = request.stream()?;
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > cap {
            body.truncate(cap + 1);
            break;
        }
    }
    Ok(body)
}

/// The runtime's form of an answer.
pub(crate) fn respond(response: Response) -> Result<worker::Response> {
    let builder = headed(response.status, response.headers.iter().map(|(name, value)| (*name, value.as_str())));
    // The platform takes no body with some statuses, not even an empty one.
    Ok(if response.body.is_empty() { builder.empty() } else { builder.fixed(response.body) })
}

/// An answer without a body, for what only the shell can notice.
pub(crate) fn bare(status: u16) -> worker::Response {
    headed(status, security::headers(security::Surface::Api)).empty()
}

/// The beginning of a response. A header that the platform refuses is left out.
pub(crate) fn headed<'a>(status: u16, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> ResponseBuilder {
    let list = Headers::new();
    for (name, value) in headers {
        // Appended: a cookie may be set twice.
        let _ = list.append(name, value);
    }
    ResponseBuilder::new().with_status(status).with_headers(list)
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn path_and_query_are_taken_as_they_stand() {
        for (url, path, query) in [
            ("https://a.example/voice", "/voice", None),
            ("https://a.example/voice?call=x%20y&e=", "/voice", Some("call=x%20y&e=")),
            ("http://127.0.0.1:8787/a%2Fb/?", "/a%2Fb/", Some("")),
            ("https://a.example", "/", None),
            ("https://a.example?x=1", "", Some("x=1")),
            ("https://[::1]:80/x#y?z", "/x", None),
        ] {
            assert_eq!(target(url), (path, query), "{url}");
        }
    }
}
