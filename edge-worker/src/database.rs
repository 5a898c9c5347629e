//! The D1 database behind the core's port. Which statements are run and why is the core's.

use crate::patience::{self, within};
use edge_core::ports::{DatabaseFault, Row, SqlValue, Statement};
use serde_json::{Map, Value};
use wasm_bindgen::JsValue;
use worker::{D1Database, Env};

/// Runs the statements as one atomic batch.
pub(crate) async fn run(env: &Env, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseFault> {
    let database = env.d1("DB").map_err(|_| DatabaseFault::Unavailable)?;
    match within(patience::DATABASE, batch(&database, statements)).await {
        Some(result) => result.map_err(|error| fault(&error.to_string())),
        None => Err(DatabaseFault::Unavailable),
    }
}

async fn batch(database: &D1Database, statements: Vec<Statement>) -> worker::Result<Vec<Vec<Row>>> {
    let prepared = statements
        .into_iter()
        .map(|statement| {
            let values: Vec<JsValue> = statement.values.into_iter().map(to_js).collect();
            database.prepare(statement.sql).bind(&values)
        })
        .collect::<worker::Result<Vec<_>>>()?;
    let results = database.batch(prepared).await?;
    results.iter().map(|result| Ok(result.results::<Map<String, Value>>()?.into_iter().map(Row).collect())).collect()
}

/// D1 has no 64-bit integers: a number goes as a float, and the column's affinity makes it an integer again.
fn to_js(value: SqlValue) -> JsValue {
    match value {
        SqlValue::Null => JsValue::NULL,
        SqlValue::Integer(number) => JsValue::from_f64(number as f64),
        SqlValue::Text(text) => JsValue::from_str(&text),
    }
}

/// D1 says what went wrong in the text alone; the text itself may quote values, so only its kind is kept.
fn fault(message: &str) -> DatabaseFault {
    if message.contains("constraint failed") {
        DatabaseFault::Constraint
    } else if ["overloaded", "Too many requests", "too many requests"].iter().any(|sign| message.contains(sign)) {
        DatabaseFault::Overloaded
    } else {
        DatabaseFault::Unavailable
    }
}
