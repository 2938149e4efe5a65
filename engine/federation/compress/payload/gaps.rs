//! Positions as gaps: how many zeros stand before each value. In: ascending positions in one tensor. Out: bits near the entropy
//! of where the values are, and back. It must not know values.
//!
//! A gap is written in a Rice code (R. F. Rice, 1979; the case 2^p of S. W. Golomb, 1966) with a parameter p: the gap divided by
//! 2^p in unary (that many zero bits, then a one), then its p low bits. Values that lie anywhere with equal chance have
//! geometric gaps, for which this is within 1 % of log2 C(n, k). A quotient q that reaches the escape e is an Elias code behind e
//! zero bits, as in J. Teuhola's exponential Golomb codes (1978): with v = q - e + 1 and b the whole part of its log2, b more
//! zeros, a one, the b low bits of v; then the p low bits of the gap.
//!
//! The mode of a tensor is one byte. Its high bit chooses the escape: 0 is 8; 1 is 1, for gaps of very different lengths. The
//! rest is p, if it is below 32. 32 + s, s from 2 to 7, lets p follow the gaps, for values that lie in clusters: a running mean
//! starts at (length - count) / count, in integers; p is the whole part of its log2 (0 for a mean below 1); a gap g moves the mean
//! (kept as a sum a of 2^s means) by a <- a - floor(a / 2^s) + g. The writer takes the mode that needs the fewest bits: see
//! [`cheapest`].

use super::bits::{BitReader, BitWriter};

/// Quotients from here on are escaped: as a rule, and in the modes with their high bit set.
pub const ESCAPES: [u32; 2] = [8, 1];
const SHORT: u8 = 0x80;
const ADAPTIVE: u8 = 32;
const SHIFTS: std::ops::RangeInclusive<u8> = 2..=7;
/// The shifts that the writer tries: quick and slow.
const TRIED_SHIFTS: [u8; 3] = [2, 3, 5];

/// The coding of the gaps of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mode(u8);

impl Mode {
    /// One parameter, at most 31.
    pub fn fixed(parameter: u32) -> Mode {
        Mode(u8::try_from(parameter.min(31)).unwrap_or(31))
    }

    /// The mode that a byte stands for.
    pub fn of_code(code: u8) -> Option<Mode> {
        let model = code & !SHORT;
        (model < ADAPTIVE || SHIFTS.contains(&(model - ADAPTIVE))).then_some(Mode(code))
    }

    /// The byte that stands for it.
    pub fn code(self) -> u8 {
        self.0
    }
}

/// The parameter from gap to gap.
struct GapModel {
    sum: u64,
    shift: Option<u32>,
    parameter: u32,
    escape: u32,
}

impl GapModel {
    /// For `count` > 0 values in a tensor of `length`.
    fn new(mode: Mode, length: u32, count: u32) -> GapModel {
        let [long, short] = ESCAPES;
        let escape = if mode.0 & SHORT == 0 { long } else { short };
        let code = mode.0 & !SHORT;
        if code < ADAPTIVE {
            return GapModel { sum: 0, shift: None, parameter: u32::from(code), escape };
        }
        let shift = u32::from(code - ADAPTIVE);
        let mean = u64::from(length.saturating_sub(count).checked_div(count).unwrap_or(0));
        let parameter = mean.max(1).ilog2();
        GapModel { sum: mean << shift, shift: Some(shift), parameter, escape }
    }

    #[inline]
    fn learn(&mut self, gap: u32) {
        if let Some(shift) = self.shift {
            self.sum = self.sum - (self.sum >> shift) + u64::from(gap);
            self.parameter = (self.sum >> shift).max(1).ilog2();
        }
    }
}

/// The gaps before ascending positions in a tensor that begins at `start` of the flat vector.
fn gaps(positions: &[u32], start: u32) -> impl Iterator<Item = u32> {
    positions.iter().scan(start, |next, position| {
        let gap = position.wrapping_sub(*next);
        *next = position.wrapping_add(1);
        Some(gap)
    })
}

/// Bits that these positions take in a mode, with either escape.
fn bits(mode: Mode, positions: &[u32], start: u32, length: u32) -> [u64; 2] {
    let mut model = GapModel::new(mode, length, count(positions));
    let mut bits = [0; 2];
    for gap in gaps(positions, start) {
        let quotient = gap >> model.parameter;
        for (bits, escape) in bits.iter_mut().zip(ESCAPES) {
            let unary =
                if quotient < escape { quotient } else { escape + 2 * (quotient - escape + 1).ilog2() };
            *bits += u64::from(unary + 1 + model.parameter);
        }
        model.learn(gap);
    }
    bits
}

fn count(positions: &[u32]) -> u32 {
    u32::try_from(positions.len()).unwrap_or(u32::MAX)
}

