//! Lists the mapping folders for embedding, so that adding a folder is all it takes to ship it; and the reports about
//! faulty mappings, which `dsmith explain` shows.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

const FILES: [&str; 4] = [
    "manifest.toml",
    "extension.xml",
    "qidmap.csv",
    "event-mappings.csv",
];

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dsm-mappings");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut folders: Vec<_> = fs::read_dir(&root)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        // A folder that lacks a file is found by the check, not by a build that fails.
        .filter(|path| FILES.iter().all(|name| path.join(name).is_file()))
        .collect();
    folders.sort();
    let mut list = String::from("&[\n");
    for folder in folders {
        let folder = fs::canonicalize(folder)?;
        let slug = folder.file_name().unwrap_or_default().to_string_lossy();
        let _ = write!(list, "    ({slug:?}, [");
        for name in FILES {
            let _ = write!(list, "include_str!({:?}), ", folder.join(name));
        }
        list.push_str("]),\n");
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("mappings.rs"), list)?;
    reports(Path::new(&out))
}

/// The report of one folder for each diagnostic code; the folders begin with the code.
fn reports(out: &Path) -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/_invalid");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut folders: Vec<_> = fs::read_dir(&root)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("report.snap").is_file())
        .collect();
    folders.sort();
    let mut list = String::from("&[\n");
    let mut last = String::new();
    for folder in folders {
        let folder = fs::canonicalize(folder)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let code = name.split('-').next().unwrap_or_default();
        if code != last {
            let path = folder.join("report.snap");
            let _ = writeln!(list, "    ({code:?}, include_str!({path:?})),");
            last = code.to_owned();
        }
    }
    list.push(']');
    fs::write(out.join("reports.rs"), list)
}
