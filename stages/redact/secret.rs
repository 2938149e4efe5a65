//! Keys, tokens, passwords, wallets and user names: they open or name an account.
//!
//! In: a cx. Out: findings. A known prefix or a checksum is enough; a row of letters and figures without either must be long and
//! without order; after "password" the next word goes.

use super::base58;
use super::kind::Entity;
use super::lexicon::Flags;
use super::scan_context::ScanContext;
use super::token::{Class, Token, seed};

/// The longest secret that is looked at for a prefix or its order; the rest of a longer one is taken with it.
const LONGEST: usize = 4096;

/// Prefixes of keys and the fewest symbols behind them.
#[rustfmt::skip]
const PREFIXES: &[(&str, usize)] = &[
    ("AKIA", 16), ("ASIA", 16), ("AGPA", 16), ("AROA", 16), ("AIza", 30), ("ghp_", 30), ("gho_", 30), ("ghu_", 30), ("ghs_", 30), ("ghr_", 30),
    ("github_pat_", 20), ("glpat-", 15), ("sk_live_", 10), ("sk_test_", 10), ("pk_live_", 10), ("pk_test_", 10), ("rk_live_", 10), ("sk-", 20),
    ("xoxb-", 10), ("xoxp-", 10), ("xoxa-", 10), ("xoxs-", 10), ("xapp-", 10), ("SG.", 20), ("ya29.", 20), ("eyJ", 20), ("npm_", 30), ("pypi-", 20),
    ("dop_v1_", 30), ("shpat_", 20), ("shpss_", 20), ("hf_", 20), ("AC", 32), ("SK", 32), ("key-", 24), ("EAAC", 20), ("sq0atp-", 15), ("sq0csp-", 15), ("GOCSPX-", 15),
    ("ops_", 30), ("dckr_pat_", 20), ("lin_api_", 20), ("figd_", 20), ("whsec_", 20),
];

/// Words before a secret.
const PASSWORDS: &[&str] = &[
    "password",
    "passphrase",
    "passwort",
    "pwd",
    "passwd",
    "pw",
    "secret",
    "token",
    "apikey",
    "key",
    "bearer",
    "credentials",
];
/// Words before the name of a user.
const USERS: &[&str] = &[
    "username",
    "login",
    "userid",
    "handle",
    "screenname",
    "nickname",
    "twitter",
    "instagram",
    "skype",
    "telegram",
    "snapchat",
    "discord",
    "benutzername",
    "usuario",
];

/// Finds the secrets.
pub fn find(cx: &mut ScanContext<'_>) {
    let mut index = 0;
    // Past a quotation mark or a colon a row goes on: `"api_key":"..."`.
    let mut inside = false;
    while let Some(at) = if inside { Some(index) } else { cx.tokens.seed(index, seed::ROW | seed::AT) } {
        index = at;
        let token = cx.tokens.at(index);
        inside = is_opening(token) && cx.tokens.glued(index + 1);
        if inside {
            index += 1;
            continue;
        }
        let starts = !cx.is_taken(index)
            && (!cx.tokens.glued(index) || !token.is_solid() || !is_inside(cx.tokens.before(index)));
        if starts && token.is(b'@') && take_handle(cx, index) {
            index += 2;
            continue;
        }
        if starts && token.is_solid() {
            let end = cluster_end(cx, index);
            if let Some(value) = assigned(cx, index, end) {
                let user = value.checked_sub(2).map_or("", |at| cx.tokens.str(cx.tokens.at(at)));
                let user = user.eq_ignore_ascii_case("user")
                    || USERS.iter().any(|word| user.eq_ignore_ascii_case(word));
                let kind = if user { Entity::Username } else { Entity::ApiKey };
                cx.take(kind, value, end - 1, 0.7, "set to a secret");
                index = end;
                continue;
            }
            let next = take_cluster(cx, index, end).unwrap_or(index).max(index) + 1;
            inside = cx.tokens.glued(end) && is_opening(cx.tokens.at(end));
            index = if inside { end } else { next };
            continue;
        }
        index += 1;
    }
}

/// A sign that may stand in a row before another cluster.
fn is_opening(token: Token) -> bool {
    matches!(token.class, Class::Sign(b'"' | b'\'' | b'(' | b'[' | b'{' | b':' | b',' | b'`'))
}

