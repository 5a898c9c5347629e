//! The runtime's clock. It is read once per request or event and the moment handed on.

use shared::time::UnixMillis;
use worker::Date;

/// Now. In production the clock stands still between I/O, so it measures no CPU time.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX))
}
