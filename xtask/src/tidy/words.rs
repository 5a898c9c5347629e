//! Words that do not belong in a tree that others read: where and with what it was written, and which mirror its packages came
//! from.

use regex::Regex;

use super::Violation;
use super::tree::Tree;

/// Patterns, with what to say. A letter in brackets keeps them from matching themselves.
const WORDS: [(&str, &str); 3] = [
    (r"(?:^|[^\w.])/[w]ork/", "a path of one machine"),
    (r"(?i)\b[i]ssue #?\d{1,2}\b", "a number that only its tracker knows"),
    (r"(?i)\b(?:[c]laude|[a]nthropic|[c]opilot|[c]hatgpt)\b", "a tool has no place in the text"),
];
/// Where packages officially come from; a lock may name it.
const OFFICIAL: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Such words.
pub(crate) fn violations(tree: &Tree) -> Vec<Violation> {
    let words = WORDS.map(|(word, what)| (Regex::new(word).expect("a pattern of ours"), what));
    let source = Regex::new(r#"^source = "(registry\+|sparse\+|git\+)"#).expect("a pattern of ours");
    let resolved = Regex::new(r#""resolved": "https?:"#).expect("a pattern of ours");
    let registry = Regex::new(r"(?i)^\s*(?:@[\w-]+:)?registry\s*=|_authToken|^\[(?:source|registries)")
        .expect("a pattern of ours");
    let mut found = Vec::new();
    for file in &tree.files {
        let is_lock = file.is(&["Cargo.lock", "package-lock.json"]);
        for (number, line) in file.lines() {
            if is_lock {
                let foreign = source.is_match(line) && !line.contains(OFFICIAL) || resolved.is_match(line);
                if foreign {
                    found.push(Violation::at(&file.path, number, "names the host of a mirror"));
                }
                continue;
            }
            if file.is(&[".npmrc", ".cargo/config.toml"]) && registry.is_match(line) {
                found.push(Violation::at(&file.path, number, "binds the tree to a mirror"));
            }
            for (_, what) in words.iter().filter(|(word, _)| word.is_match(line)) {
                found.push(Violation::at(&file.path, number, *what));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::tidy::tree::Tree;

    fn found(path: &str, text: &str) -> usize {
        violations(&Tree::with(&[(path, text)])).len()
    }

    #[test]
    fn a_machine_a_tracker_or_a_tool_in_the_text_is_found() {
        assert_eq!(found("docs/a.md", &format!("see /wor{}", "k/main")), 1);
        assert_eq!(found("docs/a.md", &format!("fixes issu{}", "e 12")), 1);
        assert_eq!(found("docs/a.md", &format!("thanks, Clau{}", "de")), 1);
    }

    #[test]
    fn ordinary_words_pass() {
        for line in
            ["edge-worker/core", "network/worker/", "issue a ticket", "issue 2048 tickets", "cursor", "a clause"]
        {
            assert_eq!(found("docs/a.md", line), 0, "{line}");
        }
    }

    #[test]
    fn locks_name_no_mirror() {
        assert_eq!(found("package-lock.json", "      \"resolved\": \"https://mirror.example/a.tgz\","), 1);
        assert_eq!(found("Cargo.lock", "source = \"sparse+https://mirror.example/\""), 1);
        assert_eq!(found("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""), 0);
        assert_eq!(found(".npmrc", "registry=https://mirror.example"), 1);
        assert_eq!(found(".npmrc", "omit-lockfile-registry-resolved=true"), 0);
    }
}
