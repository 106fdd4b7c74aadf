//! Holds the repository to its layout: who may depend on whom, how things are called, what has to stand beside what.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

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

/// Every package of the workspace, by its name, which is that of its folder.
fn packages() -> Vec<PathBuf> {
    let mut packages = folders(&root().join("crates"));
    let xtask = root().join("xtask");
    let members = folders(&xtask);
    // `peers` is a workspace of its own.
    packages.extend(
        members
            .into_iter()
            .filter(|path| path.join("Cargo.toml").is_file() && name(path) != "peers"),
    );
    packages.push(xtask);
    packages
}

/// The names of our packages that a package uses: what it is built with, and what only its tests are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Uses {
    build: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// The names in all tables of dependencies of a Cargo.toml: those of build scripts are what it is built with.
fn dependencies(manifest: &str) -> Uses {
    let mut uses = Uses::default();
    let mut table = None;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_matches(['[', ']']);
            let (before, last) = header.rsplit_once('.').unwrap_or(("", header));
            table = last.ends_with("dependencies").then(|| last.to_owned());
            if before.ends_with("dependencies") {
                uses.of(before).insert(last.to_owned());
            }
        } else if let Some(table) = &table
            && !line.is_empty()
            && !line.starts_with('#')
        {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            uses.of(table).insert(line[..end].to_owned());
        }
    }
    uses
}

impl Uses {
    fn of(&mut self, table: &str) -> &mut BTreeSet<String> {
        if table.ends_with("dev-dependencies") {
            &mut self.tests
        } else {
            &mut self.build
        }
    }

    fn only(mut self, ours: &BTreeSet<String>) -> Self {
        self.build.retain(|name| ours.contains(name));
        self.tests
            .retain(|name| ours.contains(name) && !self.build.contains(name));
        self
    }
}

/// The table of packages in docs/architecture.md: `crates/NAME  about  imports a, b; tests: c`.
fn documented() -> BTreeMap<String, Uses> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let names = |list: &str| -> BTreeSet<String> {
        list.split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty() && name != "none of ours")
            .collect()
    };
    page.lines()
        .filter(|line| line.starts_with("crates/") || line.starts_with("xtask"))
        .filter_map(|line| line.split_once(" imports "))
        .map(|(left, right)| {
            let path = left.split_whitespace().next().unwrap();
            let (build, tests) = right.split_once("; tests:").unwrap_or((right, ""));
            let uses = Uses {
                build: names(build),
                tests: names(tests),
            };
            (name(Path::new(path)), uses)
        })
        .collect()
}

#[test]
fn packages_depend_on_each_other_as_the_architecture_says() {
    let packages = packages();
    let ours: BTreeSet<String> = packages.iter().map(|path| name(path)).collect();
    let found: BTreeMap<String, Uses> = packages
        .iter()
        .map(|path| {
            let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
            (name(path), dependencies(&manifest).only(&ours))
        })
        .collect();
    assert_eq!(found, documented(), "the table is in docs/architecture.md");
}

#[test]
fn what_a_package_depends_on_it_imports() {
    for path in packages() {
        let of_this = |file: &PathBuf| {
            file.extension().is_some_and(|extension| extension == "rs")
                && packages().iter().all(|other| {
                    *other == path || !file.starts_with(other) || path.starts_with(other)
                })
        };
        let (tests, build): (Vec<PathBuf>, Vec<PathBuf>) =
            files(&path).into_iter().filter(of_this).partition(|file| {
                let inside = file.strip_prefix(&path).unwrap();
                inside.starts_with("tests") || inside.starts_with("benches")
            });
        let text = |files: &[PathBuf]| -> String {
            files
                .iter()
                .map(|file| fs::read_to_string(file).unwrap())
                .collect()
        };
        let (tests, build) = (text(&tests), text(&build));
        let uses = &documented()[&name(&path)];
        let imports =
            |text: &str, package: &str| text.contains(&format!("{}::", package.replace('-', "_")));
        for package in &uses.build {
            assert!(
                imports(&build, package),
                "{} does not import {package}",
                path.display()
            );
        }
        for package in &uses.tests {
            assert!(
                imports(&tests, package) || imports(&build, package),
                "the tests of {} do not import {package}",
                path.display()
            );
        }
    }
}

#[test]
fn no_product_links_what_measures_or_attacks_it() {
    let tools: BTreeSet<String> = folders(&root().join("xtask"))
        .iter()
        .map(|path| name(path))
        .collect();
    for (package, uses) in documented() {
        if root().join("crates").join(&package).is_dir() {
            let linked: Vec<&String> = uses.build.intersection(&tools).collect();
            assert!(linked.is_empty(), "{package} links {linked:?}");
        }
    }
}

