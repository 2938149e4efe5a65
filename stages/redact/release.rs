//! Dates in figures that are no person's: versions, builds, and the times that a machine wrote.
//!
//! In: a cx, a run and a place where a date stands. Out: whether it is one of these. Asked only where nothing says whose day it is. It
//! must not know any entity. Every question looks at a bounded number of tokens.

use super::number::Run;
use super::quantity;
use super::scan_context::ScanContext;
use super::token::{Class, Token};
use super::unannounced::{is_hash, is_in};

/// Returns true if a date of figures over the groups `at..at + 3` is no person's: a version, or the time that a machine wrote.
pub fn is_version_or_stamp(cx: &ScanContext<'_>, run: &Run, at: usize, groups: usize) -> bool {
    let (Some(first), Some(last), Some(end)) =
        (run.groups.get(at), run.groups.get(at + 2), run.groups.get(at + groups - 1))
    else {
        return false;
    };
    let next = run.groups.get(at + groups);
    let dotted = last.gap.is(b'.');
    is_glued(cx, first.first, last.last, dotted)
        || is_clocked(cx, first.first, last.last, end.last, groups > 3)
        || next.is_some_and(|next| next.gap.is(b',') && begins_line(cx, first.first))
        || quantity::is_model(cx, first.first)
        || is_versioned(cx, first.first)
        || dotted && is_software_near(cx, first.first, last.last)
        || first.first > 0 && cx.tokens.at(first.first - 1).is_solid() && is_hash(cx, first.first - 1)
}

/// "apiVersion: 2023-05-01", "schemaVersion=2024-03-12".
fn is_versioned(cx: &ScanContext<'_>, first: usize) -> bool {
    let sign = |token: Token| matches!(token.class, Class::Sign(b':' | b'=' | b'"'));
    let from = cx.horizon(first, 4);
    let mut named = (from..first).rev().map(|at| cx.tokens.at(at)).filter(|token| !sign(*token));
    let mut next = || named.next().map_or("", |token| cx.tokens.str(token));
    let word = next();
    let word = if is_in(&["date", "time"], word) { next() } else { word }.as_bytes();
    ["version", "revision", "release", "build", "bios", "firmware", "compile", "kernel"].iter().any(|end| {
        word.len()
            .checked_sub(end.len())
            .and_then(|from| word.get(from..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
    })
}

/// "v2024.03.12", "nightly-2024-03-12", "1.12.2023-beta", "backup-20240312.tar".
fn is_glued(cx: &ScanContext<'_>, first: usize, last: usize, dotted: bool) -> bool {
    let solid = |at: usize| cx.free(at).is_solid();
    let glued = |at: usize| cx.tokens.glued(at);
    let before = first.checked_sub(1).is_some_and(|before| {
        glued(first)
            && (solid(before)
                || before > 0
                    && glued(before)
                    && solid(before - 1)
                    && match cx.free(before).class {
                        Class::Sign(b'-' | b'_' | b'.') => true,
                        Class::Sign(b':' | b'=' | b'/') => dotted,
                        _ => false,
                    })
    });
    let joint = matches!(cx.free(last + 1).class, Class::Sign(b'-' | b'_' | b'.' | b'+'));
    let word = |at: usize| cx.free(at).class == Class::Word;
    let after = glued(last + 1)
        && (word(last + 1) && !is_t(cx, last + 1) || joint && glued(last + 2) && solid(last + 2));
    before || after
}

/// The T between a day and a time (ISO 8601).
fn is_t(cx: &ScanContext<'_>, at: usize) -> bool {
    matches!(cx.tokens.str(cx.free(at)), "T" | "t")
        && cx.free(at + 1).class == Class::Digits
        && cx.tokens.glued(at + 1)
}

/// "2026-03-02T08:14:55Z", and a day with a time to the second at the beginning of a line.
fn is_clocked(cx: &ScanContext<'_>, first: usize, last: usize, end: usize, timed: bool) -> bool {
    let seconds = timed && end >= last + 5;
    cx.tokens.glued(last + 1) && is_t(cx, last + 1) || seconds && begins_line(cx, first)
}

/// Returns true if a line begins at a token, perhaps with a bracket or a quote.
fn begins_line(cx: &ScanContext<'_>, first: usize) -> bool {
    let opened = matches!(cx.free_before(first).class, Class::Sign(b'[' | b'"' | b'(' | b'|'));
    let at = first - usize::from(opened);
    cx.tokens.at(at).new_line || at == 0
}

/// "rolled back to 1.12.20", "11.2.24 of the firmware".
fn is_software_near(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    const NEAR: usize = 4;
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "build", "chart", "client", "deployed", "downgrade", "downgraded", "driver", "firmware", "fw", "image", "install", "installed", "installing",
        "kernel", "library", "loaded", "package", "patch", "patched", "plugin", "pushed", "release", "rollback", "rolled", "sdk",
        "server", "snapshot", "software", "tag", "update", "updated", "upgrade", "upgraded", "upgrading", "version",
    ];
    let word = |at: usize| is_in(WORDS, cx.tokens.str(cx.free(at)));
    (cx.horizon(first, NEAR)..first).any(word)
        || (last + 1..last + 1 + NEAR).any(word)
        || is_program(cx, first)
}

/// "PyCharm 2024.1.3": a word with a capital inside right before it.
fn is_program(cx: &ScanContext<'_>, first: usize) -> bool {
    let word = cx.tokens.str(cx.free_before(first));
    word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
}
