//! The whole picture: kept files, edge cases, and what holds for any input.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::face::{Fonts, Weight};
use super::scene::{HEIGHT, Scene, Shape, WIDTH};
use super::{Figure, PixelWidth, PlotError, RoundPoint, png, svg};

/// The most bytes of a run's picture on a slide.
const MOST_SVG_BYTES: usize = 120_000;

fn run(rounds: u64) -> Vec<RoundPoint> {
    (1..=rounds)
        .map(|round| {
            let left = (rounds - round) as f64 / rounds.max(2) as f64;
            RoundPoint {
                round,
                perplexity_base: Some(2000.0),
                perplexity_global: Some(12.0 + 1988.0 * left.powi(3)),
                perplexity_personal: Some(6.0 + 1194.0 * left.powi(3)),
                upload_bytes: 3000 + 37 * (round % 5),
                tiers: vec![("device".to_owned(), 24_000 + 300 * (round % 3)), ("gateway".to_owned(), 9_100)],
                dense_bytes: 200_000,
                seconds: 5.1,
            }
        })
        .collect()
}

fn figure(points: &[RoundPoint]) -> Figure<'_> {
    Figure { title: "Personalization over some rounds", subtitle: "8 devices, LoRA rank 8", points }
}

fn scene(figure: &Figure<'_>) -> Scene {
    super::figure::draw(figure, &Fonts::embedded())
}

fn words(figure: &Figure<'_>) -> Vec<String> {
    let texts = scene(figure).shapes.into_iter().filter_map(|shape| match shape {
        Shape::Text(text) => Some(text.words),
        _ => None,
    });
    texts.collect()
}

/// Everything that is drawn lies on the canvas; text with its whole width.
fn assert_inside(scene: &Scene) {
    let fonts = Fonts::embedded();
    let inside = |x: f64, y: f64| (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y);
    for shape in &scene.shapes {
        match shape {
            Shape::Line { places, .. } => {
                assert!(places.iter().all(|place| inside(place.x, place.y)), "{shape:?}");
            }
            Shape::Dot { centre, radius, .. } => {
                assert!(inside(centre.x - radius, centre.y - radius), "{shape:?}");
                assert!(inside(centre.x + radius, centre.y + radius), "{shape:?}");
            }
            Shape::Text(text) => {
                let width = fonts.width(&text.words, text.set.weight, text.set.size);
                assert!(inside(text.at.x, text.at.y - text.set.size), "{shape:?}");
                assert!(inside(text.at.x + width - 0.01, text.at.y + text.set.size / 4.0), "{shape:?}");
            }
        }
    }
}

/// Two texts of which one lies on the other.
fn overlap(scene: &Scene) -> Option<(String, String)> {
    let fonts = Fonts::embedded();
    let boxes: Vec<_> = scene
        .shapes
        .iter()
        .filter_map(|shape| match shape {
            Shape::Text(text) if !text.words.is_empty() => {
                let width = fonts.width(&text.words, text.set.weight, text.set.size);
                Some((text, text.at.x, text.at.x + width, text.at.y - text.set.size * 0.72, text.at.y))
            }
            _ => None,
        })
        .collect();
    for (number, a) in boxes.iter().enumerate() {
        for b in &boxes[number + 1..] {
            if a.1 < b.2 && b.1 < a.2 && a.3 < b.4 && b.3 < a.4 {
                return Some((a.0.words.clone(), b.0.words.clone()));
            }
        }
    }
    None
}

fn assert_good(figure: &Figure<'_>) -> String {
    let scene = scene(figure);
    assert_inside(&scene);
    assert_eq!(overlap(&scene), None);
    let text = svg(figure);
    assert!(text.len() <= MOST_SVG_BYTES, "{} bytes", text.len());
    roxmltree::Document::parse(&text).expect("valid XML");
    text
}

#[test]
fn both_weights_of_the_font_are_read() {
    let fonts = Fonts::embedded();
    for weight in [Weight::Regular, Weight::Medium] {
        assert!(fonts.width("0", weight, 10.0) > 4.0);
        let box_glyph = fonts.place("\u{4E00}", weight).0[0].glyph;
        for character in ('!'..='~').chain("ÄÖÜäöüßéèçñøåłšž€µ×·…–−⁻⁰¹²³⁴⁵⁶⁷⁸⁹".chars())
        {
            assert_ne!(fonts.place(&character.to_string(), weight).0[0].glyph, box_glyph, "{character}");
        }
    }
}

/// `HEADWATER_BLESS=1` writes the golden files again: look at the pictures before they are kept.
fn check_kept(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT).join(name);
    if std::env::var_os("HEADWATER_BLESS").is_some() {
        std::fs::write(&path, found).expect("the kept file is written");
        return;
    }
    let kept = std::fs::read_to_string(&path).expect("the kept file is there; HEADWATER_BLESS=1 writes it");
    assert!(kept == found, "{name} changed; HEADWATER_BLESS=1 writes it again");
}

