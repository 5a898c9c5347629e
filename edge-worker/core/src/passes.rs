//! What a watcher came in with, for as long as it watches: a session or an API key. Whether that still lives is asked again
//! on a grid of time, so that signing out, or deleting a key, ends every socket and event stream opened with it. Which
//! sockets carry which pass, and closing them, is the shell's matter.

use crate::handlers::{SESSION_ABSOLUTE_MS, SESSION_IDLE_MS, SESSION_TOUCH_MS};
use crate::ports::{Database, DatabaseFault, Statement};
use serde::{Deserialize, Serialize};
use shared::time::UnixMillis;
use std::collections::BTreeSet;

/// Between two looks at the passes of an object's watchers.
pub const EVERY_MS: i64 = 10_000;
/// Passes asked about in one batch.
const BATCH: usize = 50;

const SESSION_ALIVE: &str = "SELECT tag FROM sessions WHERE tag = ?1 AND created_at > ?2 AND seen_at > ?3";
/// Watching counts as using the session; noted to the same precision as requests are.
const TOUCH_SESSION: &str =
    "UPDATE sessions SET seen_at = ?4 WHERE tag = ?1 AND created_at > ?2 AND seen_at > ?3 AND seen_at <= ?5";
const KEY_ALIVE: &str = "SELECT id FROM keys WHERE id = ?1";

/// Who opened a socket. Its text is no secret: it names the session or key and opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "by", content = "name", rename_all = "snake_case")]
pub enum Pass {
    /// A signed-in person, by the session's public name.
    Session(String),
    /// A program, by the API key's name.
    Key(String),
}

impl Pass {
    /// The pass as a socket's tag.
    pub fn tag(&self) -> String {
        match self {
            Self::Session(name) => format!("session:{name}"),
            Self::Key(id) => format!("key:{id}"),
        }
    }

    /// Reads [`Pass::tag`].
    pub fn read(tag: &str) -> Option<Self> {
        match tag.split_once(':')? {
            ("session", name) => Some(Self::Session(name.to_owned())),
            ("key", id) => Some(Self::Key(id.to_owned())),
            _ => None,
        }
    }
}

/// When an object with watchers looks at their passes next. On a grid, so that the alarm is not moved with every event.
pub fn next_look(now: UnixMillis) -> UnixMillis {
    UnixMillis((now.0.div_euclid(EVERY_MS) + 1) * EVERY_MS)
}

/// Whether a look is due: none was made yet, or a point of the grid has passed since.
pub fn is_due(last: Option<UnixMillis>, now: UnixMillis) -> bool {
    last.is_none_or(|last| now >= next_look(last))
}

/// Which of these no longer let anybody in. The sessions that live count as used now. When the database is away nobody is
/// sent off: the next look asks again.
pub async fn ended(
    database: &impl Database,
    now: UnixMillis,
    passes: BTreeSet<Pass>,
) -> Result<Vec<Pass>, DatabaseFault> {
    let mut ended = Vec::new();
    let passes: Vec<Pass> = passes.into_iter().collect();
    for some in passes.chunks(BATCH) {
        let asked = some.iter().map(|pass| alive(pass, now)).collect();
        let answers = database.run(asked).await?;
        let (gone, here): (Vec<_>, Vec<_>) = some.iter().zip(answers).partition(|(_, rows)| rows.is_empty());
        ended.extend(gone.into_iter().map(|(pass, _)| pass.clone()));
        let touches: Vec<Statement> = here.into_iter().filter_map(|(pass, _)| touch(pass, now)).collect();
        if !touches.is_empty() {
            // Only the idle limit suffers when this is lost.
            let _ = database.run(touches).await;
        }
    }
    Ok(ended)
}

fn alive(pass: &Pass, now: UnixMillis) -> Statement {
    match pass {
        Pass::Session(name) => {
            let (created, seen) = (now.plus(-SESSION_ABSOLUTE_MS).0, now.plus(-SESSION_IDLE_MS).0);
            let values = vec![name.as_str().into(), created.into(), seen.into()];
            Statement { sql: SESSION_ALIVE, values }
        }
        Pass::Key(id) => Statement { sql: KEY_ALIVE, values: vec![id.as_str().into()] },
    }
}

fn touch(pass: &Pass, now: UnixMillis) -> Option<Statement> {
    let Pass::Session(name) = pass else { return None };
    let (created, seen) = (now.plus(-SESSION_ABSOLUTE_MS).0, now.plus(-SESSION_IDLE_MS).0);
    let values =
        vec![name.as_str().into(), created.into(), seen.into(), now.0.into(), now.plus(-SESSION_TOUCH_MS).0.into()];
    Some(Statement { sql: TOUCH_SESSION, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_survives_being_a_tag() {
        for pass in [Pass::Session("a1".into()), Pass::Key("key7".into())] {
            assert_eq!(Pass::read(&pass.tag()), Some(pass));
        }
        for tag in ["", "watcher", "person:a"] {
            assert_eq!(Pass::read(tag), None, "{tag}");
        }
    }

    #[test]
    fn a_look_is_due_once_at_each_point_of_the_grid() {
        let now = UnixMillis(31_000);
        assert_eq!(next_look(now), UnixMillis(40_000));
        assert_eq!(next_look(UnixMillis(40_000)), UnixMillis(50_000));
        assert!(is_due(None, now));
        assert!(!is_due(Some(now), UnixMillis(39_999)));
        assert!(is_due(Some(now), UnixMillis(40_000)));
        assert!(!is_due(Some(UnixMillis(40_000)), UnixMillis(40_001)));
    }
}
