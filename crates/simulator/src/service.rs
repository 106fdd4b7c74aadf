//! What each alert interface makes of a query: which alerts, in which order, and what is left for the next page.

use crate::alert::View;
use crate::feed::{Entry, Running};
use crate::http::{Reply, Request, encode};
use crate::odata::{Filter, Literal};
use crate::random::{Random, word};
use crate::scenario::{Order, Scenario, Service};
use crate::stamp::Stamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::Duration;

/// One page of an answer.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Places in the feed's list of entries.
    pub(crate) entries: Vec<usize>,
    pub(crate) view: View,
    pub(crate) next: Option<String>,
    /// `@odata.count`, if it was asked for.
    pub(crate) count: Option<usize>,
}

/// A query that is answered with an error: status and text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) String);

type Query = [(String, String)];

fn value<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.as_str())
}

/// Answers a query for one page. `number` is that of the request.
pub(crate) fn page(
    feed: &Running,
    request: &Request,
    scenario: &Scenario,
    (number, now): (u64, Stamp),
) -> Result<Page, Refusal> {
    match feed.spec.service {
        Service::SiemApi => {
            let how = (scenario.since_is_inclusive, scenario.brief);
            siem(feed, &request.query(), how, now)
        }
        Service::MdeApi => odata(feed, request, &mde_rules(scenario, number), now),
        Service::Graph => odata(feed, request, &graph_rules(scenario, number), now),
        Service::Token => Ok(Page::default()),
    }
}

/// The SIEM API: one range of time, everything in it in one answer.
fn siem(
    feed: &Running,
    query: &Query,
    (inclusive, brief): (bool, bool),
    now: Stamp,
) -> Result<Page, Refusal> {
    // The documents give 401 for malformed requests.
    let malformed = |name: &str| Refusal(401, format!("the value of {name} is malformed"));
    let time = |name: &str| {
        value(query, name)
            .map(|text| Stamp::parse(text).ok_or_else(|| malformed(name)))
            .transpose()
    };
    let ago = value(query, "ago")
        .map(|text| iso_duration(text).ok_or_else(|| malformed("ago")))
        .transpose()?;
    let since = match (time("sinceTimeUtc")?, ago) {
        (Some(since), _) => since,
        (None, Some(ago)) => now - ago,
        (None, None) => now - Duration::from_secs(2 * 3600),
    };
    let until = time("untilTimeUtc")?.unwrap_or(now);
    let limit = value(query, "limit")
        .map(|text| text.parse::<usize>().map_err(|_| malformed("limit")))
        .transpose()?;
    let groups: Vec<&str> = query
        .iter()
        .filter(|(name, _)| name == "machinegroups")
        .map(|(_, value)| value.as_str())
        .collect();
    let mut entries: Vec<usize> = feed
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| {
            let after = entry.updated > since || (inclusive && entry.updated == since);
            entry.is_shown_at(now) && after && entry.updated <= until
        })
        .filter(|(_, entry)| {
            groups.is_empty()
                || member(entry, Service::SiemApi, "MachineGroup")
                    .as_str()
                    .is_some_and(|group| groups.contains(&group))
        })
        .map(|(at, _)| at)
        .collect();
    if let Some(limit) = limit {
        entries.sort_by_key(|at| std::cmp::Reverse(feed.entries[*at].updated));
        entries.truncate(limit);
    }
    Ok(Page {
        entries,
        view: View {
            brief,
            ..View::default()
        },
        ..Page::default()
    })
}

/// ISO 8601, as far as days, hours, minutes and seconds go: `PT10M`, `P1DT2H`.
fn iso_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut number = String::new();
    let mut in_time = false;
    let mut parts = 0;
    for char in text.strip_prefix('P')?.chars() {
        let unit = match (char, in_time) {
            ('T', false) => {
                in_time = true;
                continue;
            }
            ('0'..='9', _) => {
                number.push(char);
                continue;
            }
            ('D', false) => 86_400,
            ('H', true) => 3600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
        parts += 1;
    }
    (parts > 0 && number.is_empty()).then(|| Duration::from_secs(seconds))
}

/// In what the two OData interfaces differ, and how they answer this time.
struct Rules {
    order: Order,
    /// Decides a random order.
    number: u64,
    frozen: bool,
    spurious_links: bool,
    brief: bool,
    service: Service,
    properties: &'static [&'static str],
    updated: &'static str,
    created: &'static str,
    options: &'static [&'static str],
    /// The most alerts in one response, and what `$top` may be at most.
    page: usize,
    max_top: usize,
    /// `$top` is the size of a page (Graph), not the number of alerts in all.
    top_is_page: bool,
}

fn mde_rules(scenario: &Scenario, number: u64) -> Rules {
    Rules {
        order: scenario.order,
        number,
        frozen: scenario.frozen_results,
        spurious_links: scenario.spurious_links,
        brief: scenario.brief,
        service: Service::MdeApi,
        properties: &[
            "alertCreationTime",
            "lastUpdateTime",
            "incidentId",
            "investigationId",
            "id",
            "assignedTo",
            "detectionSource",
            "lastEventTime",
            "status",
            "severity",
            "category",
        ],
        updated: "lastUpdateTime",
        created: "alertCreationTime",
        options: &["$filter", "$top", "$skip", "$expand", "$skiptoken"],
        page: scenario.mde_page.min(10_000),
        max_top: 10_000,
        top_is_page: false,
    }
}

