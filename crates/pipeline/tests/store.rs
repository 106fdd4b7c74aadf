//! What the store promises: a page and its cursor together or not at all, positions that stand for themselves, nothing
//! dropped, and an error with a remedy where the state cannot be used.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, Utc};
use pipeline::store::{FORMAT, Limits, MemoryLimits, Position, Store, StoreError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const ROOMY: Limits = Limits {
    spool: 1 << 30,
    free: 0,
    memory: MemoryLimits {
        bytes: 1000,
        events: 100,
    },
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn open(dir: &Path) -> Store {
    Store::open(dir, ROOMY).unwrap()
}

fn payloads(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("event {n}")).collect()
}

/// What the process would leave if it were killed now.
fn crash(dir: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // Room that is set aside holds nothing.
        if !path.ends_with("reserve") {
            fs::copy(&path, image.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    image
}

fn texts(store: &Store, source: pipeline::store::SourceId, from: u64) -> Vec<String> {
    let batch = store.read(source, from, usize::MAX, usize::MAX).unwrap();
    batch
        .iter()
        .map(|event| String::from_utf8(event.payload.to_vec()).unwrap())
        .collect()
}

#[test]
fn a_page_and_its_cursor_survive_a_crash_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    let before = crash(dir.path());
    store
        .accept(source, "eu", &payloads(0..3), Some("c1"), at(0))
        .unwrap();
    let after = crash(dir.path());

    let store = open(before.path());
    let source = store.source("alpha").unwrap();
    assert_eq!(store.cursor(source, "eu").unwrap(), None);
    assert!(texts(&store, source, 1).is_empty());

    let store = open(after.path());
    let source = store.source("alpha").unwrap();
    assert_eq!(store.cursor(source, "eu").unwrap().as_deref(), Some("c1"));
    assert_eq!(store.cursor(source, "us").unwrap(), None);
    assert_eq!(texts(&store, source, 1), payloads(0..3));
    assert_eq!(store.position(source, "file").unwrap(), Position::at(1));
}

#[test]
fn batches_of_any_size_give_every_event_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    let other = store.source("beta").unwrap();
    // Empty payloads, payloads larger than a chunk, many small ones, and those of a neighbour in between.
    let mut expected = Vec::new();
    for (n, sizes) in [vec![0, 1, 400_000, 0, 3], vec![10; 9000], vec![100_000; 7]]
        .iter()
        .enumerate()
    {
        let page: Vec<Vec<u8>> = sizes
            .iter()
            .enumerate()
            .map(|(index, size)| vec![u8::try_from(index % 251).unwrap(); *size])
            .collect();
        store.accept(other, "", &["x"], None, at(0)).unwrap();
        let seconds = i64::try_from(n).unwrap();
        store.accept(source, "", &page, None, at(seconds)).unwrap();
        expected.extend(page.into_iter().map(|payload| (at(seconds), payload)));
    }
    for (max_events, max_bytes) in [(1000, usize::MAX), (4097, 50_000), (usize::MAX, 1)] {
        let mut from = 1;
        let mut found = Vec::new();
        loop {
            let batch = store.read(source, from, max_events, max_bytes).unwrap();
            assert!(batch.len() <= max_events);
            for event in batch.iter() {
                assert_eq!(event.sequence, found.len() as u64 + 1);
                found.push((event.received, event.payload.to_vec()));
            }
            let Some(next) = batch.next() else { break };
            from = next;
            if max_bytes == 1 && found.len() > 20 {
                break;
            }
        }
        assert!(found == expected[..found.len()]);
        assert!(max_bytes == 1 || found.len() == expected.len());
    }
    assert_eq!(store.waiting(source, 5).unwrap(), expected.len() as u64 - 4);
}

#[test]
fn an_event_stays_until_every_destination_has_accepted_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    for destination in ["fast", "slow"] {
        store.position(source, destination).unwrap();
    }
    store
        .accept(source, "", &payloads(0..10), None, at(0))
        .unwrap();
    let waiting = store.bytes();
    store.advance(source, "fast", &Position::at(11)).unwrap();
    assert_eq!(store.bytes(), waiting);
    assert_eq!(texts(&store, source, 4), payloads(3..10));

    let store = open(crash(dir.path()).path());
    let source = store.source("alpha").unwrap();
    assert_eq!(store.position(source, "fast").unwrap(), Position::at(11));
    assert_eq!(store.position(source, "slow").unwrap(), Position::at(1));
    store.advance(source, "slow", &Position::at(11)).unwrap();
    assert_eq!(store.bytes(), 0);
    assert!(texts(&store, source, 1).is_empty());
}

