//! Plots as SVG within a page: lines, bars, and intervals. Colours are classes, which the page's style gives for light and dark.
//!
//! In: names and numbers. Out: elements of a page. It must not know what the numbers are. The same numbers give the same bytes.

use super::text::short;
use crate::markup::escape;

const WIDE: f64 = 440.0;
const HIGH: f64 = 262.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
const CLASSES: [&str; 4] = ["one", "two", "three", "four"];
/// Where the greatest value is so many times the least, the axis is logarithmic.
const LOG_FROM: f64 = 8.0;
/// As many bars are drawn.
const BARS: usize = 16;

/// One line.
pub(super) struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A plot of lines over numbers.
pub(super) struct Lines<'a> {
    pub title: &'a str,
    pub under: &'a str,
    pub across: &'a str,
    pub drawn: Vec<Line>,
    /// True if what is across may be logarithmic, and what goes up.
    pub may_log: (bool, bool),
}

/// An axis: its ends, and whether it is logarithmic.
struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, may_log: bool) -> Option<Axis> {
        let (low, high) = (values.clone().reduce(f64::min)?, values.reduce(f64::max)?);
        let log = may_log && low > 0.0 && high / low > LOG_FROM;
        if log {
            return Some(Axis { low, high, log });
        }
        let room = if high > low { (high - low) * 0.06 } else { (high.abs() * 0.1).max(0.5) };
        let floor = if low >= 0.0 && low - room < 0.0 { 0.0 } else { low - room };
        Some(Axis { low: floor, high: high + room, log })
    }

    /// From 0 at the low end to 1.
    fn place(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            return self.log_ticks();
        }
        let raw = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(raw.log10().floor());
        let step =
            [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|n| n * power).find(|step| *step >= raw).unwrap_or(power);
        let mut ticks = Vec::new();
        let mut at = (self.low / step).ceil() * step;
        while at <= self.high + step * 1e-9 && ticks.len() < 12 {
            ticks.push(if at.abs() < step * 1e-9 { 0.0 } else { at });
            at += step;
        }
        ticks
    }

    fn log_ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut power = 10_f64.powf(self.low.log10().floor());
        while power <= self.high && ticks.len() < 40 {
            ticks.extend(
                [1.0, 2.0, 5.0].map(|n| n * power).into_iter().filter(|t| *t >= self.low && *t <= self.high),
            );
            power *= 10.0;
        }
        if ticks.len() > 7 {
            ticks.retain(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9);
        }
        ticks
    }
}

fn figure(title: &str, under: &str, legend: &str, body: &str) -> String {
    format!(
        "<figure class=\"plot\"><h3>{}</h3><div class=\"soft small\">{}</div>{legend}{body}</figure>\n",
        escape(title),
        escape(under)
    )
}

