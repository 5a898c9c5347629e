//! From a request to a reply: the route's demands are checked here (method, size, form, principal), then its handler is
//! asked. Handlers are generic over the ports and hold no state.

use crate::config::{Config, InvalidConfig};
use crate::http::{Method, Reply, Request, Response};
use crate::ports::Ports;
use crate::route::{self, Content, Found, Missed, Principal, Route};
use crate::security::{self, Surface};
use shared::time::UnixMillis;

mod agents;
mod auth;
mod calls;
mod health;
mod keys;
mod lookup;
mod node;
mod numbers;
mod place;
mod refusal;
mod session;
mod token;
mod transcript;
mod twilio;
mod watch;

pub(crate) use auth::{ABSOLUTE_MS as SESSION_ABSOLUTE_MS, IDLE_MS as SESSION_IDLE_MS, TOUCH_MS as SESSION_TOUCH_MS};

use auth::Who;
use refusal::Refusal;

/// What a handler says: a reply, or a refusal.
type Outcome = Result<Reply, Refusal>;

/// Answers a request. Never fails and never panics: whatever goes wrong becomes an answer.
pub async fn handle<P: Ports>(config: &Config, ports: &P, now: UnixMillis, request: Request) -> Reply {
    let (surface, outcome) = match route::find(request.method, &request.path) {
        Ok(found) => {
            let surface = match (found.entry.principal, found.entry.route) {
                (Principal::Twilio, _) => Surface::Twilio,
                (_, Route::SignOut) => Surface::SignOut,
                _ => Surface::Api,
            };
            (surface, answer(config, ports, now, &request, found).await)
        }
        Err(missed) => (Surface::Api, Err(refuse_missed(missed))),
    };
    let head = request.method == Method::Head;
    match outcome.unwrap_or_else(|refusal| Reply::Respond(refusal.into_response())) {
        Reply::Respond(mut response) => {
            // A refused sign-out has signed nobody out: the browser keeps what it has.
            let signed_out = response.status == 204;
            let surface = if surface == Surface::SignOut && !signed_out { Surface::Api } else { surface };
            if head {
                response.body.clear();
            }
            Reply::Respond(secure(response, surface))
        }
        Reply::Stream { .. } if head => {
            let headers = security::event_stream().into_iter().map(|(name, value)| (name, value.to_owned()));
            Reply::Respond(Response { headers: headers.collect(), ..Response::empty(200) })
        }
        reply @ (Reply::Upgrade(_) | Reply::Stream { .. }) => reply,
    }
}

/// Answers a request when the variables could not be read: Twilio hears an apology, everybody else reads which variables
/// are at fault (their names, never their values).
pub fn misconfigured(invalid: &InvalidConfig, request: &Request) -> Response {
    let found = route::find(request.method, &request.path);
    match found.map(|found| (found.entry.principal, found.entry.route)) {
        Ok((Principal::Twilio, route)) => secure(twilio::sorry(route), Surface::Twilio),
        Ok((Principal::Nobody | Principal::Node | Principal::User | Principal::Person | Principal::SetUp, _)) => {
            let message = format!("this deployment is not configured: {invalid}");
            secure(Refusal::new(503, "not_configured", message).into_response(), Surface::Api)
        }
        Err(missed) => secure(refuse_missed(missed).into_response(), Surface::Api),
    }
}

fn secure(mut response: Response, surface: Surface) -> Response {
    response.headers.extend(security::headers(surface).into_iter().map(|(name, value)| (name, value.to_owned())));
    response
}

fn refuse_missed(missed: Missed) -> Refusal {
    match missed {
        Missed::NotFound => Refusal::new(404, "not_found", "there is nothing at this address"),
        Missed::Method(methods) => Refusal::new(405, "method_not_allowed", "this address does not take that method")
            .with("allow", Missed::allow(&methods)),
    }
}

