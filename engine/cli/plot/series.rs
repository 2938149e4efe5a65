//! The measured values as lines to be drawn: which, in what order, in which colour.
//!
//! In: the closed rounds. Out: for each panel its series. It knows no place on the canvas.

use super::RoundPoint;
use super::axis::drawable;
use super::scene::Colour;

/// More tiers than this would hide the two lines that matter.
pub const MOST_TIERS: usize = 4;

/// Blue, vermilion and green of Okabe and Ito's palette, which people with any colour vision distinguish.
const BLUE: Colour = Colour(0, 114, 178);
const VERMILION: Colour = Colour(213, 94, 0);
const GREEN: Colour = Colour(0, 158, 115);
const GREY: Colour = Colour(118, 124, 132);
/// Of the same palette, and distinguished by their dashes too.
const TIER_COLOURS: [Colour; MOST_TIERS] =
    [Colour(204, 121, 167), Colour(86, 180, 233), Colour(230, 159, 0), Colour(120, 94, 190)];

/// The weight of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A result.
    Main,
    /// The line that results are compared with: dashed.
    Reference,
    /// Beside the point: thin.
    Aside,
}

#[derive(Debug)]
pub struct Series {
    pub name: String,
    pub colour: Colour,
    pub manner: Manner,
    /// Round and value, by round. Every value can be drawn.
    pub values: Vec<(u64, f64)>,
}

/// The series of one panel that have any value, and how many values could not be drawn.
#[derive(Debug, Default)]
pub struct Group {
    pub series: Vec<Series>,
    pub left_out: usize,
}

impl Group {
    fn add(
        &mut self,
        name: &str,
        colour: Colour,
        manner: Manner,
        measured: impl Iterator<Item = (u64, f64)>,
    ) {
        let (values, refused): (Vec<_>, Vec<_>) = measured.partition(|(_, value)| drawable(*value));
        self.left_out += refused.len();
        if !values.is_empty() {
            self.series.push(Series { name: name.to_owned(), colour, manner, values });
        }
    }

    /// The least and the greatest value.
    pub fn range(&self) -> Option<(f64, f64)> {
        let values = self.series.iter().flat_map(|series| &series.values).map(|(_, value)| *value);
        values.map(|value| (value, value)).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }
}

/// Perplexity of `points`, which stand by round.
pub fn perplexities(points: &[&RoundPoint]) -> Group {
    let mut group = Group::default();
    let mut add = |name, colour, manner, value: fn(&RoundPoint) -> Option<f64>| {
        group.add(name, colour, manner, points.iter().filter_map(|point| Some((point.round, value(point)?))));
    };
    add("base", GREY, Manner::Reference, |point| point.perplexity_base);
    add("global", BLUE, Manner::Main, |point| point.perplexity_global);
    add("personal", VERMILION, Manner::Main, |point| point.perplexity_personal);
    group
}

/// Bytes of `points`, which stand by round.
pub fn bytes(points: &[&RoundPoint]) -> Group {
    let mut group = Group::default();
    for (tier, colour) in tiers(points).into_iter().zip(TIER_COLOURS) {
        let sent = points.iter().filter_map(|point| Some((point.round, sent_by(point, tier)? as f64)));
        group.add(&format!("{tier} tier"), colour, Manner::Aside, sent);
    }
    let dense = points.iter().map(|point| (point.round, point.dense_bytes as f64));
    group.add("dense f32", GREY, Manner::Reference, dense);
    group.add(
        "upload",
        GREEN,
        Manner::Main,
        points.iter().map(|point| (point.round, point.upload_bytes as f64)),
    );
    group
}

/// The names of the tiers, in the order in which they first come.
pub fn tiers<'a>(points: &[&'a RoundPoint]) -> Vec<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    let names = points.iter().flat_map(|point| &point.tiers).map(|(name, _)| name.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}

/// Returns the bytes that the tier sent in the round; none where the round does not name it.
pub fn sent_by(point: &RoundPoint, tier: &str) -> Option<u64> {
    let sent = point.tiers.iter().filter(|(name, _)| name == tier).map(|(_, bytes)| *bytes);
    sent.reduce(u64::saturating_add)
}
