//! The page: one HTML file of a report, without scripts, fonts or anything from the network, light and dark.
//!
//! In: a report with its outcome, or the trials of a sweep. Out: the text of the page. Texts of the data set are shown as they were redacted,
//! unless raw ones are asked for.

mod cases;
mod plot;
mod sections;
mod text;

use crate::markup::escape;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::table::UnitRow;

const STYLE: &str = include_str!("page/style.css");

/// One trial of a sweep.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Trial {
    /// The options that were set, in order.
    pub set: Vec<(String, String)>,
    /// The report of the trial.
    pub report: Report,
}

impl Trial {
    /// Returns the options that were set, in few words.
    pub fn label(&self) -> String {
        self.set.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The page of a trial.
pub fn html(report: &Report, outcome: &Outcome, rows: &[UnitRow], raw: bool) -> String {
    let mut body = head(&report.pipeline, &format!("on {}, {} rows", report.dataset, report.rows));
    body += &sections::figures(report);
    if raw {
        body += "<p class=\"soft\">This page shows raw text: keep it where the data set is kept.</p>";
    }
    body += &sections::comparison(report);
    body += &sections::texts(report);
    body += &sections::language(report);
    body += &sections::memorisation(report);
    let (heard, redacted) = (cases::heard(outcome, raw), cases::redacted(outcome, raw));
    if !redacted.is_empty() {
        body += "<h2>Worst redacted</h2><p class=\"soft small\">Leaked text is shown as blocks, over-masked text has yellow tags.</p>";
        body += &redacted;
    }
    if !heard.is_empty() {
        body += "<h2>Worst heard</h2>";
        body += &heard;
    }
    body += &sections::cost(report, rows);
    document(&report.pipeline, &body)
}

/// The page of a sweep.
pub fn sweep(trials: &[Trial]) -> String {
    let first = trials.first();
    let (pipeline, dataset) =
        first.map_or(("", ""), |t| (t.report.pipeline.as_str(), t.report.dataset.as_str()));
    let options: Vec<&str> =
        first.map_or_else(Vec::new, |t| t.set.iter().map(|(path, _)| path.as_str()).collect());
    let under = format!("on {dataset}, {} trials of {}", trials.len(), options.join(" and "));
    document(pipeline, &(head(pipeline, &under) + &sections::trade_off(trials)))
}

fn head(title: &str, under: &str) -> String {
    format!("<h1>{}</h1><p class=\"soft\">{}</p>", escape(title), escape(under))
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\"><title>{}</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n",
        escape(title)
    )
}

#[cfg(test)]
mod tests;
