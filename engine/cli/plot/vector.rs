//! The painter of SVG.
//!
//! In: a scene. Out: an SVG that is valid XML. It must not know what the shapes mean.
//!
//! Words are drawn as outlines: each glyph once in `defs`, and used where it stands. Thus programs that
//! ignore embedded fonts (editors of slides among them) show them as a browser does. The words stay in
//! `aria-label`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use headwater_evaluate::markup::escape;

use super::face::{Fonts, Weight};
use super::scene::{Colour, HEIGHT, Place, Scene, Shape, Stroke, Text, WIDTH};

/// Writing into a string cannot fail: the results of `write!` are dropped for this reason alone.
pub fn write(scene: &Scene, fonts: &Fonts) -> String {
    let mut body = String::new();
    let mut glyphs = BTreeMap::new();
    for shape in &scene.shapes {
        match shape {
            Shape::Line { places, stroke } => line(&mut body, places, *stroke),
            Shape::Dot { centre, radius, colour } => {
                let (x, y, r, fill) = (short(centre.x), short(centre.y), short(*radius), hex(*colour));
                let _ = writeln!(body, r#"<circle cx="{x}" cy="{y}" r="{r}" fill="{fill}"/>"#);
            }
            Shape::Text(text) => words(&mut body, &mut glyphs, text, fonts),
        }
    }
    let mut svg = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
         width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">"
    );
    let _ = writeln!(svg, "<title>{}</title>", escape(&scene.title));
    let _ = writeln!(svg, "<desc>{}</desc>", escape(&scene.account));
    svg.push_str("<defs>\n");
    for ((weight, glyph), path) in &glyphs {
        let _ = writeln!(svg, r#"<path id="{}" d="{path}"/>"#, name(*weight, *glyph));
    }
    let _ = writeln!(svg, "</defs>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>");
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    svg
}

fn line(body: &mut String, places: &[Place], stroke: Stroke) {
    body.push_str("<polyline points=\"");
    for (number, place) in places.iter().enumerate() {
        let gap = if number == 0 { "" } else { " " };
        let _ = write!(body, "{gap}{},{}", short(place.x), short(place.y));
    }
    let _ = write!(
        body,
        r#"" fill="none" stroke="{}" stroke-width="{}""#,
        hex(stroke.colour),
        short(stroke.width)
    );
    if let Some((dash, gap)) = stroke.dash {
        let _ = write!(body, r#" stroke-dasharray="{} {}""#, short(dash), short(gap));
    }
    body.push_str(" stroke-linejoin=\"round\"/>\n");
}

fn words(body: &mut String, glyphs: &mut BTreeMap<(Weight, u16), String>, text: &Text, fonts: &Fonts) {
    let weight = text.set.weight;
    let scale = text.set.size / fonts.units(weight);
    let (x, y, fill) = (short(text.at.x), short(text.at.y), hex(text.set.colour));
    let label = escape(&text.words);
    let _ = write!(
        body,
        r#"<g fill="{fill}" transform="translate({x} {y}) scale({scale})" aria-label="{label}">"#
    );
    for placed in fonts.place(&text.words, weight).0 {
        let key = (weight, placed.glyph.0);
        if let std::collections::btree_map::Entry::Vacant(place) = glyphs.entry(key) {
            let mut pen = Pen(String::new());
            fonts.outline(placed.glyph, weight, &mut pen);
            place.insert(pen.0);
        }
        if glyphs.get(&key).is_some_and(|path| !path.is_empty()) {
            let _ = write!(
                body,
                r##"<use xlink:href="#{}" x="{}"/>"##,
                name(weight, placed.glyph.0),
                placed.offset
            );
        }
    }
    body.push_str("</g>\n");
}

fn name(weight: Weight, glyph: u16) -> String {
    match weight {
        Weight::Regular => format!("r{glyph}"),
        Weight::Medium => format!("m{glyph}"),
    }
}

/// Writes an outline as path data, upside down: a font counts upwards.
struct Pen(String);

impl Pen {
    fn step(&mut self, letter: char, places: &[(f32, f32)]) {
        self.0.push(letter);
        for (number, (x, y)) in places.iter().enumerate() {
            let gap = if number == 0 { "" } else { " " };
            let _ = write!(self.0, "{gap}{} {}", short(f64::from(*x)), short(-f64::from(*y)));
        }
    }
}

impl ttf_parser::OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.step('M', &[(x, y)]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.step('L', &[(x, y)]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.step('Q', &[(x1, y1), (x, y)]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.step('C', &[(x1, y1), (x2, y2), (x, y)]);
    }

    fn close(&mut self) {
        self.0.push('Z');
    }
}

/// Two places behind the point, without zeros at the end, and no negative zero.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn hex(Colour(red, green, blue): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
