//! The SQLite of a Durable Object behind the core's port, and one event's statements as one transaction. The schema and
//! every statement are the core's.

use edge_core::ports::{Row, Sql, SqlFault, SqlValue};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use worker::js_sys::{Function, Reflect};
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::{SqlStorage, SqlStorageValue, State, console_error};

/// One object's storage.
pub(crate) struct ObjectSql(SqlStorage);

impl ObjectSql {
    pub(crate) fn new(state: &State) -> Self {
        Self(state.storage().sql())
    }
}

impl Sql for ObjectSql {
    fn exec(&self, sql: &'static str, values: Vec<SqlValue>) -> Result<Vec<Row>, SqlFault> {
        let values: Vec<SqlStorageValue> = values.into_iter().map(to_storage).collect();
        let cursor = self.0.exec(sql, values).map_err(|error| refused(sql, &error))?;
        // Never `one()`: without a row it throws where nothing can catch it, and the request hangs.
        let rows = cursor.to_array::<Map<String, Value>>().map_err(|error| refused(sql, &error))?;
        Ok(rows.into_iter().map(Row).collect())
    }
}

fn to_storage(value: SqlValue) -> SqlStorageValue {
    match value {
        SqlValue::Null => SqlStorageValue::Null,
        // JavaScript's numbers are floats: a whole one below 2^53 is stored as an integer.
        SqlValue::Integer(number) => SqlStorageValue::Integer(number),
        SqlValue::Text(text) => SqlStorageValue::String(text),
    }
}

/// The statement is static text and may be logged; SQLite's message names columns, never values.
fn refused(sql: &'static str, error: &worker::Error) -> SqlFault {
    let line = json!({ "level": "error", "message": "a statement failed", "sql": sql, "detail": error.to_string() });
    console_error!("{line}");
    SqlFault
}

/// Runs `work` in one transaction: when it fails, none of its writes remain. (Without one, the writes of an event commit
/// together too, but also those before a statement that failed.)
pub(crate) fn atomically<T: 'static, E: From<SqlFault> + 'static>(
    state: &State,
    work: impl FnOnce() -> Result<T, E> + 'static,
) -> Result<T, E> {
    let storage = state.storage();
    let transaction = Reflect::get(storage.as_raw(), &JsValue::from_str("transactionSync"));
    let Some(transaction) = transaction.ok().and_then(|found| found.dyn_into::<Function>().ok()) else {
        return Err(SqlFault.into());
    };
    let outcome = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&outcome);
    let body = Closure::once(move || {
        let result = work();
        let kept = if result.is_ok() { Ok(JsValue::NULL) } else { Err(JsValue::from_str("rolled back")) };
        *slot.borrow_mut() = Some(result);
        kept
    });
    let called = transaction.call1(storage.as_raw(), body.as_ref());
    let result = outcome.borrow_mut().take().unwrap_or_else(|| Err(SqlFault.into()));
    match (called, result) {
        // The work was done, but the transaction could not be committed.
        (Err(_), Ok(_)) => Err(SqlFault.into()),
        (Ok(_) | Err(_), result) => result,
    }
}
