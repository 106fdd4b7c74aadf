//! Holds the repository to its layout: who may depend on whom, how things are called, what has to stand beside what.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which package may use which of ours. `dsm` stays free of IO, `leef` and `framing` of everything because of this table; a new
/// edge is a decision, so it is written down here first.
const EDGES: &[(&str, &[&str])] = &[
    ("authoring", &["dsm", "framing", "leef"]),
    ("dsm", &["leef"]),
    (
        "dsmith",
        &[
            "authoring",
            "dsm",
            "framing",
            "leef",
            "ordered",
            "pipeline",
            "protocol",
            "simulator",
        ],
    ),
    ("framing", &[]),
    (
        "fuzz",
        &[
            "authoring",
            "dsm",
            "framing",
            "leef",
            "pipeline",
            "protocol",
        ],
    ),
    ("leef", &[]),
    ("ordered", &[]),
    ("pipeline", &["dsm", "leef", "protocol"]),
    ("protocol", &["framing"]),
    ("simulator", &[]),
    (
        "xtask",
        &[
            "authoring",
            "dsm",
            "fuzz",
            "leef",
            "pipeline",
            "protocol",
            "simulator",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The folders in a folder, without hidden ones.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && !name(path).starts_with('.'))
        .collect();
    folders.sort();
    folders
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if name(&path).starts_with('.') || name(&path) == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn packages() -> Vec<PathBuf> {
    let mut packages = folders(&root().join("crates"));
    packages.push(root().join("xtask"));
    packages.push(root().join("xtask/fuzz"));
    packages
}

/// The names in all tables of dependencies of a Cargo.toml: normal ones, those of tests, those of build scripts.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut in_table = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_matches(['[', ']']);
            let (table, last) = header.rsplit_once('.').unwrap_or(("", header));
            in_table = last.ends_with("dependencies");
            if table.ends_with("dependencies") {
                names.insert(last.to_owned());
            }
        } else if in_table && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.insert(line[..end].to_owned());
        }
    }
    names
}

#[test]
fn packages_depend_on_each_other_as_the_table_says_and_not_otherwise() {
    let packages = packages();
    let ours: BTreeSet<String> = packages.iter().map(|path| name(path)).collect();
    let found: BTreeMap<String, BTreeSet<String>> = packages
        .iter()
        .map(|path| {
            let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
            let used = dependencies(&manifest)
                .intersection(&ours)
                .cloned()
                .collect();
            (name(path), used)
        })
        .collect();
    let allowed: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(package, used)| {
            let used = used.iter().map(|name| (*name).to_owned()).collect();
            ((*package).to_owned(), used)
        })
        .collect();
    assert_eq!(found, allowed, "the table is EDGES in {}", file!());
}

#[test]
fn dependencies_are_found_however_they_are_written() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n# c = \"1\"\n\
        [dependencies.d]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = { path = \"e\" }\n\
        [dev-dependencies]\nf={ version = \"1\" }\n[features]\ng = []\n";
    assert_eq!(
        dependencies(manifest).into_iter().collect::<Vec<_>>(),
        ["a", "b", "d", "e", "f"]
    );
}

#[test]
fn no_package_is_a_place_for_everything() {
    for package in packages() {
        for word in [
            "core", "common", "types", "util", "utils", "helpers", "misc",
        ] {
            let name = name(&package);
            assert!(
                name.split(['-', '_']).all(|part| part != word),
                "the name {name} says nothing about what belongs into it"
            );
        }
    }
}

fn is_kebab_case(name: &str) -> bool {
    !name.is_empty()
        && name.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

#[test]
fn fixtures_are_named_after_what_they_show() {
    let mut count = 0;
    for slug in folders(&root().join("fixtures")) {
        if name(&slug).starts_with('_') {
            continue;
        }
        for file in files(&slug) {
            let path = file.strip_prefix(&slug).unwrap();
            for part in path {
                let part = part.to_string_lossy();
                let stem = part.split('.').next().unwrap();
                assert!(is_kebab_case(stem), "{}: not kebab-case", file.display());
                assert!(
                    stem.bytes().any(|b| b.is_ascii_lowercase()),
                    "{}: a number says nothing about what the fixture shows",
                    file.display()
                );
            }
            count += 1;
        }
    }
    assert!(count > 100, "only {count} fixtures were looked at");
}

#[test]
fn every_mapping_folder_is_in_kebab_case_and_has_a_readme() {
    let mappings = folders(&root().join("dsm-mappings"));
    assert!(!mappings.is_empty());
    for mapping in mappings {
        assert!(is_kebab_case(&name(&mapping)), "{}", mapping.display());
        let readme = fs::read_to_string(mapping.join("README.md")).unwrap_or_default();
        assert!(
            readme.starts_with("# "),
            "{} has no README.md with a heading",
            mapping.display()
        );
    }
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let root = root();
    // In pieces, so that this file does not hold them.
    let everywhere = [root.display().to_string(), ["", "work", ""].join("/")];
    let outside_payloads = ["home", "root", "Users"].map(|folder| ["", folder, ""].join("/"));
    let places = ["crates", "dsm-mappings", "fixtures", "docs", "xtask"];
    let mut found: Vec<PathBuf> = places
        .iter()
        .map(|place| root.join(place))
        .filter(|place| place.is_dir())
        .flat_map(|place| files(&place))
        .collect();
    found.extend(
        fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            // In a work tree of git, `.git` is a file with such a path.
            .filter(|path| path.is_file() && name(path) != ".git"),
    );
    let mut count = 0;
    for path in found {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let relative = path.strip_prefix(&root).unwrap();
        // Payloads tell of the machines they come from.
        let is_payload = relative.starts_with("fixtures")
            && !relative
                .iter()
                .nth(1)
                .is_some_and(|slug| slug.to_string_lossy().starts_with('_'));
        let patterns = everywhere
            .iter()
            .chain(outside_payloads.iter().filter(|_| !is_payload));
        for pattern in patterns {
            assert!(
                !text.contains(pattern.as_str()),
                "{} holds {pattern}",
                relative.display()
            );
        }
        count += 1;
    }
    assert!(count > 100, "only {count} files were looked at");
}

#[test]
fn every_test_that_the_reliability_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    let code: Vec<String> = ["crates", "xtask"]
        .into_iter()
        .flat_map(|folder| files(&root().join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut named = 0;
    // In code spans, names with four words or more are those of tests.
    for name in page.split('`').skip(1).step_by(2) {
        let is_test = name.matches('_').count() >= 4
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !name.starts_with("dsmith_");
        if is_test {
            named += 1;
            let function = format!("fn {name}(");
            assert!(
                code.iter().any(|text| text.contains(&function)),
                "docs/reliability.md names `{name}`, which is no test"
            );
        }
    }
    assert!(named > 20, "the page names {named} tests");
}
