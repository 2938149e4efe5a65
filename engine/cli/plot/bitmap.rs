//! The painter of PNG.
//!
//! In: a scene and a width. Out: the bytes of a PNG. It must not know what the shapes mean.

use tiny_skia::{
    FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke as Pencil, StrokeDash, Transform,
};

use super::face::Fonts;
use super::scene::{Colour, Place, Scene, Shape, Stroke, Text, WIDTH};
use super::{PixelWidth, PlotError};

pub fn paint(scene: &Scene, fonts: &Fonts, width: PixelWidth) -> Result<Vec<u8>, PlotError> {
    let failed =
        |why: &str| PlotError::Bitmap { width: width.get(), height: width.height(), why: why.to_owned() };
    let mut pixels =
        Pixmap::new(width.get(), width.height()).ok_or_else(|| failed("no room for the pixels"))?;
    pixels.fill(tiny_skia::Color::WHITE);
    let scale = single(f64::from(width.get()) / WIDTH);
    let whole = Transform::from_scale(scale, scale);
    for shape in &scene.shapes {
        match shape {
            Shape::Line { places, stroke } => {
                if let Some(path) = line(places) {
                    pixels.stroke_path(&path, &ink(stroke.colour), &pencil(stroke), whole, None);
                }
            }
            Shape::Dot { centre, radius, colour } => {
                if let Some(path) =
                    PathBuilder::from_circle(single(centre.x), single(centre.y), single(*radius))
                {
                    pixels.fill_path(&path, &ink(*colour), FillRule::Winding, whole, None);
                }
            }
            Shape::Text(text) => {
                if let Some(path) = words(text, fonts) {
                    let units = single(text.set.size / fonts.units(text.set.weight));
                    let place =
                        whole.pre_translate(single(text.at.x), single(text.at.y)).pre_scale(units, -units);
                    pixels.fill_path(&path, &ink(text.set.colour), FillRule::Winding, place, None);
                }
            }
        }
    }
    pixels.encode_png().map_err(|error| failed(&error.to_string()))
}

fn ink(Colour(red, green, blue): Colour) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}

fn pencil(stroke: &Stroke) -> Pencil {
    let dash = stroke.dash.and_then(|(dash, gap)| StrokeDash::new(vec![single(dash), single(gap)], 0.0));
    Pencil { width: single(stroke.width), line_join: LineJoin::Round, dash, ..Pencil::default() }
}

fn line(places: &[Place]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = places.split_first()?;
    path.move_to(single(first.x), single(first.y));
    for place in rest {
        path.line_to(single(place.x), single(place.y));
    }
    path.finish()
}

/// All glyphs of a text in font units.
fn words(text: &Text, fonts: &Fonts) -> Option<Path> {
    let mut pen = Pen { path: PathBuilder::new(), right: 0.0 };
    for placed in fonts.place(&text.words, text.set.weight).0 {
        pen.right = single(f64::from(placed.offset));
        fonts.outline(placed.glyph, text.set.weight, &mut pen);
    }
    pen.path.finish()
}

/// Draws outlines one behind the other.
struct Pen {
    path: PathBuilder,
    right: f32,
}

impl ttf_parser::OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.right + x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.right + x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.quad_to(self.right + x1, y1, self.right + x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.path.cubic_to(self.right + x1, y1, self.right + x2, y2, self.right + x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32: a pixel needs no more")]
fn single(value: f64) -> f32 {
    value as f32
}
