//! What the house looks like: the rooms that must exist, names that say nothing, files without an opening paragraph, files
//! that are too long without saying why.

use regex::Regex;

use super::Violation;
use super::tree::{File, Tree};

/// Files and folders that the architecture names. A folder is there when a file is below it.
const ROOMS: [&str; 38] = [
    ".cargo/config.toml",
    ".ci/run",
    ".github/workflows",
    "Cargo.lock",
    "README.md",
    "deny.toml",
    "fly.toml",
    "package.json",
    "package-lock.json",
    "rustfmt.toml",
    "wrangler.toml",
    "docs/ARCHITECTURE.md",
    "docs/OPERATIONS.md",
    "shared/src/ids.rs",
    "shared/src/time.rs",
    "shared/src/call.rs",
    "shared/src/ticket.rs",
    "shared/src/agent.rs",
    "shared/src/node_api.rs",
    "shared/src/console_api.rs",
    "shared/src/twilio",
    "media-node/Dockerfile",
    "media-node/session/src/session",
    "media-node/session/src/provider",
    "media-node/session/src/audio",
    "media-node/src/driver.rs",
    "edge-worker/core/src/ports.rs",
    "edge-worker/core/src/handlers",
    "edge-worker/core/src/call_room.rs",
    "edge-worker/core/src/switchboard.rs",
    "edge-worker/e2e",
    "edge-worker/migrations",
    "edge-worker/src",
    "simulator/src/provider",
    "simulator/scenarios",
    "console/src/api/types.gen.ts",
    "console/src/features",
    "xtask/src",
];

/// Folder and module names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["common", "utils", "util", "helpers", "helper", "types", "scripts", "misc"];
/// Longest file that need not explain itself, lines.
const LONG: usize = 500;
/// The same for tests, which are read one at a time.
const LONG_TESTS: usize = 800;
/// How a longer one explains itself in its opening paragraph.
const EXCUSE: &str = "one thing because";
/// Endings of hand-written source.
const SOURCE: [&str; 7] = [".rs", ".ts", ".tsx", ".mjs", ".js", ".py", ".css"];

/// Missing rooms, empty names, and files that do not introduce themselves.
pub(crate) fn violations(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for room in ROOMS {
        if tree.file(room).is_none() && !tree.files.iter().any(|file| file.below(room)) {
            found.push(Violation::of(room, "is named in the architecture and is not there"));
        }
    }
    let unfinished = Regex::new(r"\b(todo!|unimplemented!|TODO|FIXME|XXX)").expect("a pattern of ours");
    for file in &tree.files {
        found.extend(empty_names(file));
        let is_generated = file.path.contains(".gen.");
        if !file.is(&SOURCE) || is_generated {
            continue;
        }
        let opening = opening(file);
        // Tests beside the code are introduced by it.
        let is_test = file.is(&["/tests.rs"]) || file.path.contains("/tests/");
        if file.is(&[".rs"]) && !is_test && !opening.contains("//!") {
            found.push(Violation::at(&file.path, 1, "does not open with a paragraph that says what lives here"));
        }
        let length = file.lines().count();
        if length > if is_test { LONG_TESTS } else { LONG } && !opening.contains(EXCUSE) {
            let what = format!("has {length} lines: split it, or say in its opening that it is \"{EXCUSE} …\"");
            found.push(Violation::of(&file.path, what));
        }
        // This file names them.
        for (number, line) in file.lines().filter(|_| !file.path.ends_with("tidy/layout.rs")) {
            if let Some(word) = unfinished.find(line) {
                found.push(Violation::at(&file.path, number, format!("{}: finish it or take it out", word.as_str())));
            }
        }
    }
    found
}

/// The comment that a file begins with.
fn opening(file: &File) -> String {
    let comments = file.lines().map(|(_, line)| line.trim()).take_while(|line| {
        line.is_empty() || ["//", "/*", "*", "#", "\"\"\""].iter().any(|start| line.starts_with(start))
    });
    comments.collect::<Vec<_>>().join(" ")
}

fn empty_names(file: &File) -> Vec<Violation> {
    let mut parts: Vec<&str> = file.path.split('/').collect();
    if let Some(name) = parts.pop() {
        parts.extend(name.strip_suffix(".rs"));
    }
    let is_empty = |part: &&str| EMPTY_NAMES.contains(part);
    // The verb that generates TypeScript is about types.
    parts.retain(|_| file.path != "xtask/src/types.rs");
    parts
        .iter()
        .copied()
        .filter(is_empty)
        .map(|part| Violation::of(&file.path, format!("{part} says nothing about what is inside")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LONG, ROOMS, violations};
    use crate::tidy::tree::Tree;

    fn tree(planted: &[(&str, &str)]) -> Tree {
        let rooms = ROOMS.iter().map(|room| (*room, "//! Here.\n"));
        Tree::with(&rooms.chain(planted.iter().copied()).collect::<Vec<_>>())
    }

    fn found(planted: &[(&str, &str)]) -> Vec<String> {
        violations(&tree(planted)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_complete_house_passes() {
        assert_eq!(found(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_missing_room_is_found() {
        let mut tree = tree(&[]);
        tree.files.retain(|file| file.path != "deny.toml");
        assert_eq!(violations(&tree).len(), 1);
    }

    #[test]
    fn names_that_say_nothing_are_found_as_folder_and_as_module() {
        assert_eq!(found(&[("shared/src/utils/time.rs", "//! Time.\n")]).len(), 1);
        assert_eq!(found(&[("shared/src/helpers.rs", "//! Help.\n")]).len(), 1);
        assert_eq!(found(&[("shared/src/utility_pole.rs", "//! A pole.\n")]).len(), 0);
    }

    #[test]
    fn a_module_introduces_itself() {
        assert_eq!(found(&[("shared/src/a.rs", "use std::fmt;\n//! Late.\n")]).len(), 1);
        assert_eq!(found(&[("shared/src/a.rs", "// A word first.\n//! In time.\n")]).len(), 0);
        assert_eq!(found(&[("shared/src/a/tests.rs", "use super::A;\n")]).len(), 0);
    }

    #[test]
    fn a_long_file_says_why() {
        let body = "let x = 1;\n".repeat(LONG);
        assert_eq!(found(&[("shared/src/a.rs", &format!("//! A machine.\n{body}"))]).len(), 1);
        assert_eq!(
            found(&[("shared/src/a.rs", &format!("//! A table: one thing because it is read whole.\n{body}"))]).len(),
            0
        );
        assert_eq!(found(&[("console/src/a.gen.ts", &body)]).len(), 0);
        assert_eq!(found(&[("shared/src/a/tests.rs", &format!("//! Tests.\n{body}"))]).len(), 0);
        assert_eq!(found(&[("shared/src/a/tests.rs", &body.repeat(2))]).len(), 1);
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(found(&[("shared/src/a.rs", "//! A.\nfn f() { todo!() }\n")]).len(), 1);
        assert_eq!(found(&[("console/src/a.ts", "// TODO later\n")]).len(), 1);
    }
}
