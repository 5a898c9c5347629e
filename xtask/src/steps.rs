//! `cargo xtask test`: every check in order, each once, with its time and its count of tests. The first failure ends the
//! run. What a step needs is built by an earlier one and never again.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::checkout::Checkout;
use crate::mishap::Mishap;
use crate::processes::{Echo, Program, check_interrupt};
use crate::progress::{duration, say};
use crate::tally::{Runner, Tally};
use crate::{stack, tidy, tools, types, worker};

/// The crates without I/O, which must also compile for the browser and the edge.
const PURE: [&str; 3] = ["trunkline-shared", "trunkline-session", "trunkline-edge-core"];

/// What a step works with.
struct Bench {
    checkout: Checkout,
    verbose: bool,
    /// Variables for every program: tools first on PATH, nothing that phones home or colours its output.
    vars: Vec<(&'static str, OsString)>,
    /// Numbers the log files.
    programs: u32,
}

type Work = fn(&mut Bench) -> Result<Tally>;

/// The steps by name, in order.
const STEPS: &[(&str, Work)] = &[
    ("tools", tools_step),
    ("fmt", |bench| bench.check("fmt", bench.cargo(&["fmt", "--all", "--check"]))),
    ("tidy", |bench| tidy::check(&bench.checkout).map(|()| Tally::default())),
    ("clippy", |bench| {
        bench.check("clippy", bench.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    }),
    ("native", |bench| {
        bench.count(
            "native",
            Runner::Cargo,
            bench.cargo(&["test", "--workspace", "--no-fail-fast", "--", "--include-ignored"]),
        )
    }),
    ("pure-wasm", |bench| {
        let packages = PURE.iter().flat_map(|package| ["-p", package]);
        let check = bench.cargo(&["check", "--target", "wasm32-unknown-unknown"]).args(packages);
        bench.check("pure-wasm", check)
    }),
    ("types", |bench| types::generate(&bench.checkout, true).map(|()| Tally::default())),
    ("console", console_step),
    ("worker", worker_step),
    ("edge", |bench| {
        let tests = bench.program("node").args(["--test", "edge-worker/e2e/*.test.mjs"]);
        bench.count("edge", Runner::Node, tests)
    }),
    ("judges", |bench| {
        let tests = bench.program("node").args(["--test", "edge-worker/e2e/judges/*.test.mjs"]);
        bench.count("judges", Runner::Node, tests)
    }),
    ("release", |bench| stack::native(&bench.checkout).map(|()| Tally::default())),
    ("demo", |bench| {
        // Built by the steps before; this looks again, which takes a second or two.
        let demo = bench.cargo(&["xtask", "demo", "--once"]);
        bench.check("demo", demo)
    }),
    ("mishaps", |bench| {
        for mishap in Mishap::ALL {
            let demo = bench.cargo(&["xtask", "demo", "--once", "--mishap", mishap.name()]);
            bench.check(mishap.name(), demo)?;
        }
        Ok(Tally { passed: Mishap::ALL.len() as u64, ..Tally::default() })
    }),
    ("browser", |bench| {
        let demo = bench.cargo(&["xtask", "demo", "--browser"]);
        bench.count("browser", Runner::Checks, demo)
    }),
];

/// One line of the table at the end.
struct Row {
    name: &'static str,
    time: Duration,
    tally: Tally,
}

/// Runs every step, or the one named, and prints the table. Fails at the first step that fails.
pub(crate) fn test(checkout: &Checkout, only: Option<&str>, verbose: bool) -> Result<()> {
    let chosen = chosen(only)?;
    let mut bench = Bench { checkout: checkout.clone(), verbose, vars: quiet_vars(checkout)?, programs: 0 };
    let mut rows = Vec::new();
    for (index, (name, work)) in chosen.iter().enumerate() {
        check_interrupt()?;
        say(&format!("▸ {}/{} {name}", index + 1, chosen.len()));
        let started = Instant::now();
        let result = work(&mut bench);
        let time = started.elapsed();
        match result {
            Ok(tally) => {
                say(&format!("✓ {name} ({})", duration(time)));
                rows.push(Row { name, time, tally });
            }
            Err(error) => {
                say(&format!("✗ {name} ({})", duration(time)));
                print_table(&rows);
                return Err(error.context(format!("step {name} failed")));
            }
        }
    }
    print_table(&rows);
    let total: Tally = rows.iter().map(|row| row.tally).sum();
    say(&format!("{} passed, {} failed", total.passed, total.failed));
    Ok(())
}

/// All steps, or one with those that it cannot do without.
fn chosen(only: Option<&str>) -> Result<Vec<&'static (&'static str, Work)>> {
    let Some(only) = only else { return Ok(STEPS.iter().collect()) };
    if STEPS.iter().all(|(name, _)| *name != only) {
        let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!("there is no step {only}; there are: {}", names.join(", "));
    }
    let needed: &[&str] = match only {
        "edge" | "judges" => &["tools", "worker"],
        _ => &["tools"],
    };
    Ok(STEPS.iter().filter(|(name, _)| *name == only || needed.contains(name)).collect())
}

fn print_table(rows: &[Row]) {
    say("");
    say(&format!("{:<14} {:>12} {:>8}", "step", "time", "passed"));
    for row in rows {
        let passed = if row.tally.passed == 0 { String::new() } else { row.tally.passed.to_string() };
        say(&format!("{:<14} {:>12} {passed:>8}", row.name, duration(row.time)));
    }
    let total: Duration = rows.iter().map(|row| row.time).sum();
    say(&format!("{:<14} {:>12}", "together", duration(total)));
    say("");
}

/// Variables that make every program quiet, colourless and bound to this checkout's tools.
pub(crate) fn quiet_vars(checkout: &Checkout) -> Result<Vec<(&'static str, OsString)>> {
    let mut vars = vec![
        ("PATH", checkout.search_path()?),
        ("CARGO_TERM_COLOR", "never".into()),
        ("CARGO_TERM_PROGRESS_WHEN", "never".into()),
        ("NO_COLOR", "1".into()),
    ];
    vars.extend(WRANGLER_VARS.map(|(name, value)| (name, value.into())));
    Ok(vars)
}

/// wrangler without telemetry, update notices, sample fetches and log files in the home folder.
pub(crate) const WRANGLER_VARS: [(&str, &str); 5] = [
    ("WRANGLER_SEND_METRICS", "false"),
    ("WRANGLER_SEND_ERROR_REPORTS", "false"),
    ("CLOUDFLARE_CF_FETCH_ENABLED", "false"),
    ("WRANGLER_HIDE_BANNER", "true"),
    ("WRANGLER_WRITE_LOGS", "false"),
];

impl Bench {
    fn program(&self, file: impl AsRef<std::ffi::OsStr>) -> Program {
        Program::new(file).dir(self.checkout.root()).envs(self.vars.iter().map(|(name, value)| (*name, value)))
    }