fn graph_rules(scenario: &Scenario, number: u64) -> Rules {
    Rules {
        order: scenario.order,
        number,
        frozen: scenario.frozen_results,
        spurious_links: scenario.spurious_links,
        brief: scenario.brief,
        service: Service::Graph,
        properties: &[
            "assignedTo",
            "classification",
            "determination",
            "createdDateTime",
            "lastUpdateDateTime",
            "severity",
            "serviceSource",
            "status",
        ],
        updated: "lastUpdateDateTime",
        created: "createdDateTime",
        options: &[
            "$filter",
            "$top",
            "$skip",
            "$count",
            "$orderby",
            "$skiptoken",
        ],
        page: scenario.graph_page.min(2000),
        max_top: 2000,
        top_is_page: true,
    }
}

fn odata(feed: &Running, request: &Request, rules: &Rules, now: Stamp) -> Result<Page, Refusal> {
    let query = request.query();
    let bad = |text: String| Refusal(400, text);
    if let Some((name, _)) = query
        .iter()
        .find(|(name, _)| name.starts_with('$') && !rules.options.contains(&name.as_str()))
    {
        return Err(bad(format!("the query option '{name}' is not supported")));
    }
    let number = |name: &str| {
        value(&query, name)
            .map(|text| {
                text.parse::<usize>()
                    .map_err(|_| bad(format!("'{text}' is no value of {name}")))
            })
            .transpose()
    };
    let top = number("$top")?;
    if top.is_some_and(|top| top == 0 || top > rules.max_top) {
        return Err(bad(format!("the limit of $top is {}", rules.max_top)));
    }
    let filter = value(&query, "$filter")
        .map(|text| Filter::parse(text, rules.properties))
        .transpose()
        .map_err(bad)?;
    let (as_of, done) = match value(&query, "$skiptoken") {
        Some(token) => {
            let (as_of, done) =
                read_token(token).ok_or_else(|| bad("the skip token is not valid".to_owned()))?;
            (if rules.frozen { as_of } else { now }, done)
        }
        None => (now, 0),
    };
    let order = value(&query, "$orderby").unwrap_or_default();
    let mut found = matching(feed, filter.as_ref(), rules, as_of);
    sort(&mut found, feed, order, rules).map_err(bad)?;
    let count = (value(&query, "$count") == Some("true")).then_some(found.len());
    let from = number("$skip")?.unwrap_or(0) + done;
    let (page, end) = match top {
        Some(top) if rules.top_is_page => (top.min(rules.page), usize::MAX),
        Some(top) => (
            rules.page,
            number("$skip")?.unwrap_or(0).saturating_add(top),
        ),
        None => (rules.page, usize::MAX),
    };
    let end = end.min(found.len());
    let until = from.saturating_add(page).min(end);
    let is_last = until >= end;
    let next = (!is_last || (rules.spurious_links && until > from))
        .then(|| next_link(request, as_of, done + page));
    Ok(Page {
        entries: found.get(from..until).unwrap_or_default().to_vec(),
        view: View {
            expand: value(&query, "$expand").is_some_and(|what| what.contains("evidence")),
            unknown_members: request
                .header("prefer")
                .is_some_and(|prefer| prefer.contains("include-unknown-enum-members")),
            brief: rules.brief,
        },
        next,
        count,
    })
}

fn matching(feed: &Running, filter: Option<&Filter>, rules: &Rules, as_of: Stamp) -> Vec<usize> {
    // Most queries ask for times only, for which no alert has to be written out.
    let times = [rules.updated, rules.created];
    let cheap = filter.is_none_or(|filter| filter.uses_only(&times));
    let holds = |entry: &Entry| {
        let Some(filter) = filter else { return true };
        let written = if cheap {
            Value::Null
        } else {
            write(entry, rules.service)
        };
        filter.holds(&|name| match name {
            _ if name == rules.updated => Literal::Time(entry.updated),
            _ if name == rules.created => Literal::Time(entry.origin.ready),
            _ => literal(&written[name]),
        })
    };
    feed.entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.is_shown_at(as_of) && holds(entry))
        .map(|(at, _)| at)
        .collect()
}

