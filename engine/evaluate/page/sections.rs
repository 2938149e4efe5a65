//! The parts of a page: headline figures, comparison, and what there is to see of each kind of figure.
//!
//! In: a report. Out: elements of a page; nothing where the report has no such figures.

use std::collections::BTreeSet;

use super::Trial;
use super::plot::{Line, Lines, bars, interval, lines};
use super::text::{bytes, or_dash, percent, short};
use crate::markup::escape;
use crate::report::{Detection, Language, Report};
use crate::score::memorisation::{Exposures, Memorisation, OfCopies};
use crate::table::UnitRow;

type Cell = (String, &'static str);

fn plain(text: impl Into<String>) -> Cell {
    (text.into(), "")
}

/// A table; cells are HTML with a class.
fn table(head: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let head: String = head.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let cell = |(html, class): &Cell| match *class {
        "" => format!("<td>{html}</td>"),
        class => format!("<td class=\"{class}\">{html}</td>"),
    };
    let row = |cells: &Vec<Cell>| format!("<tr>{}</tr>", cells.iter().map(cell).collect::<String>());
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n")
}

fn section(title: &str, inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!("<h2>{}</h2>{inside}", escape(title)) }
}

fn plots(drawn: &[String]) -> String {
    let all = drawn.concat();
    if all.is_empty() { String::new() } else { format!("<div class=\"plots\">{all}</div>") }
}

fn figure(name: &str, value: &str, under: &str) -> String {
    format!(
        "<div class=\"figure\"><span>{}</span><b>{}</b><span>{}</span></div>",
        escape(name),
        escape(value),
        escape(under)
    )
}

/// Writes a metric's value in the form that its name asks for.
fn written(name: &str, value: f64) -> String {
    let share = ["wer", "cer", "leaked_chars", "over_masked_chars"];
    match name {
        _ if share.iter().any(|end| name.ends_with(end)) => percent(value),
        _ if name.ends_with("f2") => format!("{value:.2}"),
        _ => short(value),
    }
}

/// The headline figures.
pub(super) fn figures(report: &Report) -> String {
    let between = |name: &str| {
        let ends = report.intervals.get(name);
        ends.map_or_else(String::new, |[low, high]| {
            format!("{} to {}", written(name, *low), written(name, *high))
        })
    };
    let mut all = String::new();
    if let Some(t) = &report.transcription {
        let clean =
            t.clean_wer.map_or_else(String::new, |clean| format!("; {} without numbers", percent(clean)));
        let under = between("transcription.wer") + &clean;
        all += &figure("WER", &or_dash(t.wer, percent), &under);
        all += &figure("CER", &or_dash(t.cer, percent), &between("transcription.cer"));
    }
    if let Some(r) = &report.redaction {
        all += &figure("leaked", &or_dash(r.all.leaked_chars, percent), &between("redaction.leaked_chars"));
        all += &figure(
            "over-masked",
            &or_dash(r.over_masked_chars, percent),
            &between("redaction.over_masked_chars"),
        );
        all += &figure("F2 of all kinds", &or_dash(r.all.f2, short), &between("redaction.f2"));
    }
    if let Some(l) = &report.language {
        let base = l.base.map_or_else(String::new, |base| format!("{} of the base", short(base)));
        all += &figure("perplexity, global", &or_dash(l.global, short), &base);
        all += &figure("perplexity, own", &or_dash(l.personal, short), &between("language.personal"));
    }
    if let Some(f) = &report.federation {
        let dense = format!("{} as f32", bytes(f.dense_bytes));
        all += &figure("one upload", &bytes(f.upload_bytes), &dense);
    }
    if let Some(factor) = report.speed.real_time_factor.filter(|factor| *factor > 0.0) {
        all += &figure(
            "times real time",
            &short(1.0 / factor),
            &format!("in {} s", short(report.speed.wall_seconds)),
        );
    } else {
        all += &figure("time", &format!("{} s", short(report.speed.wall_seconds)), "");
    }
    format!("<div class=\"figures\">{all}</div>")
}

