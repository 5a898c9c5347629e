//! Which way imports point: from what cargo says about the workspace's packages and everything they pull in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{PURE, Violation};
use crate::checkout::Checkout;
use crate::processes::Program;

/// Crates that do I/O, ask a clock or draw random numbers. A name ending in `*` stands for all that begin so.
const IMPURE: [&str; 22] = [
    "tokio",
    "tokio-*",
    "axum*",
    "hyper*",
    "reqwest*",
    "ureq*",
    "worker*",
    "wasm-bindgen*",
    "js-sys",
    "web-sys",
    "rand",
    "rand_chacha",
    "getrandom",
    "fastrand",
    "tungstenite",
    "async-std",
    "smol*",
    "socket2",
    "mio",
    "polling",
    "chrono",
    "uuid",
];

/// One package of the workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its manifest, from the root.
    manifest: String,
    /// Packages that its manifest lists, of any kind.
    listed: BTreeSet<String>,
    /// Packages that a build of it pulls in, itself excluded; dependencies of tests and of build scripts left out.
    built: BTreeSet<String>,
}

/// The workspace's packages by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Workspace(BTreeMap<String, Package>);

impl Workspace {
    /// Asks cargo.
    pub(crate) fn of(checkout: &Checkout) -> Result<Self> {
        let log = checkout.target().join("logs/tidy-metadata.log");
        let text = Program::new("cargo")
            .args(["metadata", "--format-version=1", "--locked", "--quiet"])
            .dir(checkout.root())
            .log(log)
            .succeed()?
            .text()?;
        let json = text.lines().find(|line| line.starts_with('{')).context("cargo metadata printed no JSON")?;
        Self::parse(&serde_json::from_str(json)?).context("cargo metadata has another shape than expected")
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let root = metadata["workspace_root"].as_str()?;
        let names: BTreeMap<&str, &str> = metadata["packages"]
            .as_array()?
            .iter()
            .map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
            .collect::<Option<_>>()?;
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array()? {
            let normal = node["deps"].as_array()?.iter().filter(|dep| {
                dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            });
            edges.insert(node["id"].as_str()?, normal.filter_map(|dep| dep["pkg"].as_str()).collect());
        }
        let members: BTreeSet<&str> =
            metadata["workspace_members"].as_array()?.iter().filter_map(Value::as_str).collect();
        let mut workspace = BTreeMap::new();
        for package in metadata["packages"].as_array()? {
            let id = package["id"].as_str()?;
            if !members.contains(id) {
                continue;
            }
            let manifest = package["manifest_path"].as_str()?;
            let manifest = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/').to_owned();
            let listed = package["dependencies"].as_array()?.iter().filter_map(|dep| dep["name"].as_str());
            let mut built = BTreeSet::new();
            let mut waiting = edges.get(id).cloned().unwrap_or_default();
            let mut seen = BTreeSet::new();
            while let Some(next) = waiting.pop() {
                if seen.insert(next) {
                    built.insert((*names.get(next)?).to_owned());
                    waiting.extend(edges.get(next).into_iter().flatten());
                }
            }
            let listed = listed.map(str::to_owned).collect();
            workspace.insert(package["name"].as_str()?.to_owned(), Package { manifest, listed, built });
        }
        Some(Self(workspace))
    }
}

/// Arrows that point the wrong way.
pub(crate) fn violations(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    let side = |package: &Package| package.manifest.split('/').next().unwrap_or_default().to_owned();
    for (name, package) in &workspace.0 {
        let here = side(package);
        for (other_name, other) in workspace.0.iter().filter(|(other, _)| *other != name) {
            let there = side(other);
            let why = match (here.as_str(), there.as_str()) {
                ("shared", _) => "shared depends on no crate of the workspace",
                ("edge-worker", "media-node") | ("media-node", "edge-worker") => {
                    "edge and node never import each other"
                }
                (_, "xtask") => "nothing depends on xtask",
                _ => {
                    let is_test_kit = there == "simulator" && matches!(here.as_str(), "edge-worker" | "media-node");
                    if is_test_kit && package.built.contains(other_name) {
                        found.push(Violation::of(
                            &package.manifest,
                            format!("builds on {other_name}: the simulator is for tests only"),
                        ));
                    }
                    continue;
                }
            };
            if package.listed.contains(other_name) {
                found.push(Violation::of(&package.manifest, format!("lists {other_name}: {why}")));
            }
        }
    }
    let simulators = workspace.0.values().filter(|package| side(package) == "simulator");
    for package in simulators.filter(|package| package.built.contains("trunkline-session")) {
        let what = "builds on trunkline-session: a shared mistake would stay invisible (tests may list it)";
        found.push(Violation::of(&package.manifest, what));
    }
    for (name, _) in PURE {
        let Some(package) = workspace.0.get(name) else {
            found.push(Violation::of("Cargo.toml", format!("the pure crate {name} is not in the workspace")));
            continue;
        };
        for listed in package.listed.iter().filter(|listed| is_impure(listed)) {
            found.push(Violation::of(
                &package.manifest,
                format!("lists {listed}: this crate does no I/O and asks no clock"),
            ));
        }
        for built in package.built.iter().filter(|built| is_impure(built) && !package.listed.contains(*built)) {
            found.push(Violation::of(
                &package.manifest,
                format!("pulls in {built}: this crate does no I/O and asks no clock"),
            ));
        }
    }
    found
}