fn is_inside(token: Token) -> bool {
    token.is_solid()
        || matches!(
            token.class,
            Class::Sign(
                b'_' | b'-'
                    | b'.'
                    | b'+'
                    | b'/'
                    | b'='
                    | b'$'
                    | b'#'
                    | b'!'
                    | b'@'
                    | b'*'
                    | b'&'
                    | b'^'
                    | b'%'
            )
        )
}

/// The end of what is glued from `index` on.
fn cluster_end(cx: &ScanContext<'_>, index: usize) -> usize {
    let mut end = index + 1;
    while cx.tokens.glued(end) && !cx.is_taken(end) && is_inside(cx.tokens.at(end)) {
        end += 1;
    }
    while end > index + 1 && matches!(cx.tokens.at(end - 1).class, Class::Sign(b'.' | b'!' | b'&' | b'-')) {
        end -= 1;
    }
    end
}

/// Returns the start of the value of "api_key=..." among the glued tokens `index..end`.
fn assigned(cx: &ScanContext<'_>, index: usize, end: usize) -> Option<usize> {
    const FEWEST: usize = 4;
    let names = |at: &usize| cx.tokens.at(*at).is(b'=') && cx.tokens.before(*at).has(Flags::SECRET);
    let value = (index + 1..end).take(8).find(names)? + 1;
    let length = cx.tokens.at(end - 1).end.saturating_sub(cx.tokens.at(value).start);
    let word = cx.tokens.str(cx.tokens.at(value));
    let empty = value + 1 == end
        && ["none", "null", "true", "false", "undefined"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known));
    (value < end && length >= FEWEST && !empty).then_some(value)
}

/// Takes the cluster of tokens `index..end` if it is a secret; its last token.
fn take_cluster(cx: &mut ScanContext<'_>, index: usize, end: usize) -> Option<usize> {
    let (start, stop) = (cx.tokens.at(index).start, cx.tokens.at(end - 1).end);
    let text = cx.tokens.text.get(start..stop)?;
    if text.len() >= 12 && text.is_ascii() {
        let head = text.get(..text.len().min(LONGEST))?;
        if let Some((kind, score, rule)) = recognised(head)
            && !(rule == WITHOUT_ORDER && is_fingerprint(cx, index))
        {
            cx.take(kind, index, end - 1, score, rule);
            return Some(end - 1);
        }
    }
    if let Some(last) = said_in_words(cx, index) {
        cx.take(Entity::ApiKey, index, last, 0.6, "said to be a secret");
        return Some(last);
    }
    let (kind, rule) = said(cx, index, text)?;
    let last = if kind == Entity::Username { spoken_end(cx, end - 1) } else { end - 1 };
    cx.take(kind, index, last, 0.7, rule);
    Some(last)
}

/// Past "underscore ninety nine" behind the name of a user.
fn spoken_end(cx: &ScanContext<'_>, last: usize) -> usize {
    const MOST: usize = 12;
    let mut end = last;
    while end - last < MOST {
        let joint = cx.free(end + 1).has(Flags::UNDERSCORE | Flags::DASH | Flags::DOT);
        if joint && cx.free(end + 2).is_solid() {
            end += 2;
        } else if end > last && !cx.is_taken(end + 1) && cx.tokens.has_seed(end + 1, seed::NUMBER) {
            end += 1;
        } else {
            break;
        }
    }
    end
}

/// Returns true if what stands before a row without order says that it is the sum or the name of public bytes: "commit", "sha256:".
fn is_fingerprint(cx: &ScanContext<'_>, index: usize) -> bool {
    const WORDS: [&str; 24] = [
        "commit",
        "commits",
        "sha",
        "sha1",
        "sha256",
        "sha512",
        "md5",
        "checksum",
        "digest",
        "hash",
        "revision",
        "rev",
        "fingerprint",
        "blob",
        "tree",
        "etag",
        "head",
        "crc",
        "object",
        "trace",
        "traceparent",
        "span",
        "request",
        "correlation",
    ];
    let before = (1..=5).filter_map(|back| index.checked_sub(back)).map(|at| cx.tokens.at(at));
    let mut before = before.take_while(|token| {
        token.is_solid() || matches!(token.class, Class::Sign(b':' | b'=' | b'"' | b'-' | b'\''))
    });
    before.any(|token| {
        token.class == Class::Word && WORDS.iter().any(|word| cx.tokens.str(token).eq_ignore_ascii_case(word))
    }) || index > 1
        && ["sha", "md"].iter().any(|word| cx.tokens.str(cx.tokens.at(index - 2)).eq_ignore_ascii_case(word))
}