/// The folder of the kept files, from the package's root.
const KEPT: &str = "engine/cli/plot/kept";

#[test]
fn a_run_is_drawn_as_it_was() {
    check_kept("run.svg", &assert_good(&figure(&run(8))));
}

#[test]
fn no_round_is_drawn_as_it_was() {
    check_kept("none.svg", &assert_good(&figure(&[])));
}

/// The pixels, not the packed bytes: another version of the packer may pack them otherwise.
#[test]
fn a_run_has_the_pixels_it_had() {
    let bytes = png(&figure(&run(8)), PixelWidth::new(640).unwrap()).unwrap();
    let pixels = tiny_skia::Pixmap::decode_png(&bytes).unwrap();
    let digest: String = Sha256::digest(pixels.data()).iter().map(|byte| format!("{byte:02x}")).collect();
    check_kept("run.pixels.sha256", &format!("{digest}\n"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let points = run(20);
    let mut shuffled = points.clone();
    shuffled.reverse();
    assert_eq!(svg(&figure(&points)), svg(&figure(&shuffled)));
    let width = PixelWidth::new(400).unwrap();
    assert_eq!(png(&figure(&points), width), png(&figure(&shuffled), width));
    assert_ne!(svg(&figure(&points)), svg(&figure(&run(21))));
}

#[test]
fn a_png_has_the_size_asked_for_and_something_on_it() {
    for (width, height) in [(320, 180), (1000, 563), (1280, 720)] {
        let bytes = png(&figure(&run(8)), PixelWidth::new(width).unwrap()).unwrap();
        let pixels = tiny_skia::Pixmap::decode_png(&bytes).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (width, height));
        assert!(pixels.pixels().iter().all(|pixel| pixel.alpha() == 255));
        let white = pixels.pixels().iter().filter(|pixel| pixel.red() == 255).count();
        assert!(white < pixels.pixels().len() * 99 / 100, "an empty picture");
    }
}

#[test]
fn a_width_out_of_bounds_is_refused() {
    for width in [0, PixelWidth::LEAST - 1, PixelWidth::MOST + 1, u32::MAX] {
        let error = PixelWidth::new(width).unwrap_err();
        assert_eq!(error, PlotError::Width(width));
        assert!(error.to_string().contains("320 to 10240"), "{error}");
    }
    assert_eq!(PixelWidth::SLIDE.height(), 1440);
}

#[test]
fn words_are_escaped_and_on_one_line() {
    let mut points = run(2);
    points[0].tiers = vec![("<tier> & \"its\" 'name'\u{0}\n\u{FFFF}".to_owned(), 5)];
    let drawn = Figure { title: "a < b & c > \"d\"\nnext\u{1}", subtitle: "]]> <script>", points: &points };
    let text = assert_good(&drawn);
    assert!(!text.contains("<script>") && !text.contains("<tier>"));
    let document = roxmltree::Document::parse(&text).unwrap();
    let title = document.descendants().find(|node| node.has_tag_name("title")).unwrap();
    assert_eq!(title.text(), Some("a < b & c > \"d\" next"));
    let labels: Vec<_> = document.descendants().filter_map(|node| node.attribute("aria-label")).collect();
    assert!(labels.contains(&"]]> <script>"), "{labels:?}");
    assert!(labels.iter().any(|label| label.starts_with("<tier> & \"its\"")), "{labels:?}");
}

#[test]
fn each_glyph_used_is_there() {
    let text = svg(&figure(&run(8)));
    let document = roxmltree::Document::parse(&text).unwrap();
    let there: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let mut used = 0;
    for node in document.descendants().filter(|node| node.has_tag_name("use")) {
        let target = node.attribute(("http://www.w3.org/1999/xlink", "href")).unwrap();
        assert!(there.contains(&target.trim_start_matches('#')), "{target}");
        used += 1;
    }
    assert!(used > 200, "{used}");
}

#[test]
fn edge_cases_say_what_they_are() {
    let has = |points: &[RoundPoint], expected: &str| {
        let drawn = figure(points);
        assert_good(&drawn);
        let words = words(&drawn);
        assert!(words.iter().any(|text| text.contains(expected)), "no `{expected}` in {words:?}");
    };
    has(&[], "no round was closed");
    has(&run(1), "1 round in 5.1 s");
    has(&run(500), "500 rounds in 42 min 30 s");
    has(&run(8), "less than dense f32, tiers summed, log scale");
    has(&[RoundPoint::default()], "no perplexity was measured");
    has(&[RoundPoint::default()], "no bytes were counted");
    has(&[RoundPoint::default()], "2 values not drawn");

    let one = RoundPoint { upload_bytes: 10, dense_bytes: 5, ..RoundPoint::default() };
    has(std::slice::from_ref(&one), "2.0 times more than dense f32");
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -3.0, f64::MIN_POSITIVE, f64::MAX] {
        has(&[RoundPoint { perplexity_global: Some(bad), ..one.clone() }], "1 value not drawn");
    }
    for (huge, label) in [(1e300, "1.00×10³⁰⁰"), (1e-300, "1.00×10⁻³⁰⁰"), (123_456.7, "1.23×10⁵")]
    {
        has(&[RoundPoint { perplexity_global: Some(huge), ..one.clone() }], label);
    }
    let tiers = (0..7).map(|tier| (format!("tier number {tier} of a very long name"), 10)).collect();
    has(&[RoundPoint { tiers, ..one.clone() }], "3 more tiers not drawn");
    let far = [RoundPoint { round: u64::MAX, upload_bytes: u64::MAX, dense_bytes: u64::MAX, ..one }];
    has(&far, "18446744073709551615");
    has(&far, "18.4 EB");
}

