//! Pictures of how cost grows: SVG with logarithmic scales, so that a straight line is a power and its slope the
//! exponent.

use super::report::{Curve, Series};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 62.0;

/// Colours that people with any colour vision can tell apart, and that print in different greys.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#444444"];

/// A scale from values to places.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale that shows all values, with some room at both ends. Values of 0 or less cannot be shown.
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| *value > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let room = (high / low).powf(0.06).max(1.25);
        Self {
            low: low / room,
            high: high * room,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// Powers of ten; steps between them where there would be too few.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if (self.high / self.low).log10() < 2.5 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let mut ticks = Vec::new();
        let mut power = 10_f64.powf(self.low.log10().floor());
        while power <= self.high {
            ticks.extend(steps.iter().map(|step| step * power));
            power *= 10.0;
        }
        ticks.retain(|tick| (self.low..=self.high).contains(tick));
        ticks
    }
}

/// A curve as an SVG document.
pub fn svg(curve: &Curve) -> String {
    let points = || curve.series.iter().flat_map(|series| &series.points);
    let x = Scale::new(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let y = Scale::new(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut out = String::new();
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13" fill="#222222" role="img">"##
    );
    let _ = writeln!(out, "<title>{}</title>", escape(&curve.title));
    let _ = writeln!(
        out,
        r##"<rect width="100%" height="100%" fill="#ffffff"/>"##
    );
    text(&mut out, LEFT, 28.0, "start", "16", &curve.title);
    axes(&mut out, curve, &x, &y);
    let mut at = LEFT;
    for (index, series) in curve.series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        line(&mut out, series, index, colour, &x, &y);
        mark(&mut out, index, colour, at + 6.0, 54.0);
        text(&mut out, at + 17.0, 58.5, "start", "13", &series.name);
        // Sans-serif letters are about so wide; a little too far apart is better than one on the other.
        #[allow(clippy::cast_precision_loss, reason = "a name is short")]
        let width = series.name.chars().count() as f64 * 7.0;
        at += width + 42.0;
    }
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String, curve: &Curve, x: &Scale, y: &Scale) {
    for tick in y.ticks() {
        let at = y.place(tick);
        let _ = writeln!(
            out,
            r##"<path d="M{LEFT:.1} {at:.1}H{:.1}" stroke="#dddddd"/>"##,
            WIDTH - RIGHT
        );
        text(out, LEFT - 8.0, at + 4.5, "end", "13", &time(tick));
    }
    for tick in x.ticks() {
        let at = x.place(tick);
        let _ = writeln!(
            out,
            r##"<path d="M{at:.1} {TOP:.1}V{:.1}" stroke="#dddddd"/>"##,
            HEIGHT - BOTTOM
        );
        text(
            out,
            at,
            HEIGHT - BOTTOM + 19.0,
            "middle",
            "13",
            &super::report::grouped(tick),
        );
    }
    let _ = writeln!(
        out,
        r##"<path d="M{LEFT:.1} {TOP:.1}V{bottom:.1}H{right:.1}" fill="none" stroke="#222222"/>"##,
        bottom = HEIGHT - BOTTOM,
        right = WIDTH - RIGHT
    );
    text(
        out,
        LEFT.midpoint(WIDTH - RIGHT),
        HEIGHT - 14.0,
        "middle",
        "13",
        &curve.x,
    );
    let middle = TOP.midpoint(HEIGHT - BOTTOM);
    let _ = writeln!(
        out,
        r#"<text x="18" y="{middle:.1}" text-anchor="middle" transform="rotate(-90 18 {middle:.1})">{}</text>"#,
        escape(&curve.y)
    );
}

fn line(out: &mut String, series: &Series, index: usize, colour: &str, x: &Scale, y: &Scale) {
    let mut path = String::new();
    for (number, point) in series.points.iter().enumerate() {
        let command = if number == 0 { 'M' } else { 'L' };
        let _ = write!(
            path,
            "{command}{:.1} {:.1}",
            x.place(point.0),
            y.place(point.1)
        );
    }
    if path.is_empty() {
        return;
    }
    let dashes = if index == 0 {
        ""
    } else {
        r#" stroke-dasharray="6 3""#
    };
    let _ = writeln!(
        out,
        r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>"#
    );
    for point in &series.points {
        mark(out, index, colour, x.place(point.0), y.place(point.1));
    }
}

