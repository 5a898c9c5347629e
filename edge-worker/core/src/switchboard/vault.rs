//! Passwords: Argon2id hashes, and the attempts that are allowed to reach them. Runs in an object of its own, so that the
//! time a hash takes delays no call. Accounts and their hashes are stored in D1 by the handlers.

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

/// Attempts that a bucket holds, and how often one more is allowed.
const ATTEMPTS: u32 = 10;
const REFILL_MS: i64 = 6_000;
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

/// How many attempts each account and address has left.
#[derive(Debug, Default)]
pub struct Attempts {
    /// When each bucket will be full again.
    full_at: BTreeMap<String, UnixMillis>,
}

impl Attempts {
    /// Counts an attempt in all of the buckets, or in none of them: then the seconds until it may be made.
    pub fn count(&mut self, buckets: &[String], now: UnixMillis) -> Result<(), u32> {
        self.full_at.retain(|_, at| *at > now);
        let room = i64::from(ATTEMPTS - 1) * REFILL_MS;
        let wait = buckets
            .iter()
            .map(|b| self.full_at.get(b).map_or(0, |at| at.since(now) - room))
            .max()
            .unwrap_or_default()
            .max(if self.full_at.len() + buckets.len() > MOST_BUCKETS { REFILL_MS } else { 0 });
        if wait > 0 {
            return Err(u32::try_from(wait.div_euclid(1000) + 1).unwrap_or(u32::MAX));
        }
        for bucket in buckets {
            let at = self.full_at.entry(bucket.clone()).or_insert(now);
            *at = at.plus(REFILL_MS);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn ten_attempts_then_one_every_six_seconds() {
        let mut attempts = Attempts::default();
        let buckets = ["account:a".to_owned(), "ip:1".to_owned()];
        let now = UnixMillis(0);
        for _ in 0..10 {
            assert_eq!(attempts.count(&buckets, now), Ok(()));
        }
        assert_eq!(attempts.count(&buckets, now), Err(7));
        assert_eq!(attempts.count(&["account:b".to_owned(), "ip:1".to_owned()], now), Err(7), "the address counts too");
        assert_eq!(attempts.count(&["account:b".to_owned()], now), Ok(()));
        assert_eq!(attempts.count(&buckets, now.plus(6_000)), Ok(()));
        assert!(attempts.count(&buckets, now.plus(6_001)).is_err());
        assert_eq!(attempts.count(&buckets, now.plus(200_000)), Ok(()));
    }
}
