//! Each protocol of Microsoft against the simulator, over real connections, in the simulator's time.
//!
//! The scenarios of the crate `protocol` say what a plugin asks and answers, request by request. These say what that
//! comes to: every alert that there was is collected, once, whatever goes wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod live;
mod old_rule;
mod rig;

use chrono::TimeDelta;
use protocol::status::{RetryReason, State};
use rig::{PROTOCOLS, Rig, failing, scenario};
use settings::RawValue;
use simulator::{Client, Fault, Feed, RetryAfter, Rule, Scenario, Service, Simulator};
use std::time::Duration;

/// Longer than the 75 minutes in which alerts appear, and than the waits after faults.
const LONG: i64 = 150;

#[test]
fn every_alert_is_collected_once() {
    for (protocol, service) in PROTOCOLS {
        let mut rig = Rig::new(protocol, scenario(service));
        rig.run(LONG);
        rig.assert_exact();
        assert_eq!(rig.status(0).state, State::Ok);
        // The overlap of the ranges brought some twice; they were dropped.
        assert!(rig.status(0).duplicates > 0, "{protocol}");
    }
}

#[test]
fn alerts_of_the_same_moment_late_ones_and_changed_ones_are_collected_once() {
    for (protocol, service) in PROTOCOLS {
        let mut scenario = scenario(service);
        for feed in &mut scenario.feeds {
            feed.same_time_per_mille = 400;
            feed.late_per_mille = 150;
            feed.late_by = Duration::from_secs(25);
            feed.changed_per_mille = 100;
        }
        let mut rig = Rig::new(protocol, scenario);
        rig.run(LONG);
        rig.assert_exact();
    }
}

/// Where collection has its limit, and the proof that the comparisons of this file can fail.
#[test]
fn alerts_that_come_later_than_the_overlap_of_the_ranges_are_missed() {
    for (protocol, service) in PROTOCOLS {
        let mut scenario = scenario(service);
        for feed in &mut scenario.feeds {
            feed.late_per_mille = 200;
            feed.late_by = Duration::from_secs(3600);
        }
        let mut rig = Rig::new(protocol, scenario);
        rig.run(LONG);
        let comparison = rig.compare();
        assert!((1..60).contains(&comparison.missing.len()), "{comparison}");
        assert!(comparison.repeated.is_empty() && comparison.unknown.is_empty());
    }
}

#[test]
fn a_restart_at_any_time_neither_loses_nor_repeats() {
    for (protocol, service) in PROTOCOLS {
        let mut rig = Rig::new(protocol, scenario(service));
        for _ in 0..35 {
            rig.run(4);
            rig.restart();
        }
        rig.run(60);
        rig.assert_exact();
    }
}

#[test]
fn what_came_while_a_result_was_interrupted_follows_at_once() {
    for (protocol, service) in &PROTOCOLS[1..] {
        let mut scenario = failing(
            *service,
            vec![
                Rule::always(Fault::Status(500))
                    .service(*service)
                    .requests(3, 3),
            ],
        );
        scenario.feeds[0].per_hour = 0;
        let mut rig = Rig::new(
            protocol,
            Scenario {
                mde_page: 30,
                graph_page: 30,
                ..scenario
            },
        );
        // Not long enough for another attempt.
        rig.run_for(TimeDelta::milliseconds(1));
        assert_eq!(rig.sink.payloads.len(), 60);
        rig.simulator.publish(*service, "", 20);
        rig.restart();
        rig.run_for(TimeDelta::milliseconds(1));
        assert_eq!(rig.sink.payloads.len(), 150);
        let comparison = rig.compare();
        assert!(comparison.is_exact(), "{protocol}: {comparison}");
        assert_eq!(rig.status(0).rounds, 1);
    }
}

#[test]
fn a_result_of_several_pages_is_read_in_shorter_ranges_of_time() {
    for (protocol, service) in &PROTOCOLS[1..] {
        let mut rig = Rig::new(
            protocol,
            Scenario {
                mde_page: 30,
                graph_page: 30,
                ..scenario(*service)
            },
        );
        rig.run(LONG);
        rig.assert_exact();
        let requests = rig.simulator.requests();
        let is_range = |request: &&simulator::Answered| request.target.contains("%20le%20");
        assert!(requests.iter().filter(is_range).count() >= 4, "{protocol}");
    }
}

#[test]
fn a_server_that_cuts_pages_below_what_was_asked_for_hides_nothing() {
    // More than two of what one request asks for, in pages of a fifth of that.
    for (protocol, service) in PROTOCOLS {
        let mut scenario = scenario(service);
        for feed in &mut scenario.feeds {
            feed.backlog = 2300;
            feed.limit = Some(2350);
        }
        let mut rig = Rig::new(
            protocol,
            Scenario {
                mde_page: 200,
                graph_page: 100,
                ..scenario
            },
        );
        rig.run(60);
        rig.assert_exact();
    }
}

