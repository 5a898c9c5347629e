//! Passwords: Argon2id hashes, and the attempts that are allowed to reach them. Runs in an object of its own, so that the
//! time a hash takes delays no call. The attempts are stored, because the object's memory does not outlast a pause of
//! seconds. Accounts and their hashes are stored in D1 by the handlers.

use crate::ports::{Sql, SqlFault};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use shared::secret::constant_time_eq;
use shared::time::UnixMillis;
use std::collections::BTreeMap;

/// Memory of a hash, KiB (the OWASP minimum for two passes: 19 MiB, far below an object's 128 MB). With the passes and lanes
/// below a sign-in costs 31 to 38 ms of CPU in the released module (`cargo xtask bench worker`, two shared cores).
pub const MEMORY_KIB: u32 = 19_456;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes; an object has one thread.
pub const LANES: u32 = 1;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// The bucket of every attempt at once: hashing must leave the machine room for calls, from however many addresses the
/// attempts come.
pub const DEPLOYMENT: &str = "deployment";
/// Most buckets remembered; when there are more, every new one is refused until old ones have filled up.
const MOST_BUCKETS: usize = 50_000;

/// The PHC string of a password: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. None only if the parameters above were
/// impossible.
pub fn hash(password: &str, salt: &[u8; 16]) -> Option<String> {
    let hash = derive(password, salt, MEMORY_KIB, PASSES, LANES)?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Some(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
}

/// Whether the password belongs to the PHC string. Without one, or with one that cannot be read, the time of a hash is spent
/// all the same, so that nobody learns which accounts exist.
pub fn matches(password: &str, phc: Option<&str>) -> bool {
    match phc.and_then(read) {
        Some(stored) => derive(password, &stored.salt, stored.memory, stored.passes, stored.lanes)
            .is_some_and(|hash| constant_time_eq(&hash, &stored.hash)),
        None => {
            let spent = derive(password, &[0; 16], MEMORY_KIB, PASSES, LANES);
            // The comparison keeps the work from being left out.
            spent.is_some_and(|hash| hash.is_empty())
        }
    }
}

struct Stored {
    salt: Vec<u8>,
    hash: Vec<u8>,
    memory: u32,
    passes: u32,
    lanes: u32,
}

fn read(phc: &str) -> Option<Stored> {
    let mut parts = phc.strip_prefix("$argon2id$v=19$")?.split('$');
    let (parameters, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers =
        parameters.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name)?.parse().ok());
    let (memory, passes, lanes) = (numbers.next()??, numbers.next()??, numbers.next()??);
    // What this object can afford, whatever stands in the database.
    if parts.next().is_some() || memory > 4 * MEMORY_KIB || passes > 8 || lanes > 4 {
        return None;
    }
    Some(Stored {
        salt: STANDARD_NO_PAD.decode(salt).ok()?,
        hash: STANDARD_NO_PAD.decode(hash).ok()?,
        memory,
        passes,
        lanes,
    })
}

fn derive(password: &str, salt: &[u8], memory: u32, passes: u32, lanes: u32) -> Option<Vec<u8>> {
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).ok()?;
    let mut out = vec![0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut out)
        .ok()?;
    Some(out)
}

/// The table of attempts; idempotent.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS attempts (bucket TEXT PRIMARY KEY, full_at INTEGER NOT NULL)";
const ALL_ATTEMPTS: &str = "SELECT bucket, full_at FROM attempts LIMIT 50000";
const PUT_ATTEMPT: &str = "INSERT INTO attempts (bucket, full_at) VALUES (?1, ?2) \
    ON CONFLICT (bucket) DO UPDATE SET full_at = excluded.full_at";
const FORGET_ATTEMPTS: &str = "DELETE FROM attempts WHERE full_at <= ?1";

/// What a bucket holds, and how often one more attempt is allowed.
struct Limit {
    attempts: i64,
    refill_ms: i64,
}

fn limit(bucket: &str) -> Limit {
    if bucket == DEPLOYMENT {
        // A hash takes up to 38 ms: three a second leave nine tenths of the time.
        return Limit { attempts: 5, refill_ms: 333 };
    }
    match bucket.split_once(':') {
        // Several people may sit behind one address.
        Some(("network", _)) => Limit { attempts: 20, refill_ms: 3_000 },
        Some(_) | None => Limit { attempts: 10, refill_ms: 6_000 },
    }
}

/// How many attempts each account, network and the whole deployment have left.
#[derive(Debug, Default)]
pub struct Attempts {
    /// When each bucket will be full again.
    full_at: BTreeMap<String, UnixMillis>,
}