/// The mode that needs the fewest bits, and that number. Tried are fixed parameters from just above the mean gap downwards, as
/// long as none is worse than the one before, and then those that follow the gaps, if they are better; each with the escape
/// that is better, the long one if they are equal.
pub fn cheapest(positions: &[u32], start: u32, length: u32) -> (Mode, u64) {
    let mean = length.checked_div(count(positions)).unwrap_or(0).max(1);
    let top = (mean.ilog2() + 1).min(31);
    let price = |mode: Mode| {
        let [long, short] = bits(mode, positions, start, length);
        if short < long { (Mode(mode.0 | SHORT), short) } else { (mode, long) }
    };
    let mut best = price(Mode::fixed(top));
    for parameter in (0..top).rev() {
        let next = price(Mode::fixed(parameter));
        if next.1 > best.1 {
            break;
        }
        best = next;
    }
    for shift in TRIED_SHIFTS {
        let next = price(Mode(ADAPTIVE + shift));
        if next.1 < best.1 {
            best = next;
        }
    }
    best
}

/// Writes positions of a tensor.
pub fn write(out: &mut BitWriter, mode: Mode, positions: &[u32], start: u32, length: u32) {
    let mut model = GapModel::new(mode, length, count(positions));
    for gap in gaps(positions, start) {
        let quotient = gap >> model.parameter;
        if quotient < model.escape {
            out.put(1 << quotient, quotient + 1);
        } else {
            let elias = quotient - model.escape + 1;
            let width = elias.ilog2();
            out.put(0, model.escape);
            out.put(0, width);
            out.put(1, 1);
            out.put(elias, width);
        }
        out.put(gap, model.parameter);
        model.learn(gap);
    }
}

/// Reads `count` positions of a tensor into `positions`.
///
/// # Errors
/// What is wrong, when bits are missing or a position lies outside the tensor.
pub fn read(
    bits: &mut BitReader<'_>,
    mode: Mode,
    count: u32,
    (start, length): (u32, u32),
    positions: &mut Vec<u32>,
) -> Result<(), &'static str> {
    const CUT: &str = "it holds fewer values than it names";
    const OUTSIDE: &str = "a position lies outside its tensor";
    let mut model = GapModel::new(mode, length, count);
    let mut next = 0_u32;
    for _ in 0..count {
        let mut quotient = u64::from(bits.zeros(model.escape).ok_or(CUT)?);
        if quotient == u64::from(model.escape) {
            let width = bits.zeros(32).ok_or(CUT)?;
            if width >= 32 {
                return Err(OUTSIDE);
            }
            let elias = 1 << width | u64::from(bits.get(width).ok_or(CUT)?);
            quotient += elias - 1;
        }
        let low = bits.get(model.parameter).ok_or(CUT)?;
        let gap = quotient.checked_mul(1 << model.parameter).map(|high| high | u64::from(low));
        let gap = gap.and_then(|gap| u32::try_from(gap).ok()).ok_or(OUTSIDE)?;
        let position = next.checked_add(gap).filter(|p| *p < length).ok_or(OUTSIDE)?;
        // Below 2^32, since the layout's sum is.
        positions.push(start.saturating_add(position));
        next = position + 1;
        model.learn(gap);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_stand_for_modes() {
        let check = |code: u8, known: bool| assert_eq!(Mode::of_code(code).is_some(), known, "{code}");
        check(0, true);
        check(31, true);
        check(32, false);
        check(33, false);
        check(34, true);
        check(39, true);
        check(40, false);
        check(127, false);
        check(128, true);
        check(128 + 39, true);
        check(255, false);
    }

    proptest! {
        #[test]
        fn positions_come_back(
            raw in proptest::collection::btree_set(0..5000_u32, 1..300),
            far in 0..u32::MAX / 2,
            start in 0..1000_u32,
            code in any::<u8>(),
        ) {
            let length = 5000 + far;
            let positions: Vec<u32> = raw.iter().map(|p| p + start).collect();
            let (best, fewest) = cheapest(&positions, start, length);
            for mode in Mode::of_code(code).into_iter().chain([best]) {
                let [long, short] = bits(mode, &positions, start, length);
                let cost = if mode.0 & SHORT == 0 { long } else { short };
                let mut out = BitWriter::default();
                write(&mut out, mode, &positions, start, length);
                let bytes = out.finish();
                prop_assert_eq!(bytes.len() as u64, cost.div_ceil(8));
                prop_assert!(mode != best || cost == fewest);
                let mut reader = BitReader::new(&bytes);
                let mut back = Vec::new();
                read(&mut reader, mode, count(&positions), (start, length), &mut back).unwrap();
                prop_assert_eq!(&back, &positions);
                prop_assert_eq!(reader.end(), Ok(()));
            }
        }
    }
}
