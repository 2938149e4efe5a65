//! One panel: head, axes, grid, lines and the labels at their ends.
//!
//! In: the series of one unit and the box they may fill. Out: shapes on the scene.
//! It must not know what is measured, nor the other panel.

use super::axis::{Axis, Rounds, Scale};
use super::face::{Fonts, Weight};
use super::number::{Unit, even};
use super::scene::{Anchor, Colour, Place, Scene, Stroke, Type};
use super::series::{Group, Manner, Series};
use super::spread::spread;

pub const INK: Colour = Colour(33, 37, 41);
pub const SOFT_INK: Colour = Colour(92, 99, 106);
const AXIS: Colour = Colour(173, 181, 189);
const GRID: Colour = Colour(228, 231, 235);
const FAINT: Colour = Colour(242, 244, 246);

const HEAD: Type = Type { size: 21.0, weight: Weight::Medium, colour: INK };
const UNDER: Type = Type { size: 15.0, weight: Weight::Regular, colour: SOFT_INK };
const TICK: Type = Type { size: 14.0, weight: Weight::Regular, colour: SOFT_INK };
const VALUE: Type = Type { size: 16.0, weight: Weight::Regular, colour: INK };
const NAME_SIZE: f64 = 16.0;

/// Room above the axes for the head and the line under it.
const HEAD_ROOM: f64 = 62.0;
/// Room below the axes for the rounds' numbers and the word.
const FOOT_ROOM: f64 = 52.0;
/// From the axis to the first and from the last round to the end, so that no dot stands on a line of the
/// frame.
const INSET: f64 = 14.0;
/// From the end of the axes to the labels.
const LABEL_GAP: f64 = 14.0;
/// The height of a label: name and value.
const LABEL_HEIGHT: f64 = 42.0;
const WIDEST_LABEL: f64 = 150.0;
/// With more values than this a line carries no dots.
const MOST_DOTS: usize = 40;
/// With more values than this a line is thinned to what a screen can show.
const MOST_VALUES: usize = 500;

/// The place of a panel.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

pub struct Panel<'a> {
    pub head: &'a str,
    pub under: &'a str,
    /// Instead of lines, where there are none.
    pub nothing: &'a str,
    pub unit: Unit,
    pub scale: Scale,
    pub group: &'a Group,
    pub rounds: &'a Rounds,
}

/// The axes' box and what maps values into it.
struct Plane<'a> {
    area: Frame,
    axis: Axis,
    rounds: &'a Rounds,
    /// The labels of the axis' ticks.
    ticks: Vec<String>,
}

impl Plane<'_> {
    fn x(&self, round: u64) -> f64 {
        let (left, right) = (self.area.left + INSET, self.area.right - INSET);
        left + self.rounds.share(round) * (right - left)
    }

    fn y(&self, value: f64) -> f64 {
        self.area.bottom - self.axis.share(value) * (self.area.bottom - self.area.top)
    }

    fn end(&self, series: &Series) -> Option<(Place, f64)> {
        series.values.last().map(|(round, value)| (Place::new(self.x(*round), self.y(*value)), *value))
    }
}

impl Panel<'_> {
    pub fn draw(&self, scene: &mut Scene, fonts: &Fonts, frame: Frame) {
        let room = frame.right - frame.left;
        scene.text(fonts, self.head, HEAD, (frame.left, frame.top + 18.0), Anchor::Left, room);
        scene.text(fonts, self.under, UNDER, (frame.left, frame.top + 41.0), Anchor::Left, room);
        let (top, bottom) = (frame.top + HEAD_ROOM, frame.bottom - FOOT_ROOM);
        let Some((least, greatest)) = self.group.range() else {
            let area = Frame { top, bottom, ..frame };
            empty(scene, fonts, area, self.nothing);
            return;
        };

        let axis = Axis::new(self.scale, least, greatest);
        let widest = |texts: &mut dyn Iterator<Item = String>, set: Type| {
            texts.map(|text| fonts.width(&text, set.weight, set.size)).fold(0.0, f64::max)
        };
        let ticks = match axis.scale {
            Scale::Linear => even(self.unit, &axis.ticks),
            Scale::Log => axis.ticks.iter().map(|tick| self.unit.tick(*tick)).collect(),
        };
        let tick_room = widest(&mut ticks.iter().cloned(), TICK);
        let names = widest(&mut self.group.series.iter().map(|series| series.name.clone()), name_type(INK));
        let last_values = self.group.series.iter().filter_map(|series| series.values.last());
        let values = widest(&mut last_values.map(|(_, value)| self.unit.value(*value)), VALUE);
        let label_room = names.max(values).min(WIDEST_LABEL);
        let area = Frame {
            left: frame.left + tick_room + 10.0,
            top,
            right: frame.right - label_room - LABEL_GAP,
            bottom,
        };

        let plane = Plane { area, axis, rounds: self.rounds, ticks };
        draw_grid(scene, fonts, &plane);
        for series in &self.group.series {
            draw_line(scene, &plane, series);
        }
        self.labels(scene, fonts, &plane, label_room);
    }

    fn labels(&self, scene: &mut Scene, fonts: &Fonts, plane: &Plane<'_>, room: f64) {
        let ends: Vec<(&Series, Place, f64)> = self
            .group
            .series
            .iter()
            .filter_map(|series| plane.end(series).map(|(place, value)| (series, place, value)))
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, place, _)| place.y).collect();
        let (top, bottom) = (plane.area.top + 10.0, plane.area.bottom - 18.0);
        let left = plane.area.right + LABEL_GAP;
        for ((series, place, value), y) in ends.into_iter().zip(spread(&wanted, LABEL_HEIGHT, top, bottom)) {
            // From the end of the line to its label, where the label does not stand beside it.
            let begin = place.x + if series.manner == Manner::Main { 8.0 } else { 4.0 };
            if (y - place.y).abs() > 2.0 || left - begin > 3.0 * LABEL_GAP {
                let stroke = Stroke { colour: pale(series.colour), width: 1.0, dash: None };
                scene.line(vec![Place::new(begin, place.y), Place::new(left - 4.0, y)], stroke);
            }
            scene.text(
                fonts,
                &series.name,
                name_type(dark(series.colour)),
                (left, y - 2.5),
                Anchor::Left,
                room,
            );
            scene.text(fonts, &self.unit.value(value), VALUE, (left, y + 16.5), Anchor::Left, room);
        }
    }
}

