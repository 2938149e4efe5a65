//! The plot of a federated personalization run: perplexity and bytes by round, on one picture of 16:9 for a
//! slide.
//!
//! In: a title and what each closed round measured. Out: an SVG, or a PNG of a chosen width.
//! It must not know where the numbers come from: it reads no file, no clock, no font of the machine and no
//! network. The same input gives the same bytes: coordinates are rounded to a hundredth before anything is
//! drawn from them, text is drawn as outlines of the font carried here, and pixels are filled without
//! instructions that some CPUs lack.

mod axis;
mod bitmap;
mod face;
mod figure;
mod number;
mod panel;
mod scene;
mod series;
mod spread;
mod vector;

#[cfg(test)]
mod tests;

/// The measurements of one closed round. A value that is missing, not finite or not above zero (or beyond 1e300,
/// or below 1e-300) is not drawn; the line goes on straight to the next one that is. The picture says how
/// many values were not drawn, not counting missing ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoundPoint {
    /// The number of the round. The points may come in any order.
    pub round: u64,
    /// Perplexity of the model without an adapter.
    pub perplexity_base: Option<f64>,
    /// Perplexity with the adapter that all devices share.
    pub perplexity_global: Option<f64>,
    /// Perplexity with the devices' own adapters.
    pub perplexity_personal: Option<f64>,
    /// Bytes of one device's upload, the mean over the devices of the round.
    pub upload_bytes: u64,
    /// Tier and all bytes that it sent in this round. Four tiers at most are drawn; the note at the foot
    /// counts the rest.
    pub tiers: Vec<(String, u64)>,
    /// Bytes of the same upload, had it been sent as dense f32.
    pub dense_bytes: u64,
    /// The duration of the round.
    pub seconds: f64,
}

/// The content of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Figure<'a> {
    /// The headline; cut with an ellipsis where it is wider than the picture.
    pub title: &'a str,
    /// A line below it, cut likewise; may be empty.
    pub subtitle: &'a str,
    /// The closed rounds.
    pub points: &'a [RoundPoint],
}

/// The width of a PNG in pixels; the height follows, 9/16 of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelWidth(u32);

impl PixelWidth {
    /// Below this no word can be read.
    pub const LEAST: u32 = 320;
    /// Above this the bitmap would take more than 200 MB.
    pub const MOST: u32 = 10_240;
    /// Sharp on a projector and on a printed page.
    pub const SLIDE: Self = Self(2560);

    /// # Errors
    /// If `pixels` is below [`Self::LEAST`] or above [`Self::MOST`].
    pub const fn new(pixels: u32) -> Result<Self, PlotError> {
        if pixels < Self::LEAST || pixels > Self::MOST {
            Err(PlotError::Width(pixels))
        } else {
            Ok(Self(pixels))
        }
    }

    /// The width.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The height of a picture so wide.
    pub const fn height(self) -> u32 {
        (self.0 * 9).div_ceil(16)
    }
}

/// Why there is no picture.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlotError {
    /// The PNG would be too small to read or too large to hold.
    #[error(
        "a picture {0} pixels wide cannot be drawn; choose a width from {least} to {most}",
        least = PixelWidth::LEAST,
        most = PixelWidth::MOST
    )]
    Width(u32),
    /// There was no room for the bitmap, or its bytes could not be packed.
    #[error("the PNG of {width} x {height} pixels could not be made: {why}; choose a smaller width")]
    Bitmap {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The error of the encoder.
        why: String,
    },
}

/// The picture as SVG: one file, without references to anything outside of it, and without `font-family`.
pub fn svg(figure: &Figure<'_>) -> String {
    let fonts = face::Fonts::embedded();
    vector::write(&figure::draw(figure, &fonts), &fonts)
}

/// The same picture as PNG.
///
/// # Errors
/// If there is no memory for a bitmap of that width.
pub fn png(figure: &Figure<'_>, width: PixelWidth) -> Result<Vec<u8>, PlotError> {
    let fonts = face::Fonts::embedded();
    bitmap::paint(&figure::draw(figure, &fonts), &fonts, width)
}
