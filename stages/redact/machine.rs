//! Signs that only machines write: they tell a line of a log, a table or a program from what people say and write.
//!
//! In: a cx and the tokens of a number. Out: whether a machine wrote the line. It looks at a bounded number of tokens, and never at
//! what was found, so that a redacted line is the same line.

use super::scan_context::ScanContext;
use super::token::{Class, Token};

/// The distance around a number within which such signs are looked for, in tokens.
const AROUND: usize = 24;

/// Returns true if a machine wrote the line around the tokens `first..=last`: people say no equals signs, braces or underscores.
pub fn is_machines(cx: &ScanContext<'_>, first: usize, last: usize) -> bool {
    let mut at = first;
    while at > 0 && first - at < AROUND && !cx.tokens.at(at).new_line {
        at -= 1;
        if is_machine_sign(cx, at) {
            return true;
        }
    }
    let end = (last + AROUND).min(cx.tokens.len());
    (last + 1..end).take_while(|at| !cx.tokens.at(*at).new_line).any(|at| is_machine_sign(cx, at))
}

fn is_machine_sign(cx: &ScanContext<'_>, at: usize) -> bool {
    if cx.is_taken(at) {
        return false;
    }
    let token = cx.tokens.at(at);
    match token.class {
        Class::Sign(b'=' | b'{' | b'}' | b'_' | b'\\' | b'`' | b'^' | b'<' | b'>' | b'|') => true,
        Class::Sign(b':') => {
            let word = cx.free_before(at).class == Class::Word && cx.free(at + 1).is_solid();
            let clock = || {
                cx.free(at + 2).is(b':')
                    && [at - 1, at + 1, at + 3].iter().all(|at| cx.free(*at).class == Class::Digits)
            };
            cx.tokens.is_inner(at) && (word || clock())
        }
        Class::Word => {
            let word = cx.tokens.str(token);
            is_log_level(word) || is_request(word) && cx.free(at + 1).is(b'/') || is_device(cx, at, token)
        }
        _ => false,
    }
}

/// The method of an HTTP request, before its path (RFC 9110).
fn is_request(word: &str) -> bool {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&word)
}

fn is_log_level(word: &str) -> bool {
    ["INFO", "WARN", "WARNING", "ERROR", "DEBUG", "FATAL", "TRACE", "NOTICE"].contains(&word)
}

/// "eth0", "gw1", "sda1": small letters with figures glued behind them.
fn is_device(cx: &ScanContext<'_>, at: usize, token: Token) -> bool {
    (2..=5).contains(&token.len())
        && cx.tokens.glued(at + 1)
        && cx.free(at + 1).class == Class::Digits
        && cx.tokens.at(at + 1).len() <= 2
        && cx.tokens.str(token).bytes().all(|byte| byte.is_ascii_lowercase())
        && !token.meaning.sense.is_number()
}
