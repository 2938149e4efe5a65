//! Properties of every text: promises of spans, planted numbers, redacting twice, linear time.

use proptest::prelude::*;

use super::fuzz;
use super::kind::Entities;
use super::scanner::{Profile, Scanner, Style, find};
use super::utterances::{self, Before};

fn scanner(profile: Profile) -> Scanner {
    Scanner::new(profile, Style::Tag, Entities::all())
}

/// Pieces of which hostile and ordinary texts are made.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "my", "number", "is", "card", "call", "email", "at", "dot", "com", "a", "I", "o", "oh", "one", "two",
        "for", "to", "ate", "won", "double", "triple", "fifty", "five", "hundred", "thousand", "and",
        "point", "dash", "march", "may", "third", "of", "nineteen", "born", "dollars", "people", "percent",
        "pm", "version", "score", "count", "gb", "de", "x", "ext", "the", "john", "example", "gmail",
        "website", "slash", "colon", "http", "office", "social", "pin", "uh", "<NUMBER>", "<EMAIL>", "zebra",
        "ñandú", "e\u{301}", "🦀", "٣", "－",
    ];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        3 => "[0-9]{1,5}",
        2 => proptest::sample::select(vec![" ", " ", " ", ", ", ". ", "-", ".", "/", ":", "@", "\n", "$", "€", "(", ")", "+", "%", "'", "://", "!"])
            .prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec((piece(), prop_oneof![3 => Just(" "), 1 => Just("")]), 0..24)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, gap)| piece + gap).collect())
}

/// The longest row of digits with only separators between.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        if c.is_ascii_digit() {
            run += 1;
            longest = longest.max(run);
        } else if !" -.,()/".contains(c) {
            run = 0;
        }
    }
    longest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold(text in text()) {
        for profile in [Profile::Transcript, Profile::Text] {
            prop_assert_eq!(fuzz::check(&scanner(profile), &text), Ok(()), "{:?} {:?}", profile, text);
        }
    }

    #[test]
    fn promises_hold_for_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::fuzz_redact(&bytes);
    }

    /// Shorter numbers may be dates, times, decimals, years or ranges, which are let through by design; so are a machine's times, round
    /// sums, lists of long rows, and single rows in a sentence that says what they count. Where a part of the row is a date, what is beside
    /// it may be short rows of its own.
    #[test]
    fn planted_digits_never_survive_in_a_transcript(
        before in proptest::sample::select(vec!["", "my phone", "it", "that", "yes this"]),
        digits in proptest::collection::vec(0..10_u8, 11..20),
        gaps in proptest::collection::vec(proptest::sample::select(vec!["", "", "", " ", "-", " - ", ", ", ". "]), 20),
        after in "(| thanks| please write it down|\\.)",
    ) {
        let mut number = String::new();
        for (digit, gap) in digits.iter().zip(&gaps) {
            number.push(char::from(b'0' + digit));
            number.push_str(gap);
        }
        let text = format!("{before} is {number} {after}");
        let out = scanner(Profile::Transcript).redact(&text).text;
        prop_assert!(longest_run(&out) < if out.contains("<DATE") { 11 } else { 6 }, "{:?} became {:?}", text, out);
    }

    #[test]
    fn a_planted_number_never_survives_its_context(
        cue in proptest::sample::select(vec!["my number is", "card number", "call me at", "my social is", "account number:"]),
        digits in proptest::collection::vec(0..10_u8, 6..17),
        spoken in any::<bool>(),
    ) {
        const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
        let said: Vec<String> = digits
            .iter()
            .map(|digit| if spoken { WORDS[usize::from(*digit)].to_owned() } else { digit.to_string() })
            .collect();
        let text = format!("well {cue} {} thanks", said.join(if spoken { " " } else { "" }));
        for profile in [Profile::Transcript, Profile::Text] {
            let out = scanner(profile).redact(&text).text;
            prop_assert!(out.ends_with("> thanks") && out.starts_with(&format!("well {cue} <")), "{:?} became {:?}", text, out);
        }
    }
}

/// Texts one after the other, each held for the next one where its end is open.
fn in_utterances(texts: &[&str]) -> String {
    let scanner = scanner(Profile::Transcript);
    let mut before = Before::default();
    let mut out = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let after = if utterances::is_open(&before, text) { texts.get(at + 1).copied() } else { None };
        let found = utterances::scan(&scanner, &before, text, after);
        out.push(scanner.tagged(text, &found).text);
        before.said(text);
    }
    out.join(" ")
}

