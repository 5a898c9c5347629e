//! The Worker's bundle: `worker-build` with the tools that are on this machine, in the size profile for release and
//! unoptimised under `wrangler dev`. Where the tools come from is `tools`' matter.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::checkout::Checkout;
use crate::processes::{Echo, Program};
use crate::progress::{say, size};
use crate::{stack, tools};

/// The crate whose build folder wrangler bundles.
const CRATE: &str = "edge-worker";

/// How the Worker is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Profile `edge`, optimised by wasm-opt: what is deployed and tested.
    Release,
    /// Unoptimised, for editing under `wrangler dev`.
    Dev,
}

impl Build {
    /// What is wanted when wrangler runs us as its build command; `asked_dev` is the flag of a person.
    pub(crate) fn wanted(asked_dev: bool, wrangler_command: Option<&str>) -> Self {
        if asked_dev || wrangler_command == Some("dev") { Self::Dev } else { Self::Release }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            // A custom profile: worker-build passes it to cargo and still optimises as for a release.
            Self::Release => &["--profile", "edge"],
            Self::Dev => &["--dev", "--no-opt"],
        }
    }

    /// What worker-build passes on to cargo.
    fn cargo_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--profile", "edge"],
            Self::Dev => &[],
        }
    }

    fn cargo_folder(self) -> &'static str {
        match self {
            Self::Release => "edge",
            Self::Dev => "debug",
        }
    }
}

/// Builds what wrangler asks for: before a deploy the console as well, since wrangler uploads its pages.
pub(crate) fn build_for_wrangler(checkout: &Checkout, asked_dev: bool) -> Result<()> {
    let command = std::env::var("WRANGLER_COMMAND").ok();
    build(checkout, Build::wanted(asked_dev, command.as_deref()), Echo::Lines)?;
    if command.as_deref() == Some("deploy") && !is_prebuilt() {
        stack::console(checkout)?;
    }
    Ok(())
}

fn is_prebuilt() -> bool {
    std::env::var_os("EDGE_PREBUILT").is_some_and(|value| !value.is_empty())
}

/// Builds the Worker into `edge-worker/build`, unless the caller has said with `EDGE_PREBUILT` that it is there.
pub(crate) fn build(checkout: &Checkout, build: Build, echo: Echo) -> Result<()> {
    // wrangler refuses to start without the folder of its assets; an empty one means a Worker without a console.
    std::fs::create_dir_all(checkout.path("console/dist"))?;
    let bundle = checkout.path(CRATE).join("build");
    if is_prebuilt() {
        ensure!(bundle.join("index.js").is_file(), "EDGE_PREBUILT is set, but {} has no bundle", bundle.display());
        return Ok(());
    }
    let edge = tools::for_building(checkout)?;
    let cargo = Program::new("cargo")
        .args(["build", "--package", CRATE, "--lib", "--target", tools::WASM])
        .args(build.cargo_arguments())
        .dir(checkout.root())
        // wrangler sets what cargo would take for our own settings; the other is worker-build's, or it compiles all again.
        .env_remove("CARGO_MANIFEST_DIR")
        .env("WASM_BINDGEN_USE_JS_SYS", "1")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .named("Worker")
        .echo(echo)
        .log(checkout.target().join("logs/worker-cargo.log"));
    cargo.succeed()?;
    // cargo knows whether anything changed; worker-build would bind and optimise all the same.
    let compiled = checkout.target().join(tools::WASM).join(build.cargo_folder()).join("edge_worker.wasm");
    let outputs = [bundle.join("index.js"), bundle.join("index_bg.wasm")];
    let stamp = checkout.target().join("edge-bundle");
    let state = |tools: &tools::Edge| -> Result<String> {
        let files = std::iter::once(&compiled).chain(&outputs).map(|file| fingerprint(file));
        Ok(format!("{build:?} {tools:?} {}", files.collect::<Result<Vec<_>>>()?.join(" ")))
    };
    if outputs.iter().all(|file| file.is_file()) && std::fs::read_to_string(&stamp).ok() == state(&edge).ok() {
        return Ok(());
    }
    Program::new(&edge.worker_build)
        .arg(CRATE)
        .args(build.arguments())
        .dir(checkout.root())
        .env("PATH", checkout.search_path()?)
        .env("WASM_BINDGEN_BIN", &edge.wasm_bindgen)
        .env("ESBUILD_BIN", checkout.node_bin().join("esbuild"))
        .env("WASM_OPT_BIN", checkout.node_bin().join("wasm-opt"))
        .env_remove("CARGO_MANIFEST_DIR")
        .echo(echo)
        .log(checkout.target().join("logs/worker-build.log"))
        .succeed()?;
    std::fs::write(&stamp, state(&edge)?)?;
    let (raw, gzip) = weigh(&bundle.join("index_bg.wasm"))?;
    say(&format!("  the Worker's module: {}, {} in gzip", size(raw), size(gzip)));
    Ok(())
}

/// A file's content in a few characters.
fn fingerprint(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The size of a file, as it is and compressed.
fn weigh(file: &Path) -> Result<(u64, u64)> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bytes)?;
    Ok((bytes.len() as u64, gzip.finish()?.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::Build;

    #[test]
    fn wrangler_dev_gets_the_quick_build_and_everything_else_the_small_one() {
        assert_eq!(Build::wanted(false, None), Build::Release);
        assert_eq!(Build::wanted(false, Some("deploy")), Build::Release);
        assert_eq!(Build::wanted(false, Some("dev")), Build::Dev);
        assert_eq!(Build::wanted(true, Some("deploy")), Build::Dev);
    }
}