fn is_impure(name: &str) -> bool {
    IMPURE.iter().any(|impure| impure.strip_suffix('*').map_or(*impure == name, |start| name.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::{Package, Workspace, is_impure, violations};
    use serde_json::json;

    fn package(manifest: &str, listed: &[&str], built: &[&str]) -> Package {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Package { manifest: manifest.into(), listed: set(listed), built: set(built) }
    }

    fn sound() -> Workspace {
        let mut workspace = Workspace::default();
        let mut add = |name: &str, package| workspace.0.insert(name.into(), package);
        add("trunkline-shared", package("shared/Cargo.toml", &["serde"], &["serde"]));
        add(
            "trunkline-session",
            package("media-node/session/Cargo.toml", &["trunkline-shared"], &["trunkline-shared"]),
        );
        add(
            "trunkline-edge-core",
            package("edge-worker/core/Cargo.toml", &["trunkline-shared"], &["trunkline-shared"]),
        );
        add("media-node", package("media-node/Cargo.toml", &["tokio", "trunkline-simulator"], &["tokio"]));
        add("edge-worker", package("edge-worker/Cargo.toml", &["worker"], &["worker"]));
        add("trunkline-simulator", package("simulator/Cargo.toml", &["tokio"], &["tokio"]));
        add("xtask", package("xtask/Cargo.toml", &[], &[]));
        workspace
    }

    fn planted(name: &str, listed: &str, built: bool) -> Vec<String> {
        let mut workspace = sound();
        let package = workspace.0.get_mut(name).expect("a package");
        package.listed.insert(listed.into());
        if built {
            package.built.insert(listed.into());
        }
        violations(&workspace).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_workspace_with_the_right_arrows_passes() {
        assert_eq!(violations(&sound()), []);
    }

    #[test]
    fn arrows_between_the_planes_are_found() {
        let found = planted("edge-worker", "trunkline-session", true);
        assert_eq!(found, ["edge-worker/Cargo.toml: lists trunkline-session: edge and node never import each other"]);
        assert_eq!(planted("media-node", "trunkline-edge-core", false).len(), 1);
        assert_eq!(planted("trunkline-session", "edge-worker", false).len(), 1);
    }

    #[test]
    fn shared_stands_alone() {
        assert_eq!(planted("trunkline-shared", "xtask", false).len(), 1);
        assert_eq!(planted("trunkline-shared", "trunkline-simulator", false).len(), 1);
    }

    #[test]
    fn pure_crates_list_nothing_impure_not_even_for_tests() {
        let found = planted("trunkline-session", "tokio", false);
        assert_eq!(found, ["media-node/session/Cargo.toml: lists tokio: this crate does no I/O and asks no clock"]);
        assert_eq!(planted("trunkline-edge-core", "worker", true).len(), 1);
        assert_eq!(planted("trunkline-shared", "rand", true).len(), 1);
    }

    #[test]
    fn pure_crates_pull_in_nothing_impure() {
        let mut workspace = sound();
        workspace.0.get_mut("trunkline-shared").expect("shared").built.insert("getrandom".into());
        let found: Vec<_> = violations(&workspace).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["shared/Cargo.toml: pulls in getrandom: this crate does no I/O and asks no clock"]);
    }

    #[test]
    fn the_simulator_is_for_tests_only() {
        assert_eq!(planted("media-node", "trunkline-simulator", true).len(), 1);
    }

    #[test]
    fn the_simulator_meets_the_session_in_tests_only() {
        assert_eq!(planted("trunkline-simulator", "trunkline-session", false).len(), 0);
        assert_eq!(planted("trunkline-simulator", "trunkline-session", true).len(), 1);
    }

    #[test]
    fn a_missing_pure_crate_is_found() {
        let mut workspace = sound();
        workspace.0.remove("trunkline-session");
        assert_eq!(violations(&workspace).len(), 1);
    }

    #[test]
    fn families_are_impure_by_their_beginning() {
        assert!(is_impure("tokio") && is_impure("tokio-util") && is_impure("hyper-util") && is_impure("worker-sys"));
        assert!(!is_impure("random-looking") && !is_impure("tokioish") && !is_impure("subtle"));
    }

    #[test]
    fn what_tests_need_is_listed_but_not_built() {
        let metadata = json!({
            "workspace_root": "/house",
            "workspace_members": ["one"],
            "packages": [
                {"id": "one", "name": "one", "manifest_path": "/house/a/Cargo.toml",
                 "dependencies": [{"name": "two"}, {"name": "three"}]},
                {"id": "two", "name": "two", "manifest_path": "/elsewhere/Cargo.toml", "dependencies": [{"name": "four"}]},
                {"id": "three", "name": "three", "manifest_path": "/elsewhere/Cargo.toml", "dependencies": []},
                {"id": "four", "name": "four", "manifest_path": "/elsewhere/Cargo.toml", "dependencies": []},
            ],
            "resolve": {"nodes": [
                {"id": "one", "deps": [{"pkg": "two", "dep_kinds": [{"kind": null}]},
                                       {"pkg": "three", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "two", "deps": [{"pkg": "four", "dep_kinds": [{"kind": null}]}]},
                {"id": "three", "deps": []}, {"id": "four", "deps": []},
            ]},
        });
        let workspace = Workspace::parse(&metadata).expect("the shape of cargo metadata");
        assert_eq!(workspace.0["one"], package("a/Cargo.toml", &["two", "three"], &["two", "four"]));
        assert_eq!(workspace.0.len(), 1);
    }
}
