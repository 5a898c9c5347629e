//! The pure crates in their source: no clock, no randomness, no I/O by name, and a clippy.toml that keeps it so. The
//! lint and this scan overlap on purpose: a lint can be silenced beside the code.

use regex::Regex;

use super::tree::{Tree, code};
use super::{PURE, Violation};

/// What a pure crate never names in its source.
const NAMES: &str = r"\b(SystemTime::now|Instant::now|std::net::(?:\{[^}]*)?(?:Tcp|Udp|ToSocketAddrs)|std::(?:fs|env|process|thread)\b|tokio::|rand::|getrandom::|reqwest::|axum::|worker::|thread_rng|Utc::now|Timestamp::now|Zoned::now)";
/// Calls that the clippy.toml of these crates must ban.
const BANNED: [&str; 2] = ["std::time::SystemTime::now", "std::time::Instant::now"];

/// Impure names in pure crates, and missing bans.
pub(crate) fn violations(tree: &Tree) -> Vec<Violation> {
    let names = Regex::new(NAMES).expect("a pattern of ours");
    let mut found = Vec::new();
    for (_, folder) in PURE {
        let sources = format!("{folder}/src");
        for file in tree.files.iter().filter(|file| file.below(&sources) && file.is(&[".rs"])) {
            for (number, line) in file.lines() {
                if let Some(name) = names.find(code(line)) {
                    let what = format!("{} in a pure crate: pass it in as an argument", name.as_str());
                    found.push(Violation::at(&file.path, number, what));
                }
            }
        }
    }
    // The Worker's shell is not pure, but there these two compile and then panic.
    for folder in PURE.iter().map(|(_, folder)| *folder).chain(["edge-worker"]) {
        let path = format!("{folder}/clippy.toml");
        let text = tree.file(&path).and_then(|file| file.text.as_deref()).unwrap_or_default();
        for banned in BANNED.iter().filter(|banned| !text.contains(**banned)) {
            found.push(Violation::of(&path, format!("does not ban {banned}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{BANNED, violations};
    use crate::tidy::tree::Tree;

    fn tree(source: &str) -> Tree {
        let bans = BANNED.join(" ");
        Tree::with(&[
            ("media-node/session/src/turns.rs", source),
            ("media-node/src/driver.rs", "let now = Instant::now();"),
            ("shared/clippy.toml", &bans),
            ("media-node/session/clippy.toml", &bans),
            ("edge-worker/core/clippy.toml", &bans),
            ("edge-worker/clippy.toml", &bans),
        ])
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found_with_its_line() {
        let found = violations(&tree("//! Turns.\nlet now = std::time::Instant::now();\n"));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("media-node/session/src/turns.rs:2: Instant::now"), "{}", found[0]);
    }

    #[test]
    fn io_and_randomness_are_found() {
        for line in [
            "use std::net::{IpAddr, TcpStream};",
            "use std::fs;",
            "rand::random()",
            "tokio::spawn(x)",
            "Timestamp::now()",
        ] {
            assert_eq!(violations(&tree(line)).len(), 1, "{line}");
        }
    }

    #[test]
    fn comments_other_crates_and_likely_names_pass() {
        assert_eq!(
            violations(&tree(
                "// never Instant::now\nlet operand = brand::new();\nuse std::net::{IpAddr, Ipv4Addr};\n"
            )),
            []
        );
    }

    #[test]
    fn a_missing_ban_is_found() {
        let mut tree = tree("");
        tree.files.retain(|file| file.path != "shared/clippy.toml");
        assert_eq!(violations(&tree).len(), 2);
    }
}
