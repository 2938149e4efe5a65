//! Checksums and numbering plans. Digits in, a verdict out; a verdict raises a score, it decides nothing here.

/// The Luhn formula over digits 0..=9 (ISO/IEC 7812-1, annex B). Empty input and a row of zeros do not pass.
pub fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0_u32;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let value = u32::from(digit) << (place % 2);
        sum += if value > 9 { value - 9 } else { value };
    }
    sum > 0 && sum.is_multiple_of(10)
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

/// The length of a country's IBANs (SWIFT IBAN registry), or `None` if it has none.
pub fn iban_length(country: [u8; 2]) -> Option<usize> {
    let at = IBAN_LENGTHS.iter().position(|(code, _)| *code == &country.map(|c| c.to_ascii_uppercase()))?;
    IBAN_LENGTHS.get(at).map(|&(_, length)| length)
}

/// Whether nine digits could have been issued as a US social security number (SSA: no area 000, 666 or
/// 900-999, no group 00, no serial 0000).
pub fn ssn_plan(digits: &[u8]) -> bool {
    let &[a, b, c, d, e, f, g, h, i] = digits else { return false };
    let area = [a, b, c];
    area != [0, 0, 0] && area != [6, 6, 6] && a != 9 && [d, e] != [0, 0] && [f, g, h, i] != [0, 0, 0, 0]
}

/// Whether ten digits fit the North American Numbering Plan (area and exchange begin with 2..=9).
pub fn nanp(digits: &[u8]) -> bool {
    let digits = match digits {
        [1, rest @ ..] if rest.len() == 10 => rest,
        _ => digits,
    };
    matches!(digits, [2..=9, _, _, 2..=9, _, _, _, _, _, _])
}

#[rustfmt::skip]
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];

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
        assert_eq!(iban_length(*b"gb"), Some(22));
        assert_eq!(iban_length(*b"US"), None);
    }

    #[test]
    fn numbering_plans() {
        assert!(
            ssn_plan(&digits("078051120"))
                && !ssn_plan(&digits("666051120"))
                && !ssn_plan(&digits("078001120"))
        );
        assert!(!ssn_plan(&digits("07805112")));
        assert!(nanp(&digits("2125550123")) && nanp(&digits("12125550123")) && !nanp(&digits("0125550123")));
    }
}
