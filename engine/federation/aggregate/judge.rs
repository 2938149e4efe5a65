//! The condition by which a new adapter stays, over text that devices held out.
//!
//! In: for each device its held-out tokens and their nats under the base model, the round's adapter and the device's own; and a
//! condition such as `heldout_ppl <= 1.02 * previous`. Out: perplexities over all devices, and whether the condition holds. It
//! must not know what an adapter is, nor what follows from the answer.

use std::fmt;

/// The evaluation of one device on its held-out text in a round. Sums, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Tokens measured.
    pub tokens: u64,
    /// Under the base model alone.
    pub base: f64,
    /// Under the adapter with which the round started.
    pub start: f64,
    /// Under the device's personal adapter after training.
    pub own: f64,
}

impl Measurement {
    /// Returns true if these can be sums of nats over so many tokens: finite, not negative, of at least one token.
    pub fn is_sound(&self) -> bool {
        let sound = |nats: f64| nats.is_finite() && nats >= 0.0;
        self.tokens > 0 && sound(self.base) && sound(self.start) && sound(self.own)
    }
}

/// The evaluation of all devices in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Devices that measured.
    pub devices: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Perplexity of the base model.
    pub base: f64,
    /// Perplexity of the adapter with which the round started.
    pub start: f64,
    /// Perplexity of the devices' personal adapters.
    pub own: f64,
}

impl Report {
    /// Perplexities over all tokens; `None` of nothing. The order matters to the last bit: give the devices in one.
    pub fn of(measured: impl IntoIterator<Item = Measurement>) -> Option<Report> {
        let mut sum = Measurement { tokens: 0, base: 0.0, start: 0.0, own: 0.0 };
        let mut devices = 0;
        for one in measured {
            devices += 1;
            sum.tokens = sum.tokens.saturating_add(one.tokens);
            sum.base += one.base;
            sum.start += one.start;
            sum.own += one.own;
        }
        let tokens = (sum.tokens > 0).then_some(sum.tokens as f64)?;
        let ppl = |nats: f64| (nats / tokens).exp();
        Some(Report {
            devices,
            tokens: sum.tokens,
            base: ppl(sum.base),
            start: ppl(sum.start),
            own: ppl(sum.own),
        })
    }
}

/// When an adapter is accepted: `heldout_ppl (<=|<) NUMBER [* previous]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    strict: bool,
    number: f64,
    times_previous: bool,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} {place}, as in `heldout_ppl <= 1.02 * previous` or `heldout_ppl < 40`")]
pub struct ConditionError {
    expected: &'static str,
    place: &'static str,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        let wrong = |expected, place| ConditionError { expected, place };
        let rest = text.trim().strip_prefix("heldout_ppl").ok_or(wrong("`heldout_ppl`", "at the start"))?;
        let rest = rest.trim_start();
        let (strict, rest) = match (rest.strip_prefix("<="), rest.strip_prefix('<')) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(wrong("`<=` or `<`", "after `heldout_ppl`")),
        };
        let (number, factor) = match rest.split_once('*') {
            Some((number, factor)) => (number, Some(factor.trim())),
            None => (rest, None),
        };
        let number: f64 =
            number.trim().parse().map_err(|_| wrong("a number above 0", "after the comparison"))?;
        if !(number > 0.0 && number.is_finite()) {
            return Err(wrong("a number above 0", "after the comparison"));
        }
        match factor {
            None | Some("previous") => Ok(Condition { strict, number, times_previous: factor.is_some() }),
            Some(_) => Err(wrong("`previous`", "after `*`")),
        }
    }

    /// Returns true if a perplexity is good enough, when that of the adapter before was `previous`. NaN is not.
    pub fn holds(&self, heldout: f64, previous: f64) -> bool {
        let most = if self.times_previous { self.number * previous } else { self.number };
        if self.strict { heldout < most } else { heldout <= most }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let than = if self.strict { "<" } else { "<=" };
        let previous = if self.times_previous { " * previous" } else { "" };
        write!(f, "heldout_ppl {than} {}{previous}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn conditions_are_read() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let result = Condition::parse(text);
            let result = result.map(|c| c.to_string()).map_err(|e| format!("{} {}", e.expected, e.place));
            assert_eq!(result.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("heldout_ppl <= 1.02 * previous", Ok("heldout_ppl <= 1.02 * previous"));
        check("  heldout_ppl<1*previous ", Ok("heldout_ppl < 1 * previous"));
        check("heldout_ppl < 40", Ok("heldout_ppl < 40"));
        check("heldout_ppl <= 4e1", Ok("heldout_ppl <= 40"));
        check("", Err("`heldout_ppl` at the start"));
        check("ppl <= 1", Err("`heldout_ppl` at the start"));
        check("heldout_ppl", Err("`<=` or `<` after `heldout_ppl`"));
        check("heldout_ppl >= 1", Err("`<=` or `<` after `heldout_ppl`"));
        check("heldout_ppls <= 1", Err("`<=` or `<` after `heldout_ppl`"));
        for number in ["", "=1", "x", "0", "-1", "NaN", "inf", "previous", "1.0 2.0", "previous * 1"] {
            check(&format!("heldout_ppl <= {number}"), Err("a number above 0 after the comparison"));
        }
        check("heldout_ppl <= 1 * last", Err("`previous` after `*`"));
        check("heldout_ppl <= 1 * previous * 2", Err("`previous` after `*`"));
        check("heldout_ppl <= 1 *", Err("`previous` after `*`"));
    }

    #[test]
    fn conditions_hold() {
        let check = |text: &str, heldout: f64, previous: f64, expected: bool| {
            let condition = Condition::parse(text).unwrap();
            assert_eq!(condition.holds(heldout, previous), expected, "{text} {heldout} {previous}");
        };
        check("heldout_ppl <= 1.5 * previous", 15.0, 10.0, true);
        check("heldout_ppl <= 1.5 * previous", 15.1, 10.0, false);
        check("heldout_ppl < 1.5 * previous", 15.0, 10.0, false);
        check("heldout_ppl < 40", 39.0, 1.0, true);
        check("heldout_ppl < 40", 40.0, 1.0, false);
        check("heldout_ppl <= 1 * previous", f64::NAN, 10.0, false);
        check("heldout_ppl <= 1 * previous", f64::INFINITY, 10.0, false);
    }

    #[test]
    fn devices_weigh_by_their_tokens() {
        let one = Measurement { tokens: 1, base: 4.0, start: 3.0, own: 2.0 };
        let three = Measurement { tokens: 3, base: 0.0, start: 1.0, own: 6.0 };
        let report = Report::of([one, three]).unwrap();
        assert_eq!((report.devices, report.tokens), (2, 4));
        assert_eq!([report.base, report.start, report.own], [1.0_f64.exp(), 1.0_f64.exp(), 2.0_f64.exp()]);
        assert_eq!(Report::of([]), None);
        let check =
            |measured: Measurement, sound: bool| assert_eq!(measured.is_sound(), sound, "{measured:?}");
        check(one, true);
        check(Measurement { tokens: 0, ..one }, false);
        check(Measurement { base: f64::NAN, ..one }, false);
        check(Measurement { start: -0.1, ..one }, false);
        check(Measurement { own: f64::INFINITY, ..one }, false);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "(heldout_ppl)? ?[<=*. 0-9a-z]{0,20}") {
            if let Ok(condition) = Condition::parse(&text) {
                prop_assert_eq!(Condition::parse(&condition.to_string()), Ok(condition));
            }
        }
    }
}
