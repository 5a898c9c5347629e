//! What must be on the machine before anything can be built or tested, and how it gets there: the wasm target, two cargo
//! tools, the npm packages, a few Debian packages, the judges' Python packages. Each is looked at first and installed only
//! when it is missing or of another version; as little as possible outside the build folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::checkout::Checkout;
use crate::processes::{Program, find_program, inherited_path};
use crate::progress::say;

/// The pinned `worker-build`: it must share 0.8 with the `worker` crate.
const WORKER_BUILD: &str = "0.8.7";
/// The target that the Worker is compiled for.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
/// The official Python packages that judge ours.
const JUDGES: [&str; 2] = ["twilio==9.13.0", "openai==3.51.0"];

/// The two cargo tools that build the Worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    /// `worker-build` at the pinned version.
    pub(crate) worker_build: PathBuf,
    /// `wasm-bindgen` at exactly the version of the crate.
    pub(crate) wasm_bindgen: PathBuf,
}

/// Sees to all that a build needs: wasm target, cargo tools, npm packages.
pub(crate) fn for_building(checkout: &Checkout) -> Result<Edge> {
    npm_packages(checkout)?;
    edge(checkout)
}

/// Sees to the Rust side of the Worker's build.
fn edge(checkout: &Checkout) -> Result<Edge> {
    wasm_target()?;
    let worker_build = cargo_tool(checkout, "worker-build", "worker-build", WORKER_BUILD)?;
    let bindgen = checkout.locked_version("wasm-bindgen")?;
    let wasm_bindgen = cargo_tool(checkout, "wasm-bindgen-cli", "wasm-bindgen", &bindgen)?;
    let leavings = checkout.tools().join("build");
    if leavings.exists() {
        std::fs::remove_dir_all(&leavings).context("removing what the tools were built in")?;
    }
    Ok(Edge { worker_build, wasm_bindgen })
}

/// Adds the wasm target when the compiler has none.
fn wasm_target() -> Result<()> {
    let sysroot = Program::new("rustc").args(["--print", "sysroot"]).succeed()?;
    let sysroot = sysroot.tail.first().context("rustc names no sysroot")?;
    if Path::new(sysroot).join("lib/rustlib").join(WASM).join("lib").is_dir() {
        return Ok(());
    }
    if find_program("rustup", &inherited_path()).is_none() {
        bail!(
            "the Rust compiler has no {WASM} target and there is no rustup to add it: install it with your system's tools"
        );
    }
    say(&format!("  adding the {WASM} target"));
    Program::new("rustup").args(["target", "add", WASM]).succeed()?;
    Ok(())
}