#[test]
fn an_event_stays_while_a_position_still_needs_its_payload() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    for n in 0..2 {
        store
            .accept(source, "", &payloads(n..n + 1), None, at(0))
            .unwrap();
    }
    let position = Position {
        next: 3,
        keep: 2,
        state: "pending".to_owned(),
    };
    store.advance(source, "file", &position).unwrap();
    assert_eq!(texts(&store, source, 1), payloads(1..2));
    assert_eq!(store.position(source, "file").unwrap(), position);
}

#[test]
fn a_destination_that_is_added_later_gets_what_arrives_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "first").unwrap();
    store
        .accept(source, "", &payloads(0..4), None, at(0))
        .unwrap();
    assert_eq!(store.position(source, "second").unwrap(), Position::at(5));
}

#[test]
fn a_full_spool_refuses_a_page_whole_and_takes_it_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        spool: 100,
        ..ROOMY
    };
    let store = Store::open(dir.path(), limits).unwrap();
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    // An empty spool takes a page of any size, or it would never be fetched.
    let large = [vec![b'x'; 500]];
    store.accept(source, "", &large, Some("c1"), at(0)).unwrap();
    let refused = store
        .accept(source, "", &payloads(0..1), Some("c2"), at(0))
        .unwrap_err();
    assert!(matches!(refused, StoreError::Full { limit: 100, .. }));
    assert!(refused.is_pause());
    assert!(refused.to_string().contains("limits.spool"), "{refused}");
    assert_eq!(store.cursor(source, "").unwrap().as_deref(), Some("c1"));
    assert_eq!(store.waiting(source, 1).unwrap(), 1);

    store.advance(source, "file", &Position::at(2)).unwrap();
    store
        .accept(source, "", &payloads(0..1), Some("c2"), at(0))
        .unwrap();
    assert_eq!(texts(&store, source, 2), payloads(0..1));
}

#[test]
fn collection_pauses_before_the_disk_is_full_and_delivery_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    store
        .accept(source, "", &payloads(0..2), None, at(0))
        .unwrap();
    store.set_limits(Limits {
        free: u64::MAX,
        ..ROOMY
    });
    let refused = store
        .accept(source, "", &payloads(2..3), None, at(0))
        .unwrap_err();
    assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused}");
    assert!(refused.is_pause());
    store.advance(source, "file", &Position::at(3)).unwrap();
    assert_eq!(store.bytes(), 0);
}

#[test]
fn two_processes_cannot_have_one_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = Store::open(dir.path(), ROOMY).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, StoreError::InUse { .. }), "{text}");
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    assert!(Store::peek(dir.path()).unwrap().process.is_some());
    drop(store);
    assert_eq!(Store::peek(dir.path()).unwrap().process, None);
    open(dir.path());
}

#[test]
fn a_state_that_cannot_be_read_is_an_error_with_a_remedy_and_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    drop(open(dir.path()));
    let sql = |text: &str| {
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(text)
            .unwrap();
    };
    let refused = |remedy: &str| {
        let before = fs::read(&path).unwrap();
        let text = Store::open(dir.path(), ROOMY).unwrap_err().to_string();
        assert!(text.contains(remedy), "{text}");
        assert!(fs::read(&path).unwrap() == before);
    };
    sql(&format!("PRAGMA user_version = {}", FORMAT + 1));
    refused("run the version of dsmith that wrote it");
    sql("PRAGMA user_version = 1; PRAGMA application_id = 7");
    refused("database of another program");
    fs::write(
        &path,
        "no database at all, and long enough to have a header".repeat(40),
    )
    .unwrap();
    refused("restore state.db from a copy");
    let mut bytes = vec![0xff; 100_000];
    bytes[..16].copy_from_slice(b"SQLite format 3\0");
    fs::write(&path, bytes).unwrap();
    refused("restore state.db from a copy");
}