/// Faults that pass, each for some requests in the middle of the backlog and again later.
fn passing_faults() -> Vec<(&'static str, Fault)> {
    let throttled = |after| Fault::Throttled(after);
    vec![
        ("500", Fault::Status(500)),
        ("502", Fault::Status(502)),
        ("503", Fault::Status(503)),
        ("403", Fault::Status(403)),
        ("429 without a time", throttled(RetryAfter::Missing)),
        ("429 with seconds", throttled(RetryAfter::Seconds(90))),
        (
            "429 with a fraction",
            throttled(RetryAfter::Fraction("2.128".to_owned())),
        ),
        ("429 with a date", throttled(RetryAfter::Date(40))),
        (
            "429 with nonsense",
            throttled(RetryAfter::Text("soon".to_owned())),
        ),
        ("tokens that end", Fault::TokensExpire),
        ("a reset", Fault::Reset),
        ("a reset halfway", Fault::ResetHalfway),
        ("a truncated body", Fault::Truncated),
        ("half of the JSON", Fault::HalfJson),
        ("JSON that nests too deep", Fault::DeepJson(200_000)),
        ("a web page", Fault::WebPage),
        ("an empty body", Fault::EmptyBody),
        ("alerts that stand twice in a page", Fault::Twice),
    ]
}