/// A cargo tool at one version: ours, the machine's, or newly installed below the build folder.
fn cargo_tool(checkout: &Checkout, package: &str, program: &str, version: &str) -> Result<PathBuf> {
    let root = checkout.tools();
    if let Some(found) = find_program(program, &checkout.search_path()?).filter(|file| prints_version(file, version)) {
        return Ok(found);
    }
    if package == "worker-build" {
        openssl()?;
    }
    say(&format!("  installing {package} {version} (once; a few minutes)"));
    Program::new("cargo")
        .args(["install", "--locked", "--debug", "--force", "--root"])
        .arg(&root)
        // One build folder for both: they share many crates.
        .arg("--target-dir")
        .arg(root.join("build"))
        .arg(format!("{package}@{version}"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .dir(checkout.root())
        .log(checkout.target().join(format!("logs/install-{package}.log")))
        .succeed()?;
    let installed = root.join("bin").join(program);
    if !prints_version(&installed, version) {
        bail!("{} was installed but does not call itself {version}", installed.display());
    }
    Ok(installed)
}

/// Whether a program answers `--version` with this version as its last word.
fn prints_version(program: &Path, version: &str) -> bool {
    Program::new(program)
        .arg("--version")
        .succeed()
        .is_ok_and(|finished| finished.tail.first().and_then(|line| line.split_whitespace().last()) == Some(version))
}

/// The npm packages of the lock file.
pub(crate) fn npm_packages(checkout: &Checkout) -> Result<()> {
    let lock = std::fs::read(checkout.path("package-lock.json")).context("reading package-lock.json")?;
    let manifest = std::fs::read(checkout.path("package.json")).context("reading package.json")?;
    let wanted = fingerprint(&[&lock, &manifest]);
    let stamp = checkout.path("node_modules/.trunkline-installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if find_program("npm", &inherited_path()).is_none() {
        bail!("npm is missing: install Node.js 20 or newer, which brings it");
    }
    say("  installing the npm packages");
    Program::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .dir(checkout.root())
        .log(checkout.target().join("logs/npm-ci.log"))
        .succeed()?;
    std::fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(())
}

/// Names the packages that were installed from these files on this kind of machine.
fn fingerprint(files: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    hash.update(std::env::consts::OS);
    hash.update(std::env::consts::ARCH);
    for file in files {
        hash.update((file.len() as u64).to_be_bytes());
        hash.update(file);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The C compiler and OpenSSL headers that installing worker-build takes.
fn openssl() -> Result<()> {
    let found = |program: &str| find_program(program, &inherited_path()).is_some();
    let headers = found("pkg-config") && Program::new("pkg-config").args(["--exists", "openssl"]).succeed().is_ok();
    if found("cc") && headers {
        return Ok(());
    }
    debian(&["gcc", "libc6-dev", "libssl-dev", "pkg-config"], "a C compiler, pkg-config and OpenSSL's headers")
}

/// A Chromium for the browser test, by its file.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").map(PathBuf::from) {
        return Ok(named);
    }
    let find = || {
        let path = inherited_path();
        ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| find_program(name, &path))
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    debian(&["chromium"], "Chromium or Chrome (or name one in the variable CHROMIUM)")?;
    find().context("Debian's chromium was installed but is not on PATH")
}

/// The Python that has the judges' packages, from a virtual environment below the build folder.
pub(crate) fn judges(checkout: &Checkout) -> Result<PathBuf> {
    let home = checkout.target().join("judges");
    let python = home.join("bin/python");
    let stamp = home.join(".installed");
    let wanted = JUDGES.join(" ");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let usable = || Program::new("python3").args(["-c", "import venv, ensurepip"]).succeed().is_ok();
    if find_program("python3", &inherited_path()).is_none() || !usable() {
        debian(&["python3", "python3-venv"], "Python 3 with its venv module")?;
    }
    say(&format!("  installing the judges' Python packages: {wanted}"));
    Program::new("python3").args(["-m", "venv", "--clear"]).arg(&home).succeed()?;
    Program::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(JUDGES)
        .log(checkout.target().join("logs/judges.log"))
        .succeed()?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Installs Debian packages when we are root on Debian; otherwise says what is missing.
fn debian(packages: &[&str], what: &str) -> Result<()> {
    let is_debian = std::fs::read_to_string("/etc/os-release").is_ok_and(|text| names_debian(&text));
    if !(is_debian && rustix::process::geteuid().is_root()) {
        bail!(
            "missing: {what}. Install it with your system's tools (on Debian: apt-get install {})",
            packages.join(" ")
        );
    }
    say(&format!("  installing Debian packages: {}", packages.join(" ")));
    let apt = |args: &[&str]| Program::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let install = [&["install", "--yes", "--quiet", "--no-install-recommends"], packages].concat();
    if apt(&install).run()?.status.success() {
        return Ok(());
    }
    // A fresh image has no lists of packages yet.
    apt(&["update", "--quiet"]).succeed()?;
    apt(&install).succeed()?;
    Ok(())
}

/// Whether an os-release file describes Debian itself or something made from it.
fn names_debian(os_release: &str) -> bool {
    os_release.lines().any(|line| {
        let Some((key, value)) = line.split_once('=') else { return false };
        let mut words = value.trim_matches('"').split(' ');
        matches!(key, "ID" | "ID_LIKE") && words.any(|word| word == "debian")
    })
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, names_debian, prints_version};
    use std::path::Path;

    #[test]
    fn debian_is_known_by_its_id_or_its_likeness() {
        assert!(names_debian("PRETTY_NAME=\"x\"\nID=debian\n"));
        assert!(names_debian("ID=ubuntu\nID_LIKE=\"debian\"\n"));
        assert!(!names_debian("ID=fedora\nHOME_URL=https://debian.example\n"));
    }

    #[test]
    fn the_fingerprint_tells_any_change_of_either_file() {
        let base = fingerprint(&[b"lock", b"manifest"]);
        assert_eq!(base, fingerprint(&[b"lock", b"manifest"]));
        assert_ne!(base, fingerprint(&[b"lockm", b"anifest"]));
        assert_eq!(base.len(), 64);
    }

    #[test]
    fn a_version_is_the_last_word_and_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let tool = folder.path().join("tool");
        std::fs::write(&tool, "#!/bin/sh\necho tool 0.2.129\n").expect("written");
        std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
        assert!(prints_version(&tool, "0.2.129"));
        assert!(!prints_version(&tool, "0.2.12"));
        assert!(!prints_version(Path::new("/nowhere/tool"), "0.2.129"));
    }
}