#[test]
fn a_state_whose_making_was_cut_short_by_a_kill_is_made_and_one_that_was_used_is_not() {
    for (has_run, before) in [
        (false, "PRAGMA journal_mode = WAL"),
        (false, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM"),
        (true, "PRAGMA journal_mode = WAL"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        database
            .execute_batch(&format!("PRAGMA page_size = 16384; {before};"))
            .unwrap();
        drop(database);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 16384, "one empty page");
        if has_run {
            let status = dir.path().join("status.json");
            fs::write(&status, "{}").unwrap();
            fs::set_permissions(&status, fs::Permissions::from_mode(0o600)).unwrap();
            let text = Store::open(dir.path(), ROOMY).unwrap_err().to_string();
            assert!(text.contains("restore state.db from a copy"), "{text}");
            continue;
        }
        let store = open(dir.path());
        let source = store.source("alpha").unwrap();
        store
            .accept(source, "", &payloads(0..2), None, at(0))
            .unwrap();
        drop(store);
        assert!(open(dir.path()).bytes() > 0);
    }
}

#[test]
fn a_damaged_chunk_is_an_error_and_not_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store
        .accept(source, "", &payloads(0..3), None, at(0))
        .unwrap();
    for change in [
        "UPDATE chunk SET payloads = substr(payloads, 1, length(payloads) - 1)",
        "UPDATE chunk SET payloads = x'ffffffff'",
        "UPDATE chunk SET payloads = x''",
    ] {
        rusqlite::Connection::open(dir.path().join("state.db"))
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let error = store.read(source, 1, 10, 1000).unwrap_err();
        assert!(error.to_string().contains("chunk with event 1"), "{error}");
    }
}

#[test]
fn a_spool_that_was_delivered_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    let page = vec![vec![b'x'; 100_000]; 200];
    for _ in 0..8 {
        store.accept(source, "", &page, None, at(0)).unwrap();
    }
    let size = || fs::metadata(dir.path().join("state.db")).unwrap().len();
    let full = size();
    assert!(full > 140_000_000, "{full}");
    for event in 1..=1600 {
        store
            .advance(source, "file", &Position::at(event + 1))
            .unwrap();
    }
    assert_eq!(store.bytes(), 0);
    assert!(size() < full / 2 + 5_000_000, "{} of {full}", size());
}

#[test]
fn what_waits_for_a_destination_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    for destination in ["kept", "gone"] {
        store.position(source, destination).unwrap();
    }
    store
        .accept(source, "", &payloads(0..6), None, at(0))
        .unwrap();
    store.advance(source, "kept", &Position::at(7)).unwrap();
    assert_eq!(store.forget(source, "gone").unwrap(), 6);
    assert_eq!(store.bytes(), 0);
    assert_eq!(store.forget(source, "gone").unwrap(), 0);
    store
        .accept(source, "", &payloads(6..9), None, at(0))
        .unwrap();
    assert_eq!(store.forget(source, "kept").unwrap(), 3);
    assert_eq!(store.bytes(), 0, "nobody needs it any more");
}

#[test]
fn a_look_from_outside_shows_what_waits_and_since_when() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Store::peek(dir.path()).unwrap_err();
    assert!(matches!(absent, StoreError::Absent { .. }));
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    store
        .accept(source, "eu", &payloads(0..2), Some("c"), at(0))
        .unwrap();
    store
        .accept(source, "eu", &payloads(2..5), Some("c"), at(60))
        .unwrap();
    store.advance(source, "file", &Position::at(3)).unwrap();
    let peek = Store::peek(dir.path()).unwrap();
    assert_eq!(peek.sources[0].received, 5);
    assert_eq!(peek.waiting[0].events, 3);
    assert_eq!(peek.waiting[0].oldest, Some(at(60)));
    assert_eq!(peek.bytes, store.bytes());
}