impl Attempts {
    /// Takes back what was stored.
    pub fn load(sql: &impl Sql, now: UnixMillis) -> Result<Self, SqlFault> {
        sql.exec(SCHEMA, Vec::new())?;
        let mut full_at = BTreeMap::new();
        for row in sql.exec(ALL_ATTEMPTS, Vec::new())? {
            if let (Some(bucket), Some(at)) = (row.text("bucket"), row.integer("full_at").map(UnixMillis))
                && at > now
            {
                full_at.insert(bucket.to_owned(), at);
            }
        }
        Ok(Self { full_at })
    }

    /// Counts an attempt in all of the buckets, or in none of them: then the seconds until it may be made.
    pub fn count(
        &mut self,
        sql: &impl Sql,
        buckets: &[String],
        now: UnixMillis,
    ) -> Result<std::result::Result<(), u32>, SqlFault> {
        self.full_at.retain(|_, at| *at > now);
        let wait = |bucket: &String| {
            let Limit { attempts, refill_ms } = limit(bucket);
            self.full_at.get(bucket).map_or(0, |at| at.since(now) - (attempts - 1) * refill_ms)
        };
        let full = self.full_at.len() + buckets.len() > MOST_BUCKETS;
        let wait = buckets.iter().map(wait).max().unwrap_or_default().max(if full { 1_000 } else { 0 });
        if wait > 0 {
            return Ok(Err(u32::try_from(wait.div_euclid(1000) + 1).unwrap_or(u32::MAX)));
        }
        sql.exec(FORGET_ATTEMPTS, vec![now.0.into()])?;
        for bucket in buckets {
            let at = self.full_at.entry(bucket.clone()).or_insert(now);
            *at = at.plus(limit(bucket).refill_ms);
            sql.exec(PUT_ATTEMPT, vec![bucket.as_str().into(), at.0.into()])?;
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::sqlite::Sqlite;

    #[test]
    fn a_hash_is_of_its_password_only() {
        let phc = hash("correct horse battery", &[7; 16]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(matches("correct horse battery", Some(&phc)));
        assert!(!matches("correct horse batterz", Some(&phc)));
        assert!(!matches("correct horse battery", None));
        assert_ne!(phc, hash("correct horse battery", &[8; 16]).unwrap(), "the salt counts");
    }

    #[test]
    fn strange_hashes_match_nothing() {
        for phc in [
            "",
            "$argon2id$v=19$",
            "$argon2id$v=19$m=999999999,t=2,p=1$AAAA$AAAA",
            "$2b$12$abc",
            "$argon2id$v=19$m=8,t=1,p=1$AAAA$",
        ] {
            assert!(!matches("x", Some(phc)), "{phc}");
        }
    }

    #[test]
    fn ten_attempts_at_an_account_then_one_every_six_seconds() {
        let sql = Sqlite::open().unwrap();
        let now = UnixMillis(0);
        let mut attempts = Attempts::load(&sql, now).unwrap();
        let mut count = |buckets: &[&str], at: i64, forget: bool| {
            let now = now.plus(at);
            if forget {
                attempts = Attempts::load(&sql, now).unwrap();
            }
            let buckets: Vec<String> = buckets.iter().map(|b| (*b).to_owned()).collect();
            attempts.count(&sql, &buckets, now).unwrap()
        };
        let both = ["account:a@1", "network:1"];
        for n in 0..10 {
            assert_eq!(count(&both, 0, n % 2 == 0), Ok(()));
        }
        assert_eq!(count(&both, 0, true), Err(7), "stored, not only remembered");
        for _ in 0..10 {
            assert_eq!(count(&["account:b@1", "network:1"], 0, false), Ok(()));
        }
        assert_eq!(count(&["account:c@1", "network:1"], 0, false), Err(4), "the network counts too");
        assert_eq!(count(&["account:a@2", "network:2"], 0, false), Ok(()), "another network is another matter");
        assert_eq!(count(&both, 6_000, false), Ok(()));
        assert!(count(&both, 6_001, true).is_err());
        assert_eq!(count(&both, 200_000, false), Ok(()));
    }

    #[test]
    fn the_whole_deployment_hashes_three_times_a_second() {
        let sql = Sqlite::open().unwrap();
        let mut attempts = Attempts::load(&sql, UnixMillis(0)).unwrap();
        let mut made = 0;
        for n in 0..1_000 {
            let buckets = [format!("network:{n}"), DEPLOYMENT.to_owned()];
            made += u32::from(attempts.count(&sql, &buckets, UnixMillis(n * 10)).unwrap().is_ok());
        }
        assert!((30..=36).contains(&made), "{made} in ten seconds");
    }
}
