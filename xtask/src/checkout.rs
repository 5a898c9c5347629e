//! Where things lie in this checkout: the root, the build folder, the npm programs, and the versions that the lock
//! files name. Nothing here starts or changes anything.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder that holds the workspace, and what can be read from it.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The checkout that this program was built from; cargo says where it is now, should it have moved since.
    pub(crate) fn here() -> Result<Self> {
        let manifest =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent folder")?;
        Ok(Self { root: root.canonicalize().with_context(|| format!("{} is not there", root.display()))? })
    }

    /// A checkout at a given place.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the root.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// Cargo's build folder.
    pub(crate) fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
    }

    /// Where the npm programs are, the Node that wrangler needs among them.
    pub(crate) fn node_bin(&self) -> PathBuf {
        self.path("node_modules/.bin")
    }

    /// Where cargo tools of the pinned versions go when the machine has none.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target().join("tools")
    }

    /// `PATH` with our npm programs and cargo tools first.
    pub(crate) fn search_path(&self) -> Result<std::ffi::OsString> {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let ours = [self.node_bin(), self.tools().join("bin")];
        std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&inherited)))
            .context("PATH cannot be extended")
    }

    /// The version of a package in Cargo.lock.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String> {
        let path = self.path("Cargo.lock");
        let lock = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        locked_version(&lock, package).with_context(|| format!("Cargo.lock does not name {package}"))
    }
}

/// Finds a package's version in the text of a Cargo.lock.
fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    lines.by_ref().find(|line| *line == name)?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::locked_version;

    const LOCK: &str = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.79\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.129\"\n";

    #[test]
    fn the_version_is_that_of_the_package_with_exactly_this_name() {
        assert_eq!(locked_version(LOCK, "wasm-bindgen").as_deref(), Some("0.2.129"));
        assert_eq!(locked_version(LOCK, "wasm"), None);
    }
}
