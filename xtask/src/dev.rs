//! `cargo xtask dev`: the same stack as the demo's, for working on it with real keys: the Worker is rebuilt when its
//! source changes, state is kept between runs, nobody calls. Keys come from `.dev.vars` (Worker) and `.env` (node).

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::checkout::Checkout;
use crate::processes::{Echo, wait_for_interrupt};
use crate::progress::say;
use crate::stack::{self, Plan, Ports, RunFolder, Secrets, Stack, Vars};

/// Builds, starts, stays until Ctrl-C.
pub(crate) fn run(checkout: &Checkout, port: u16, node_port: u16) -> Result<()> {
    let folder = RunFolder::create(checkout)?;
    let state = checkout.path(".wrangler/state");
    let programs = stack::build(checkout, false, &state, &folder)?;
    let ports = Ports { edge: port, node: node_port, ..Ports::reserve()? };
    let secrets = Secrets::generate()?;
    let (dev_vars, dot_env) = (checkout.path(".dev.vars"), checkout.path(".env"));
    let node_vars = overlay(secrets.node_vars(ports, &checkout.path(".wrangler/spool")), read_vars(&dot_env)?);
    for (file, whose) in [(&dev_vars, "the Worker's"), (&dot_env, "the node's")] {
        if !file.exists() {
            say(&format!("  no {}: {whose} keys are invented, so no real call can be made", file.display()));
        }
    }
    let plan = Plan {
        ports,
        edge_vars: secrets.edge_vars(ports),
        edge_files: if dev_vars.exists() { vec![dev_vars] } else { Vec::new() },
        node_vars,
        state,
        prebuilt: false,
        echo: Echo::Lines,
        media_node: &programs.media_node,
        folder: &folder,
    };
    let stack = Stack::start(checkout, &plan)?;
    say("");
    say(&format!("  console      {}", ports.edge_url()));
    say(&format!("  media node   {}", ports.node_url()));
    say(&format!("  set-up token {} (unless .dev.vars names one)", secrets.setup_token));
    say("  Ctrl-C stops");
    say("");
    wait_for_interrupt();
    stack.stop();
    Ok(())
}

/// The variables of a file in the usual form; none when there is no such file.
fn read_vars(file: &Path) -> Result<Vars> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let vars = dotenvy::from_path_iter(file).with_context(|| format!("reading {}", file.display()))?;
    vars.collect::<Result<_, _>>().with_context(|| format!("{} is not of the form NAME=value", file.display()))
}

/// Variables with those of a person put over them.
fn overlay(base: Vars, over: Vars) -> Vars {
    let mut vars: Vars = base.into_iter().filter(|(name, _)| over.iter().all(|(other, _)| other != name)).collect();
    vars.extend(over);
    vars
}

#[cfg(test)]
mod tests {
    use super::{overlay, read_vars};

    fn vars(pairs: &[(&str, &str)]) -> super::Vars {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_person_wrote_wins() {
        let laid = overlay(vars(&[("A", "1"), ("B", "2")]), vars(&[("B", "3"), ("C", "4")]));
        assert_eq!(laid, vars(&[("A", "1"), ("B", "3"), ("C", "4")]));
    }

    #[test]
    fn a_file_of_variables_is_read_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".env");
        assert_eq!(read_vars(&file).expect("none"), []);
        std::fs::write(&file, "# keys\nA=1\nB='two words'\n").expect("written");
        assert_eq!(read_vars(&file).expect("two"), vars(&[("A", "1"), ("B", "two words")]));
        std::fs::write(&file, "no value here\n").expect("written");
        read_vars(&file).expect_err("broken");
    }
}
