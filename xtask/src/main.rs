//! Developer commands.
fn main() -> anyhow::Result<()> {
    let suite = authoring::suite::Suite {
        mappings: "dsm-mappings".into(),
        fixtures: "fixtures".into(),
        only: std::env::args().nth(2).filter(|a| a != "--accept"),
        accept: std::env::args().any(|a| a == "--accept"),
    };
    let o = suite.run()?;
    print!(
        "{}",
        authoring::render::render(&o.findings, authoring::render::Format::Human, false)
    );
    for t in o.types {
        println!(
            "{} {} fixtures {} events {:?}",
            t.slug, t.fixtures, t.events, t.reached
        );
    }
    Ok(())
}