/// Draws lines; nothing where no point can be drawn.
pub(super) fn lines(plot: &Lines<'_>) -> String {
    let drawable = |line: &Line| {
        line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect::<Vec<_>>()
    };
    let all: Vec<(&str, Vec<(f64, f64)>)> = plot
        .drawn
        .iter()
        .map(|line| (line.name.as_str(), drawable(line)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let points = || all.iter().flat_map(|(_, points)| points.iter().copied());
    let across = Axis::of(points().map(|(x, _)| x), plot.may_log.0);
    let (Some(x), Some(y)) = (across, Axis::of(points().map(|(_, y)| y), plot.may_log.1)) else {
        return String::new();
    };
    let at = |px: f64, py: f64| {
        (LEFT + x.place(px) * (WIDE - LEFT - RIGHT), HIGH - BOTTOM - y.place(py) * (HIGH - BOTTOM - TOP))
    };
    let mut body =
        format!("<svg viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\" aria-label=\"{}\">", escape(plot.title));
    for tick in y.ticks() {
        let (_, py) = at(x.low, tick);
        body += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{py:.1}\" y2=\"{py:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDE - RIGHT,
            LEFT - 7.0,
            py + 4.0,
            short(tick)
        );
    }
    for tick in x.ticks() {
        let (px, _) = at(tick, y.low);
        body += &format!(
            "<text x=\"{px:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HIGH - BOTTOM + 17.0,
            short(tick)
        );
    }
    body += &format!(
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>",
        WIDE - RIGHT,
        HIGH - BOTTOM,
        LEFT + (WIDE - LEFT - RIGHT) / 2.0,
        HIGH - 5.0,
        escape(plot.across)
    );
    for ((name, points), class) in all.iter().zip(CLASSES.iter().cycle()) {
        let places: Vec<(f64, f64)> = points.iter().map(|(px, py)| at(*px, *py)).collect();
        let path: Vec<String> = places.iter().map(|(px, py)| format!("{px:.1} {py:.1}")).collect();
        body += &format!("<path class=\"{class}\" d=\"M{}\"/>", path.join("L"));
        // Of many points the line alone is drawn.
        for ((px, py), (vx, vy)) in places.iter().zip(points).filter(|_| points.len() <= 40) {
            body += &format!(
                "<circle class=\"{class}\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\"><title>{}: {} at {}</title></circle>",
                escape(name),
                short(*vy),
                short(*vx)
            );
        }
    }
    body += "</svg>";
    let under = if y.log { format!("{}, log scale", plot.under) } else { plot.under.to_owned() };
    figure(plot.title, &under, &legend(&all), &body)
}

/// Names of lines; one line alone needs none.
fn legend<T>(lines: &[(&str, T)]) -> String {
    if lines.len() < 2 {
        return String::new();
    }
    let item =
        |((name, _), class): (&(&str, T), &&str)| format!("<li class=\"{class}\">{}</li>", escape(name));
    let items: String = lines.iter().zip(CLASSES.iter().cycle()).map(item).collect();
    format!("<ul class=\"legend\">{items}</ul>")
}

/// Bars with their values, the longest first; `show` writes a value.
pub(super) fn bars(
    title: &str,
    under: &str,
    mut values: Vec<(String, f64)>,
    show: fn(f64) -> String,
) -> String {
    values.retain(|(_, value)| value.is_finite());
    values.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more = values.len().saturating_sub(BARS);
    values.truncate(BARS);
    let Some(most) = values.iter().map(|(_, value)| *value).reduce(f64::max) else { return String::new() };
    let (step, names) = (24.0, 112.0);
    let high = step * values.len() as f64 + 4.0;
    let mut body =
        format!("<svg viewBox=\"0 0 {WIDE} {high}\" role=\"img\" aria-label=\"{}\">", escape(title));
    for ((name, value), row) in values.iter().zip(0_u32..) {
        let top = f64::from(row) * step + 4.0;
        let long = if most > 0.0 { (value / most).max(0.0) * (WIDE - names - 74.0) } else { 0.0 };
        body += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"one\" x=\"{names}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"15\" rx=\"2\"><title>{}: {}</title></rect><text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            names - 8.0,
            top + 12.0,
            escape(&cut(name)),
            long.max(1.0),
            escape(name),
            show(*value),
            names + long + 8.0,
            top + 12.0,
            show(*value)
        );
    }
    body += "</svg>";
    let under = if more > 0 { format!("{under}; {more} more are lower") } else { under.to_owned() };
    figure(title, &under, "", &body)
}

fn cut(name: &str) -> String {
    if name.chars().count() <= 16 {
        return name.to_owned();
    }
    name.chars().take(15).chain(['…']).collect()
}

/// An interval around a difference, beside 0: a small picture for a cell.
pub(super) fn interval(value: f64, ends: [f64; 2], bad: bool) -> String {
    let [low, high] = ends;
    let most = low.abs().max(high.abs()).max(value.abs()).max(1e-12) * 1.1;
    let at = |value: f64| 70.0 + value / most * 64.0;
    let class = if bad { "interval bad" } else { "interval" };
    format!(
        "<svg width=\"140\" height=\"18\" viewBox=\"0 0 140 18\" role=\"img\" aria-label=\"interval\"><line class=\"axis\" x1=\"70\" x2=\"70\" y1=\"1\" y2=\"17\"/><line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"9\" y2=\"9\"/><circle class=\"one\" cx=\"{:.1}\" cy=\"9\" r=\"4\"/></svg>",
        at(low),
        at(high),
        at(value)
    )
}
