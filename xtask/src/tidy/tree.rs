//! The files of the tree as the rules see them: what git tracks or would track, with the text of those that are text.

use anyhow::{Context as _, Result};

use crate::checkout::Checkout;
use crate::processes::Program;

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// From the root, with forward slashes.
    pub(crate) path: String,
    /// Its text; none for a binary file.
    pub(crate) text: Option<String>,
}

impl File {
    /// Its lines with their numbers from 1; none for a binary file.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.as_deref().unwrap_or_default().lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether its name ends like this.
    pub(crate) fn is(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    /// Whether it lies below this folder.
    pub(crate) fn below(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// All files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// In the order of their paths.
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// Reads the checkout. A file that git knows and that was deleted is left out.
    pub(crate) fn of(checkout: &Checkout) -> Result<Self> {
        let log = checkout.target().join("logs/tidy-files.log");
        let listed = Program::new("git")
            .args(["-c", "core.quotepath=off", "ls-files", "--cached", "--others", "--exclude-standard"])
            .dir(checkout.root())
            .log(log)
            .succeed()
            .context("listing the files: tidy needs git")?
            .text()?;
        let mut files = Vec::new();
        for path in listed.lines() {
            let Ok(bytes) = std::fs::read(checkout.path(path)) else { continue };
            files.push(File { path: path.to_owned(), text: text(bytes) });
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files.dedup_by(|one, other| one.path == other.path);
        Ok(Self { files })
    }

    /// A tree of invented files.
    #[cfg(test)]
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| File { path: (*path).into(), text: Some((*text).into()) });
        Self { files: files.collect() }
    }

    /// A file by its path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn text(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) { None } else { String::from_utf8(bytes).ok() }
}

/// A line of Rust without its comment, roughly: `//` inside a string ends it too early, which no rule minds.
pub(crate) fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{code, text};

    #[test]
    fn a_file_with_a_zero_byte_or_broken_utf8_is_binary() {
        assert_eq!(text(b"plain".to_vec()).as_deref(), Some("plain"));
        assert_eq!(text(b"a\0b".to_vec()), None);
        assert_eq!(text(vec![0xff, 0x80]), None);
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("let x = 1; // Instant::now"), "let x = 1; ");
        assert_eq!(code("/// Instant::now"), "");
    }
}
