//! The core's ports over the runtime: entropy, objects, database, Twilio, journal. Each method is a conversion; the work
//! stands in the module of its name.

use crate::{database, objects, outbound};
use edge_core::call_room::{RoomRequest, RoomResponse};
use edge_core::config::{Config, InvalidConfig};
use edge_core::ports::{
    Database, DatabaseFault, Entropy, Incoming, Journal, Level, NoAnswer, Outgoing, Record, Rooms, Row, Statement,
    Switchboards, TwilioRest, Unavailable,
};
use edge_core::switchboard::{SwitchboardRequest, SwitchboardResponse};
use serde_json::json;
use shared::ids::CallId;
use std::cell::OnceCell;
use std::rc::Rc;
use worker::{Env, console_error, console_log, console_warn};

/// Everything outside, as far as one Worker may reach it.
#[derive(Clone)]
pub(crate) struct World {
    env: Env,
}

impl World {
    pub(crate) fn new(env: Env) -> Self {
        Self { env }
    }

    /// The bindings themselves, for what no port describes.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The deployment's variables, read once per isolate: a change of them starts a new one.
    pub(crate) fn config(&self) -> Result<Rc<Config>, InvalidConfig> {
        thread_local! {
            static CONFIG: OnceCell<Result<Rc<Config>, InvalidConfig>> = const { OnceCell::new() };
        }
        CONFIG.with(|cell| {
            cell.get_or_init(|| {
                let look_up = |name: &str| self.env.var(name).ok().map(|value| value.to_string());
                Config::read(&look_up).map(Rc::new)
            })
            .clone()
        })
    }
}

impl Entropy for World {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(clippy::panic, reason = "the runtime always has randomness; without it no key may be made")]
        if getrandom::fill(bytes).is_err() {
            panic!("the runtime has no randomness");
        }
    }
}

impl Rooms for World {
    async fn room(&self, call: &CallId, request: RoomRequest) -> Result<RoomResponse, Unavailable> {
        objects::ask(&self.env, "CALL_ROOM", call.as_str(), &request).await
    }
}

impl Switchboards for World {
    async fn switchboard(&self, request: SwitchboardRequest) -> Result<SwitchboardResponse, Unavailable> {
        objects::ask(&self.env, "SWITCHBOARD", request.object(), &request).await
    }
}

impl Database for World {
    async fn run(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseFault> {
        database::run(&self.env, statements).await
    }
}

impl TwilioRest for World {
    async fn send(&self, request: Outgoing) -> Result<Incoming, NoAnswer> {
        outbound::send(request).await
    }
}

impl Journal for World {
    fn record(&self, record: Record) {
        let level = match record.level {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let line = json!({
            "level": level,
            "message": record.message,
            "call": record.call.as_ref().map(CallId::as_str),
            "detail": record.detail,
        });
        match record.level {
            Level::Info => console_log!("{line}"),
            Level::Warn => console_warn!("{line}"),
            Level::Error => console_error!("{line}"),
        }
    }
}
