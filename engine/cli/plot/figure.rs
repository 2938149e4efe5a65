//! The whole picture: headline, two panels, and a foot with what was sent in all.
//!
//! In: a figure. Out: a scene. It must not know how a panel is drawn, nor by which painter.

use super::axis::{Rounds, Scale};
use super::face::{Fonts, Weight};
use super::number::{Unit, span, times};
use super::panel::{Frame, INK, Panel, SOFT_INK, empty, rule};
use super::scene::{Anchor, Colour, HEIGHT, Scene, Type, WIDTH, one_line};
use super::series::{Group, MOST_TIERS, bytes, perplexities, sent_by, tiers};
use super::{Figure, RoundPoint};

const TITLE: Type = Type { size: 34.0, weight: Weight::Medium, colour: INK };
const SUBTITLE: Type = Type { size: 19.0, weight: Weight::Regular, colour: SOFT_INK };
const FOOT: Type = Type { size: 15.0, weight: Weight::Regular, colour: SOFT_INK };
const FOOT_RULE: Colour = Colour(228, 231, 235);

const MARGIN: f64 = 56.0;
const BETWEEN: f64 = 52.0;
const PANELS_TOP: f64 = 132.0;
const PANELS_BOTTOM: f64 = 648.0;
/// The ratio of the greatest value to the least from which on a line along the bottom would hide the
/// rest.
const LOG_FROM: f64 = 8.0;

pub fn draw(figure: &Figure<'_>, fonts: &Fonts) -> Scene {
    let mut points: Vec<&RoundPoint> = figure.points.iter().collect();
    points.sort_by_key(|point| point.round);

    let mut scene = Scene::default();
    let room = WIDTH - 2.0 * MARGIN;
    scene.text(fonts, figure.title, TITLE, (MARGIN, 68.0), Anchor::Left, room);
    scene.text(fonts, figure.subtitle, SUBTITLE, (MARGIN, 99.0), Anchor::Left, room);
    scene.title = beginning(figure.title, 300);

    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        let area = Frame { left: MARGIN, top: PANELS_TOP, right: WIDTH - MARGIN, bottom: HEIGHT - MARGIN };
        empty(&mut scene, fonts, area, "no round was closed");
        "No round was closed.".clone_into(&mut scene.account);
        return scene;
    };

    let rounds = Rounds::new(first.round, last.round);
    let (quality, cost) = (perplexities(&points), bytes(&points));
    let scale = match quality.range() {
        Some((least, greatest)) if greatest / least > LOG_FROM => Scale::Log,
        _ => Scale::Linear,
    };
    let under = if scale == Scale::Log { "lower is better, log scale" } else { "lower is better" };
    let mut spent = saving(&points).map_or_else(String::new, |saving| format!("mean upload {saving}, "));
    if !tiers(&points).is_empty() {
        spent.push_str("tiers summed, ");
    }
    spent.push_str("log scale");
    let left = Panel {
        head: "Perplexity by round",
        under,
        nothing: "no perplexity was measured",
        unit: Unit::Plain,
        scale,
        group: &quality,
        rounds: &rounds,
    };
    let right = Panel {
        head: "Bytes by round",
        under: &spent,
        nothing: "no bytes were counted",
        unit: Unit::Bytes,
        scale: Scale::Log,
        group: &cost,
        rounds: &rounds,
    };
    let middle = WIDTH / 2.0;
    let frame = Frame { left: MARGIN, top: PANELS_TOP, right: middle - BETWEEN / 2.0, bottom: PANELS_BOTTOM };
    left.draw(&mut scene, fonts, frame);
    right.draw(&mut scene, fonts, Frame { left: middle + BETWEEN / 2.0, right: WIDTH - MARGIN, ..frame });

    rule(&mut scene, (MARGIN, 664.0), (WIDTH - MARGIN, 664.0), FOOT_RULE);
    let foot = foot(&points, quality.left_out + cost.left_out);
    scene.text(fonts, &foot, FOOT, (MARGIN, 692.0), Anchor::Left, room);
    scene.account = beginning(&account(last.round, &quality, &cost, &foot), 2000);
    scene
}

/// For the words that are read and not seen: nothing bounds the names that come in.
fn beginning(text: &str, characters: usize) -> String {
    one_line(text).chars().take(characters).collect()
}

/// Returns how much less was sent, over all rounds that counted both.
fn saving(points: &[&RoundPoint]) -> Option<String> {
    let both = || points.iter().filter(|point| point.upload_bytes > 0 && point.dense_bytes > 0);
    let dense: f64 = both().map(|point| point.dense_bytes as f64).sum();
    let sent: f64 = both().map(|point| point.upload_bytes as f64).sum();
    if sent == 0.0 {
        return None;
    }
    let ratio = dense / sent;
    Some(if ratio >= 1.05 {
        format!("{} times less than dense f32", times(ratio))
    } else if ratio <= 0.95 {
        format!("{} times more than dense f32", times(1.0 / ratio))
    } else {
        "as much as dense f32".to_owned()
    })
}

/// Returns the bytes that the tiers sent over all rounds, the duration, and the parts that are not drawn.
fn foot(points: &[&RoundPoint], left_out: usize) -> String {
    let count = points.len();
    let mut all = if count == 1 { "1 round".to_owned() } else { format!("{count} rounds") };
    let seconds: f64 = points.iter().map(|point| point.seconds).filter(|s| s.is_finite() && *s > 0.0).sum();
    if seconds > 0.0 && seconds.is_finite() {
        all.push_str(&format!(" in {}", span(seconds)));
    }
    let mut parts = vec![all];
    match left_out {
        0 => {}
        1 => parts.push("1 value not drawn: zero or no number".to_owned()),
        more => parts.push(format!("{more} values not drawn: zero or no number")),
    }
    let names = tiers(points);
    match names.len().saturating_sub(MOST_TIERS) {
        0 => {}
        1 => parts.push("1 more tier not drawn".to_owned()),
        more => parts.push(format!("{more} more tiers not drawn")),
    }
    for tier in names.iter().take(MOST_TIERS) {
        let sent: f64 =
            points.iter().filter_map(|point| sent_by(point, tier)).map(|bytes| bytes as f64).sum();
        let sent = if sent > 0.0 { Unit::Bytes.value(sent) } else { "0 B".to_owned() };
        parts.push(format!("{tier} tier sent {sent}"));
    }
    parts.join(" · ")
}

fn account(last: u64, quality: &Group, cost: &Group, foot: &str) -> String {
    let ends = |group: &Group, unit: Unit| {
        let each = group.series.iter().filter_map(|series| {
            let (_, value) = series.values.last()?;
            Some(format!("{} {}", series.name, unit.value(*value)))
        });
        let all = each.collect::<Vec<_>>().join(", ");
        if all.is_empty() { "not measured".to_owned() } else { all }
    };
    let (quality, cost) = (ends(quality, Unit::Plain), ends(cost, Unit::Bytes));
    format!("Up to round {last}. Perplexity: {quality}. Bytes: {cost}. {foot}.")
}
