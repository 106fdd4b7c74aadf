//! Files as people write them: what is read, what is found wrong, and where.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use settings::{
    Document, Effect, FaultKind, Key, Reader, Rule, Settings, Takes, When, page, schema,
};
use std::time::Duration;

const TLS: &[Rule] = &[Rule::only_with("transport", &["tls"])];

const RECEIVER: &[Key] = &[
    Key::new("name", Takes::Text(20), "Its name.").required(),
    Key::new(
        "transport",
        Takes::Choice(&["udp", "tcp", "tls"]),
        "How events get there.",
    )
    .default("tcp"),
    Key::new("address", Takes::HostPort, "Its address.")
        .required()
        .formerly("host"),
    Key::new("certificate", Takes::Path, "Our certificate.").rules(TLS),
    Key::new("key", Takes::Path, "Its key.").rules(&[
        Rule {
            key: "certificate",
            when: When::Given,
            effect: Effect::Required,
        },
        Rule::only_with("transport", &["tls"]),
    ]),
    Key::new("password", Takes::Secret, "A password."),
    Key::new("topics", Takes::List(&Takes::Text(8)), "Topics."),
    Key::new(
        "regions",
        Takes::ListOrCommas(&Takes::Choice(&["eu", "us"])),
        "Regions.",
    ),
];

const ROOT: &[Key] = &[
    Key::new("spool", Takes::Size, "Bytes.").default("8 GiB"),
    Key::new("every", Takes::Interval(60, 86_400), "How often.").default("5M"),
    Key::new("threads", Takes::Integer(0, 256), "Threads.").default("0"),
    Key::new("receiver", Takes::Tables(RECEIVER), "Receivers.").required(),
];

fn read(text: &str) -> (Settings, Vec<(FaultKind, String, String)>) {
    let document = Document::parse(text);
    let mut reader = Reader::new(&document);
    let settings = reader.table(ROOT, "the file", &document.root, 0..0);
    let faults = reader.faults.into_iter().map(|fault| {
        let place = text.get(fault.span).unwrap_or_default();
        (
            fault.kind,
            place.to_owned(),
            format!("{} ({})", fault.message, fault.help),
        )
    });
    (settings, faults.collect())
}

fn receiver(text: &str) -> Vec<(FaultKind, String, String)> {
    read(&format!(
        "[[receiver]]\nname = \"a\"\naddress = \"a:1\"\n{text}"
    ))
    .1
}

#[test]
fn values_and_defaults_are_read_in_their_types() {
    let (settings, faults) = read(
        "spool = \"2 KiB\"\n[[receiver]]\nname = \"a\"\naddress = \"[::1]:514\"\ntransport = \"TLS\"\n\
         certificate = \"c.pem\"\nkey = \"k.pem\"\npassword = { file = \"p\" }\nregions = \"eu, US\"\n",
    );
    assert_eq!(faults, []);
    assert_eq!(settings.number("spool"), Some(2048));
    assert_eq!(settings.interval("every"), Some(Duration::from_secs(300)));
    let mut receiver = settings.tables("receiver")[0].clone();
    assert_eq!(receiver.text("transport"), Some("tls"));
    assert_eq!(receiver.list("regions"), ["eu", "us"]);
    receiver.begin_paths_at("/etc".as_ref());
    assert_eq!(receiver.path("key").unwrap().to_str(), Some("/etc/k.pem"));
    assert_eq!(
        receiver.secret("password").unwrap().to_string(),
        "file /etc/p"
    );
}

