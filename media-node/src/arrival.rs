//! The beginning of a stream: everything until Twilio's `start`, and whether its ticket is good. Nothing is dialled and no
//! session exists before; a socket that says nothing, too much or the wrong thing costs little and goes.

use crate::leg::{Arrived, Gone, Leg};
use crate::wire::Wire;
use shared::ids::NodeId;
use shared::secret::Secret;
use shared::ticket::{self, Audience, Claims, TicketVerifier};
use shared::time::UnixMillis;
use shared::twilio::media_stream::{self, Malformed, Message, Start};
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes that may arrive before `start`.
pub(crate) const MAX_BEFORE_START: usize = 8 * 1024;

/// Why a stream is closed before it became a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejected {
    #[error("no start message in time")]
    NoStart,
    #[error("too much before the start message")]
    TooMuch,
    #[error("the socket was closed before the start message")]
    Gone,
    #[error("malformed start message")]
    Malformed,
    #[error("no ticket")]
    NoTicket,
    #[error("{0}")]
    Ticket(ticket::Refused),
    #[error("the ticket is for another call")]
    OtherCall,
}

impl Rejected {
    /// The word in metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NoStart => "no_start",
            Self::TooMuch => "too_much_before_start",
            Self::Gone => "gone_before_start",
            Self::Malformed => "malformed_start",
            Self::NoTicket | Self::Ticket(_) | Self::OtherCall => "ticket",
        }
    }
}

/// Reads until `start`.
pub(crate) async fn start(leg: &mut Leg<Wire>, within: Duration) -> Result<Box<Start>, Rejected> {
    let reading = async {
        let mut before = 0;
        loop {
            match poll_fn(|cx| leg.poll_message(cx)).await {
                Ok(Arrived::Text(text)) => {
                    if let Some(start) = read(&text)? {
                        return Ok(start);
                    }
                    before += text.len();
                }
                Ok(Arrived::Binary(bytes)) => before += bytes.len(),
                Err(Gone::Violation) => {
                    leg.malformed();
                    return Err(Rejected::Gone);
                }
                Err(Gone::Closed(_) | Gone::Broken | Gone::Stalled) => return Err(Rejected::Gone),
            }
            if before > MAX_BEFORE_START {
                return Err(Rejected::TooMuch);
            }
        }
    };
    timeout(within, reading).await.unwrap_or(Err(Rejected::NoStart))
}

/// A message before `start` says nothing that is needed; a `start` that cannot be understood ends the stream.
fn read(text: &str) -> Result<Option<Box<Start>>, Rejected> {
    match media_stream::read(text) {
        Ok((Message::Start(start), sid)) => match sid {
            Some(sid) if sid != start.stream_sid.as_str() => Err(Rejected::Malformed),
            Some(_) | None => Ok(Some(start)),
        },
        Err(Malformed::Content("start")) => Err(Rejected::Malformed),
        Ok((
            Message::Connected
            | Message::Media(_)
            | Message::Dtmf { .. }
            | Message::Mark { .. }
            | Message::Stop
            | Message::Unknown,
            _,
        ))
        | Err(Malformed::Envelope | Malformed::Content(_)) => Ok(None),
    }
}

/// Takes the ticket out of `start` and checks what a node can check; the room checks the rest.
pub(crate) fn ticket(
    start: &mut Start,
    verifier: &TicketVerifier,
    node: &NodeId,
    now: UnixMillis,
) -> Result<(Claims, Secret), Rejected> {
    let text = start.custom_parameters.remove(ticket::PARAMETER).ok_or(Rejected::NoTicket)?;
    let claims = verifier.verify_for(&text, Audience::Stream, node, now).map_err(Rejected::Ticket)?;
    if claims.call_sid != start.call_sid {
        return Err(Rejected::OtherCall);
    }
    Ok((claims, Secret::new(text)))
}