/// Against a baseline.
pub(super) fn comparison(report: &Report) -> String {
    let Some(comparison) = &report.comparison else { return String::new() };
    let row = |d: &crate::compare::Difference| {
        let class = if d.regression { "bad" } else { "" };
        let ends = d.interval.map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |ends| {
                let [low, high] = ends;
                let text = format!("{} to {}", written(&d.figure, low), written(&d.figure, high));
                (text, interval(d.difference, ends, d.regression))
            },
        );
        let verdict = if d.regression { "worse" } else { "" };
        vec![
            plain(escape(&d.figure)),
            plain(written(&d.figure, d.value)),
            plain(written(&d.figure, d.baseline)),
            (written(&d.figure, d.difference), class),
            plain(ends.0),
            plain(ends.1),
            (verdict.to_owned(), class),
        ]
    };
    let head = ["figure", "here", "baseline", "difference", "95 %", "", ""];
    let under = format!(
        "<p class=\"soft\">{} on {}. Intervals of the difference by bootstrap, {} draws.</p>",
        escape(&comparison.baseline),
        escape(&comparison.dataset),
        crate::bootstrap::DRAWS
    );
    section("Against the baseline", &(under + &table(&head, comparison.figures.iter().map(row).collect())))
}

/// The sections about transcription and redaction.
pub(super) fn texts(report: &Report) -> String {
    let devices = report.transcription.iter().flat_map(|t| &t.devices);
    let devices = devices.filter_map(|(device, wer)| Some((device.clone(), (*wer)?))).collect();
    let words = bars("WER by device", "for each word of the references", devices, percent);
    let kinds = report.redaction.iter().flat_map(|r| &r.kinds).filter(|(_, found)| found.gold > 0);
    let leaks = kinds.filter_map(|(kind, found)| Some((kind.clone(), found.leaked_chars?))).collect();
    let leaks = bars("Leaked by kind", "share of the characters of personal data", leaks, percent);
    let title = match (&report.transcription, &report.redaction) {
        (Some(_), Some(_)) => "Transcription and redaction",
        (Some(_), None) => "Transcription",
        _ => "Redaction",
    };
    section(title, &(plots(&[words, leaks]) + &redaction(report)))
}

/// The section about the latency of utterances.
fn latency(rows: &[UnitRow]) -> String {
    let mut waits: Vec<f64> = rows.iter().filter_map(|row| row.get("latency_ms")).collect();
    waits.sort_by(f64::total_cmp);
    let many = waits.len() as f64;
    let points =
        waits.iter().zip(1_u32..).map(|(ms, n)| (ms / 1000.0, 100.0 * f64::from(n) / many)).collect();
    lines(&Lines {
        title: "Latency",
        under: "percent of utterances that were done; all input at once",
        across: "seconds from the source to the last text",
        drawn: vec![Line { name: "utterances".into(), points }],
        may_log: (false, false),
    })
}

fn found_row(name: &str, f: &Detection) -> Vec<Cell> {
    let ratio = |value: Option<f64>| plain(or_dash(value, |value| format!("{value:.3}")));
    vec![
        plain(escape(name)),
        plain(f.gold.to_string()),
        plain(f.found.to_string()),
        ratio(f.precision),
        ratio(f.recall),
        ratio(f.f1),
        ratio(f.f2),
        ratio(f.strict_precision),
        ratio(f.strict_recall),
        plain(or_dash(f.leaked_chars, percent)),
    ]
}

/// Personal data by kind, as a table.
fn redaction(report: &Report) -> String {
    let Some(r) = &report.redaction else { return String::new() };
    let mut rows =
        vec![found_row("all", &r.all), found_row("structured", &r.structured), found_row("core", &r.core)];
    let mut kinds: Vec<(&String, &Detection)> = r.kinds.iter().collect();
    kinds.sort_by_key(|(kind, f)| (std::cmp::Reverse(f.gold), (*kind).clone()));
    rows.extend(kinds.into_iter().map(|(kind, f)| found_row(kind, f)));
    let head = ["kind", "spans", "found", "P", "R", "F1", "F2", "strict P", "strict R", "leaked"];
    let mut under = format!(
        "<p class=\"soft small\">{} texts, {} of them without personal data ({} masked somewhere). A finding is right at IoU 0.5.",
        r.texts, r.negatives, r.negatives_masked
    );
    if r.unmatched > 0 {
        under += &format!(
            " {} texts did not come out as they could be compared: they count as if nothing was found.",
            r.unmatched
        );
    }
    under + "</p>" + &table(&head, rows)
}