#[test]
fn each_fault_has_its_kind_its_place_and_its_remedy() {
    for (text, kind, place, words) in [
        (
            "colour = 1",
            FaultKind::Unknown,
            "colour",
            "not a key of [[receiver]]",
        ),
        (
            "transport = \"quic\"",
            FaultKind::NotAllowed,
            "\"quic\"",
            "values: udp, tcp, tls",
        ),
        ("transport = 5", FaultKind::Type, "5", "not a whole number"),
        (
            "certificate = \"c\"",
            FaultKind::Unavailable,
            "certificate",
            "only with `transport = \"tls\"`",
        ),
        (
            "topics = \"a\"",
            FaultKind::Type,
            "\"a\"",
            "write it in brackets: [\"a\"]",
        ),
        (
            "topics = []",
            FaultKind::OutOfRange,
            "[]",
            "`topics` is empty",
        ),
        (
            "topics = [\"a\", \"a\"]",
            FaultKind::Contradiction,
            "\"a\"",
            "holds \"a\" twice",
        ),
        (
            "topics = [\"a\", 1]",
            FaultKind::Type,
            "1",
            "write each of them in quotes",
        ),
        (
            "topics = [\"more than eight\"]",
            FaultKind::OutOfRange,
            "\"more than eight\"",
            "15 bytes, more than 8",
        ),
        (
            "password = \"hunter2\"",
            FaultKind::SecretInline,
            "\"hunter2\"",
            "the secret itself",
        ),
        (
            "host = \"b:2\"",
            FaultKind::Contradiction,
            "host",
            "are the same key",
        ),
    ] {
        let faults = receiver(text);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        let (found, at, message) = &faults[0];
        assert_eq!((found, at.as_str()), (&kind, place), "{message}");
        assert!(message.contains(words), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn what_depends_on_something_wrong_or_missing_is_not_reported_besides() {
    // Which keys go with `quic` nobody knows.
    assert_eq!(
        receiver("transport = \"quic\"\ncertificate = \"c\"").len(),
        1
    );
    assert_eq!(receiver("transport = \"tls\"\ncertificate = 5").len(), 1);
    let faults = receiver("transport = \"tls\"\ncertificate = \"c\"");
    assert_eq!(faults[0].0, FaultKind::Missing);
    assert!(faults[0].2.contains("required when `certificate` is given"));
}

#[test]
fn what_depends_on_something_undecided_is_undecided_itself() {
    const CHAIN: &[Key] = &[
        Key::new("first", Takes::Choice(&["a", "b"]), "First.").default("a"),
        Key::new("second", Takes::Choice(&["c", "d"]), "Second.")
            .default("c")
            .rules(&[Rule::only_with("first", &["b"])]),
        Key::new("third", Takes::AnyText, "Third.")
            .required()
            .rules(&[Rule::only_with("second", &["c"])]),
    ];
    let faults = |text: &str| {
        let document = Document::parse(text);
        let mut reader = Reader::new(&document);
        let settings = reader.table(CHAIN, "the file", &document.root, 0..0);
        (reader.faults.len(), settings.is_complete())
    };
    assert_eq!(faults("first = \"wrong\""), (1, true));
    assert_eq!(faults("first = \"b\""), (1, false));
    assert_eq!(faults("first = \"a\""), (0, true));
    assert_eq!(faults("first = "), (1, false));
}

#[test]
fn a_misspelt_key_is_one_fault_and_no_other_missing_key_is_hidden_by_it() {
    let (_, faults) = read("[[receiver]]\nnam = \"a\"\n");
    let messages: Vec<&str> = faults.iter().map(|fault| fault.2.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("did you mean `name`?"));
    assert!(messages[1].contains("has no `address`"));
}

#[test]
fn numbers_are_quoted_as_they_are_written() {
    let (_, faults) = read("[[receiver]]\nname = 1.10\naddress = \"a:1\"\n");
    assert!(
        faults[0].2.contains("write \"1.10\" in quotes"),
        "{faults:?}"
    );
}

#[test]
fn hosts_with_ports_have_both_brackets_or_none() {
    for (address, is_right) in [
        ("siem.example.com:514", true),
        ("192.0.2.1:514", true),
        ("[2001:db8::1]:514", true),
        ("[192.0.2.1:514", false),
        ("192.0.2.1]:514", false),
        ("2001:db8::1:514", false),
        ("a:0", false),
        ("a", false),
    ] {
        let (_, faults) = read(&format!(
            "[[receiver]]\nname = \"a\"\naddress = \"{address}\"\n"
        ));
        assert_eq!(faults.is_empty(), is_right, "{address}: {faults:?}");
    }
}

#[test]
fn the_schema_asks_for_nothing_that_is_not_available() {
    // A key with a default that is not available itself makes no other one available.
    const KEYS: &[Key] = &[
        Key::new("kind", Takes::Choice(&["file", "topic"]), "Kind.").required(),
        Key::new(
            "mechanism",
            Takes::Choice(&["plain", "token"]),
            "Mechanism.",
        )
        .default("plain")
        .rules(&[Rule::only_with("kind", &["topic"])]),
        Key::new("user", Takes::AnyText, "User.")
            .required()
            .rules(&[Rule::only_with("mechanism", &["plain"])]),
    ];
    let schema = schema::object(KEYS);
    let user = schema["allOf"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["then"]["required"] == serde_json::json!(["user"]))
        .unwrap();
    let excuse = user["if"].to_string();
    assert!(excuse.contains("\"kind\""), "{excuse}");
}

#[test]
fn an_old_name_is_read_and_a_misspelt_one_is_not_missing_besides() {
    let (settings, faults) = read("[[receiver]]\nname = \"a\"\nhost = \"b:2\"\n");
    assert_eq!(faults[0].0, FaultKind::Renamed);
    assert_eq!(settings.tables("receiver")[0].text("address"), Some("b:2"));
    let (_, faults) = read("[[receiver]]\nname = \"a\"\nadress = \"b:2\"\n");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].2.contains("did you mean `address`?"));
}

#[test]
fn after_a_fault_of_the_syntax_nothing_is_called_missing() {
    let (_, faults) = read("[[receiver]]\nname = \naddress = \"a:1\"\n");
    let kinds: Vec<FaultKind> = faults.iter().map(|fault| fault.0).collect();
    assert_eq!(kinds, [FaultKind::Malformed]);
}

#[test]
fn damaged_files_are_read_without_a_panic_and_every_place_is_inside() {
    let good = "spool = 5\n[[receiver]]\nname = \"ä\"\naddress = 'a:1'\ntopics = [\"x\", \"y\"]\npassword = { env = \"N\" }\n";
    for (at, c) in good.char_indices() {
        for text in [
            good[..at].to_owned(),
            format!("{}“{}", &good[..at], &good[at + c.len_utf8()..]),
        ] {
            let document = Document::parse(&text);
            let mut reader = Reader::new(&document);
            reader.table(ROOT, "the file", &document.root, 0..0);
            for fault in reader.faults {
                assert!(text.get(fault.span.clone()).is_some(), "{text}: {fault:?}");
            }
        }
    }
}

#[test]
fn the_page_and_the_schema_name_every_key_of_every_table() {
    let page = page::sections("Top", ROOT);
    let schema = schema::object(ROOT);
    for key in ROOT.iter().chain(RECEIVER) {
        assert!(page.contains(&format!("| `{}` |", key.name)), "{page}");
    }
    let items = &schema["properties"]["receiver"]["items"];
    assert_eq!(
        items["properties"].as_object().unwrap().len(),
        RECEIVER.len()
    );
    assert_eq!(items["required"], serde_json::json!(["name", "address"]));
    assert!(page.contains("Only with `transport` `tls`."));
}