#[test]
fn an_empty_database_beside_what_a_run_has_left_is_an_error_and_not_a_new_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("alpha").unwrap();
    store.position(source, "file").unwrap();
    store
        .accept(source, "", &payloads(0..3), Some("c1"), at(0))
        .unwrap();
    let refused = |image: &Path| {
        let log = fs::read(image.join("state.db-wal")).unwrap_or_default();
        let text = Store::open(image, ROOMY).unwrap_err().to_string();
        assert!(text.contains("restore state.db from a copy"), "{text}");
        let peeked = Store::peek(image).unwrap_err().to_string();
        assert!(peeked.contains("restore state.db from a copy"), "{peeked}");
        let left = fs::read(image.join("state.db-wal")).unwrap_or_default();
        assert!(left == log, "the log was touched");
    };
    // The file was cut to nothing, or moved away, and the log is there.
    let image = crash(dir.path());
    fs::write(image.path().join("state.db"), "").unwrap();
    refused(image.path());
    fs::remove_file(image.path().join("state.db")).unwrap();
    refused(image.path());
    // Only that there was a run is known.
    let image = crash(dir.path());
    fs::remove_file(image.path().join("state.db-wal")).unwrap();
    fs::write(image.path().join("state.db"), "").unwrap();
    fs::write(image.path().join("status.json"), "{}").unwrap();
    refused(image.path());
    // A process that was killed before it had begun is no run, and whoever moves everything away begins anew.
    let fresh = tempfile::tempdir().unwrap();
    fs::write(fresh.path().join("state.db"), "").unwrap();
    fs::write(fresh.path().join("lock"), "1").unwrap();
    drop(open(fresh.path()));
    let image = crash(dir.path());
    for name in ["state.db", "state.db-wal"] {
        fs::remove_file(image.path().join(name)).unwrap();
    }
    drop(open(image.path()));
}

#[test]
fn events_that_are_gone_from_the_spool_are_an_error_that_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["alpha", "beta"] {
        let source = store.source(name).unwrap();
        for destination in ["file", "qradar"] {
            store.position(source, destination).unwrap();
        }
        for page in 0..6 {
            let page = payloads(page * 10..page * 10 + 10);
            store.accept(source, "", &page, None, at(0)).unwrap();
        }
        store.advance(source, "file", &Position::at(21)).unwrap();
        store.advance(source, "qradar", &Position::at(15)).unwrap();
    }
    drop(store);
    for (change, said) in [
        (
            "DELETE FROM chunk WHERE log_source = 2 AND first = 11",
            "`beta` 6 (15 to 20)",
        ),
        (
            "DELETE FROM chunk WHERE log_source = 2 AND first = 31",
            "`beta` 10 (31 to 40)",
        ),
        (
            "DELETE FROM chunk WHERE log_source = 1 AND first >= 41",
            "`alpha` 20 (41 to 60)",
        ),
        (
            "DELETE FROM chunk",
            "`alpha` 46 (15 to 60), of `beta` 46 (15 to 60)",
        ),
        (
            "UPDATE position SET next = 70, keep = 70 WHERE log_source = 2",
            "of `beta`",
        ),
        (
            "UPDATE log_source SET next_sequence = 31 WHERE id = 1",
            "of `alpha`",
        ),
        (
            "DELETE FROM log_source WHERE id = 2",
            "belong to no log source",
        ),
        (
            "UPDATE chunk SET first = first - 3 WHERE first = 31",
            "twice",
        ),
    ] {
        let image = crash(dir.path());
        rusqlite::Connection::open(image.path().join("state.db"))
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let Err(error) = Store::open(image.path(), ROOMY) else {
            panic!("{change}: nobody noticed");
        };
        let text = error.to_string();
        assert!(text.contains(said), "{change}: {text}");
        assert!(text.contains("restore state.db from a copy"), "{text}");
        assert!(!error.is_pause());
    }
    // What has been delivered everywhere is not missed, and what is missed can be given up by name.
    let image = crash(dir.path());
    rusqlite::Connection::open(image.path().join("state.db"))
        .unwrap()
        .execute_batch("DELETE FROM chunk WHERE log_source = 2 AND first = 11")
        .unwrap();
    let store = Store::open_unchecked(image.path(), ROOMY).unwrap();
    let text = store.check().unwrap_err().to_string();
    assert!(text.contains("--forget-missing"), "{text}");
    let beta = store.source("beta").unwrap();
    store.forget(beta, "qradar").unwrap();
    store.check().unwrap();
}