#[test]
fn dependencies_are_found_however_they_are_written() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n# c = \"1\"\n\
        [dependencies.d]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = { path = \"e\" }\n\
        [dev-dependencies]\nf={ version = \"1\" }\n[dev-dependencies.g]\nversion = \"1\"\n[features]\nh = []\n";
    let uses = dependencies(manifest);
    assert_eq!(
        uses.build.into_iter().collect::<Vec<_>>(),
        ["a", "b", "d", "e"]
    );
    assert_eq!(uses.tests.into_iter().collect::<Vec<_>>(), ["f", "g"]);
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

/// Where tests may look at the wall clock, how often, and why. Everything else waits for an event with a generous limit, or
/// counts steps or bytes.
const WALL_CLOCK: &[(&str, usize, &str)] = &[
    (
        "crates/authoring/tests/robustness.rs",
        2,
        "a guard against quadratic time from outside the crate that counts steps: 5 s for what takes 20 ms",
    ),
    (
        "crates/dsmith/tests/receivers/daemon.rs",
        1,
        "ends a daemon: after 30 s it is killed, and nothing is asserted",
    ),
    (
        "crates/dsmith/tests/receivers/restarts.rs",
        1,
        "a wait with a limit that the caller gives",
    ),
    (
        "crates/protocol/tests/syslog.rs",
        2,
        "a sender that tries again after half a second, and five seconds in which memory may grow",
    ),
    (
        "xtask/harness/src/receiver.rs",
        1,
        "a wait with a limit; what is asserted follows it",
    ),
    (
        "crates/simulator/tests/http.rs",
        1,
        "at least so long, which no busy machine makes shorter",
    ),
];

/// The limits of waits that are longer than anything takes on a slow machine.
const GENEROUS: [&str; 4] = ["LONG", "from_secs(20)", "from_secs(30)", "from_secs(60)"];

/// What of a file is tests: all of it in a folder `tests` and in files that end in `_tests.rs` or `tests.rs`, or what comes
/// behind `mod tests`.
fn tests_in<'t>(path: &Path, text: &'t str) -> &'t str {
    let is_test = path.iter().any(|part| part == "tests")
        || ["_tests.rs", "tests.rs"]
            .iter()
            .any(|end| name(path).ends_with(end));
    if is_test {
        return text;
    }
    let begin = text.find("mod tests {").unwrap_or(text.len());
    &text[begin..]
}

/// How often tests look how much time has passed on the wall, other than to give up waiting after a generous limit.
fn looks_at_the_wall_clock(text: &str) -> usize {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    // In pieces, so that this file does not hold it.
    let pattern = [".elapsed", "()"].concat();
    let looks = code.match_indices(&pattern).filter(|(at, _)| {
        let (before, after) = code.split_at(*at);
        // A virtual clock has such a function too.
        let is_virtual = before.ends_with("clock");
        let begin = before.rfind([';', '{', '}']).map_or(0, |begin| begin + 1);
        let end = after.find([';', '{']).unwrap_or(after.len());
        let statement = &code[begin..at + end];
        let is_limit = GENEROUS.iter().any(|limit| statement.contains(limit))
            && ["assert!(", "if ", "&& "]
                .iter()
                .any(|word| statement.contains(word));
        !is_virtual && !is_limit
    });
    looks.count()
}

#[test]
fn tests_wait_for_events_and_assert_nothing_about_the_wall_clock() {
    let root = root();
    let mut too_many = Vec::new();
    for path in ["crates", "xtask"]
        .iter()
        .flat_map(|folder| files(&root.join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
    {
        let text = fs::read_to_string(&path).unwrap();
        let count = looks_at_the_wall_clock(tests_in(&path, &text));
        let path = path.strip_prefix(&root).unwrap().to_string_lossy();
        let mut exceptions = WALL_CLOCK.iter().filter(|(known, ..)| *known == path);
        if count > exceptions.next().map_or(0, |(_, allowed, _)| *allowed) {
            too_many.push(format!("{path}: {count}"));
        }
    }
    assert!(
        too_many.is_empty(),
        "{too_many:?} look at the wall clock: wait for an event with a generous limit, or count steps; exceptions, with a \
         reason, are in WALL_CLOCK in {}",
        file!()
    );
}

#[test]
fn looks_at_the_wall_clock_are_told_from_limits_of_waits() {
    let elapsed = ["begun.elapsed", "()"].concat();
    for (text, count) in [
        ("assert!(ELAPSED < LONG, \"{what}\");", 0),
        (
            "if a {\n  assert!(\n    ELAPSED < Duration::from_secs(20),\n  );",
            0,
        ),
        ("while !is_so && ELAPSED < LONG {", 0),
        ("if ELAPSED > LONG { panic!() }", 0),
        ("// ELAPSED", 0),
        ("assert!(ELAPSED < Duration::from_millis(900));", 1),
        ("let took = ELAPSED;", 1),
        ("while ELAPSED < Duration::from_secs(5) {", 1),
    ] {
        let text = text.replace("ELAPSED", &elapsed);
        assert_eq!(looks_at_the_wall_clock(&text), count, "{text}");
    }
    assert_eq!(
        looks_at_the_wall_clock(&["clock.elapsed", "()"].concat()),
        0
    );
}
