use super::*;
use crate::keypath::Step;
use crate::keypath::json_path;
use crate::lsx::Hits as HitsMode;
use crate::options::{BrokenJson, DuplicateJsonKey};
use std::borrow::Cow;

fn all(
    text: &str,
    path: &str,
    mode: HitsMode,
    settings: Settings,
) -> Result<Vec<String>, JsonError> {
    let mut plan = Plan::default();
    let slot = plan.add(&json_path(path).unwrap(), mode);
    plan.add(&json_path(r#"/"sub"/"k""#).unwrap(), mode);
    plan.add(&json_path(r#"/"e"[0]/"v""#).unwrap(), mode);
    plan.finish();
    let mut found = Found::default();
    plan.scan(text, &settings, &mut found)?;
    Ok(found
        .all(slot)
        .map(|hit| text_of(hit.span.of(text)).map_or("<null>".into(), Cow::into_owned))
        .collect())
}

fn get(text: &str, path: &str) -> Option<String> {
    all(text, path, HitsMode::First, Settings::default())
        .ok()?
        .into_iter()
        .next()
}

#[test]
fn scalars_become_their_text() {
    let text = r#"x {"s":"a\"b\u00e9\ud83d\ude00\ud800!", "n": -1.50e3, "b":true, "z":null, "o":{ "k" : [1, "a b"] }} y"#;
    assert_eq!(get(text, r#"/"s""#).as_deref(), Some("a\"bé😀\u{fffd}!"));
    assert_eq!(get(text, r#"/"n""#).as_deref(), Some("-1.50e3"));
    assert_eq!(get(text, r#"/"b""#).as_deref(), Some("true"));
    assert_eq!(get(text, r#"/"z""#).as_deref(), Some("<null>"));
    assert_eq!(get(text, r#"/"o""#).as_deref(), Some(r#"{"k":[1,"a b"]}"#));
    assert_eq!(get(text, r#"/"o"/"k"[1]"#).as_deref(), Some("a b"));
    assert_eq!(get(text, r#"/"o"/"k"[]"#).as_deref(), Some(r#"[1,"a b"]"#));
    assert_eq!(get(text, r#"/"o"/"missing""#), None);
}

#[test]
fn an_escaped_member_name_is_the_same_name() {
    assert_eq!(get(r#"{"\u0061":1}"#, r#"/"a""#).as_deref(), Some("1"));
}

#[test]
fn filters_select_elements_whatever_the_order_of_members() {
    let text = r#"{"e":[{"v":"0"},{"t":"x","v":""},{"v":"1","t":"x"},{"t":"y","v":"2"},{"t":"x","v":"3"},7,null]}"#;
    let path = r#"/"e"[?"t"="x"]/"v""#;
    let joined = |path| all(text, path, HitsMode::Joined, Settings::default()).unwrap();
    assert_eq!(get(text, path).as_deref(), Some("1"));
    assert_eq!(joined(path), ["1", "3"]);
    assert_eq!(joined(r#"/"e"[?"t"!="x"]/"v""#), ["0", "2"]);
    assert_eq!(joined(r#"/"e"[?"t"!=""][?"v"!="1"]/"v""#), ["2", "3"]);
    assert_eq!(joined(r#"/"e"[]/"v""#), ["0", "1", "2", "3"]);
}

#[test]
fn a_filter_on_an_object_keeps_or_drops_it() {
    let text = r#"{"kind":"a","name":"n","sub":{"k":"v","x":1}}"#;
    assert_eq!(get(text, r#"/[?"kind"="a"]/"name""#).as_deref(), Some("n"));
    assert_eq!(get(text, r#"/[?"kind"="b"]/"name""#), None);
    assert_eq!(get(text, r#"/"sub"[?"k"="v"]/"x""#).as_deref(), Some("1"));
}

#[test]
fn a_filter_on_a_list_of_texts_asks_for_any_of_them() {
    let text = r#"{"e":[{"roles":["a","source"],"ip":"1"},{"roles":[],"ip":"2"}]}"#;
    assert_eq!(
        get(text, r#"/"e"[?"roles"="source"]/"ip""#).as_deref(),
        Some("1")
    );
    assert_eq!(
        get(text, r#"/"e"[?"roles"!="source"]/"ip""#).as_deref(),
        Some("2")
    );
}

#[test]
fn filters_nest() {
    let text = r#"{"e":[{"t":"m","f":[{"n":""},{"n":"p"}]},{"t":"m","f":[{"n":"q"}]}]}"#;
    let path = r#"/"e"[?"t"="m"]/"f"[]/"n""#;
    assert_eq!(
        all(text, path, HitsMode::Joined, Settings::default()).unwrap(),
        ["p", "q"]
    );
    assert_eq!(get(text, path).as_deref(), Some("p"));
}

#[test]
fn scalars_of_an_array_can_be_joined() {
    let text = r#"{"t":["T1059","T1003"]}"#;
    let path = r#"/"t"[]"#;
    let mut path = json_path(path).unwrap();
    path.steps.push(Step::Each);
    let mut plan = Plan::default();
    let slot = plan.add(&path, HitsMode::Joined);
    plan.finish();
    let mut found = Found::default();
    plan.scan(text, &Settings::default(), &mut found).unwrap();
    assert_eq!(found.all(slot).count(), 2);
}

#[test]
fn the_object_is_found_behind_a_header_and_braces_that_are_none() {
    assert_eq!(
        get("<13>host {x} {\"a\":\"1\"} tail", r#"/"a""#).as_deref(),
        Some("1")
    );
    assert_eq!(get("[{\"a\":1}]", r#"/[0]/"a""#).as_deref(), Some("1"));
}

#[test]
fn a_truncated_or_broken_object_gives_nothing_unless_asked() {
    let nested = Settings {
        broken: BrokenJson::NestedObject,
        ..Settings::default()
    };
    for text in [
        r#"{"x":{"a":"1"},"b"#,
        r#"{"x":{"a":"1"} "b":2}"#,
        r#"{"x":tru,"y":{"a":"1"}}"#,
    ] {
        let none = all(text, r#"/"a""#, HitsMode::First, Settings::default());
        assert!(none.is_err(), "{text}");
        let some = all(text, r#"/"a""#, HitsMode::First, nested).unwrap();
        assert_eq!(some, ["1"], "{text}");
    }
}

#[test]
fn the_kind_and_place_of_a_fault_are_told() {
    let fault =
        |text: &str| all(text, r#"/"a""#, HitsMode::First, Settings::default()).unwrap_err();
    assert_eq!(fault("no").kind, JsonErrorKind::Absent);
    assert_eq!(
        fault(r#"{"a":"b"#),
        JsonError {
            at: 7,
            kind: JsonErrorKind::Truncated
        }
    );
    assert_eq!(
        fault(r#"{"a":01}"#),
        JsonError {
            at: 6,
            kind: JsonErrorKind::Syntax
        }
    );
    assert_eq!(
        fault(r#"{"a":1,}"#),
        JsonError {
            at: 7,
            kind: JsonErrorKind::Syntax
        }
    );
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(fault(&deep).kind, JsonErrorKind::TooDeep);
}

#[test]
fn many_opening_braces_cost_no_more_than_a_bounded_number_of_tries() {
    let text = "{\"a\":".repeat(20_000);
    let nested = Settings {
        broken: BrokenJson::NestedObject,
        ..Settings::default()
    };
    assert!(all(&text, r#"/"b""#, HitsMode::First, nested).is_err());
}

#[test]
fn the_last_of_two_equal_names_wins_unless_asked() {
    let text = r#"{"a":1,"a":2}"#;
    assert_eq!(get(text, r#"/"a""#).as_deref(), Some("2"));
    let first = Settings {
        duplicates: DuplicateJsonKey::First,
        ..Settings::default()
    };
    assert_eq!(all(text, r#"/"a""#, HitsMode::First, first).unwrap(), ["1"]);
}

#[test]
fn filters_of_the_root_and_inside_it_do_not_disturb_each_other() {
    let text = r#"{"k":"a","p":{"k":"b","v":"1","l":["x","y"]},"t":["m","n"],"e":[{"k":"c","v":"2"},{"k":"c","v":"3"}]}"#;
    let paths = [
        (r#"/"p"/"v""#, vec!["1"]),
        (r#"/[?"k"="a"]/"p"/"v""#, vec!["1"]),
        (r#"/[?"k"="b"]/"p"/"v""#, vec![]),
        (r#"/"p"[?"k"="b"]/"v""#, vec!["1"]),
        (r#"/"p"[?"k"="a"]/"v""#, vec![]),
        (r#"/[?"k"="a"]/"p"[?"k"="b"]/"v""#, vec!["1"]),
        (r#"/[?"k"="x"]/"p"[?"k"="b"]/"v""#, vec![]),
        (r#"/"p"[?"k"="b"]/"l"[0]"#, vec!["x"]),
        (r#"/"p"/"l"[1]"#, vec!["y"]),
        (r#"/"e"[?"k"="c"]/"v""#, vec!["2", "3"]),
        (r#"/[?"k"="a"]/"e"[?"v"="3"]/"v""#, vec!["3"]),
        (r#"/"e"[1]/"v""#, vec!["3"]),
    ];
    let mut plan = Plan::default();
    let mut slots = Vec::new();
    for (path, _) in &paths {
        slots.push(plan.add(&json_path(path).unwrap(), HitsMode::Joined));
    }
    let mut each = json_path(r#"/"t"[]"#).unwrap();
    each.steps.push(Step::Each);
    let each = plan.add(&each, HitsMode::Joined);
    plan.finish();
    let mut found = Found::default();
    for _ in 0..2 {
        plan.scan(text, &Settings::default(), &mut found).unwrap();
        for ((path, expected), slot) in paths.iter().zip(&slots) {
            let hits: Vec<_> = found
                .all(*slot)
                .filter_map(|hit| text_of(hit.span.of(text)).map(Cow::into_owned))
                .collect();
            assert_eq!(hits, *expected, "{path}");
        }
        assert_eq!(found.all(each).count(), 2);
    }
}

#[test]
fn a_text_without_any_first_name_has_nothing_for_a_plan_and_escapes_are_not_guessed() {
    let plan_of = |paths: &[&str]| {
        let mut plan = Plan::default();
        for path in paths {
            plan.add(&json_path(path).unwrap(), HitsMode::First);
        }
        plan.finish();
        plan
    };
    let plan = plan_of(&[r#"/"ThreatName""#, r#"/"alpha"/"b""#]);
    assert!(plan.may_find_in(br#"{\"ThreatName\":\"x\"}"#));
    assert!(plan.may_find_in(br#"{"alpha":1}"#));
    assert!(!plan.may_find_in(br#"{"b":1,"threatname":2}"#));
    assert!(plan.may_find_in(br#"{"\u0061":1}"#));
    // A filter may hold where its name is missing, and a name that has to be escaped is written in more than one way.
    assert!(plan_of(&[r#"/[?"x"!="y"]/"z""#]).may_find_in(b"{}"));
    assert!(plan_of(&[r#"/[0]"#]).may_find_in(b"[1]"));
    assert!(Plan::default().may_find_in(b"{}"));
}

#[test]
fn nesting_ends_at_the_same_depth_wherever_paths_lead() {
    let deepest = |steps: usize| {
        let path = |last: &str| match steps {
            1 => format!("/{}", last.trim_start_matches('/')),
            _ => format!("{}{last}", "/\"a\"".repeat(steps - 1)),
        };
        let mut plan = Plan::default();
        for last in [r#"/"a""#, "[0]", r#"[?"b"="c"]"#, r#"/"x"[]"#] {
            plan.add(&json_path(&path(last)).unwrap(), HitsMode::Joined);
        }
        // The same members below a filter, which are merged with those above.
        let below = format!("/\"a\"[?\"b\"=\"c\"]{}", "/\"a\"".repeat(steps.min(100)));
        plan.add(&json_path(&below).unwrap(), HitsMode::First);
        plan.finish();
        let mut found = Found::default();
        let mut reads = |depth: usize, unit: &str, close: &str| {
            let text = format!("{}{}", unit.repeat(depth), close.repeat(depth));
            match plan.scan(&text, &Settings::default(), &mut found) {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.kind, JsonErrorKind::TooDeep, "{error}");
                    false
                }
            }
        };
        let mut depth = 0;
        for (unit, close) in [("{\"a\":[", "]}"), ("{\"z\":[", "]}")] {
            let most = (1..=300).filter(|depth| reads(*depth, unit, close)).max();
            depth = 2 * most.unwrap_or_default();
            assert_eq!(depth, MAX_DEPTH, "{steps} steps, {unit}");
        }
        depth
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    let all = thread.spawn(move || [1, 2, 64, 127].map(deepest)).unwrap();
    assert_eq!(all.join().unwrap(), [MAX_DEPTH; 4]);
}
