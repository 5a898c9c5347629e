//! The console's files, with the headers that every answer has. Which files there are is the assets' binding's matter.

use crate::inbound::bare;
use edge_core::security;
use worker::{Env, Headers, Method, Request, Response, Result};

/// Addresses that belong to the Worker, whatever the console contains.
const OURS: &[&str] =
    &["/api", "/health", "/node", "/recording-status-callback", "/twiml", "/voice", "/webhooks", "/ws"];

/// Whether a request is for the console: it reads, and its address is not one of ours.
pub(crate) fn is_for(request: &Request) -> bool {
    let path = request.path();
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    matches!(request.method(), Method::Get | Method::Head) && !OURS.iter().any(|prefix| under(prefix))
}

/// Whether the build has named this file by its content; none of those is a page.
fn is_named_by_content(path: &str) -> bool {
    path.starts_with("/assets/")
}

/// The file, or the console's page for an address that it routes by itself.
pub(crate) async fn respond(request: Request, env: &Env) -> Response {
    serve(request, env).await.unwrap_or_else(|_| bare(404))
}

async fn serve(request: Request, env: &Env) -> Result<Response> {
    let named = is_named_by_content(&request.path());
    let file = env.assets("ASSETS")?.fetch_request(request).await?;
    let kind = file.headers().get("content-type")?.unwrap_or_default();
    if named && kind.starts_with("text/html") {
        // The console's page in place of a file that is gone: kept for a year, it would break the console for as long.
        return Ok(bare(404));
    }
    let headers = Headers::new();
    for (name, value) in file.headers().entries() {
        headers.append(&name, &value)?;
    }
    for (name, value) in security::ALWAYS {
        // How long a file may be kept is decided by its name, which changes with its content.
        if *name != "cache-control" {
            headers.set(name, value)?;
        }
    }
    headers.set("content-security-policy", security::CONSOLE_POLICY)?;
    Ok(file.with_headers(headers))
}
