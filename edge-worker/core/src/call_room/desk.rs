//! What a room knows: the view that its facts add up to, and the desk beside it.

use serde::{Deserialize, Serialize};

/// What the facts of a call add up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CallView {}

/// Everything that a room keeps beside its facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {}