#[test]
fn events_that_are_gone_can_be_given_up_and_all_others_are_delivered() {
    for (change, gone, left) in [
        (
            "DELETE FROM chunk WHERE first = 31",
            10,
            vec![(14, 30), (40, 60)],
        ),
        ("DELETE FROM chunk WHERE first = 11", 6, vec![(20, 60)]),
        ("DELETE FROM chunk WHERE first >= 41", 20, vec![(14, 40)]),
        (
            "DELETE FROM chunk WHERE first IN (21, 51)",
            20,
            vec![(14, 20), (30, 50)],
        ),
        ("DELETE FROM chunk", 46, vec![]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let source = store.source("alpha").unwrap();
        for destination in ["file", "qradar"] {
            store.position(source, destination).unwrap();
        }
        for page in 0..6 {
            let page = payloads(page * 10..page * 10 + 10);
            store.accept(source, "", &page, None, at(0)).unwrap();
        }
        // One of the two is ahead, behind what is gone.
        store.advance(source, "file", &Position::at(55)).unwrap();
        store.advance(source, "qradar", &Position::at(15)).unwrap();
        drop(store);
        rusqlite::Connection::open(dir.path().join("state.db"))
            .unwrap()
            .execute_batch(change)
            .unwrap();
        Store::open(dir.path(), ROOMY).unwrap_err();
        let store = Store::open_unchecked(dir.path(), ROOMY).unwrap();
        let given_up = store.forget_missing().unwrap();
        assert_eq!(given_up, [("alpha".to_owned(), gone)], "{change}");
        drop(store);
        // It is said once, and not with each start again.
        let store = open(dir.path());
        assert_eq!(store.forget_missing().unwrap(), []);
        let source = store.source("alpha").unwrap();
        let next = store.position(source, "qradar").unwrap().next;
        let left: Vec<String> = left
            .into_iter()
            .flat_map(|(from, to)| payloads(from..to))
            .collect();
        assert_eq!(texts(&store, source, next), left, "{change}");
        // What arrives from now on goes to both, and nothing waits for ever.
        store.accept(source, "", &["new"], None, at(1)).unwrap();
        for destination in ["file", "qradar"] {
            let next = store.position(source, destination).unwrap().next;
            let batch = store.read(source, next, 100, 1 << 20).unwrap();
            let last = batch.iter().last().unwrap();
            assert_eq!(last.payload, b"new", "{change}: {destination}");
            let behind = Position::at(batch.next().unwrap());
            store.advance(source, destination, &behind).unwrap();
        }
        assert!(
            store
                .look()
                .unwrap()
                .waiting
                .iter()
                .all(|row| row.events == 0)
        );
        assert_eq!(store.bytes(), 0);
        drop(store);
        drop(open(dir.path()));
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn whatever_holds_payloads_is_private_also_where_the_folder_was_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    set_mode(&state, 0o755);
    for round in 0..2 {
        let store = open(&state);
        let source = store.source("alpha").unwrap();
        store
            .accept(source, "", &payloads(0..3), None, at(0))
            .unwrap();
        assert_eq!(mode(&state), 0o700, "{round}");
        let names: Vec<String> = fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(names.contains(&"state.db-wal".to_owned()), "{names:?}");
        for name in names {
            assert_eq!(
                mode(&state.join(&name)) & 0o077,
                0,
                "{name} in round {round}"
            );
        }
        // A version that was not careful has left them open.
        std::mem::forget(store);
        fs::remove_file(state.join("lock")).unwrap();
        fs::create_dir_all(state.join("dead-letters")).unwrap();
        fs::write(state.join("dead-letters/out.jsonl"), "{}\n").unwrap();
        fs::write(state.join("status.json"), "{}").unwrap();
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            set_mode(&path, if path.is_dir() { 0o755 } else { 0o644 });
        }
        set_mode(&state.join("dead-letters/out.jsonl"), 0o644);
        set_mode(&state, 0o755);
    }
    let _store = open(&state);
    assert_eq!(mode(&state.join("dead-letters")), 0o700);
    assert_eq!(mode(&state.join("dead-letters/out.jsonl")), 0o600);
    assert_eq!(mode(&state.join("status.json")), 0o600);
}

#[test]
fn a_folder_that_others_use_too_keeps_its_mode_and_the_state_in_it_is_private() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("dsmith.toml"), "of somebody else").unwrap();
    set_mode(dir.path(), 0o755);
    let _store = open(dir.path());
    assert_eq!(mode(dir.path()), 0o755);
    assert_eq!(mode(&dir.path().join("state.db")), 0o600);
    assert_eq!(mode(&dir.path().join("dsmith.toml")), 0o644);
}

