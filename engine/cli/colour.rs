//! The use of colour in text: one decision for all verbs and the log.
//!
//! In: where text goes, and the variables by which people say what they want. Out: yes or no. It must not know what is written.

use std::ffi::OsString;
use std::io::IsTerminal;

use headwater_runtime::diagnostic::Style;

/// Returns true if text to there is coloured.
pub(crate) fn wanted(to: &impl IsTerminal) -> bool {
    decide(|name| std::env::var_os(name), to.is_terminal())
}

/// The same for messages about pipeline files.
pub(crate) fn style(to: &impl IsTerminal) -> Style {
    if wanted(to) { Style::Coloured } else { Style::Plain }
}

/// NO_COLOR says no (<https://no-color.org>), CLICOLOR_FORCE yes; else terminals get colours that know some.
fn decide(variable: impl Fn(&str) -> Option<OsString>, terminal: bool) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    terminal
        && set("CLICOLOR").is_none_or(|value| value != "0")
        && set("TERM").is_none_or(|kind| kind != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_say_counts_and_then_the_terminal() {
        let check = |said: &[(&str, &str)], expected: [bool; 2]| {
            let variable =
                |name: &str| said.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
            assert_eq!([false, true].map(|terminal| decide(variable, terminal)), expected, "{said:?}");
        };
        check(&[], [false, true]);
        check(&[("NO_COLOR", "1")], [false, false]);
        check(&[("NO_COLOR", "")], [false, true]);
        check(&[("CLICOLOR_FORCE", "1")], [true, true]);
        check(&[("CLICOLOR_FORCE", "0")], [false, true]);
        check(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], [false, false]);
        check(&[("CLICOLOR", "0")], [false, false]);
        check(&[("TERM", "dumb")], [false, false]);
        check(&[("TERM", "xterm-256color")], [false, true]);
    }
}