/// Another shape for each line.
fn mark(out: &mut String, index: usize, colour: &str, x: f64, y: f64) {
    let _ = match index % 3 {
        0 => writeln!(
            out,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.5" fill="{colour}"/>"#
        ),
        1 => writeln!(
            out,
            r#"<rect x="{:.1}" y="{:.1}" width="8" height="8" fill="{colour}"/>"#,
            x - 4.0,
            y - 4.0
        ),
        _ => writeln!(
            out,
            r#"<path d="M{x:.1} {:.1}l5 9h-10z" fill="{colour}"/>"#,
            y - 5.5
        ),
    };
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, size: &str, text: &str) {
    let _ = writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}">{}</text>"#,
        escape(text)
    );
}

/// Microseconds in a unit for people.
fn time(microseconds: f64) -> String {
    let (value, unit) = match microseconds {
        t if t >= 1e6 => (t / 1e6, "s"),
        t if t >= 1e3 => (t / 1e3, "ms"),
        t if t >= 1.0 => (t, "µs"),
        t => (t * 1e3, "ns"),
    };
    // Ticks are 1, 2 or 5 times a power of ten, but their bits are not.
    format!("{} {unit}", (value * 10.0).round() / 10.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Curve {
        Curve {
            id: "x".to_owned(),
            title: "Cost & <size>".to_owned(),
            x: "bytes".to_owned(),
            y: "µs".to_owned(),
            series: vec![
                Series {
                    name: "a \"b\"".to_owned(),
                    points: points.to_vec(),
                },
                Series {
                    name: "nothing".to_owned(),
                    points: Vec::new(),
                },
            ],
        }
    }

    /// Values of an attribute of all elements of a name, read by an XML parser that knows nothing of us.
    fn elements(svg: &str) -> Vec<(String, std::collections::BTreeMap<String, String>)> {
        let mut reader = quick_xml::Reader::from_str(svg);
        reader.config_mut().check_end_names = true;
        let mut found = Vec::new();
        let mut depth = 0;
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(element)
                | quick_xml::events::Event::Empty(element) => {
                    let attributes = element.attributes().map(|attribute| {
                        let attribute = attribute.unwrap();
                        let value = attribute.value.into_owned();
                        (attribute.key.0.to_owned(), value)
                    });
                    let name = element.name().0.to_owned();
                    found.push((name, attributes.collect()));
                    depth += 1;
                }
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert!(depth > 0);
        found
    }

    #[test]
    fn a_picture_is_well_formed_and_shows_every_point_within_its_frame() {
        for points in [
            &[(1_000.0, 3.0), (32_000.0, 40.0), (1_000_000.0, 3_000.0)][..],
            &[(10.0, 5.0)],
            &[],
        ] {
            let svg = svg(&curve(points));
            let elements = elements(&svg);
            assert_eq!(elements[0].0, "svg");
            let circles: Vec<_> = elements
                .iter()
                .filter(|(name, _)| name == "circle")
                .collect();
            // One more in the legend.
            assert_eq!(circles.len(), points.len() + 1, "{svg}");
            for (_, attributes) in &circles[..points.len()] {
                let (x, y): (f64, f64) = (
                    attributes["cx"].parse().unwrap(),
                    attributes["cy"].parse().unwrap(),
                );
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{svg}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{svg}");
            }
            assert!(
                svg.contains("<title>Cost &amp; &lt;size&gt;</title>"),
                "{svg}"
            );
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn equal_factors_are_equal_distances_and_more_is_further_up_and_right() {
        let svg = svg(&curve(&[(10.0, 1.0), (100.0, 10.0), (1_000.0, 100.0)]));
        let places: Vec<(f64, f64)> = elements(&svg)
            .iter()
            .filter(|(name, _)| name == "circle")
            .take(3)
            .map(|(_, a)| (a["cx"].parse().unwrap(), a["cy"].parse().unwrap()))
            .collect();
        let step = |a: usize, b: usize| (places[b].0 - places[a].0, places[b].1 - places[a].1);
        let (first, second) = (step(0, 1), step(1, 2));
        assert!(first.0 > 50.0 && first.1 < -50.0, "{places:?}");
        assert!(
            (first.0 - second.0).abs() < 0.2 && (first.1 - second.1).abs() < 0.2,
            "{places:?}"
        );
    }

    #[test]
    fn axes_have_round_ticks_with_units() {
        let svg = svg(&curve(&[(1_000.0, 3.0), (1_000_000.0, 3_000_000.0)]));
        for label in ["1,000", "100,000", "10 µs", "100 ms", "1 s", "bytes"] {
            assert!(svg.contains(&format!(">{label}</text>")), "{label}\n{svg}");
        }
    }
}
