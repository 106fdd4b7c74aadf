//! A disk that is full, by us or by others: collection pauses, and delivery goes on to the end.
//!
//! The disk is a real one of 40 MB: a tmpfs in a mount namespace of its own, which Linux gives to everybody who may make
//! user namespaces. Where it does not, the tests say so and are left out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, Utc};
use pipeline::store::{Limits, MemoryLimits, Position, SourceId, Store, StoreError};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIMITS: Limits = Limits {
    spool: 1 << 30,
    free: 1 << 20,
    memory: MemoryLimits {
        bytes: 1000,
        events: 100,
    },
};

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

/// Runs a test of this file again where there is a disk of 40 MB of its own.
fn on_a_small_disk(test: &str, body: impl FnOnce(&Path)) {
    const VARIABLE: &str = "DSMITH_SMALL_DISK";
    if let Some(disk) = std::env::var_os(VARIABLE) {
        return body(&PathBuf::from(disk));
    }
    let possible = Command::new("unshare").args(["-Urm", "true"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: {test} needs `unshare -Urm`, which this machine does not allow");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script =
        "mount -t tmpfs -o size=40m tmpfs \"$1\" && exec \"$2\" --exact \"$3\" --nocapture";
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(VARIABLE, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn open(disk: &Path) -> (Store, SourceId) {
    let store = Store::open(&disk.join("state"), LIMITS).unwrap();
    let source = store.source("alpha").unwrap();
    store.position(source, "out").unwrap();
    (store, source)
}

/// Pages of so many payloads of so many bytes, until the store pauses; returns how many events it took.
fn fill(store: &Store, source: SourceId, events: usize, bytes: usize) -> u64 {
    let mut taken = 0;
    loop {
        let page = vec![vec![b'x'; bytes]; events];
        match store.accept(source, "", &page, Some("cursor"), at()) {
            Ok(()) => taken += events as u64,
            Err(error) => {
                assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
                return taken;
            }
        }
    }
}

/// Delivers what waits, a few events at a time, and returns the next sequence.
fn deliver(store: &Store, source: SourceId, mut next: u64) -> u64 {
    loop {
        let batch = store.read(source, next, 20, 1 << 20).unwrap();
        let Some(behind) = batch.next() else {
            return next;
        };
        let position = Position::at(behind);
        let moved = store.advance(source, "out", &position);
        moved.unwrap_or_else(|error| panic!("delivery stops at event {next}: {error}"));
        next = behind;
    }
}

/// Takes all that is left on the disk.
fn take_the_rest(disk: &Path) -> PathBuf {
    let path = disk.join("of-somebody-else");
    let mut file = fs::File::create(&path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

#[test]
fn on_a_disk_that_we_have_filled_ourselves_delivery_goes_on_and_then_collection() {
    let name = "on_a_disk_that_we_have_filled_ourselves_delivery_goes_on_and_then_collection";
    on_a_small_disk(name, |disk| {
        for (events, bytes) in [(20, 300), (100, 10_000), (700, 10_000), (1, 5_000_000)] {
            let (store, source) = open(disk);
            let mut next = 1;
            for round in 0..4 {
                let taken = fill(&store, source, events, bytes);
                assert!(taken * bytes as u64 > 0, "round {round} of {bytes} bytes");
                next = deliver(&store, source, next);
            }
            assert_eq!(store.bytes(), 0);
            drop(store);
            fs::remove_dir_all(disk.join("state")).unwrap();
        }
    });
}

#[test]
fn on_a_disk_that_others_have_filled_to_the_last_byte_delivery_goes_on() {
    let name = "on_a_disk_that_others_have_filled_to_the_last_byte_delivery_goes_on";
    on_a_small_disk(name, |disk| {
        // The disk is filled when much, something, or little of the log is not in the database yet.
        for pages in [1, 3, 7, 12] {
            let (store, source) = open(disk);
            for _ in 0..pages {
                let page = vec![vec![b'x'; 10_000]; 100];
                store.accept(source, "", &page, None, at()).unwrap();
            }
            let theirs = take_the_rest(disk);
            let refused = store.accept(source, "", &["x"], None, at());
            assert!(refused.unwrap_err().is_pause());
            let next = deliver(&store, source, 1);
            assert_eq!(next, pages * 100 + 1);
            fs::remove_file(theirs).unwrap();
            store.accept(source, "", &["x"], None, at()).unwrap();
            drop(store);
            fs::remove_dir_all(disk.join("state")).unwrap();
        }
    });
}

#[test]
fn after_a_kill_on_a_full_disk_a_new_start_delivers_what_waits() {
    const NAME: &str = "after_a_kill_on_a_full_disk_a_new_start_delivers_what_waits";
    const VARIABLE: &str = "DSMITH_FILL_AND_DIE";
    on_a_small_disk(NAME, |disk| {
        let (events, bytes) = (50, 10_000);
        if std::env::var_os(VARIABLE).is_some() {
            let (store, source) = open(disk);
            let taken = fill(&store, source, events, bytes);
            fs::write(disk.join("taken"), taken.to_string()).unwrap();
            take_the_rest(disk);
            // As with a kill nothing is tidied up.
            std::process::abort();
        }
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(VARIABLE, "1")
            .output()
            .unwrap();
        assert!(!child.status.success());
        let taken: u64 = fs::read_to_string(disk.join("taken"))
            .unwrap()
            .parse()
            .unwrap();
        assert!(taken > 500, "{taken}");
        let (store, source) = open(disk);
        assert_eq!(deliver(&store, source, 1), taken + 1);
    });
}

#[test]
fn a_read_only_disk_is_an_error_that_says_so_and_can_be_looked_at() {
    let name = "a_read_only_disk_is_an_error_that_says_so_and_can_be_looked_at";
    on_a_small_disk(name, |disk| {
        let (store, source) = open(disk);
        store.accept(source, "", &["x"], None, at()).unwrap();
        drop(store);
        let mount = |options: &str| {
            let mut mount = Command::new("mount");
            let status = mount.args(["-o", options]).arg(disk).status();
            assert!(status.unwrap().success());
        };
        mount("remount,ro");
        let text = Store::open(&disk.join("state"), LIMITS)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("cannot be used") && text.contains("ead-only"),
            "{text}"
        );
        assert_eq!(
            Store::peek(&disk.join("state")).unwrap().waiting[0].events,
            1
        );
        mount("remount,rw");
    });
}
