//! SQLite in memory behind both SQL ports. Numbers are bound as floats, as D1 and an object's storage bind JavaScript's.

use crate::ports::{DatabaseFault, Row, Sql, SqlFault, SqlValue, Statement};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value as Json};

/// One database.
#[derive(Debug)]
pub struct Sqlite(Connection);

impl Sqlite {
    /// An empty one.
    pub fn open() -> Option<Self> {
        Connection::open_in_memory().ok().map(Self)
    }

    /// Runs a script of several statements.
    pub fn script(&self, sql: &str) -> rusqlite::Result<()> {
        self.0.execute_batch(sql)
    }

    /// Runs statements as one transaction.
    pub fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseFault> {
        self.script("BEGIN").map_err(|_| DatabaseFault::Unavailable)?;
        let run = |s: Statement| self.query(s.sql, s.values);
        let results: rusqlite::Result<Vec<Vec<Row>>> = statements.into_iter().map(run).collect();
        let end = if results.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.script(end).map_err(|_| DatabaseFault::Unavailable)?;
        results.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => DatabaseFault::Constraint,
            Some(_) | None => DatabaseFault::Unavailable,
        })
    }

    fn query(&self, sql: &str, values: Vec<SqlValue>) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let values = values.into_iter().map(|value| match value {
            SqlValue::Null => Value::Null,
            SqlValue::Integer(number) => Value::Real(number as f64),
            SqlValue::Text(text) => Value::Text(text),
        });
        let mut rows = statement.query(params_from_iter(values))?;
        let mut result = Vec::new();
        while let Some(row) = rows.next()? {
            let mut map = Map::new();
            for (index, name) in names.iter().enumerate() {
                let value = match row.get_ref(index)? {
                    ValueRef::Null => Json::Null,
                    ValueRef::Integer(number) => Json::from(number),
                    ValueRef::Real(number) => Json::from(number),
                    ValueRef::Text(text) => Json::String(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(_) => Json::Null,
                };
                map.insert(name.clone(), value);
            }
            result.push(Row(map));
        }
        Ok(result)
    }
}

impl Sql for Sqlite {
    fn exec(&self, sql: &'static str, values: Vec<SqlValue>) -> Result<Vec<Row>, SqlFault> {
        self.query(sql, values).map_err(|_| SqlFault)
    }
}
