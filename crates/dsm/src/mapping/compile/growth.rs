//! Loading takes time in proportion to the files, whatever is in them: shown by counting steps, not by a clock.

use crate::diagnostic::{Code, Diagnostics, SourceFile};
use crate::mapping::{Mapping, Source};
use crate::steps;
use std::fmt::Write as _;

const MANIFEST: &str = "format = 1\nname = \"A\"\nlog_source_type_id = 4001\n[leef]\nvendor = \"A\"\nproduct = \"B\"\nversion = \"1\"\n";
const QIDS: &str = "qid,name,description,severity,lowlevelcategory\n";
const MAPPINGS: &str = "event_id,event_category,qid\n";
const EVENT: &str = "<pattern id=\"e\">e</pattern>";
const NAME: &str = "<matcher field=\"EventName\" order=\"1\" pattern-id=\"e\"/>";

fn extension(patterns: &str, group: &str) -> String {
    format!(
        "<device-extension xmlns=\"event_parsing/device_extension\" xmlns:dsmith=\"urn:dsmith:lsx:1\">{EVENT}{patterns}<match-group order=\"1\">{NAME}{group}</match-group></device-extension>"
    )
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

/// The files of a folder: the manifest, the extension and the two tables.
type Texts = [String; 4];

fn of_extension(extension: String) -> Texts {
    [MANIFEST.into(), extension, QIDS.into(), MAPPINGS.into()]
}

/// Loads a folder, and the extension by itself; shows every finding.
fn load(texts: &Texts) -> Diagnostics {
    let file = |index: usize| SourceFile::new(format!("{index}"), texts[index].as_str());
    let source = Source {
        slug: "a".to_owned(),
        manifest: file(0),
        extension: file(1),
        qidmap: file(2),
        event_mappings: file(3),
    };
    let (_, findings) = Mapping::load(&source);
    let (_, bare) = Mapping::from_extension("a", &source.extension);
    for finding in findings.iter().chain(&bare) {
        assert!(!finding.to_string().is_empty());
    }
    findings
}

/// Twice as much of everything takes at most two and a half times the steps, and a byte takes only so many.
fn is_linear(what: &str, count: usize, texts: impl Fn(usize) -> Texts) {
    let (few, many) = (texts(count), texts(2 * count));
    let bytes = |texts: &Texts| texts.iter().map(String::len).sum::<usize>() as u64;
    let (one, _) = steps::of(|| load(&few));
    let (two, _) = steps::of(|| load(&many));
    assert!(
        two <= one * 5 / 2 + 10_000,
        "{what}: {one} steps for {count}, {two} for twice as many"
    );
    assert!(
        two <= 400 * bytes(&many) + 60_000_000,
        "{what}: {two} steps for {} bytes",
        bytes(&many)
    );
}

#[test]
fn blanks_in_a_pattern_that_is_trimmed() {
    for blank in [" ", "\n ", "x "] {
        is_linear("trim-whitespace", 20_000, |count| {
            let blanks = blank.repeat(count);
            of_extension(extension(
                &format!("<pattern id=\"a\" trim-whitespace=\"true\">a{blanks}b</pattern>"),
                "",
            ))
        });
    }
}

#[test]
fn patterns_within_each_other() {
    is_linear("dsmith:within", 1_000, |count| {
        let chain = many(count, |at| {
            format!(
                "<pattern id=\"p{at}\" dsmith:within=\"p{}\">x</pattern>",
                at + 1
            )
        });
        let matchers = many(count, |at| {
            format!(
                "<matcher field=\"UserName\" order=\"{}\" pattern-id=\"p{at}\"/>",
                at + 1
            )
        });
        let last = format!("<pattern id=\"p{count}\">x</pattern>");
        of_extension(extension(&(chain + &last), &matchers))
    });
}

#[test]
fn a_long_chain_of_patterns_is_a_finding_and_not_the_end_of_the_stack() {
    let chain = many(15_000, |at| {
        format!(
            "<pattern id=\"p{at}\" dsmith:within=\"p{}\">x</pattern>",
            at + 1
        )
    });
    let matcher = "<matcher field=\"UserName\" order=\"1\" pattern-id=\"p0\"/>";
    for last in [
        "<pattern id=\"p15000\">x</pattern>",
        "<pattern id=\"p15000\" dsmith:within=\"p0\">x</pattern>",
    ] {
        let texts = of_extension(extension(&format!("{chain}{last}"), matcher));
        let findings = on_small_stack(move || load(&texts));
        let of_chain: Vec<String> = findings
            .iter()
            .filter(|finding| finding.code == Code::WithinInvalid)
            .map(|finding| finding.message.clone())
            .collect();
        assert_eq!(of_chain.len(), 1, "{of_chain:?}");
        assert!(of_chain[0].len() < 500, "{of_chain:?}");
    }
}

fn on_small_stack<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    thread.spawn(work).unwrap().join().unwrap()
}

