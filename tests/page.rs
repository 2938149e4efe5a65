//! The page of a report in a browser: what is drawn, in both themes and at the width of a phone. Skipped, with a line, where no Chromium is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use headwater_evaluate::compare::compare;
use headwater_evaluate::outcome::{DeviceRound, Outcome, Redacted, RoundBytes, Span, Utterance};
use headwater_evaluate::page::{self, Trial};
use headwater_evaluate::report::Report;
use headwater_evaluate::table;
use serde_json::Value;

/// Measures what a browser made of the page in the frame, and leaves it in the title.
const PROBE: &str = r"
const page = frame.contentDocument, view = frame.contentWindow;
const box = node => node.getBoundingClientRect();
const style = node => view.getComputedStyle(node);
const plots = [...page.querySelectorAll('figure.plot')].map(plot => {
  const svg = plot.querySelector('svg'), shapes = [...svg.querySelectorAll('path, rect')];
  const outside = [...svg.querySelectorAll('path, rect, circle, text')].filter(node => {
    const inner = box(node), outer = box(svg);
    return inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.top < outer.top - 2 || inner.bottom > outer.bottom + 2;
  });
  const texts = [...svg.querySelectorAll('text')];
  const meets = (a, b) => box(a).left < box(b).right && box(b).left < box(a).right && box(a).top < box(b).bottom && box(b).top < box(a).bottom;
  return {
    title: plot.querySelector('h3').textContent,
    wide: box(svg).width, high: box(svg).height, shapes: shapes.length,
    empty: shapes.filter(node => box(node).width < 0.5 && box(node).height < 0.5).length,
    colours: [...new Set(shapes.map(node => node.tagName === 'path' ? style(node).stroke : style(node).fill))],
    outside: outside.map(node => node.outerHTML),
    overlaps: texts.flatMap((a, at) => texts.slice(at + 1).filter(b => meets(a, b)).map(b => a.textContent + ' / ' + b.textContent)),
    letters: Math.min(...texts.map(node => box(node).height)),
  };
});
document.title = JSON.stringify({
  wide: page.documentElement.scrollWidth, room: view.innerWidth, paper: style(page.body).backgroundColor, ink: style(page.body).color,
  plots, marks: page.querySelectorAll('mark').length, rows: page.querySelectorAll('tbody tr').length,
});
";

fn browser() -> Option<String> {
    let named = ["chromium", "chromium-browser", "google-chrome"];
    let runs = |name: &&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let found = named.into_iter().find(runs).map(str::to_owned);
    if found.is_none() {
        eprintln!("skipped: no chromium is here (on Debian: apt-get install chromium)");
    }
    found
}

/// What is drawn of a page at a width, in the dark or not.
fn drawn(browser: &str, folder: &Path, page: &str, wide: u32, dark: bool) -> Value {
    std::fs::write(folder.join("page.html"), page).unwrap();
    let frame = format!(
        "<!doctype html><title></title><body><iframe id=\"frame\" src=\"page.html\" width=\"{wide}\" height=\"900\"></iframe><script>onload = () => {{{PROBE}}}</script></body>"
    );
    let probe = folder.join("probe.html");
    std::fs::write(&probe, frame).unwrap();
    let theme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
            "--window-size=1400,1000",
        ])
        .args([theme, "--dump-dom".into(), format!("--user-data-dir={}", folder.join("profile").display())])
        .arg(format!("file://{}", probe.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    let title = title.unwrap_or_else(|| panic!("no title: {}", String::from_utf8_lossy(&output.stderr)));
    let title = title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&title).unwrap_or_else(|error| panic!("{error}: {title}"))
}

