//! `cargo xtask gen-types`: the TypeScript of what edge and browser agree on, written from `shared` into the console. With
//! `--check` nothing is written and a stale or incomplete file is an error. What the types are is `shared`'s matter.

use anyhow::{Context as _, Result, bail, ensure};
use regex::Regex;

use crate::checkout::Checkout;
use crate::processes::Program;
use crate::progress::say;

/// The generated file.
const FILE: &str = "console/src/api/types.gen.ts";
/// The modules whose every public type must be in it.
const SOURCES: [&str; 2] = ["shared/src/api.rs", "shared/src/console_api.rs"];

/// Writes the file, or checks that it is what would be written.
pub(crate) fn generate(checkout: &Checkout, check: bool) -> Result<()> {
    let log = checkout.target().join("logs/gen-types.ts");
    let errors = checkout.target().join("logs/gen-types.log");
    Program::new("cargo")
        .args(["build", "--quiet", "--package", "trunkline-shared", "--features", "ts", "--example", "typescript"])
        .dir(checkout.root())
        .env_remove("CARGO_MANIFEST_DIR")
        .log(errors)
        .succeed()?;
    let text = Program::new(checkout.target().join("debug/examples/typescript")).log(log).succeed()?.text()?;
    for source in SOURCES {
        let rust = std::fs::read_to_string(checkout.path(source)).with_context(|| format!("reading {source}"))?;
        let missing = undeclared(&rust, &text);
        ensure!(missing.is_empty(), "{source}: not in shared/examples/typescript.rs: {}", missing.join(", "));
    }
    let file = checkout.path(FILE);
    if check {
        let committed = std::fs::read_to_string(&file).with_context(|| format!("reading {FILE}"))?;
        if committed != text {
            bail!("{FILE} is stale: run `cargo xtask gen-types`");
        }
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&file, text).with_context(|| format!("writing {FILE}"))?;
    say(&format!("wrote {FILE}"));
    Ok(())
}

/// The public types of a Rust module that a TypeScript file does not declare.
fn undeclared(rust: &str, typescript: &str) -> Vec<String> {
    let public = Regex::new(r"(?m)^pub (?:struct|enum) (\w+)").expect("a pattern of ours");
    let names = public.captures_iter(rust).filter_map(|found| found.get(1).map(|name| name.as_str().to_owned()));
    let is_declared = |name: &String| {
        Regex::new(&format!(r"(?m)^export type {name}\b")).expect("a name is a pattern").is_match(typescript)
    };
    names.filter(|name| !is_declared(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::undeclared;

    #[test]
    fn a_public_type_that_was_forgotten_is_named() {
        let rust = "pub struct Call { id: u8 }\nenum Private {}\npub enum CallState { A }\n";
        assert_eq!(undeclared(rust, "export type Call = { id: number };\n"), ["CallState"]);
        assert_eq!(undeclared(rust, "export type CallState = \"A\";\nexport type Call = {};\n"), Vec::<String>::new());
    }
}