#[test]
fn fields_that_nobody_knows() {
    let unknown = |count: usize| {
        extension(
            "",
            &many(count, |at| {
                format!("<matcher field=\"Unknown Field {at}\" order=\"1\" pattern-id=\"e\"/>")
            }),
        )
    };
    is_linear("unknown fields", 2_000, |count| {
        of_extension(unknown(count))
    });
    is_linear("unknown fields beside declared ones", 1_000, |count| {
        let mut texts = of_extension(unknown(count));
        for at in 0..count {
            let _ = write!(
                texts[0],
                "[[property]]\nname = \"Declared {at}\"\ntype = \"string\"\nleef_key = \"k{at}\"\ndescription = \"d\"\n"
            );
        }
        texts
    });
    // All of them would have the same LEEF key.
    is_linear("one LEEF key for all", 2_000, |count| {
        of_extension(extension(
            "",
            &many(count, |at| {
                let field: String = (0..12)
                    .map(|bit| if at >> bit & 1 == 0 { '-' } else { '_' })
                    .collect();
                format!("<matcher field=\"x{field}\" order=\"1\" pattern-id=\"e\"/>")
            }),
        ))
    });
}

#[test]
fn matchers_and_modifiers_of_one_group() {
    is_linear("matchers", 5_000, |count| {
        of_extension(extension(
            "",
            &many(count, |at| {
                format!(
                    "<matcher field=\"UserName\" order=\"{}\" pattern-id=\"e\"/>",
                    at + 1
                )
            }),
        ))
    });
    is_linear("matchers without an end tag", 5_000, |count| {
        of_extension(extension(
            "",
            &many(count, |at| {
                format!(
                    "<matcher field=\"UserName\" order=\"{}\" pattern-id=\"e\">",
                    at + 1
                )
            }),
        ))
    });
    is_linear("constants and modifiers", 2_000, |count| {
        of_extension(extension(
            "",
            &many(count, |at| {
                format!("<matcher field=\"EventName\" order=\"{}\" pattern-id=\"e\" capture-group=\"c{at}\" enable-substitutions=\"true\"/><event-match-single event-name=\"d{at}\"/>", at + 2)
            }),
        ).replace(NAME, ""))
    });
    is_linear("pattern ids that nothing declares", 2_000, |count| {
        of_extension(extension(
            &many(count, |at| {
                format!("<pattern id=\"declared-{at}\">x</pattern>")
            }),
            &many(count, |at| {
                format!(
                    "<matcher field=\"UserName\" order=\"{}\" pattern-id=\"wanted {at}\"/>",
                    at + 1
                )
            }),
        ))
    });
}