    fn cargo(&self, args: &[&str]) -> Program {
        // Where cargo ran *us*: meant for us alone, and some build scripts look at it.
        self.program("cargo").args(args).env_remove("CARGO_MANIFEST_DIR")
    }

    fn npm(&self, script: &str) -> Program {
        self.program("npm").args(["run", "--silent", script])
    }

    fn log(&mut self, name: &str) -> PathBuf {
        self.programs += 1;
        self.checkout.target().join(format!("logs/test-{:02}-{name}.log", self.programs))
    }

    /// Runs a program that passes or fails as a whole.
    fn check(&mut self, name: &str, program: Program) -> Result<Tally> {
        self.finish(name, program)?;
        Ok(Tally::default())
    }

    /// Runs a test runner; one that ran nothing has failed.
    fn count(&mut self, name: &str, runner: Runner, program: Program) -> Result<Tally> {
        let output = self.finish(name, program)?;
        let tally = runner.count(&output);
        ensure!(tally.failed == 0, "{name}: {} tests failed, though the runner ended well", tally.failed);
        ensure!(tally.skipped == 0, "{name}: {} tests were skipped", tally.skipped);
        ensure!(tally.passed > 0, "{name}: the runner ended well without naming a single test");
        Ok(tally)
    }

    fn finish(&mut self, name: &str, program: Program) -> Result<String> {
        let log = self.log(name);
        let echo = if self.verbose { Echo::Lines } else { Echo::Silent };
        let finished = program.named(name).log(log).echo(echo).succeed()?;
        ensure!(
            finished.leftovers.is_empty(),
            "{name} left programs running, which have now been killed: {}",
            finished.leftovers.join(", ")
        );
        finished.text()
    }
}

fn tools_step(bench: &mut Bench) -> Result<Tally> {
    tools::for_building(&bench.checkout)?;
    let judge = tools::judges(&bench.checkout)?;
    bench.vars.push(("JUDGE_PYTHON", judge.into()));
    bench.vars.push(("CHROMIUM", tools::chromium()?.into()));
    Ok(Tally::default())
}

/// The console: its types, its tests, and the pages that the Worker will serve.
fn console_step(bench: &mut Bench) -> Result<Tally> {
    bench.check("console-types", bench.npm("console:types"))?;
    let tally = bench.count("console-tests", Runner::Vitest, bench.npm("console:test"))?;
    bench.check("console-build", bench.npm("console:build"))?;
    Ok(tally)
}

/// The release Worker, bundled as a deploy would: from here on wrangler takes it as it is.
fn worker_step(bench: &mut Bench) -> Result<Tally> {
    worker::build(&bench.checkout, worker::Build::Release, Echo::Silent)?;
    bench.vars.push(("EDGE_PREBUILT", "1".into()));
    let dry_run = bench.program("wrangler").args(["deploy", "--dry-run", "--outdir", "dist/edge"]);
    let output = bench.finish("deploy-dry-run", dry_run)?;
    let size = output.lines().find(|line| line.starts_with("Total Upload:")).context("wrangler names no size")?;
    say(&format!("  {size}"));
    Ok(Tally::default())
}

#[cfg(test)]
mod tests {
    use super::{Bench, STEPS, chosen};
    use crate::checkout::Checkout;
    use crate::processes::Program;
    use crate::tally::{Runner, Tally};