/// Each fault befalls the first requests, one later on, and three in a row.
fn assert_that_faults_pass((protocol, service): (&'static str, Service)) {
    for (name, fault) in passing_faults() {
        let rule = |first, last| {
            Rule::always(fault.clone())
                .service(service)
                .requests(first, last)
        };
        let rules = vec![rule(1, 2), rule(6, 6), rule(10, 12)];
        let mut rig = Rig::new(protocol, failing(service, rules));
        rig.run(LONG + 60);
        let comparison = rig.compare();
        assert!(
            comparison.is_exact(),
            "{protocol}, {name}: {comparison}; {:?}",
            rig.status(0)
        );
        assert_eq!(rig.status(0).state, State::Ok, "{protocol}, {name}");
        let beyond =
            |request: &simulator::Answered| request.service == service && request.number > 12;
        assert!(
            rig.simulator.requests().iter().any(beyond),
            "{protocol}, {name}"
        );
    }
}

#[test]
fn faults_of_the_siem_interface_that_pass_cost_no_alert() {
    assert_that_faults_pass(PROTOCOLS[0]);
}

#[test]
fn faults_of_defender_for_endpoint_that_pass_cost_no_alert() {
    assert_that_faults_pass(PROTOCOLS[1]);
}

#[test]
fn faults_of_graph_that_pass_cost_no_alert() {
    assert_that_faults_pass(PROTOCOLS[2]);
}

#[test]
fn a_damaged_element_is_handed_on_as_it_is_and_costs_no_alert() {
    for (protocol, service) in PROTOCOLS {
        let rule = Rule::always(Fault::InvalidJson)
            .service(service)
            .requests(3, 3);
        let mut rig = Rig::new(protocol, failing(service, vec![rule]));
        rig.run(LONG);
        let comparison = rig.compare();
        assert!(
            comparison.missing.is_empty() && comparison.repeated.is_empty(),
            "{protocol}: {comparison}"
        );
        assert!(comparison.unknown.len() <= 1, "{protocol}: {comparison}");
        assert_eq!(rig.status(0).state, State::Ok);
    }
}

#[test]
fn a_slow_answer_is_waited_for() {
    let slow = Fault::Slow {
        piece: 60_000,
        pause: Duration::from_millis(30),
    };
    for (protocol, service) in PROTOCOLS {
        let rule = Rule::always(slow.clone()).service(service).requests(1, 1);
        let mut rig = Rig::new(protocol, failing(service, vec![rule]));
        rig.run(LONG);
        rig.assert_exact();
        assert_eq!(rig.status(0).failures, 0);
    }
}

#[test]
fn a_page_of_fifty_megabytes_is_refused_and_what_was_in_it_collected_later() {
    for (protocol, service) in PROTOCOLS {
        let rule = Rule::always(Fault::Huge(50_000_000))
            .service(service)
            .requests(2, 2);
        let mut rig = Rig::new(protocol, failing(service, vec![rule]));
        rig.run(LONG);
        rig.assert_exact();
    }
}

#[test]
fn a_backlog_that_is_larger_than_a_response_may_be_is_collected_in_parts() {
    // 25,000 alerts in one response of the SIEM API are about 47 MB.
    let mut rig = Rig::new(
        "microsoft-defender-endpoint-siem",
        Scenario {
            feeds: vec![Feed::siem("eu").backlog(25_000, Duration::from_secs(6000))],
            ..scenario(Service::SiemApi)
        },
    );
    rig.run(30);
    rig.assert_exact();
    assert!(rig.status(0).retries(RetryReason::TooLarge) > 0);
}

#[test]
fn an_outage_of_ninety_minutes_is_made_up_for() {
    let hour = Duration::from_secs(3600);
    for (protocol, service) in PROTOCOLS {
        let rule = Rule::always(Fault::Status(503))
            .service(service)
            .between(hour / 2, 2 * hour);
        let mut rig = Rig::new(protocol, failing(service, vec![rule]));
        rig.run(90);
        assert_eq!(
            rig.status(0).state,
            State::Error,
            "{protocol}: it has lasted"
        );
        rig.run(LONG);
        rig.assert_exact();
    }
}

#[test]
fn transient_errors_of_the_token_endpoint_pass() {
    for (protocol, service) in PROTOCOLS {
        for code in [90_033, 90_055] {
            let rule = Rule::always(Fault::Entra(code))
                .service(Service::Token)
                .requests(1, 2);
            let mut rig = Rig::new(protocol, failing(service, vec![rule]));
            rig.run(LONG);
            rig.assert_exact();
        }
    }
}

#[test]
fn a_refused_sign_in_is_an_error_that_says_what_to_do_and_is_not_repeated_at_once() {
    for (protocol, service) in PROTOCOLS {
        let mut rig = Rig::new(
            protocol,
            Scenario {
                clients: vec![Client {
                    secret: "rotated".to_owned(),
                    ..Client::default()
                }],
                ..scenario(service)
            },
        );
        rig.run(60);
        let status = rig.status(0);
        assert_eq!(status.state, State::Error);
        assert!(status.message.contains("7000215"), "{}", status.message);
        assert!(
            status.remedy.as_deref().unwrap().contains("secret"),
            "{status:?}"
        );
        assert!(
            rig.simulator.requests().len() <= 13,
            "one in each recurrence at most"
        );
        assert!(rig.sink.payloads.is_empty());
    }
}

#[test]
fn tokens_are_renewed_before_they_end() {
    for (protocol, service) in PROTOCOLS {
        let mut rig = Rig::new(
            protocol,
            Scenario {
                token_lifetime: Duration::from_secs(1200),
                ..scenario(service)
            },
        );
        rig.run(LONG);
        rig.assert_exact();
        assert!(rig.simulator.tokens().len() > 6);
        assert_eq!(rig.status(0).retries(RetryReason::Unauthorized), 0);
    }
}

#[test]
fn limits_of_the_server_are_kept_and_where_they_are_lower_than_documented_waited_for() {
    for (protocol, service) in &PROTOCOLS[1..] {
        let mut rig = Rig::new(
            protocol,
            Scenario {
                mde_page: 5,
                graph_page: 5,
                requests_per_minute: Some(10),
                ..scenario(*service)
            },
        );
        rig.run(LONG);
        rig.assert_exact();
        assert!(rig.status(0).retries(RetryReason::Throttled) > 0);
    }
}

#[test]
fn a_region_in_trouble_delays_no_other_one() {
    let mut rig = Rig::new(
        "microsoft-defender-endpoint-siem",
        Scenario {
            feeds: vec![
                Feed::siem("eu").backlog(250, Duration::from_secs(3600)),
                Feed::siem("us").backlog(250, Duration::from_secs(3600)),
            ],
            ..failing(
                Service::SiemApi,
                vec![
                    Rule::always(Fault::Throttled(RetryAfter::Seconds(600)))
                        .region("eu")
                        .requests(1, 1),
                    Rule::always(Fault::Status(500)).region("eu").requests(2, 3),
                ],
            )
        },
    );
    let start = rig.simulator.clock().start();
    rig.run(60);
    rig.assert_exact();
    let requests = rig.simulator.requests();
    let times = |region: &str| -> Vec<u64> {
        let times = requests.iter().filter(|request| request.region == region);
        times
            .map(|request| request.at.since(start).as_secs())
            .collect()
    };
    assert_eq!(
        times("us"),
        (0..12).map(|round| round * 300).collect::<Vec<_>>()
    );
    assert_eq!(times("eu")[..2], [0, 600]);
}

#[test]
fn a_full_spool_pauses_collection_and_loses_nothing() {
    for (protocol, service) in PROTOCOLS {
        let mut rig = Rig::new(protocol, scenario(service));
        rig.sink.full = 300;
        rig.run(2);
        assert!(rig.status(0).paused);
        rig.run(LONG);
        assert!(!rig.status(0).paused);
        rig.assert_exact();
    }
}

/// Another server on this machine, which must not see a token.
fn elsewhere() -> Simulator {
    Simulator::start(scenario(Service::Graph)).unwrap()
}

#[test]
fn a_next_link_to_another_host_is_not_followed() {
    for (protocol, service) in &PROTOCOLS[1..] {
        let elsewhere = elsewhere();
        let link = format!("{}/v1.0/security/alerts_v2?$skiptoken=x", elsewhere.url());
        let rule = Rule::always(Fault::NextLink(link))
            .service(*service)
            .requests(1, 3);
        let mut rig = Rig::new(protocol, failing(*service, vec![rule]));
        rig.run(LONG);
        assert_eq!(elsewhere.requests().len(), 0, "{protocol}");
        rig.assert_exact();
    }
}

#[test]
fn a_redirect_to_another_host_does_not_carry_the_token() {
    for (protocol, service) in PROTOCOLS {
        let elsewhere = elsewhere();
        let target = format!("{}/v1.0/security/alerts_v2", elsewhere.url());
        let rule = Rule::always(Fault::Redirect(target))
            .service(service)
            .requests(1, 2);
        let mut rig = Rig::new(protocol, failing(service, vec![rule]));
        rig.run(LONG);
        assert!(
            elsewhere
                .requests()
                .iter()
                .all(|request| !request.authorized),
            "{protocol}"
        );
        rig.assert_exact();
    }
}

#[test]
fn a_next_link_that_leads_in_a_circle_ends() {
    for (protocol, service) in &PROTOCOLS[1..] {
        let mut rig = Rig::new(protocol, scenario(*service));
        let path = if *service == Service::Graph {
            "v1.0/security/alerts_v2"
        } else {
            "api/alerts"
        };
        let link = format!("{}/{path}", rig.simulator.url());
        let rule = Rule::always(Fault::NextLink(link))
            .service(*service)
            .requests(1, 500);
        rig = Rig::new(protocol, failing(*service, vec![rule]));
        rig.run(10);
        let requests = rig.simulator.requests().len();
        assert!(
            requests < 1100,
            "{protocol}: {requests} requests in ten minutes"
        );
    }
}

#[test]
fn a_day_with_bursts_outages_and_short_tokens_is_collected_exactly() {
    for (protocol, service) in PROTOCOLS {
        let hour = Duration::from_secs(3600);
        let rule = |fault, from: u32, until: u32| {
            Rule::always(fault)
                .service(service)
                .between(from * hour, until * hour)
        };
        let mut scenario = failing(
            service,
            vec![
                rule(Fault::Status(503), 3, 5),
                rule(Fault::ResetHalfway, 8, 9),
                rule(
                    Fault::Throttled(RetryAfter::Fraction("120.5".to_owned())),
                    12,
                    13,
                ),
                Rule::always(Fault::Status(500))
                    .service(service)
                    .per_mille(50),
                Rule::always(Fault::Truncated)
                    .service(service)
                    .per_mille(50),
                Rule::always(Fault::Entra(90_033))
                    .service(Service::Token)
                    .per_mille(100),
            ],
        );
        scenario.token_lifetime = Duration::from_secs(900);
        for feed in &mut scenario.feeds {
            // What the bursts leave goes on for about 22 hours.
            feed.limit = Some(130 + 22 * 90 + 4 * 1500);
            feed.late_per_mille = 50;
            feed.changed_per_mille = 20;
        }
        let mut rig = Rig::new(protocol, scenario);
        let region = if service == Service::SiemApi {
            "eu"
        } else {
            ""
        };
        for burst in 0..24 {
            rig.simulator
                .publish(service, region, if burst % 6 == 5 { 1500 } else { 0 });
            rig.run(60);
        }
        let comparison = rig.compare();
        assert!(
            comparison.is_exact(),
            "{protocol}: {comparison}; {:?}",
            rig.status(0)
        );
        assert!(comparison.expected > 8000, "{comparison}");
    }
}

#[test]
fn parameters_of_a_log_source_change_what_is_collected() {
    let mut rig = Rig::new(
        "microsoft-defender-endpoint-siem",
        scenario(Service::SiemApi),
    )
    .with("initial_lookback", RawValue::Text("10M".to_owned()));
    rig.run(1);
    let collected = rig.sink.payloads.len();
    assert!(
        (15..40).contains(&collected),
        "{collected} of 130 in an hour"
    );
}