#[test]
fn a_link_in_the_place_of_a_file_of_the_state_is_refused_and_not_followed() {
    for name in ["state.db", "state.db-wal", "lock", "reserve"] {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("precious");
        fs::write(&target, "of somebody else").unwrap();
        set_mode(&target, 0o644);
        std::os::unix::fs::symlink(&target, dir.path().join(name)).unwrap();
        if name == "state.db-wal" {
            // A log without a database would be refused for another reason.
            let first = tempfile::tempdir().unwrap();
            drop(open(first.path()));
            fs::copy(first.path().join("state.db"), dir.path().join("state.db")).unwrap();
        }
        let text = match Store::open(dir.path(), ROOMY) {
            Ok(_) => panic!("{name} was followed"),
            Err(error) => error.to_string(),
        };
        assert!(text.contains(name) && text.contains("link"), "{text}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "of somebody else");
        assert_eq!(mode(&target), 0o644);
    }
}

#[test]
fn a_state_that_cannot_be_written_is_an_error_that_says_so() {
    // The superuser may write everywhere; what a read-only disk does is in `small_disk`.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let text = Store::open(&path.join("state"), ROOMY)
        .unwrap_err()
        .to_string();
    assert!(text.contains("cannot be used"), "{text}");
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state-format-1.db")
}

/// Made by `write_golden` when format 1 was new; a change of the format adds a file and never touches this one.
#[test]
fn a_state_of_format_1_is_read() {
    if std::env::var_os("DSMITH_WRITE_GOLDEN").is_some() {
        write_golden();
    }
    let dir = tempfile::tempdir().unwrap();
    fs::copy(golden(), dir.path().join("state.db")).unwrap();
    let store = open(dir.path());
    let source = store.source("contoso-defender").unwrap();
    assert_eq!(
        store.cursor(source, "eu").unwrap().as_deref(),
        Some(r#"{"version":1,"since":"2026-11-01T00:00:00Z"}"#)
    );
    assert_eq!(
        store.position(source, "qradar").unwrap(),
        Position {
            next: 3,
            keep: 2,
            state: r#"{"version":1}"#.to_owned()
        }
    );
    assert_eq!(store.position(source, "archive").unwrap(), Position::at(1));
    let batch = store.read(source, 1, 10, 1000).unwrap();
    let found: Vec<_> = batch
        .iter()
        .map(|event| (event.sequence, event.received, event.payload.to_vec()))
        .collect();
    assert_eq!(
        found,
        [
            (1, at(0), b"{\"id\":\"da1\"}".to_vec()),
            (2, at(0), b"\xff\x00binary".to_vec()),
            (3, at(0), Vec::new()),
            (4, at(90), "Jos\u{e9}".as_bytes().to_vec()),
        ]
    );
    store
        .accept(source, "eu", &payloads(0..1), None, at(100))
        .unwrap();
    assert_eq!(texts(&store, source, 5), payloads(0..1));
}

fn write_golden() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let source = store.source("contoso-defender").unwrap();
    for destination in ["qradar", "archive"] {
        store.position(source, destination).unwrap();
    }
    let page: [&[u8]; 3] = [b"{\"id\":\"da1\"}", b"\xff\x00binary", b""];
    let cursor = r#"{"version":1,"since":"2026-11-01T00:00:00Z"}"#;
    store
        .accept(source, "eu", &page, Some(cursor), at(0))
        .unwrap();
    store
        .accept(source, "eu", &["Jos\u{e9}"], None, at(90))
        .unwrap();
    let position = Position {
        next: 3,
        keep: 2,
        state: r#"{"version":1}"#.to_owned(),
    };
    store.advance(source, "qradar", &position).unwrap();
    drop(store);
    fs::create_dir_all(golden().parent().unwrap()).unwrap();
    fs::copy(dir.path().join("state.db"), golden()).unwrap();
}
