//! Every command on every page is one of this program. In: the pages, with the commands in their blocks and between backticks. Out: those
//! with a verb or a flag that is not there.

use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;

use super::Args;

/// Words of a line as a shell reads them, up to what is not the command's any more: a comment, a pipe, another file, another command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#' | '|' | '>' | '&' | ';') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The commands of a page: in its blocks, and between backticks where more than the program's name stands there.
fn commands(page: &str) -> Vec<String> {
    let joined = page.replace("\\\n", " ");
    let mut found = Vec::new();
    let mut inside = false;
    for line in joined.lines() {
        inside ^= line.trim_start().starts_with("```");
        let line = line.trim_start().trim_start_matches("$ ");
        if inside && line.starts_with("headwater ") {
            found.push(line.to_owned());
        }
    }
    // A command may go on in the next line of the text.
    let text: String = joined.split("```").step_by(2).collect::<Vec<_>>().concat().replace('\n', " ");
    let spans = text.split('`').skip(1).step_by(2);
    found.extend(spans.filter(|span| span.starts_with("headwater ")).map(str::to_owned));
    found
}

fn pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Pages on formats have words that begin like a command and are hashed.
        if path.is_dir() && !path.ends_with("formats") {
            self::pages(&path, pages);
        } else if path.extension().is_some_and(|suffix| suffix == "md") {
            pages.push(path);
        }
    }
}

/// Returns the verbs that a form such as `check|plan FILE` stands for.
fn each(command: &str) -> Vec<Vec<String>> {
    let words = words(&command.replace('|', "\u{1}").replace(" \u{1} ", " | "));
    let mut all = vec![Vec::new()];
    for word in words {
        let choices: Vec<&str> = word.split('\u{1}').collect();
        all = all
            .iter()
            .flat_map(|begun: &Vec<String>| {
                choices.iter().map(|choice| {
                    let mut begun = begun.clone();
                    begun.push((*choice).to_owned());
                    begun
                })
            })
            .collect();
    }
    all
}

#[test]
fn words_are_those_of_a_shell() {
    let check = |line: &str, expected: &[&str]| assert_eq!(words(line), expected, "{line}");
    check("headwater  a 'b c' \"d\"e # f", &["headwater", "a", "b c", "de"]);
    check("a b > c", &["a", "b"]);
    check("a '' | b", &["a", ""]);
    assert_eq!(each("a b|c d"), [["a", "b", "d"], ["a", "c", "d"]]);
    assert_eq!(
        commands("x `headwater a\nb` y\n```sh\n$ headwater c \\\n d\nheadwaters\n```\n"),
        ["headwater c   d", "headwater a b"]
    );
}

/// Every command on every page is one of this program: no flag and no verb that is not there.
#[test]
fn the_pages_commands_are_those_of_the_program() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![house.join("README.md")];
    for folder in ["docs", "plugins", "datasets", "fuzz"] {
        pages(&house.join(folder), &mut all);
    }
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in all {
        for command in commands(&std::fs::read_to_string(&page).unwrap()) {
            // The name of a verb alone, in a sentence, speaks of the verb.
            let mut each = each(&command);
            each.retain(|words| words.len() > 2 && !words.iter().any(|word| word == "..."));
            for words in each {
                seen += 1;
                if let Err(error) = Args::try_parse_from(&words)
                    && !matches!(
                        error.kind(),
                        ErrorKind::DisplayHelp
                            | ErrorKind::MissingRequiredArgument
                            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    )
                {
                    wrong.push(format!("{}: {}: {error}", page.display(), words.join(" ")));
                }
            }
        }
    }
    assert!(seen > 60 && wrong.is_empty(), "{seen} commands\n{}", wrong.join("\n"));
}