#[test]
fn a_wide_span_is_drawn_by_logarithm_and_a_narrow_one_is_not() {
    let span = |last: f64| -> bool {
        let values =
            [8.0, last].map(|value| RoundPoint { perplexity_global: Some(value), ..RoundPoint::default() });
        words(&figure(&values)).contains(&"lower is better, log scale".to_owned())
    };
    assert!(!span(1.0), "8 times is not more than 8 times");
    assert!(span(0.99));
}

#[test]
fn many_rounds_have_no_dots_and_a_bounded_size() {
    let dots = |rounds| {
        let points = run(rounds);
        scene(&figure(&points)).shapes.iter().filter(|shape| matches!(shape, Shape::Dot { .. })).count()
    };
    assert!(dots(8) > 0);
    assert_eq!(dots(500), 0);
    let mut points = run(600);
    points
        .iter_mut()
        .for_each(|point| point.tiers = (0..4).map(|t| (t.to_string(), point.round + t * 999)).collect());
    assert_good(&figure(&points));
    assert_good(&figure(&run(30_000)));
}

#[test]
fn thinning_keeps_the_highest_and_the_last() {
    let mut points = run(5000);
    points[2500].perplexity_global = Some(900_000.0);
    let lines = scene(&figure(&points)).shapes;
    let peak = lines.iter().filter_map(|shape| match shape {
        Shape::Line { places, .. } if places.len() > 100 => {
            Some(places.iter().map(|place| place.y).fold(HEIGHT, f64::min))
        }
        _ => None,
    });
    // Half of a line's height below the frame's top: a million is the axis' end.
    assert!(peak.fold(HEIGHT, f64::min) < 205.0);
}

#[test]
fn long_words_end_with_an_ellipsis() {
    let long = "word ".repeat(400);
    let drawn = Figure { title: &long, subtitle: &long, points: &run(3) };
    assert_good(&drawn);
    assert_eq!(words(&drawn).iter().filter(|text| text.ends_with('…')).count(), 2);
    let short = Figure { title: "word", ..drawn };
    assert_eq!(words(&short)[0], "word");
}

fn any_value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        prop::num::f64::ANY.prop_map(Some),
        (1.0..5000.0).prop_map(Some),
        (1e-5..1e9).prop_map(Some)
    ]
}

fn any_bytes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>(), 1_u64..1_000_000]
}

prop_compose! {
    fn any_point()(
        round in prop_oneof![0_u64..600, any::<u64>(), Just(u64::MAX)],
        perplexity_base in any_value(),
        perplexity_global in any_value(),
        perplexity_personal in any_value(),
        upload_bytes in any_bytes(),
        tiers in prop::collection::vec((prop_oneof![Just("device".to_owned()), ".{0,40}"], any_bytes()), 0..4),
        dense_bytes in any_bytes(),
        seconds in prop::num::f64::ANY,
    ) -> RoundPoint {
        RoundPoint {
            round, perplexity_base, perplexity_global, perplexity_personal, upload_bytes, tiers, dense_bytes, seconds,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gives_a_picture(
        title in ".{0,300}",
        subtitle in any::<String>(),
        points in prop::collection::vec(any_point(), 0..60),
    ) {
        assert_good(&Figure { title: &title, subtitle: &subtitle, points: &points });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_input_gives_pixels(title in any::<String>(), points in prop::collection::vec(any_point(), 0..20)) {
        let figure = Figure { title: &title, subtitle: "", points: &points };
        let bytes = png(&figure, PixelWidth::new(PixelWidth::LEAST)?)?;
        let pixels = tiny_skia::Pixmap::decode_png(&bytes)?;
        prop_assert_eq!((pixels.width(), pixels.height()), (320, 180));
    }
}