fn sort(found: &mut [usize], feed: &Running, order: &str, rules: &Rules) -> Result<(), String> {
    let (name, direction) = order.split_once(' ').unwrap_or((order, "asc"));
    let time = |at: &usize| {
        let entry = &feed.entries[*at];
        if name == rules.updated {
            entry.updated
        } else {
            entry.origin.ready
        }
    };
    match (name, direction.trim()) {
        ("", _) => match rules.order {
            Order::NewestFirst => {
                found.sort_by_key(|at| std::cmp::Reverse(feed.entries[*at].updated));
            }
            Order::OldestFirst => found.sort_by_key(|at| feed.entries[*at].updated),
            Order::NewestMadeFirst => {
                found.sort_by_key(|at| std::cmp::Reverse(feed.entries[*at].origin.ready));
            }
            Order::Arbitrary => found.sort_by_key(|at| {
                Random::new(&[word("order"), feed.entries[*at].origin.number]).next_u64()
            }),
            Order::Random => {
                found.sort_by_key(|at| Random::new(&[rules.number, *at as u64]).next_u64());
            }
        },
        (name, "asc") if name == rules.updated || name == rules.created => {
            found.sort_by_key(time);
        }
        (name, "desc") if name == rules.updated || name == rules.created => {
            found.sort_by_key(|at| std::cmp::Reverse(time(at)));
        }
        _ => return Err(format!("cannot order by '{order}'")),
    }
    Ok(())
}

/// An alert as a value.
fn write(entry: &Entry, service: Service) -> Value {
    let mut bytes = Vec::new();
    let view = View {
        unknown_members: true,
        ..View::default()
    };
    entry.made(view).write(service, &mut bytes);
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn member(entry: &Entry, service: Service, name: &str) -> Value {
    write(entry, service)[name].take()
}

fn literal(value: &Value) -> Literal {
    match value {
        Value::String(text) => Literal::Text(text.clone()),
        Value::Number(number) => number.as_i64().map_or(Literal::Null, Literal::Number),
        _ => Literal::Null,
    }
}

/// The same query, with a token that only this server can read.
fn next_link(request: &Request, as_of: Stamp, done: usize) -> String {
    let token = URL_SAFE_NO_PAD.encode(format!("{}/{done}", as_of.ticks()));
    let query: Vec<String> = request
        .query()
        .iter()
        .filter(|(name, _)| name != "$skiptoken")
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .chain([format!("%24skiptoken={token}")])
        .collect();
    format!("{}{}?{}", request.root(), request.path(), query.join("&"))
}

fn read_token(token: &str) -> Option<(Stamp, usize)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (as_of, done) = text.split_once('/')?;
    Some((Stamp::from_ticks(as_of.parse().ok()?), done.parse().ok()?))
}

/// The body of a page. `twice` puts every alert into it two times.
pub(crate) fn body(
    service: Service,
    root: &str,
    page: &Page,
    entries: &[Entry],
    twice: bool,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(entries.len() * 2048);
    if service != Service::SiemApi {
        let context = if service == Service::MdeApi {
            format!("{root}/api/$metadata#Alerts")
        } else {
            format!("{root}/v1.0/$metadata#security/alerts_v2")
        };
        body.extend_from_slice(b"{\"@odata.context\":");
        body.extend_from_slice(json!(context).to_string().as_bytes());
        if let Some(count) = page.count {
            body.extend_from_slice(format!(",\"@odata.count\":{count}").as_bytes());
        }
        if let Some(next) = &page.next {
            body.extend_from_slice(b",\"@odata.nextLink\":");
            body.extend_from_slice(json!(next).to_string().as_bytes());
        }
        body.extend_from_slice(b",\"value\":");
    }
    body.push(b'[');
    let times = if twice { 2 } else { 1 };
    let all = entries
        .iter()
        .flat_map(|entry| std::iter::repeat_n(entry, times));
    for (at, entry) in all.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        entry.made(page.view).write(service, &mut body);
    }
    body.push(b']');
    if service != Service::SiemApi {
        body.push(b'}');
    }
    body
}

/// An error as the interface writes it.
pub(crate) fn error(service: Service, status: u16, text: &str, now: Stamp) -> Reply {
    let code = match (service, status) {
        (Service::Graph, 401) => "InvalidAuthenticationToken",
        (_, 401) => "Unauthorized",
        (_, 403) => "Forbidden",
        (_, 400) => "BadRequest",
        (_, 404) => "NotFound",
        (_, 429) => "TooManyRequests",
        (Service::Graph, _) => "UnknownError",
        _ => "InternalServerError",
    };
    let body = match service {
        Service::Graph => json!({"error": {
            "code": code,
            "message": text,
            "innerError": {
                "date": now.time().format("%Y-%m-%dT%H:%M:%S").to_string(),
                "request-id": "5f0d7c1e-2b8a-4c3d-a0e1-0123456789ab",
                "client-request-id": "5f0d7c1e-2b8a-4c3d-a0e1-0123456789ab",
            },
        }}),
        _ => json!({"error": {"code": code, "message": text, "target": ""}}),
    };
    let reply = Reply::json(status, body.to_string().into_bytes());
    if status == 401 {
        reply.header(
            "www-authenticate",
            "Bearer realm=\"\", error=\"invalid_token\"",
        )
    } else {
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_the_siem_api_are_read() {
        let seconds = |text| iso_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("PT10M"), Some(600));
        assert_eq!(seconds("P1DT2H3M4S"), Some(93_784));
        for wrong in [
            "",
            "P",
            "PT",
            "10M",
            "PT10",
            "PTM",
            "P10M",
            "PT99999999999999999999H",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_of_another_server_is_refused() {
        assert_eq!(read_token("AAAA"), None);
        assert_eq!(read_token("%%"), None);
    }
}
