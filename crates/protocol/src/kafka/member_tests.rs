//! Members of a group that divides log sources, against librdkafka's mock cluster.

use super::*;
use crate::clock::{Clock, SystemClock};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

const SESSION: i64 = 6000;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("positions", 2, 1).unwrap();
    cluster
}

fn member(cluster: &Cluster) -> Member {
    Member::new(Membership {
        connection: Connection {
            brokers: vec![cluster.bootstrap_servers()],
            ..Connection::default()
        },
        group: "collectors".to_owned(),
        topic: "positions".to_owned(),
        partitions: 2,
        session_timeout: SESSION,
    })
}

fn lane(log_source: &str) -> LaneId {
    LaneId {
        log_source: log_source.to_owned(),
        lane: "eu".to_owned(),
    }
}

/// Polls members in turn until this is so of what has changed for them.
fn until(members: &mut [&mut Member], what: &str, is_so: impl Fn(&[Vec<Change>]) -> bool) {
    let begun = Instant::now();
    let mut all = vec![Vec::new(); members.len()];
    while !is_so(&all) {
        assert!(begun.elapsed() < LONG, "{what}: {all:?}");
        for (member, changes) in members.iter_mut().zip(&mut all) {
            let now = SystemClock.now();
            changes.extend(member.poll(Duration::from_millis(50), now));
        }
    }
}

fn has_all(changes: &[Change]) -> bool {
    changes.contains(&Change::Assigned([0, 1].into()))
}

fn positions(member: &mut Member) -> Positions {
    let begun = Instant::now();
    loop {
        let now = SystemClock.now();
        if let Some(positions) = member.positions(Duration::from_millis(50), now) {
            return positions;
        }
        assert!(begun.elapsed() < LONG, "{:?}", member.fault());
    }
}

#[test]
fn whoever_gets_a_partition_reads_what_the_one_before_has_published_last() {
    let cluster = cluster();
    let mut first = member(&cluster);
    until(&mut [&mut first], "the first joins", |all| has_all(&all[0]));
    assert_eq!(first.size(), 2);
    assert_eq!(positions(&mut first), Positions::new());
    for (log_source, cursor, partition) in [("a", "1", 0), ("b", "1", 1), ("a", "2", 0)] {
        first.publish(&lane(log_source), &Cursor::from_text(cursor), partition);
    }
    first.flush();
    first.leave();
    let mut second = member(&cluster);
    until(&mut [&mut second], "the second joins", |all| {
        has_all(&all[0])
    });
    let expected = [("a", "2"), ("b", "1")];
    let expected = expected.map(|(name, cursor)| (lane(name), Cursor::from_text(cursor)));
    assert_eq!(positions(&mut second), expected.into());
}

#[test]
fn a_partition_goes_to_another_member_when_it_is_given_up_and_not_before() {
    let cluster = cluster();
    let (mut first, mut second) = (member(&cluster), member(&cluster));
    until(&mut [&mut first], "the first joins", |all| has_all(&all[0]));
    let is_revoked =
        |changes: &[Change]| changes.iter().any(|one| matches!(one, Change::Revoked(_)));
    let has_some = |changes: &[Change]| {
        let mut changes = changes.iter();
        changes.any(|one| matches!(one, Change::Assigned(some) if !some.is_empty()))
    };
    until(
        &mut [&mut first, &mut second],
        "one is to be given up",
        |all| is_revoked(&all[0]),
    );
    let mut early = Vec::new();
    for _ in 0..20 {
        for member in [&mut first, &mut second] {
            early.extend(member.poll(Duration::from_millis(50), SystemClock.now()));
        }
    }
    assert!(!has_some(&early), "{early:?}");
    first.give_up();
    until(&mut [&mut first, &mut second], "the second has it", |all| {
        has_some(&all[1])
    });
}

#[test]
fn a_member_that_leaves_while_somebody_waits_for_its_partitions_hangs_nobody() {
    let cluster = cluster();
    let (mut first, mut second) = (member(&cluster), member(&cluster));
    until(&mut [&mut first], "the first joins", |all| has_all(&all[0]));
    until(
        &mut [&mut first, &mut second],
        "one is to be given up",
        |all| {
            let mut changes = all[0].iter();
            changes.any(|one| matches!(one, Change::Revoked(_)))
        },
    );
    let (left, has_left) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(first);
        left.send(())
    });
    assert_eq!(has_left.recv_timeout(LONG), Ok(()), "it leaves");
    until(&mut [&mut second], "the second has all", |all| {
        let assigned = all[0].iter().filter_map(|change| match change {
            Change::Assigned(partitions) => Some(partitions),
            _ => None,
        });
        assigned.flatten().collect::<BTreeSet<_>>().len() == 2
    });
}

#[test]
fn a_member_without_brokers_gives_its_partitions_up_after_the_session_timeout_and_joins_again() {
    let cluster = cluster();
    let mut member = member(&cluster);
    until(&mut [&mut member], "it joins", |all| has_all(&all[0]));
    cluster.broker_down(1).unwrap();
    until(&mut [&mut member], "it has lost them", |all| {
        all[0].contains(&Change::Lost([0, 1].into()))
    });
    assert!(member.fault().is_some());
    cluster.broker_up(1).unwrap();
    until(&mut [&mut member], "it joins again", |all| has_all(&all[0]));
}