    fn bench(folder: &tempfile::TempDir) -> Bench {
        Bench { checkout: Checkout::at(folder.path()), verbose: false, vars: Vec::new(), programs: 0 }
    }

    fn count(script: &str) -> Result<Tally, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::new("sh").args(["-c", script]);
        bench(&folder).count("tests", Runner::Cargo, program).map_err(|error| error.to_string())
    }

    #[test]
    fn a_runner_is_believed_only_with_tests_that_passed() {
        let passed = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'";
        assert_eq!(count(passed), Ok(Tally { passed: 2, failed: 0, skipped: 0 }));
        let skipped = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'";
        assert!(count(skipped).is_err_and(|error| error.contains("1 tests were skipped")));
        assert!(count("echo all is well").is_err_and(|error| error.contains("without naming a single test")));
        let hidden = "echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured'";
        assert!(count(hidden).is_err_and(|error| error.contains("1 tests failed")));
        assert!(count(&format!("{passed}; exit 1")).is_err_and(|error| error.contains("exit status: 1")));
    }

    #[test]
    fn a_runner_that_leaves_programs_behind_has_failed() {
        let left = count("sleep 1000 & echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'");
        assert!(left.is_err_and(|error| error.contains("left programs running") && error.contains("sleep")));
    }

    #[test]
    fn an_unknown_step_is_answered_with_the_known_ones() {
        let error = chosen(Some("nothing")).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(STEPS.iter().all(|(name, _)| error.contains(name)), "{error}");
    }

    #[test]
    fn one_step_brings_what_it_needs() {
        let names = |only| chosen(only).map(|steps| steps.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        assert_eq!(names(Some("edge")).expect("known"), ["tools", "worker", "edge"]);
        assert_eq!(names(Some("tidy")).expect("known"), ["tools", "tidy"]);
        assert_eq!(names(None).expect("all").len(), STEPS.len());
    }
}