/// The rule of rows of letters and figures that no word would have.
const WITHOUT_ORDER: &str = "without order";

type Shaped = (Entity, f32, &'static str);

/// Returns the shape of a cluster without context.
fn recognised(text: &str) -> Option<Shaped> {
    let solid = |rest: &str| {
        rest.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+' | b'=')
        })
    };
    for (prefix, fewest) in PREFIXES {
        if let Some(rest) = text.strip_prefix(prefix) {
            let mixed = rest.bytes().any(|byte| byte.is_ascii_digit())
                && rest.bytes().any(|byte| byte.is_ascii_alphabetic());
            if rest.len() >= *fewest && solid(rest) && mixed {
                return Some((Entity::ApiKey, 0.95, "known prefix"));
            }
        }
    }
    if is_wallet(text) {
        return Some((Entity::Crypto, 0.95, "wallet"));
    }
    is_random(text).then_some((Entity::ApiKey, 0.6, WITHOUT_ORDER))
}

/// Bitcoin (base58check, bech32) and Ethereum.
fn is_wallet(text: &str) -> bool {
    match text.as_bytes() {
        [b'0', b'x', rest @ ..] => rest.len() == 40 && rest.iter().all(u8::is_ascii_hexdigit),
        [b'1' | b'3' | b'L' | b'D', ..] => (26..=35).contains(&text.len()) && base58::is_checked(text),
        [b'b' | b'B', b'c' | b'C', b'1', ..] => (14..=90).contains(&text.len()) && base58::is_bech32(text),
        _ => false,
    }
}

/// Returns true if a long row has small letters, capitals and figures in no order, as keys have; words and numbers have not.
fn is_random(text: &str) -> bool {
    const FEWEST: usize = 20;
    let bytes = text.as_bytes();
    if bytes.len() < FEWEST
        || !bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-'))
    {
        return false;
    }
    let count = |is: fn(&u8) -> bool| bytes.iter().filter(|byte| is(byte)).count();
    let (digits, lower, upper) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let class = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_lowercase(), byte.is_ascii_uppercase());
    let changes = bytes.windows(2).filter(|pair| matches!(pair, [a, b] if class(*a) != class(*b))).count();
    let hexadecimal = bytes.iter().all(u8::is_ascii_hexdigit)
        && matches!(bytes.len(), 32 | 40 | 64)
        && digits >= 4
        && lower + upper >= 4;
    digits >= 3 && lower >= 3 && upper >= 3 && changes * 3 >= bytes.len() || hexadecimal
}

/// The phrase before a cluster.
struct SecretCue {
    /// The word, in small letters.
    cue: String,
    /// True if "is" or a sign links it.
    linked: bool,
    /// True if a word before it makes it sure: "api key".
    pair: bool,
}

impl SecretCue {
    fn is_password(&self) -> bool {
        PASSWORDS.contains(&self.cue.as_str()) && (self.cue != "key" || self.pair)
            || self.cue == "word" && self.pair
    }
}

/// "Password is tulip fifty five": up to three words and a number; its last token.
fn said_in_words(cx: &ScanContext<'_>, index: usize) -> Option<usize> {
    const WORDS: usize = 3;
    let secret = secret_cue(cx, index);
    if !cx.lenient || !secret.linked || !secret.is_password() {
        return None;
    }
    // "Tr0ub4dor&3" is one piece.
    if cx.tokens.glued(index + 1) && is_inside(cx.tokens.at(index + 1)) {
        return None;
    }
    let mut at = index;
    while at < index + WORDS && cx.free(at).class == Class::Word && !cx.tokens.has_seed(at, seed::NUMBER) {
        if cx.free(at).has(Flags::STOP | Flags::LINK) || cx.free(at).new_line {
            return None;
        }
        at += 1;
    }
    let mut end = at;
    while end < at + 12 && !cx.is_taken(end) && cx.tokens.has_seed(end, seed::NUMBER) {
        end += 1;
    }
    let unit = cx.free(end).has(Flags::UNIT | Flags::MONEY);
    if at == index || end == at || unit {
        return None;
    }
    while end < at + 16 && is_sign_word(cx, end) {
        end += 1 + usize::from(["mark", "point", "sign"].iter().any(|word| is_word(cx, end + 1, word)));
    }
    Some(end - 1)
}

