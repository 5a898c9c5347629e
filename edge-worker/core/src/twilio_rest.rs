//! The orders that Trunkline gives Twilio's REST service and what their answers mean. Creating a call is the handler's own
//! (it must never be repeated); everything here may be repeated. Sending is a port's matter.

use serde::{Deserialize, Serialize};
use shared::call::CallStatus;
use shared::ids::{CallSid, PhoneNumber};
use shared::time::UnixMillis;

/// An order that does no harm when repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum TwilioOrder {
    /// Where does this leg stand?
    Fetch {
        /// The leg.
        call_sid: CallSid,
    },
    /// End this leg, whether it rings or talks.
    HangUp {
        /// The leg.
        call_sid: CallSid,
    },
    /// Which calls went from one number to another since then?
    Find {
        /// Twilio's `From`.
        from: PhoneNumber,
        /// Twilio's `To`.
        to: PhoneNumber,
        /// Calls created before this moment are not meant.
        since: UnixMillis,
    },
}

/// What Twilio said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwilioOutcome {
    /// The leg stands so.
    Stands {
        /// Its status.
        status: CallStatus,
        /// Seconds connected, once over.
        duration_s: Option<u32>,
        /// When it ended, once over.
        ended_at: Option<UnixMillis>,
    },
    /// The order was carried out.
    Carried,
    /// The leg was over already (21220), or Twilio does not know it (404).
    Gone,
    /// Another room has this leg: it is not this one's to end.
    Foreign,
    /// These calls match.
    Found(Vec<CallSid>),
    /// Refused for another reason; repeating will not help.
    Refused {
        /// HTTP status.
        status: u16,
    },
}

use crate::config::Config;
use crate::http::Method;
use crate::ports::{Incoming, Outgoing};
use shared::twilio::rest::{self, CallListing, CallResource, UpdateCall};

/// The request that carries an order.
pub fn request(config: &Config, order: &TwilioOrder) -> Outgoing {
    match order {
        TwilioOrder::Fetch { call_sid } => get(config, &rest::call_path(&config.account, call_sid)),
        TwilioOrder::HangUp { call_sid } => {
            post(config, &rest::call_path(&config.account, call_sid), &UpdateCall::Complete.fields())
        }
        TwilioOrder::Find { from, to, .. } => {
            let query = rest::form_body(&[
                ("To", to.as_str().to_owned()),
                ("From", from.as_str().to_owned()),
                ("PageSize", "50".to_owned()),
            ]);
            get(config, &format!("{}?{query}", rest::calls_path(&config.account)))
        }
    }
}

/// A GET of a path of the REST service.
pub(crate) fn get(config: &Config, path: &str) -> Outgoing {
    Outgoing {
        method: Method::Get,
        url: format!("{}{path}", config.twilio_api_base_url),
        authorization: config.rest_authorization.clone(),
        form: None,
    }
}

/// A form POST to a path of the REST service.
pub(crate) fn post(config: &Config, path: &str, fields: &[(&'static str, String)]) -> Outgoing {
    Outgoing {
        method: Method::Post,
        url: format!("{}{path}", config.twilio_api_base_url),
        authorization: config.rest_authorization.clone(),
        form: Some(rest::form_body(fields)),
    }
}

/// What Twilio's answer to an order means; none: it says nothing (429, 5xx, an unreadable body), the order may be repeated.
pub fn read(order: &TwilioOrder, incoming: &Incoming) -> Option<TwilioOutcome> {
    const INVALID_STATE: u32 = 21220;
    match incoming.status {
        200..=299 => match order {
            TwilioOrder::HangUp { .. } => Some(TwilioOutcome::Carried),
            TwilioOrder::Fetch { .. } => {
                let call: CallResource = serde_json::from_slice(&incoming.body).ok()?;
                Some(TwilioOutcome::Stands {
                    status: call.status()?,
                    duration_s: call.duration.as_deref().and_then(|d| d.parse().ok()),
                    ended_at: call.end_time.as_deref().and_then(|t| UnixMillis::from_rfc2822(t).ok()),
                })
            }
            TwilioOrder::Find { since, .. } => {
                let listing: CallListing = serde_json::from_slice(&incoming.body).ok()?;
                let recent = |call: &CallResource| {
                    let created = call.date_created.as_deref().and_then(|t| UnixMillis::from_rfc2822(t).ok());
                    // Twilio's dates are whole seconds, and its clock is not ours.
                    created.is_none_or(|at| at.since(*since) >= -5_000)
                };
                Some(TwilioOutcome::Found(listing.calls.into_iter().filter(recent).map(|c| c.sid).collect()))
            }
        },
        404 => Some(TwilioOutcome::Gone),
        // Our credentials are refused, or there were too many requests: that passes once somebody has seen to it.
        401 | 403 | 408 | 429 => None,
        400..=499 if rest::ApiError::read(&incoming.body).code == INVALID_STATE => Some(TwilioOutcome::Gone),
        status @ 400..=499 => Some(TwilioOutcome::Refused { status }),
        _ => None,
    }
}
