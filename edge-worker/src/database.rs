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

#[cfg(test)]
mod tests {
    use super::{DatabaseFault, fault};

    #[test]
    fn d1s_words_are_told_apart() {
        for (text, expected) in [
            ("D1_ERROR: UNIQUE constraint failed: users.email: SQLITE_CONSTRAINT", DatabaseFault::Constraint),
            ("D1_ERROR: NOT NULL constraint failed: keys.name", DatabaseFault::Constraint),
            ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", DatabaseFault::Overloaded),
            ("D1_ERROR: D1 DB is overloaded. Too many requests queued.", DatabaseFault::Overloaded),
            ("D1_ERROR: D1 DB exceeded its memory limit and was reset.", DatabaseFault::Unavailable),
            ("D1_ERROR: D1 DB exceeded its CPU time limit and was reset.", DatabaseFault::Unavailable),
            ("D1_ERROR: Network connection lost.", DatabaseFault::Unavailable),
            ("D1_ERROR: D1 DB reset because its code was updated.", DatabaseFault::Unavailable),
            (
                "D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.",
                DatabaseFault::Unavailable,
            ),
            ("D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.", DatabaseFault::Unavailable),
            ("D1_ERROR: no such table: calls: SQLITE_ERROR", DatabaseFault::Unavailable),
            ("", DatabaseFault::Unavailable),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
    }
}