/// The sign behind the words of a password, said: "bang", "exclamation mark".
fn is_sign_word(cx: &ScanContext<'_>, at: usize) -> bool {
    [
        "bang",
        "exclamation",
        "hash",
        "hashtag",
        "star",
        "asterisk",
        "dollar",
        "ampersand",
        "question",
        "percent",
    ]
    .iter()
    .any(|word| is_word(cx, at, word))
}

fn is_word(cx: &ScanContext<'_>, at: usize, word: &str) -> bool {
    cx.tokens.str(cx.free(at)).eq_ignore_ascii_case(word)
}

fn secret_cue(cx: &ScanContext<'_>, index: usize) -> SecretCue {
    let mut at = index;
    let mut linked = false;
    for _ in 0..4 {
        let token = cx.free_before(at);
        let word = cx.tokens.str(token);
        if token.is(b':')
            || token.is(b'=')
            || token.is(b'"')
            || token.is(b'\'')
            || ["is", "s"].iter().any(|link| word.eq_ignore_ascii_case(link))
        {
            linked = true;
            at -= 1;
        } else {
            break;
        }
    }
    let cue = cx.tokens.str(cx.free_before(at)).to_ascii_lowercase();
    let joint = cx.free_before(at.saturating_sub(1));
    let before = at.saturating_sub(1 + usize::from(joint.is(b'_') || joint.is(b'-')));
    let pair = ["user", "screen", "pass", "api", "access", "secret", "private", "client", "auth"]
        .iter()
        .any(|word| cx.tokens.str(cx.free_before(before)).eq_ignore_ascii_case(word));
    SecretCue { cue, linked, pair }
}

/// Returns the kind of a cluster that the phrase before it promises.
fn said(cx: &ScanContext<'_>, index: usize, text: &str) -> Option<(Entity, &'static str)> {
    let secret = secret_cue(cx, index);
    let mixed = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        || text.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii());
    let password = secret.is_password();
    let SecretCue { cue, linked, pair } = secret;
    if password && (mixed && text.len() >= 6 || linked && text.len() >= 4 && is_no_plain_word(cx, index)) {
        return Some((Entity::ApiKey, "said to be a secret"));
    }
    let signed = matches!(cx.free_before(index).class, Class::Sign(b'=' | b'"'));
    let user = cue == "user" && (mixed || signed)
        || USERS.contains(&cue.as_str())
        || pair && matches!(cue.as_str(), "name" | "id");
    let nobody = ["none", "null", "nil", "true", "false", "undefined", "unknown", "anonymous", "guest"];
    let fits = text.len() >= 3
        && !nobody.iter().any(|word| text.eq_ignore_ascii_case(word))
        && (mixed || linked && is_no_plain_word(cx, index));
    (user && fits).then_some((Entity::Username, "said to be a user"))
}

fn is_no_plain_word(cx: &ScanContext<'_>, index: usize) -> bool {
    let token = cx.tokens.at(index);
    token.class == Class::Word
        && token.meaning == super::lexicon::Meaning::NONE
        && !cx.known(index).is_common()
}

/// "@jane_doe".
fn take_handle(cx: &mut ScanContext<'_>, at: usize) -> bool {
    let before = cx.tokens.glued(at) && cx.tokens.before(at).is_solid();
    if before || !cx.tokens.glued(at + 1) || cx.free(at + 1).class != Class::Word {
        return false;
    }
    let mut last = at + 1;
    while cx.tokens.glued(last + 1)
        && (cx.free(last + 1).is_solid()
            || cx.free(last + 1).is(b'_')
            || cx.free(last + 1).is(b'.') && cx.tokens.is_inner(last + 1))
        && last - at < 16
    {
        last += 1;
    }
    let length = cx.tokens.at(last).end - cx.tokens.at(at + 1).start;
    let domain = cx.tokens.before(last).is(b'.') && cx.tokens.at(last).has(Flags::TLD | Flags::WEAK_TLD);
    if length < 3 || domain {
        return false;
    }
    cx.take(Entity::Username, at, last, 0.7, "handle");
    true
}