fn outcome(worse: bool) -> Outcome {
    let devices = ["kitchen-01", "hall", "a-device-with-a-rather-long-name", "workshop-19"];
    let utterance = |at: usize| {
        let (device, found) = (devices[at % 4], !worse || !at.is_multiple_of(3));
        let heard = if worse && at.is_multiple_of(2) { "call and at 555" } else { "call ann at five" };
        Utterance {
            id: format!("{device}/{at:03}.flac"),
            device: device.into(),
            reference: Some("call ann at five".into()),
            heard: Some(heard.into()),
            redacted: Some(Redacted {
                original: heard.into(),
                found: if found { vec![Span::new("PERSON", 5, 8)] } else { Vec::new() },
                passed: true,
                ..Redacted::default()
            }),
            gold: Some(vec![Span::new("PERSON", 5, 8), Span::new("phone", 12, 15)]),
            latency_ms: Some(12.5 * (at as f64 + 1.0)),
            ..Utterance::default()
        }
    };
    let rounds = 6;
    let device = |at: usize| {
        let round = (at / 4) as u64;
        let falls = 8.0 - round as f64;
        DeviceRound {
            device: devices[at % 4].into(),
            round,
            examples: 30,
            tokens: 100,
            base: 760.0,
            start: 100.0 * falls,
            own: 90.0 * (falls - 1.0),
            losses: (round < rounds).then_some((falls, falls - 1.5)),
            upload_bytes: 27_000,
        }
    };
    let bytes = |round| RoundBytes {
        round,
        upload_bytes: 27_000,
        dense_bytes: 556_000,
        tiers: BTreeMap::from([("small".into(), 872_000), ("gateway".into(), 2_224_000)]),
    };
    Outcome {
        pipeline: "demo".into(),
        dataset: "made up".into(),
        rows: 40,
        utterances: (0..40).map(utterance).collect(),
        devices: (0..4 * (rounds as usize + 1)).map(device).collect(),
        rounds: (0..rounds).map(bytes).collect(),
        audio_seconds: Some(80.0),
        ..Outcome::default()
    }
}

fn plots(of: &Value) -> impl Iterator<Item = &Value> {
    of["plots"].as_array().unwrap().iter()
}

#[test]
fn a_page_is_drawn_in_both_themes_and_at_every_width() {
    let Some(browser) = browser() else { return };
    let (ours, others) = (outcome(true), outcome(false));
    let (rows, other_rows) = (table::rows(&ours), table::rows(&others));
    let mut report = Report::of(&ours, &rows);
    report.comparison = Some(compare((&report, &rows), (&Report::of(&others, &other_rows), &other_rows)));
    let trials: Vec<Trial> = [("0.01", 9000), ("0.1", 30_000), ("0.25", 62_000)]
        .map(|(value, bytes)| {
            let mut report = report.clone();
            report.federation.as_mut().unwrap().upload_bytes = f64::from(bytes);
            Trial { set: vec![("stage.small.ratio".into(), value.into())], report }
        })
        .into();
    let pages = [(page::html(&report, &ours, &rows, false), 7, 20), (page::sweep(&trials), 1, 0)];
    let folder = tempfile::tempdir().unwrap();
    for (page, count, marks) in &pages {
        let mut papers = Vec::new();
        for (wide, dark) in [(1280, false), (1280, true), (390, false), (320, true)] {
            let of = drawn(&browser, folder.path(), page, wide, dark);
            let place = format!("{wide} wide, dark {dark}: {of:#}");
            assert_eq!(plots(&of).count(), *count, "{place}");
            assert!(of["marks"].as_u64().unwrap() >= *marks, "{place}");
            assert!(
                of["wide"].as_f64().unwrap() <= of["room"].as_f64().unwrap(),
                "it scrolls sideways: {place}"
            );
            for plot in plots(&of) {
                let title = &plot["title"];
                let number = |name: &str| plot[name].as_f64().unwrap();
                assert!(number("wide") >= 230.0 && number("high") >= 25.0, "{title} is too small: {place}");
                assert!(number("shapes") >= 1.0 && number("empty") == 0.0, "{title} draws nothing: {place}");
                assert!(number("letters") >= 7.99, "{title} cannot be read: {place}");
                for fault in ["outside", "overlaps"] {
                    assert_eq!(plot[fault].as_array().unwrap().len(), 0, "{title}: {fault}: {place}");
                }
                let colours = plot["colours"].as_array().unwrap();
                assert!(
                    colours.iter().all(|colour| *colour != "none" && *colour != "rgb(0, 0, 0)"),
                    "{title}: {place}"
                );
            }
            assert_ne!(of["paper"], of["ink"]);
            papers.push((dark, of["paper"].as_str().unwrap().to_owned()));
        }
        let of = |dark: bool| papers.iter().find(|paper| paper.0 == dark).unwrap().1.clone();
        assert_ne!(of(true), of(false), "both themes look alike");
    }
}
