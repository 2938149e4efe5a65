//! A plan as a picture: no script, no font to load, on a white ground so that it reads on any page.

use std::fmt::Write;

use headwater_contract::Label;
use headwater_evaluate::markup::escape;
use headwater_runtime::plan::{Plan, PlanStage};

use super::layout::layout;
use super::{Edge, colour, edges};

const BOX: (f64, f64) = (148.0, 58.0);
/// From one row to the next.
const ROW: f64 = 92.0;
/// Between two layers, at least and at most.
const GAP: (f64, f64) = (84.0, 190.0);
const MARGIN: f64 = 28.0;
const LEGEND: f64 = 44.0;
/// Between two lines that come back, and as far as they keep from the boxes.
const LANE: f64 = 26.0;
/// The distance from a box at which a feedback line climbs.
const ASIDE: f64 = 14.0;
/// Text at lines: its size, and about the width of a letter of it.
const SMALL: (f64, f64) = (11.0, 6.1);

/// The places of layers and rows.
struct Grid {
    /// From one layer to the next: a box, and room for the longest text at a line.
    layer: f64,
    rows: usize,
}

impl Grid {
    fn corner(&self, (layer, row): (usize, f64)) -> (f64, f64) {
        (MARGIN + layer as f64 * self.layer, MARGIN + row * ROW)
    }

    /// Returns how far down a feedback line runs.
    fn lane(&self, number: usize) -> f64 {
        size(self.rows, ROW, BOX.1) - MARGIN + number as f64 * LANE + LANE - 6.0
    }
}

/// A plan as an SVG picture.
pub fn svg(plan: &Plan) -> String {
    let edges = edges(plan);
    let (back, forward): (Vec<&Edge>, Vec<&Edge>) = edges.iter().partition(|edge| edge.back);
    let lines: Vec<(usize, usize)> = forward.iter().map(|e| (e.from, e.to)).collect();
    let layout = layout(plan.stages.len(), &lines);
    let labels = labels_of(plan, &edges);
    let longest = forward.iter().flat_map(|e| &e.texts).map(|text| text.chars().count()).max();
    let gap = (longest.unwrap_or_default() as f64 * SMALL.1 + 28.0).clamp(GAP.0, GAP.1);
    let grid = Grid { layer: BOX.0 + gap, rows: layout.rows };
    let width = size(layout.layers, grid.layer, BOX.0).max(legend_width(&labels));
    let height = size(layout.rows, ROW, BOX.1) + back.len() as f64 * LANE + LEGEND;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"The pipeline {name}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"#ffffff\"/>\n",
        name = escape(&plan.name)
    );
    markers(&mut picture, &labels);
    for (edge, way) in forward.iter().zip(&layout.lines) {
        line(&mut picture, edge, way, &grid);
    }
    for (number, edge) in back.iter().enumerate() {
        let place = |stage: usize| layout.boxes.get(stage).copied().unwrap_or_default();
        comes_back(
            &mut picture,
            edge,
            [place(edge.from), place(edge.to)].map(|at| grid.corner(at)),
            grid.lane(number),
        );
    }
    for (stage, place) in plan.stages.iter().zip(&layout.boxes) {
        draw_box(&mut picture, stage, grid.corner(*place), several_tiers(plan));
    }
    legend(&mut picture, &labels, height - LEGEND / 2.0);
    picture + "</svg>\n"
}

/// The length of so many steps with a box at the last, and margins.
fn size(count: usize, step: f64, last: f64) -> f64 {
    (count.max(1) - 1) as f64 * step + last + 2.0 * MARGIN
}

fn several_tiers(plan: &Plan) -> bool {
    plan.stages.windows(2).any(|pair| matches!(pair, [a, b] if a.tier != b.tier))
}

/// The labels that occur, the most private first.
fn labels_of(plan: &Plan, edges: &[Edge]) -> Vec<Label> {
    let outputs = plan.stages.iter().flat_map(|s| &s.outputs).filter(|o| o.read).map(|o| o.label);
    let mut labels: Vec<Label> = outputs.chain(edges.iter().map(|e| e.label)).collect();
    labels.sort_by(|a, b| b.cmp(a));
    labels.dedup();
    labels
}

fn markers(picture: &mut String, labels: &[Label]) {
    *picture += "<defs>\n";
    for label in labels {
        let _ = writeln!(
            picture,
            "<marker id=\"{label}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"{}\"/></marker>",
            colour(*label)
        );
    }
    *picture += "</defs>\n";
}