#[test]
fn attributes_namespaces_and_nesting() {
    is_linear("equal attributes", 5_000, |count| {
        of_extension(extension(
            &format!("<pattern {}>x</pattern>", "id=\"a\" ".repeat(count)),
            "",
        ))
    });
    is_linear("attributes", 5_000, |count| {
        of_extension(extension(
            &format!(
                "<pattern {}>x</pattern>",
                many(count, |at| format!("a{at}=\"\" "))
            ),
            "",
        ))
    });
    is_linear("namespaces", 3_000, |count| {
        of_extension(extension(
            &many(count, |at| {
                format!("<pattern id=\"p{at}\" xmlns:n{at}=\"urn:n{at}\" n{at}:a=\"\">x</pattern>")
            }),
            "",
        ))
    });
    is_linear("elements within each other", 5_000, |count| {
        of_extension(extension(
            &format!("{}{}", "<a>".repeat(count), "</b>".repeat(count)),
            "",
        ))
    });
    is_linear("nothing closed in a pattern", 5_000, |count| {
        of_extension(extension(
            &format!("<pattern id=\"a\">{}", "(?<n>x)".repeat(count)),
            "",
        ))
    });
}

#[test]
fn key_paths() {
    is_linear("positions", 5_000, |count| {
        of_extension(extension(
            &many(count, |at| {
                format!("<pattern id=\"p{at}\" type=\"JsonKeypath\">/\"a\"[{at}]</pattern>")
            }),
            &many(count, |at| {
                format!(
                    "<json-matcher field=\"UserName\" order=\"{}\" pattern-id=\"p{at}\"/>",
                    at + 1
                )
            }),
        ))
    });
    is_linear("members, with a filter beside them", 2_000, |count| {
        of_extension(extension(
            &many(count, |at| {
                format!(
                    "<pattern id=\"p{at}\" type=\"JsonKeypath\" dsmith:hits=\"first\">/\"a\"/\"m{at}\"</pattern><pattern id=\"q{at}\" type=\"JsonKeypath\" dsmith:hits=\"first\">/\"a\"[?\"k\"=\"{at}\"]/\"n{at}\"</pattern>"
                )
            }),
            &many(count, |at| {
                format!(
                    "<json-matcher field=\"UserName\" order=\"{}\" pattern-id=\"p{at}\"/><json-matcher field=\"UserName\" order=\"{}\" pattern-id=\"q{at}\"/>",
                    2 * at + 1,
                    2 * at + 2
                )
            }),
        ))
    });
    is_linear("delimiters", 2_000, |count| {
        of_extension(extension(
            "<pattern id=\"p\" type=\"NameValuePairKey\">k</pattern>",
            &many(count, |at| {
                format!(
                    "<namevaluepair-matcher field=\"UserName\" order=\"{}\" pattern-id=\"p\" delimiter-pair=\"{at};\"/>",
                    at + 1
                )
            }),
        ))
    });
}

#[test]
fn manifests_and_tables() {
    is_linear("equal properties", 2_000, |count| {
        let mut texts = of_extension(extension("", ""));
        for at in 0..count {
            let _ = write!(
                texts[0],
                "[[property]]\nname = \"Same {at}\"\ntype = \"string\"\nleef_key = \"k{at}\"\ndescription = \"d\"\n"
            );
        }
        texts
    });
    is_linear("broken lines", 5_000, |count| {
        let mut texts = of_extension(extension("", ""));
        texts[0] += &many(count, |at| format!("k{at} = “x”\n"));
        texts
    });
    is_linear("unknown keys", 5_000, |count| {
        let mut texts = of_extension(extension("", ""));
        texts[0] = many(count, |at| format!("k{at} = 1\n")) + &texts[0];
        texts
    });
    is_linear("rows with faults", 2_000, |count| {
        let mut texts = of_extension(extension("", ""));
        texts[2] += &many(count, |at| {
            format!(
                "{},name {at},d,high,User Login Sucess {at}\n",
                2_000_001 + at
            )
        });
        texts[3] += &many(count, |at| format!("e{at},,name of {at}\n"));
        texts
    });
    is_linear("rows that name a QID", 2_000, |count| {
        let mut texts = of_extension(extension("", ""));
        texts[2] += &many(count, |at| {
            format!("{},name {at},d,3,3075\n", 2_000_001 + at)
        });
        texts[3] += &many(count, |at| format!("e{at},,no such name {at}\n"));
        texts
    });
}

