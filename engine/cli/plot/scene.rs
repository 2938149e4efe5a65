//! The content of the picture: lines, dots and words at their places.
//!
//! In: shapes from the layout. Out: the same shapes for a painter, on a canvas of 1280 x 720.
//! It must not know what the shapes mean, nor how they are painted.

use super::face::{Fonts, Weight};

pub const WIDTH: f64 = 1280.0;
pub const HEIGHT: f64 = 720.0;

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// Both painters read the same coordinates, in hundredths, inside the canvas: the last digits of a
/// logarithm, which may differ between machines, are gone before they could move a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub x: f64,
    pub y: f64,
}

impl Place {
    pub fn new(x: f64, y: f64) -> Self {
        Self { x: hundredth(x, WIDTH), y: hundredth(y, HEIGHT) }
    }
}

fn hundredth(value: f64, most: f64) -> f64 {
    let inside = if value.is_nan() { 0.0 } else { value.clamp(0.0, most) };
    (inside * 100.0).round() / 100.0
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    pub colour: Colour,
    pub width: f64,
    /// Length of dash and of gap.
    pub dash: Option<(f64, f64)>,
}

/// The setting of a text.
#[derive(Debug, Clone, Copy)]
pub struct Type {
    pub size: f64,
    pub weight: Weight,
    pub colour: Colour,
}

/// Which point of a text its place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Left,
    Middle,
    Right,
}

#[derive(Debug, Clone)]
pub struct Text {
    /// The start of the baseline.
    pub at: Place,
    pub words: String,
    pub set: Type,
}

#[derive(Debug, Clone)]
pub enum Shape {
    Line { places: Vec<Place>, stroke: Stroke },
    Dot { centre: Place, radius: f64, colour: Colour },
    Text(Text),
}

#[derive(Debug, Default)]
pub struct Scene {
    /// For those who do not see the picture.
    pub title: String,
    pub account: String,
    pub shapes: Vec<Shape>,
}

impl Scene {
    pub fn line(&mut self, places: Vec<Place>, stroke: Stroke) {
        self.shapes.push(Shape::Line { places, stroke });
    }

    /// A dot with a white rim, so that lines below it do not run into it.
    pub fn dot(&mut self, centre: Place, radius: f64, colour: Colour) {
        self.shapes.push(Shape::Dot { centre, radius: radius + 1.5, colour: Colour(255, 255, 255) });
        self.shapes.push(Shape::Dot { centre, radius, colour });
    }

    /// Writes at most `room` wide, never over the canvas' edge.
    pub fn text(
        &mut self,
        fonts: &Fonts,
        words: &str,
        set: Type,
        (x, y): (f64, f64),
        anchor: Anchor,
        room: f64,
    ) {
        let words = fonts.cut(&one_line(words), set.weight, set.size, room.min(WIDTH));
        let width = fonts.width(&words, set.weight, set.size);
        let left = match anchor {
            Anchor::Left => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::Right => x - width,
        };
        let at = Place::new(left.min(WIDTH - width), y);
        self.shapes.push(Shape::Text(Text { at, words, set }));
    }
}

/// A text of many lines as one, without the characters that XML cannot hold.
pub fn one_line(text: &str) -> String {
    let spaced = |character: char| {
        if character.is_whitespace() || character.is_control() || matches!(character, '\u{FFFE}' | '\u{FFFF}')
        {
            ' '
        } else {
            character
        }
    };
    let text: String = text.chars().map(spaced).collect();
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
