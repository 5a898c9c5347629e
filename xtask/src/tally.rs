//! How many tests a runner says it ran: read from what `cargo test`, `node --test`, vitest and our own checks print.
//! A runner whose output names no test at all is an error elsewhere, so that a lost test folder cannot pass unseen.

use std::iter::Sum;
use std::ops::Add;

use regex::Regex;

/// Tests by how they ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ran and passed.
    pub(crate) passed: u64,
    /// Ran and failed.
    pub(crate) failed: u64,
    /// Not run: ignored, skipped or marked as still to do.
    pub(crate) skipped: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), Add::add)
    }
}

/// A test runner, by the way it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `cargo test`: one `test result:` line for each binary.
    Cargo,
    /// `node --test`: `pass N` and so on, in TAP or in its own style.
    Node,
    /// vitest: `Tests  1 failed | 12 passed (13)`.
    Vitest,
    /// A program of ours that prints `N passed, M failed` as its last line.
    Checks,
}

impl Runner {
    /// Counts the tests in a runner's whole output.
    pub(crate) fn count(self, output: &str) -> Tally {
        match self {
            Self::Cargo => {
                let pattern = regex(r"(?m)^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;");
                let results = pattern.captures_iter(output);
                results
                    .map(|found| Tally {
                        passed: number(&found, 1),
                        failed: number(&found, 2),
                        skipped: number(&found, 3),
                    })
                    .sum()
            }
            Self::Node => {
                let sum = |word: &str| {
                    let pattern = regex(&format!(r"(?m)^(?:#|ℹ) {word} (\d+)\s*$"));
                    pattern.captures_iter(output).map(|found| number(&found, 1)).sum::<u64>()
                };
                Tally {
                    passed: sum("pass"),
                    failed: sum("fail") + sum("cancelled"),
                    skipped: sum("skipped") + sum("todo"),
                }
            }
            Self::Vitest => {
                let line = regex(r"(?m)^\s*Tests\s+(.*)$");
                let sum = |word: &str| {
                    let pattern = regex(&format!(r"(\d+) {word}"));
                    line.captures_iter(output)
                        .filter_map(|found| found.get(1))
                        .flat_map(|rest| {
                            pattern.captures_iter(rest.as_str()).map(|found| number(&found, 1)).collect::<Vec<_>>()
                        })
                        .sum::<u64>()
                };
                Tally { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") + sum("todo") }
            }
            Self::Checks => {
                let last = output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                let found = regex(r"^(\d+) passed, (\d+) failed$").captures(last.trim());
                found.map_or_else(Tally::default, |found| Tally {
                    passed: number(&found, 1),
                    failed: number(&found, 2),
                    skipped: 0,
                })
            }
        }
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of ours")
}

fn number(found: &regex::Captures<'_>, group: usize) -> u64 {
    found.get(group).and_then(|text| text.as_str().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Runner, Tally};

    fn tally(passed: u64, failed: u64, skipped: u64) -> Tally {
        Tally { passed, failed, skipped }
    }

    #[test]
    fn cargo_counts_every_binary() {
        let output = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\n\
                      test result: FAILED. 40 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s\n";
        assert_eq!(Runner::Cargo.count(output), tally(42, 1, 1));
    }

    #[test]
    fn node_counts_in_both_of_its_styles() {
        let tap = "# tests 5\n# suites 0\n# pass 3\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n";
        assert_eq!(Runner::Node.count(tap), tally(3, 1, 1));
        let spec = "ℹ tests 5\nℹ pass 4\nℹ fail 0\nℹ cancelled 1\nℹ skipped 0\nℹ todo 0\nℹ duration_ms 12.5\n";
        assert_eq!(Runner::Node.count(spec), tally(4, 1, 0));
    }

    #[test]
    fn vitest_counts_tests_and_not_files() {
        let output =
            " Test Files  2 passed (2)\n      Tests  1 failed | 12 passed | 2 skipped (15)\n   Duration  1.2s\n";
        assert_eq!(Runner::Vitest.count(output), tally(12, 1, 2));
    }

    #[test]
    fn our_checks_count_in_their_last_line() {
        assert_eq!(
            Runner::Checks.count("ok    a\n3 passed, 9 failed\nFAIL  b\n2 passed, 1 failed\n\n"),
            tally(2, 1, 0)
        );
    }

    #[test]
    fn output_without_a_count_is_no_test() {
        for runner in [Runner::Cargo, Runner::Node, Runner::Vitest, Runner::Checks] {
            assert_eq!(runner.count("all is well, 12 passed\n"), tally(0, 0, 0));
        }
    }
}