fn draw_grid(scene: &mut Scene, fonts: &Fonts, plane: &Plane<'_>) {
    let area = plane.area;
    let mut across = |value: f64, colour| {
        let y = plane.y(value);
        rule(scene, (area.left, y), (area.right, y), colour);
    };
    plane.axis.faint.iter().for_each(|value| across(*value, FAINT));
    plane.axis.ticks.iter().for_each(|value| across(*value, GRID));
    for (value, tick) in plane.axis.ticks.iter().zip(&plane.ticks) {
        let at = (area.left - 10.0, plane.y(*value) + 5.0);
        scene.text(fonts, tick, TICK, at, Anchor::Right, area.left);
    }

    rule(scene, (area.left, area.bottom), (area.right, area.bottom), AXIS);
    let widest = plane
        .rounds
        .ticks(1)
        .iter()
        .chain(&plane.rounds.ticks(8))
        .map(u64::to_string)
        .max_by_key(String::len);
    let widest = fonts.width(&widest.unwrap_or_default(), TICK.weight, TICK.size);
    let fits = |most: &u64| *most as f64 * widest * 1.6 <= area.right - area.left;
    let most = (1..=10).rev().find(fits).unwrap_or(1);
    for round in plane.rounds.ticks(most) {
        let x = plane.x(round);
        rule(scene, (x, area.bottom), (x, area.bottom + 5.0), AXIS);
        let at = (x, area.bottom + 22.0);
        scene.text(fonts, &round.to_string(), TICK, at, Anchor::Middle, area.right - area.left);
    }
    let middle = f64::midpoint(area.left, area.right);
    scene.text(fonts, "round", UNDER, (middle, area.bottom + 45.0), Anchor::Middle, area.right - area.left);
}

/// A frame with nothing in it but the reason.
pub fn empty(scene: &mut Scene, fonts: &Fonts, area: Frame, reason: &str) {
    let corners = [
        (area.left, area.top),
        (area.right, area.top),
        (area.right, area.bottom),
        (area.left, area.bottom),
        (area.left, area.top),
    ];
    let stroke = Stroke { colour: AXIS, width: 1.0, dash: Some((6.0, 5.0)) };
    scene.line(corners.into_iter().map(|(x, y)| Place::new(x, y)).collect(), stroke);
    let middle = (f64::midpoint(area.left, area.right), f64::midpoint(area.top, area.bottom) + 7.0);
    let set = Type { size: 20.0, weight: Weight::Regular, colour: SOFT_INK };
    scene.text(fonts, reason, set, middle, Anchor::Middle, area.right - area.left - 20.0);
}

/// A thin straight line.
pub fn rule(scene: &mut Scene, from: (f64, f64), to: (f64, f64), colour: Colour) {
    let places = vec![Place::new(from.0, from.1), Place::new(to.0, to.1)];
    scene.line(places, Stroke { colour, width: 1.0, dash: None });
}

fn draw_line(scene: &mut Scene, plane: &Plane<'_>, series: &Series) {
    let places: Vec<Place> =
        series.values.iter().map(|(round, value)| Place::new(plane.x(*round), plane.y(*value))).collect();
    let (width, dash, radius) = match series.manner {
        Manner::Main => (3.0, None, 4.5),
        Manner::Reference => (2.0, Some((7.0, 5.0)), 3.0),
        Manner::Aside => (1.5, None, 2.5),
    };
    let dotted = places.len() <= MOST_DOTS && series.manner != Manner::Reference || places.len() == 1;
    let dots = if dotted { places.clone() } else { Vec::new() };
    if places.len() > 1 {
        scene.line(thin(places), Stroke { colour: series.colour, width, dash });
    }
    for place in dots {
        scene.dot(place, radius, series.colour);
    }
}

/// Of many places only the lowest and the highest in each column of two units: what the eye would see of
/// them all. The first and the last stay, for there the line begins and its label stands.
fn thin(places: Vec<Place>) -> Vec<Place> {
    if places.len() <= MOST_VALUES {
        return places;
    }
    let mut kept: Vec<Place> = places.first().into_iter().copied().collect();
    for column in places.chunk_by(|a, b| (a.x / 2.0).floor() == (b.x / 2.0).floor()) {
        let by_height = |a: &&Place, b: &&Place| a.y.total_cmp(&b.y);
        let (low, high) = (column.iter().min_by(by_height), column.iter().max_by(by_height));
        kept.extend(low);
        kept.extend(high);
    }
    kept.extend(places.last());
    kept.dedup();
    kept
}

fn name_type(colour: Colour) -> Type {
    Type { size: NAME_SIZE, weight: Weight::Medium, colour }
}

/// Dark enough to be read on white as a word.
fn dark(Colour(red, green, blue): Colour) -> Colour {
    let darker = |part: u8| part - part / 4;
    Colour(darker(red), darker(green), darker(blue))
}

/// Halfway to white.
fn pale(Colour(red, green, blue): Colour) -> Colour {
    let paler = |part: u8| part.midpoint(255);
    Colour(paler(red), paler(green), paler(blue))
}
