//! Checksums that many numbers share. Digits in, a verdict out; a verdict raises a score, it decides nothing here.
//! A check that only one country's number needs stands with that number, below `ids`.

/// A checksum or a numbering plan with its name.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The name in the list of recognisers.
    pub name: &'static str,
    /// True if digits (0 to 9), or the symbols of a code (capitals and figures in ASCII), pass.
    pub holds: fn(&[u8]) -> bool,
}

/// No check: the number has none, or it is not published.
pub const NONE: Check = Check { name: "-", holds: |_| false };
/// The form alone says what it is.
pub const FORM: Check = Check { name: "form", holds: |_| true };
/// Payment cards, and what borrowed their check.
pub const LUHN: Check = Check { name: "Luhn", holds: luhn };

/// The Luhn formula over digits 0..=9 (ISO/IEC 7812-1, annex B). Empty input and a row of zeros do not pass.
pub fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0_u32;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let value = u32::from(digit) << (place % 2);
        sum += if value > 9 { value - 9 } else { value };
    }
    sum > 0 && sum.is_multiple_of(10)
}

/// The sum of digits times weights; digits beyond the weights do not count.
pub fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// Returns true if all digits are the same: no such number is issued.
pub fn is_monotone(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

/// The number that digits say, at most 18 of them.
pub fn value(digits: &[u8]) -> u64 {
    digits.iter().take(18).fold(0, |value, digit| value * 10 + u64::from(*digit))
}

/// The digits of symbols in ASCII; `None` if one is no figure.
pub fn figures(symbols: &[u8]) -> Option<Vec<u8>> {
    symbols.iter().map(|symbol| symbol.is_ascii_digit().then(|| symbol - b'0')).collect()
}

/// The check of an IBAN (ISO 13616; ISO 7064 MOD 97-10): letters and digits without separators, any case.
pub fn iban_mod97(symbols: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (symbols.get(..4), symbols.get(4..)) else { return false };
    let mut rest = 0_u32;
    for &symbol in tail.iter().chain(head) {
        rest = match symbol {
            b'0'..=b'9' => rest * 10 + u32::from(symbol - b'0'),
            b'a'..=b'z' => rest * 100 + u32::from(symbol - b'a') + 10,
            b'A'..=b'Z' => rest * 100 + u32::from(symbol - b'A') + 10,
            _ => return false,
        } % 97;
    }
    rest == 1
}

/// ISO 7064 MOD 11,10, as German tax numbers use it.
pub fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let mut product = 10_u32;
    for digit in rest {
        let sum = (u32::from(*digit) + product) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    }
    (11 - product) % 10 == u32::from(*check)
}

/// The Verhoeff scheme (dihedral group D5).
pub fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut check = 0_u8;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let permuted =
            (0..place % 8).fold(digit, |d, _| PERMUTATION.get(usize::from(d)).copied().unwrap_or(0));
        check = dihedral(check, permuted);
    }
    check == 0 && !digits.is_empty()
}

fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Returns true if ten digits fit the North American Numbering Plan (area and exchange begin with 2..=9).
pub fn nanp(digits: &[u8]) -> bool {
    let digits = match digits {
        [1, rest @ ..] if rest.len() == 10 => rest,
        _ => digits,
    };
    matches!(digits, [2..=9, _, _, 2..=9, _, _, _, _, _, _])
}

/// Returns true if two digits each are a month and a day (also days plus 40 or 60, as some countries write them).
pub fn is_month_day(month: &[u8], day: &[u8]) -> bool {
    (1..=12).contains(&value(month)) && (1..=31).contains(&(value(day) % 40).max(value(day) % 60 % 40))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    #[test]
    fn luhn_takes_card_numbers_and_refuses_one_wrong_digit() {
        for good in ["4539148803436467", "378282246310005", "6011111111111117", "30569309025904"] {
            assert!(luhn(&digits(good)), "{good}");
            let mut bad = digits(good);
            bad[5] = (bad[5] + 1) % 10;
            assert!(!luhn(&bad), "{good} with a wrong digit");
        }
        assert!(!luhn(&[]) && !luhn(&[0; 16]));
    }

    #[test]
    fn iban_check_takes_the_registry_examples() {
        for good in ["GB29NWBK60161331926819", "DE89370400440532013000", "fr1420041010050500013m02606"] {
            assert!(iban_mod97(good.as_bytes()), "{good}");
        }
        for bad in ["GB29NWBK60161331926818", "GB2", "", "GB29NWBK6016133192681 "] {
            assert!(!iban_mod97(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn verhoeff_refuses_a_wrong_digit_and_a_swap() {
        assert!(verhoeff(&digits("2363")) && verhoeff(&digits("123456789010")));
        assert!(!verhoeff(&digits("2336")) && !verhoeff(&digits("2364")) && !verhoeff(&[]));
    }

    #[test]
    fn german_tax_numbers_check() {
        assert!(mod_11_10(&digits("86095742719")) && !mod_11_10(&digits("86095742718")));
    }

    #[test]
    fn numbering_plans() {
        assert!(nanp(&digits("2125550123")) && nanp(&digits("12125550123")) && !nanp(&digits("0125550123")));
    }
}