/// A curve from box to box through the gaps of the layers between.
fn line(picture: &mut String, edge: &Edge, way: &[(usize, f64)], grid: &Grid) {
    let middle = BOX.1 / 2.0;
    let mut path = String::new();
    let mut at: Option<(f64, f64)> = None;
    for (step, place) in way.iter().enumerate() {
        let (x, y) = grid.corner(*place);
        let (enter, leave) = match step {
            0 => (x + BOX.0, x + BOX.0),
            last if last + 1 == way.len() => (x - 2.0, x - 2.0),
            _ => (x, x + BOX.0),
        };
        let y = y + middle;
        match at {
            None => {
                let _ = write!(path, "M{enter} {y}");
            }
            Some((from_x, from_y)) => {
                let half = f64::midpoint(from_x, enter);
                let _ = write!(path, "C{half} {from_y} {half} {y} {enter} {y}");
            }
        }
        if leave > enter {
            let _ = write!(path, "L{leave} {y}");
        }
        at = Some((leave, y));
    }
    stroke(picture, edge, &path);
    if let [.., before, end] = way {
        let (from, to) = (grid.corner(*before), grid.corner(*end));
        let x = f64::midpoint(from.0 + BOX.0, to.0);
        let y = f64::midpoint(from.1, to.1) + middle;
        texts(picture, edge, (x, y));
    }
}

/// A line below all boxes, from the right of one to the left of an earlier one.
fn comes_back(picture: &mut String, edge: &Edge, [from, to]: [(f64, f64); 2], lane: f64) {
    const TURN: f64 = 8.0;
    // A little below the middle, where lines go on and come in.
    let height = BOX.1 / 2.0 + 14.0;
    let (begin, leave, from_y) = (from.0 + BOX.0, from.0 + BOX.0 + ASIDE, from.1 + height);
    let (end, enter, to_y) = (to.0 - 2.0, to.0 - ASIDE, to.1 + height);
    let path = format!(
        "M{begin} {from_y}H{}Q{leave} {from_y} {leave} {}V{}Q{leave} {lane} {} {lane}H{}Q{enter} {lane} {enter} {}V{}Q{enter} \
         {to_y} {} {to_y}H{end}",
        leave - TURN,
        from_y + TURN,
        lane - TURN,
        leave - TURN,
        enter + TURN,
        lane - TURN,
        to_y + TURN,
        enter + TURN,
    );
    stroke(picture, edge, &path);
    texts(picture, edge, (f64::midpoint(from.0 + BOX.0, to.0), lane));
}

fn stroke(picture: &mut String, edge: &Edge, path: &str) {
    let (colour, label) = (colour(edge.label), edge.label);
    let dashes = if edge.back { " stroke-dasharray=\"6 4\"" } else { "" };
    let _ = writeln!(
        picture,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes} marker-end=\"url(#{label})\"/>"
    );
}

/// Writes the texts at a line: above a point of it, one below the other.
fn texts(picture: &mut String, edge: &Edge, (x, y): (f64, f64)) {
    let (size, colour) = (SMALL.0, colour(edge.label));
    for (below, text) in edge.texts.iter().rev().enumerate() {
        let y = y - 6.0 - below as f64 * (size + 2.0);
        let _ = writeln!(
            picture,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"middle\" \
             fill=\"{colour}\">{}</text>",
            escape(text)
        );
    }
}

fn draw_box(picture: &mut String, stage: &PlanStage, (x, y): (f64, f64), with_tier: bool) {
    let (width, height) = BOX;
    let middle = x + width / 2.0;
    let tier = if with_tier { format!(" · {}", stage.tier) } else { String::new() };
    let kind = format!("{}{tier}", stage.kind.name());
    let id = fit(&stage.id, 16);
    let kind = fit(&kind, 23);
    let _ = writeln!(
        picture,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#f4f6f8\" stroke=\"#5d6d7e\" \
         stroke-width=\"1.5\"/>\n\
         <text x=\"{middle}\" y=\"{}\" font-size=\"15\" font-weight=\"600\" text-anchor=\"middle\" \
         fill=\"#1b2631\">{id}</text>\n\
         <text x=\"{middle}\" y=\"{}\" font-size=\"12\" text-anchor=\"middle\" fill=\"#4d5d6c\">{kind}</text>",
        y + 25.0,
        y + 43.0
    );
}

const ENTRY: f64 = 104.0;

fn legend_width(labels: &[Label]) -> f64 {
    labels.len() as f64 * ENTRY + 2.0 * MARGIN
}

fn legend(picture: &mut String, labels: &[Label], y: f64) {
    for (at, label) in labels.iter().enumerate() {
        let x = MARGIN + at as f64 * ENTRY;
        let _ = writeln!(
            picture,
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{}\" stroke-width=\"3\"/>\
             <text x=\"{}\" y=\"{}\" font-size=\"12\" fill=\"#4d5d6c\">{label}</text>",
            x + 22.0,
            colour(*label),
            x + 30.0,
            y + 4.0
        );
    }
}

/// A text cut to a number of characters, safe inside SVG.
fn fit(text: &str, most: usize) -> String {
    let cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() { escape(&cut) + "…" } else { escape(&cut) }
}