#[test]
fn a_path_that_is_deeper_than_any_json_is_a_finding() {
    let findings = on_small_stack(|| {
        let deep = "/\"a\"".repeat(5_000);
        let positions = format!("/\"a\"{}", "[0]".repeat(5_000));
        let condition = format!("/\"a\"[?{}=\"x\"]/\"b\"", vec!["\"c\""; 5_000].join("/"));
        let paths = [deep, positions, condition];
        let patterns: String = paths
            .iter()
            .enumerate()
            .map(|(at, path)| format!("<pattern id=\"p{at}\" type=\"JsonKeypath\" dsmith:hits=\"first\">{path}</pattern>"))
            .collect();
        let matchers = many(3, |at| {
            format!(
                "<json-matcher field=\"UserName\" order=\"{}\" pattern-id=\"p{at}\"/>",
                at + 1
            )
        });
        let findings = load(&of_extension(extension(&patterns, &matchers)));
        findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    });
    let of_paths = findings.iter().filter(|finding| finding.contains("DSM029"));
    assert_eq!(of_paths.count(), 3, "{findings:#?}");
}

#[test]
fn a_manifest_that_nests_without_end_is_a_finding() {
    for deep in [
        format!("{}b = 1\n", "a.".repeat(20_000)),
        format!("[{}b]\n", "a.".repeat(20_000)),
        format!("[[{}b]]\n", "a.".repeat(20_000)),
        format!("k = {}\n", "[".repeat(20_000)),
        format!("k = {}\n", "{a=".repeat(20_000)),
    ] {
        let findings = on_small_stack(move || {
            let mut texts = of_extension(extension("", ""));
            texts[0] += &deep;
            load(&texts)
        });
        assert!(findings.has_errors());
    }
}

#[test]
fn what_exceeds_a_limit_is_told_and_the_rest_is_not_read() {
    let patterns = many(20_001, |at| format!("<pattern id=\"p{at}\">x</pattern>"));
    let matchers = many(20_001, |at| {
        format!(
            "<matcher field=\"UserName\" order=\"{}\" pattern-id=\"e\"/>",
            at + 1
        )
    });
    let attributes = many(300, |at| format!("a{at}=\"\" "));
    for (what, text) in [
        ("patterns", extension(&patterns, "")),
        ("matchers", extension("", &matchers)),
        (
            "attributes",
            extension(&format!("<pattern {attributes}>x</pattern>"), ""),
        ),
        ("elements", extension(&"<a>".repeat(300), "")),
    ] {
        let findings = load(&of_extension(text));
        let limits: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.code.as_str() == "DSM083")
            .map(|finding| finding.message.as_str())
            .collect();
        assert_eq!(limits.len(), 1, "{what}: {limits:?}");
        assert!(limits[0].contains(what), "{what}: {limits:?}");
        assert!(findings.has_errors());
    }
}

#[test]
fn findings_beyond_ten_thousand_are_counted() {
    let texts = of_extension(extension(
        "",
        &many(15_000, |at| {
            format!("<matcher field=\"UserName\" order=\"x\" pattern-id=\"none{at}\"/>")
        }),
    ));
    let findings = load(&texts);
    assert_eq!(findings.len(), 10_001);
    let last = findings.iter().last().unwrap();
    assert_eq!(last.code.as_str(), "DSM079");
    let count: usize = last.message.split(' ').next().unwrap().parse().unwrap();
    assert!((20_000..20_010).contains(&count), "{last}");
    assert!(findings.has_errors());
}