async fn answer<P: Ports>(config: &Config, ports: &P, now: UnixMillis, request: &Request, found: Found) -> Outcome {
    let Found { entry, parameter } = found;
    if request.body.len() > entry.body_cap {
        let message = format!("the body may have at most {} bytes", entry.body_cap);
        return Err(Refusal::new(413, "body_too_large", message));
    }
    check_content(entry.content, request)?;
    // What Twilio sends is judged by its signature and its own grammar.
    if entry.principal != Principal::Twilio
        && let Some(name) = request.repeated_parameter()
    {
        let name: String = name.chars().take(64).collect();
        return Err(Refusal::field(name, "this parameter stands more than once"));
    }
    // Deny by default: whoever is not known here gets no further than the routes that are open by design.
    let who = match entry.principal {
        Principal::User | Principal::Person => Some(auth::authenticate(config, ports, now, request).await?),
        Principal::Twilio | Principal::Nobody | Principal::Node | Principal::SetUp => None,
    };
    if entry.principal == Principal::Person && matches!(who, Some(Who::Key { .. })) {
        let message = "this needs a signed-in person: API keys may not do it";
        return Err(Refusal::new(403, "person_required", message));
    }
    let known = || who.as_ref().ok_or_else(auth::unauthorized);
    match entry.route {
        Route::Voice
        | Route::AfterStream
        | Route::Fallback
        | Route::CallStatus
        | Route::StreamStatus
        | Route::MachineDetection
        | Route::RecordingStatus
        | Route::Transcription => twilio::handle(config, ports, now, request, entry.route).await.map(Reply::Respond),
        Route::Heartbeat => node::heartbeat(config, ports, now, request).await,
        Route::NodeSocket => node::open_socket(config, now, request, &parameter),
        Route::Health => health::show(ports).await,
        Route::SetUp => session::set_up(config, ports, now, request).await,
        Route::ShowSession => session::show(config, ports, now, request).await,
        Route::SignIn => session::sign_in(config, ports, now, request).await,
        Route::SignOut => session::sign_out(config, ports, known()?).await,
        Route::Token => token::mint(config, ports, now, known()?),
        Route::PlaceCall => place::place(config, ports, now, request, known()?).await,
        Route::ListCalls => known().map(|_| calls::list(ports, request))?.await,
        Route::ShowCall => known().map(|_| calls::show(config, ports, &parameter))?.await,
        Route::HangUp => known().map(|_| calls::hang_up(config, ports, &parameter))?.await,
        Route::Transcript => transcript::show(config, ports, request, known()?, &parameter).await,
        Route::TranscriptByQuery => {
            let name = request.query_value("callSid").filter(|name| !name.is_empty());
            let missing = || Refusal::field("callSid", "this must be a call's id or Twilio's CallSid");
            let name = name.ok_or_else(missing)?;
            transcript::show(config, ports, request, known()?, &name).await
        }
        Route::ListKeys => known().map(|_| keys::list(ports))?.await,
        Route::CreateKey => known().map(|_| keys::create(ports, now, request))?.await,
        Route::DeleteKey => known().map(|_| keys::delete(ports, &parameter))?.await,
        Route::ListAgents => known().map(|_| agents::list(ports))?.await,
        Route::ShowAgent => known().map(|_| agents::show(ports, &parameter))?.await,
        Route::PutAgent => known().map(|_| agents::put(ports, now, request, &parameter))?.await,
        Route::DeleteAgent => known().map(|_| agents::delete(ports, now, &parameter))?.await,
        Route::SetDefaultAgent => known().map(|_| agents::set_default(ports, now, request))?.await,
        Route::ListNumbers => known().map(|_| numbers::list(ports))?.await,
        Route::PointNumber => known().map(|_| numbers::point(ports, now, request, &parameter))?.await,
        Route::ReleaseNumber => known().map(|_| numbers::release(ports, now, &parameter))?.await,
        Route::WatchCall => watch::call(config, ports, request, known()?).await,
        Route::WatchBoard => watch::board(request, known()?),
    }
}

fn check_content(content: Content, request: &Request) -> Result<(), Refusal> {
    let expected = match content {
        Content::Nothing => return Ok(()),
        Content::Json => "application/json",
        Content::Form => "application/x-www-form-urlencoded",
    };
    let given = request.header("content-type").and_then(|t| t.split(';').next()).map(str::trim);
    if given.is_some_and(|g| g.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    Err(Refusal::new(415, "unsupported_media_type", format!("the body must be sent as {expected}")))
}

#[cfg(test)]
mod tests;