/// The section about the worth of adapters, and the bytes that they cost.
pub(super) fn language(report: &Report) -> String {
    let Some(l) = &report.language else { return String::new() };
    let line = |name: &str, of: &dyn Fn(&crate::report::LanguageRound) -> Option<f64>| Line {
        name: name.to_owned(),
        points: l.rounds.iter().filter_map(|round| Some((round.round as f64, of(round)?))).collect(),
    };
    let perplexity = lines(&Lines {
        title: "Perplexity by round",
        under: "on held-out texts, lower is better",
        across: "round",
        drawn: vec![
            line("global adapter", &|r| r.perplexity.global),
            line("own adapters", &|r| r.perplexity.personal),
            line("base", &|r| r.perplexity.base),
        ],
        may_log: (false, true),
    });
    let loss = lines(&Lines {
        title: "Loss by round",
        under: "mean over devices, nats a token",
        across: "round",
        drawn: vec![line("before the steps", &|r| r.loss_before), line("after", &|r| r.loss_after)],
        may_log: (false, true),
    });
    let mut sent = 0.0;
    let mut points = Vec::new();
    for round in report.federation.iter().flat_map(|f| &f.by_round) {
        sent += round.tiers.values().sum::<u64>() as f64;
        let of = l.rounds.iter().find(|r| r.round == round.round).and_then(|r| r.perplexity.global);
        points.extend(of.map(|of| (sent / 1e6, of)));
    }
    let cost = lines(&Lines {
        title: "Bytes against quality",
        under: "perplexity of the global adapter, a point for each round",
        across: "MB sent so far by all devices and tiers",
        drawn: vec![Line { name: "global adapter".into(), points }],
        may_log: (false, true),
    });
    let devices = l.devices.iter().filter_map(|(device, p)| Some((device.clone(), p.personal?))).collect();
    let devices = bars("Perplexity by device", "own adapter after the last round", devices, |value| {
        format!("{value:.1}")
    });
    section("Language model", &plots(&[perplexity, loss, cost, devices]))
}

/// The section about the memorisation of planted secrets.
pub(super) fn memorisation(report: &Report) -> String {
    let Some(m) = &report.memorisation else { return String::new() };
    let bits = |value: Option<f64>| plain(or_dash(value, |bits| format!("{bits:.2}")));
    let row = |name: String, copies: String, canaries: u64, known: &Exposures| {
        let cells = [plain(escape(&name)), plain(copies), plain(canaries.to_string())];
        let known = [known.base, known.global, known.personal].map(bits);
        cells.into_iter().chain(known).collect::<Vec<Cell>>()
    };
    let canaries: BTreeSet<usize> = m.exposures.iter().map(|e| e.canary).collect();
    let mut rows = vec![
        row("highest".into(), "any".into(), canaries.len() as u64, &m.highest),
        row("mean".into(), "any".into(), canaries.len() as u64, &m.mean),
    ];
    let named =
        |of: &OfCopies| format!("mean{}", of.group.iter().map(|g| format!(", {g}")).collect::<String>());
    rows.extend(m.by_copies.iter().map(|of| row(named(of), of.copies.to_string(), of.canaries, &of.mean)));
    let groups: BTreeSet<Option<&str>> = m.by_copies.iter().map(|of| of.group.as_deref()).collect();
    let drawn: Vec<String> = groups.into_iter().map(|group| exposure_by_copies(m, group)).collect();
    let under = format!(
        "<p class=\"soft small\">Bits by which a planted secret is more probable than random ones of its form: {:.2} on average for one \
         that a model never met, {:.0} at most.</p>",
        m.unknown,
        m.exposures.iter().map(|e| e.compared as f64).fold(1.0, f64::max).log2()
    );
    let head = ["secrets", "copies", "planted", "base", "global", "own"];
    section("Memorisation", &(under + &plots(&drawn) + &table(&head, rows)))
}

/// The exposure of a group's secrets, by how often they were said; nothing where all were said equally often.
fn exposure_by_copies(m: &Memorisation, group: Option<&str>) -> String {
    let of_group = || m.by_copies.iter().filter(|of| of.group.as_deref() == group);
    if of_group().count() < 2 {
        return String::new();
    }
    let line = |name: &str, of: fn(&Exposures) -> Option<f64>| Line {
        name: name.to_owned(),
        points: of_group().filter_map(|c| Some((c.copies as f64, of(&c.mean)?))).collect(),
    };
    let title = format!("Exposure{}", group.map_or_else(String::new, |group| format!(": {group}")));
    lines(&Lines {
        title: &title,
        under: "bits, mean over secrets; lower is better",
        across: "rows in which the secret was said",
        drawn: vec![
            line("own adapter", |k| k.personal),
            line("global adapter", |k| k.global),
            line("base", |k| k.base),
        ],
        may_log: (true, false),
    })
}

