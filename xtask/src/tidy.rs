//! `cargo xtask tidy`: the rules of the house that no compiler checks. Each rule is a function from the tree, or from what
//! cargo says of the workspace, to the violations it found; all of them are printed before anything fails.

mod layers;
mod layout;
mod purity;
mod secrets;
mod tree;
mod words;

use std::fmt;

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::progress::say;
use crate::tidy::tree::Tree;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file, from the root.
    path: String,
    /// The line, from 1; none when it is the whole file's or the workspace's matter.
    line: Option<usize>,
    /// What is wrong and what to do.
    what: String,
}

impl Violation {
    fn of(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into() }
    }

    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.path, self.what),
            None => write!(out, "{}: {}", self.path, self.what),
        }
    }
}

/// Checks every rule.
pub(crate) fn check(checkout: &Checkout) -> Result<()> {
    let tree = Tree::of(checkout)?;
    let workspace = layers::Workspace::of(checkout)?;
    let mut violations = layers::violations(&workspace);
    violations.extend(layout::violations(&tree));
    violations.extend(purity::violations(&tree));
    violations.extend(secrets::violations(&tree));
    violations.extend(words::violations(&tree));
    violations.sort();
    if violations.is_empty() {
        return Ok(());
    }
    for violation in &violations {
        say(&format!("  {violation}"));
    }
    bail!("the tree is not tidy: {} places", violations.len());
}

/// The crates that do no I/O, ask no clock and draw no random numbers: package and folder.
const PURE: [(&str, &str); 3] = [
    ("trunkline-shared", "shared"),
    ("trunkline-session", "media-node/session"),
    ("trunkline-edge-core", "edge-worker/core"),
];
