//! An object's one alarm: set only when the wanted moment has changed, because each setting is a write.

use shared::time::UnixMillis;
use std::cell::Cell;
use worker::js_sys::Date;
use worker::wasm_bindgen::JsValue;
use worker::{Result, ScheduledTime, State};

/// What this instance knows about the alarm that is set.
#[derive(Default)]
pub(crate) struct Alarm {
    /// None: nothing is known (a new instance). Some: set for that moment, or not set.
    known: Cell<Option<Option<UnixMillis>>>,
}

impl Alarm {
    /// The alarm rang, so none is set any more.
    pub(crate) fn rang(&self) {
        self.known.set(Some(None));
    }

    /// Sets it, or deletes it. The call itself stands in the same turn as the writes before it and commits with them.
    pub(crate) async fn set(&self, state: &State, at: Option<UnixMillis>) -> Result<()> {
        if self.known.get() == Some(at) {
            return Ok(());
        }
        self.known.set(Some(at));
        let outcome = match at {
            Some(at) => {
                let date = Date::new(&JsValue::from_f64(at.0 as f64));
                state.storage().set_alarm(ScheduledTime::new(date)).await
            }
            None => state.storage().delete_alarm().await,
        };
        if outcome.is_err() {
            self.known.set(None);
        }
        outcome
    }
}