/// The section about resources.
pub(super) fn cost(report: &Report, rows: &[UnitRow]) -> String {
    let r = &report.resources;
    let stages = r.cpu_seconds.iter().map(|(stage, seconds)| (stage.clone(), *seconds)).collect();
    let drawn = bars("CPU seconds by stage", "over all threads", stages, |seconds| format!("{seconds:.2} s"));
    let mut facts = format!("<p>{} on disk", bytes(r.disk_bytes as f64));
    if let Some(memory) = r.peak_rss_bytes {
        facts += &format!(", {} of memory at most", bytes(memory as f64));
    }
    if let Some(latency) = &report.speed.latency_ms {
        facts += &format!(
            "; latency {:.0} ms at the median, {:.0} ms at 95 %, {:.0} ms at 99 %",
            latency.p50, latency.p95, latency.p99
        );
    }
    let set_aside: u64 = report.rejected.values().sum();
    facts += &format!("; {set_aside} rows rejected.</p>");
    let digests: String = report
        .digest
        .iter()
        .map(|(sink, digest)| {
            format!("<p class=\"small\">{}: <code>{}</code></p>", escape(sink), escape(digest))
        })
        .collect();
    section("Speed and resources", &(plots(&[drawn, latency(rows)]) + &facts + &digests))
}

/// Trials of a sweep: a table, and what is paid against what is got.
pub(super) fn trade_off(trials: &[Trial]) -> String {
    let line = |name: &str, of: &dyn Fn(&Report) -> Option<(f64, f64)>| {
        let mut points: Vec<(f64, f64)> = trials.iter().filter_map(|trial| of(&trial.report)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: name.to_owned(), points }
    };
    let figure = |title: &str, under: &str, drawn: Vec<Line>, across: &str| {
        // Where nothing differs there is nothing to trade.
        let differs = |line: &Line| line.points.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
        if !drawn.iter().any(differs) {
            return String::new();
        }
        lines(&Lines { title, under, across, drawn, may_log: (true, true) })
    };
    let sent = |name: &str, of: fn(&Language) -> Option<f64>| {
        let upload = |report: &Report| report.federation.as_ref().map(|f| f.upload_bytes / 1000.0);
        line(name, &|r| Some((upload(r)?, of(r.language.as_ref()?)?)))
    };
    let global = figure(
        "Bytes against perplexity",
        "held-out texts, after the last round",
        vec![
            sent("global adapter", |l| l.global),
            sent("own adapters", |l| l.personal),
            sent("base", |l| l.base),
        ],
        "kB of one upload",
    );
    let heard = figure(
        "Time against WER",
        "percent of words",
        vec![line("trials", &|r| {
            Some((r.resources.all_cpu_seconds(), r.transcription.as_ref()?.wer? * 100.0))
        })],
        "CPU seconds of all stages",
    );
    let masked = figure(
        "Over-masked against leaked",
        "percent of characters leaked",
        vec![line("trials", &|r| {
            let r = r.redaction.as_ref()?;
            Some((r.over_masked_chars? * 100.0, r.all.leaked_chars? * 100.0))
        })],
        "percent of characters over-masked",
    );
    let row = |trial: &Trial| {
        let r = &trial.report;
        let of = |value: Option<f64>, show: fn(f64) -> String| plain(or_dash(value, show));
        vec![
            plain(escape(&trial.label())),
            of(r.transcription.as_ref().and_then(|t| t.wer), percent),
            of(r.redaction.as_ref().and_then(|r| r.all.leaked_chars), percent),
            of(r.redaction.as_ref().and_then(|r| r.over_masked_chars), percent),
            of(r.language.as_ref().and_then(|l| l.global), short),
            of(r.language.as_ref().and_then(|l| l.personal), short),
            of(r.federation.as_ref().map(|f| f.upload_bytes), bytes),
            of(r.federation.as_ref().map(|f| f.bytes as f64), bytes),
            plain(format!("{:.1}", r.resources.all_cpu_seconds())),
        ]
    };
    let head = ["set", "WER", "leaked", "too much", "ppl global", "own", "one upload", "all sent", "CPU s"];
    let rows: Vec<Vec<Cell>> = trials.iter().map(row).collect();
    // A column in which nothing was measured says nothing.
    let is_filled = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|(html, _)| html != "–"));
    let kept: Vec<bool> = (0..head.len()).map(is_filled).collect();
    let head: Vec<&str> =
        head.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(name, _)| name).collect();
    let keep = |cells: &Vec<Cell>| -> Vec<Cell> {
        cells.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell.clone()).collect()
    };
    let rows = rows.iter().map(keep).collect();
    plots(&[global, heard, masked]) + "<h2>Trials</h2>" + &table(&head, rows)
}
