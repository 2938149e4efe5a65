//! The embedded font: how wide a text is, and the outlines of its glyphs.
//!
//! In: characters. Out: advances and outlines, in units of the font. It knows no canvas and no file format.

use ttf_parser::{Face, GlyphId, OutlineBuilder};

const REGULAR: &[u8] = include_bytes!("font/Roboto-Regular.ttf");
const MEDIUM: &[u8] = include_bytes!("font/Roboto-Medium.ttf");

/// The end of a text that was cut.
const ELLIPSIS: char = '…';

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Regular,
    Medium,
}

/// Both weights. The bytes are part of the program and a test reads them: a face is never absent outside of a
/// damaged build, which draws the picture without words.
pub struct Fonts {
    regular: Option<Face<'static>>,
    medium: Option<Face<'static>>,
}

/// A glyph and its place on the line of its text, in font units.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    pub glyph: GlyphId,
    pub offset: u32,
}

impl Fonts {
    pub fn embedded() -> Self {
        Self { regular: Face::parse(REGULAR, 0).ok(), medium: Face::parse(MEDIUM, 0).ok() }
    }

    fn face(&self, weight: Weight) -> Option<&Face<'static>> {
        match weight {
            Weight::Regular => self.regular.as_ref(),
            Weight::Medium => self.medium.as_ref(),
        }
    }

    /// Font units in the height of the type.
    pub fn units(&self, weight: Weight) -> f64 {
        f64::from(self.face(weight).map_or(2048, Face::units_per_em))
    }

    /// The glyphs of a text and the width of it all. A character that the font lacks is drawn as the font's
    /// box.
    pub fn place(&self, words: &str, weight: Weight) -> (Vec<Placed>, u32) {
        let Some(face) = self.face(weight) else { return (Vec::new(), 0) };
        let mut offset: u32 = 0;
        let mut placed = Vec::new();
        for character in words.chars() {
            let glyph = face.glyph_index(character).unwrap_or_default();
            placed.push(Placed { glyph, offset });
            offset = offset.saturating_add(u32::from(face.glyph_hor_advance(glyph).unwrap_or(0)));
        }
        (placed, offset)
    }

    pub fn width(&self, words: &str, weight: Weight, size: f64) -> f64 {
        f64::from(self.place(words, weight).1) * size / self.units(weight)
    }

    /// The text, or as much of its beginning as fits into `room` with an ellipsis behind.
    pub fn cut(&self, words: &str, weight: Weight, size: f64, room: f64) -> String {
        if self.width(words, weight, size) <= room {
            return words.to_owned();
        }
        let mut kept = String::new();
        for character in words.chars() {
            let mut longer = kept.clone();
            longer.push(character);
            longer.push(ELLIPSIS);
            if self.width(&longer, weight, size) > room {
                break;
            }
            kept.push(character);
        }
        kept.truncate(kept.trim_end().len());
        kept.push(ELLIPSIS);
        kept
    }

    /// Draws the glyph into `pen`; false where there is nothing to draw, as of a space.
    pub fn outline(&self, glyph: GlyphId, weight: Weight, pen: &mut dyn OutlineBuilder) -> bool {
        self.face(weight).is_some_and(|face| face.outline_glyph(glyph, pen).is_some())
    }
}