const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn cutting_a_text_in_two_leaks_nothing(
        cue in proptest::sample::select(vec!["my number is", "the card is", "call me at", "account number"]),
        digits in proptest::collection::vec(0..10_usize, 7..17),
        spoken in any::<bool>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let said: Vec<String> =
            digits.iter().map(|digit| if spoken { WORDS[*digit].to_owned() } else { digit.to_string() }).collect();
        let text = format!("well {cue} {} thanks", said.join(" "));
        let spaces: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).collect();
        let (first, second) = text.split_at(spaces[cut.index(spaces.len())]);
        let out = in_utterances(&[first, second.trim_start()]);
        let left = out.split_whitespace().filter(|word| WORDS.contains(word) || word.bytes().all(|b| b.is_ascii_digit())).count();
        prop_assert!(left == 0, "{:?} | {:?} became {:?}", first, second, out);
    }

    #[test]
    fn cutting_a_text_in_many_leaks_nothing(
        cue in proptest::sample::select(vec!["my number is", "the card is", "call me at", "account number"]),
        digits in proptest::collection::vec(0..10_usize, 7..17),
        spoken in any::<bool>(),
        cuts in proptest::collection::vec(any::<bool>(), 20),
    ) {
        let said: Vec<String> =
            digits.iter().map(|digit| if spoken { WORDS[*digit].to_owned() } else { digit.to_string() }).collect();
        let mut texts = vec![format!("well {cue} {}", said[0])];
        for (digit, cut) in said[1..].iter().zip(&cuts) {
            match texts.last_mut().filter(|_| !cut) {
                Some(last) => *last = format!("{last} {digit}"),
                None => texts.push(digit.clone()),
            }
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let out = in_utterances(&texts);
        let left = out.split_whitespace().filter(|word| WORDS.contains(word) || word.bytes().all(|b| b.is_ascii_digit())).count();
        prop_assert!(left == 0, "{:?} became {:?}", texts, out);
    }

    #[test]
    fn cutting_an_address_in_three_leaks_nothing(
        name in proptest::sample::select(vec!["john dot doe", "j o h n", "mary underscore ann", "bob four two"]),
        cuts in (any::<proptest::sample::Index>(), any::<proptest::sample::Index>()),
    ) {
        let text = format!("well my email is {name} at example dot com");
        let spaces: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).skip(4).collect();
        let (one, two) = (cuts.0.index(spaces.len()), cuts.1.index(spaces.len()));
        let (one, two) = (spaces[one.min(two)], spaces[one.max(two)]);
        let texts = [&text[..one], text[one..two].trim_start(), text[two..].trim_start()];
        let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let out = in_utterances(&texts);
        let left = name.split(' ').chain(["example", "com"]).filter(|word| out.split(' ').any(|left| left == *word));
        prop_assert_eq!(left.count(), 0, "{:?} became {:?}", texts, out);
    }

    #[test]
    fn planted_entities_never_survive(
        value in proptest::sample::select(vec![
            "john.doe@example.com", "john dot doe at example dot com", "4111 1111 1111 1111", "GB29 NWBK 6016 1331 9268 19", "078-05-1120",
            "192.168.10.20", "00:1a:2b:3c:4d:5e", "AB123456C", "https://example.com/a?b=c", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "12 Harbour Street", "2001:db8::8a2e:370:7334", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "52.52001, 13.40495",
        ]),
        before in text(),
        after in "(|, thanks| and so on|\\.| -)",
    ) {
        let text = format!("{before} hello {value}{after}");
        for profile in [Profile::Transcript, Profile::Text] {
            let out = scanner(profile).redact(&text).text;
            prop_assert!(!out.contains(value) , "{:?} became {:?}", text, out);
        }
    }
}

/// Texts on which a promise was broken once.
#[test]
fn promises_hold_where_they_did_not() {
    let texts = [
        "CLIENT 79893 e::\u{fffd}0 ",
        "client 79893 e::-0",
        "THEY HAD 6: LEONTI, AND PAMELA, DONNA, ANDREA TERRENCE, BRIAN.",
        "MY ZIP CODE ONE TWO THREE SIGFREÐSDÓTTIR IS",
        "From TheFilm Swedish Graffiti (AlsoStreetcred Hilding Carlsson. What'S Not To Love?",
        "The Name In The Account Is Not Correct, Please° Change It To Manuela [Gottschalk",
        "shows on Miletić Dale Street were important",
        "dio utives \"Serves As An Advoärnfrcate For Artúr Value Of Music\" And \"Sspports Its",
        "Smith John and Mary Smith",
        "HAVE60391971, Mayo-Walter\u{1}Fs invested heavily",
    ];
    for profile in [Profile::Transcript, Profile::Text] {
        for text in texts {
            assert_eq!(fuzz::check(&scanner(profile), text), Ok(()), "{profile:?} {text:?}");
        }
    }
}

/// Returns the number of tokens that were read, for each token of the text.
fn steps_per_token(text: &str) -> u64 {
    let cx = find(text, Profile::Transcript);
    cx.tokens.looks() / (cx.tokens.len() as u64 + 1)
}

#[test]
fn time_is_linear_on_hostile_texts() {
    const MOST: u64 = 400;
    let pieces = [
        "7",
        "7 ",
        "7-",
        "7.",
        "7:",
        "7,",
        "7/",
        "at dot ",
        "a@",
        "@",
        "a.",
        "a@a.",
        "dot com ",
        "e\u{301}",
        "\u{301}",
        "five ",
        "double ",
        "hundred ",
        "thousand ",
        "for ",
        "7 for ",
        "gb ",
        "g b 7 ",
        "gb29-",
        "march ",
        "march 7 ",
        "nineteen ",
        "call ",
        "call 7 ",
        "card number ",
        "a",
        "<",
        "<NUMBER>",
        "<NUMBER> 777 ",
        "1.1.1.",
        "1 dot ",
        "one one dot ",
        "::",
        "a:",
        "://",
        "x://",
        "$7 ",
        "7 %",
        "7 people ",
        "w w w dot ",
        "one, ",
        "12:30 ",
        "1/2/1985 ",
        "count 1, 2, 3, ",
        "- ",
        "uh ",
        "and ",
        "seven hundred and ",
        "\n",
        "7\n",
        "john at ",
        "dash ",
        "7ext",
    ];
    for piece in pieces {
        let steps = [20_000, 80_000].map(|times| steps_per_token(&piece.repeat(times)));
        assert!(steps[1] <= MOST, "{piece:?}: {steps:?} looks for each token");
        assert!(
            steps[1] <= 2 * steps[0] + 4,
            "{piece:?}: {steps:?} looks for each token, growing with the length"
        );
    }
}
