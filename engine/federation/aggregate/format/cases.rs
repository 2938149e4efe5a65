//! The bytes of sums: as documented, as refused, and back again.

use super::super::wire::CHECK_BYTES;
use super::super::{Examples, Values};
use super::fuzz::dressed;
use super::*;
use proptest::prelude::*;

const SHAPE: Shape = Shape { parameters: 5, layout: *b"abcdefgh" };

fn sum(values: &[f32; 5]) -> Sum {
    let mut sum = Sum::empty(Round(258), SHAPE);
    sum.add(Values::Dense(values), Examples::new(3).unwrap()).unwrap();
    sum
}

#[test]
fn the_bytes_are_as_documented() {
    let check = |values: [f32; 5], kind: Kind, tail: &[u8]| {
        let bytes = encode(kind, &sum(&values));
        let mut expected = b"HWSU\x01".to_vec();
        expected.push(u8::from(kind == Kind::Correction));
        expected.extend(b"abcdefgh\x02\x01\0\0\0\0\0\0");
        // Parameters, devices, examples, clipped.
        expected.extend([5, 1, 3, 0]);
        expected.extend(tail);
        expected.extend(checksum(&expected));
        assert_eq!(bytes, expected);
        assert_eq!(decode(SHAPE, &bytes), Ok((kind, sum(&values))));
    };
    let step = 1.0 / 16_777_216.0;
    check([0.0; 5], Kind::Sum, &[1, 0, 0]);
    check([0.0, 0.0, -1.0, 0.0, 0.0], Kind::Sum, &[1, 4, 1, 2, 0, 0, 0, 0xfd]);
    check([step, -step, 0.0, step, step], Kind::Correction, &[0, 1, 3, 0xfd, 0, 3, 3]);
    check(
        [step, -0.5, 0.5, step, step],
        Kind::Sum,
        &[0, 4, 3, 0, 0, 0, 0, 0, 0x80, 0xfe, 0, 0, 0x80, 1, 3, 0, 0, 0, 3, 0, 0, 0],
    );
}

#[test]
fn what_does_not_fit_is_told() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = encode(Kind::Sum, &sum(&[0.0, 0.0, -1.0, 0.0, 0.0]));
        bytes.truncate(bytes.len() - 8);
        change(&mut bytes);
        bytes.extend(checksum(&bytes));
        assert_eq!(decode(SHAPE, &bytes).unwrap_err().to_string(), expected);
    };
    check(&|b| b[0] = 0, "these bytes are no sum of updates: they do not begin with HWSU");
    check(&|b| b[4] = 2, "the sum has version 2; this program reads 1");
    check(&|b| b[5] = 2, "the sum is damaged: its kind is unknown");
    check(&|b| b[6] = 0, "the sum does not fit: it is for an adapter with other tensors");
    check(&|b| b[22] = 6, "the sum does not fit: it has 6 values, and the adapter 5 parameters");
    check(&|b| b[23] = 4, "the sum is damaged: no updates can have this sum");
    check(&|b| b[24] = 0, "the sum is damaged: no updates can have this sum");
    check(&|b| b[25] = 6, "the sum is damaged: no updates can have this sum");
    check(&|b| b[26] = 2, "the sum is damaged: its form is unknown");
    check(&|b| b[27] = 5, "the sum is damaged: it holds fewer numbers than it names");
    check(&|b| b[28] = 6, "the sum is damaged: it names more numbers than parameters");
    check(&|b| b[29] = 5, "the sum is damaged: a position lies outside the adapter");
    check(&|b| b[33] = 0, "the sum is damaged: a number that should not be zero is");
    check(&|b| b[33] = 0x80, "the sum is damaged: no updates can have this sum");
    check(&|b| b.push(0), "the sum is damaged: its numbers take another number of bytes");
    check(
        &|b| {
            b[27] = 5;
            b.push(0xff);
        },
        "the sum is damaged: its numbers are wider than needed",
    );
    check(&|b| b.truncate(20), "the sum is damaged: it is truncated");
    let zeros = |b: &mut Vec<u8>| {
        b.truncate(26);
        b.extend([0, 0]);
    };
    check(&zeros, "the sum is damaged: its form needs numbers");
    let whole = encode(Kind::Sum, &sum(&[1.0; 5]));
    for cut in 0..whole.len() {
        assert!(decode(SHAPE, &whole[..cut]).is_err());
    }
}

#[test]
fn numbers_take_the_fewest_bytes() {
    let check = |value: i64, expected: u8| {
        assert_eq!(bytes_of(value), expected, "{value}");
        let mut out = Vec::new();
        put_number(&mut out, value, expected.into());
        assert_eq!(read_number(&out), value);
    };
    check(0, 0);
    check(1, 1);
    check(-1, 1);
    check(127, 1);
    check(-128, 1);
    check(128, 2);
    check(-129, 2);
    check(i64::MAX, 8);
    check(i64::MIN, 8);
}

proptest! {
    #[test]
    fn sums_come_back(updates in proptest::collection::vec((proptest::collection::vec((0..40_u32, -9.0..9.0_f32), 0..30), 1..=65_536_u64), 0..6), parameters in 40..2000_u32) {
        let shape = Shape { parameters, layout: [7; 8] };
        let mut sum = Sum::empty(Round(1), shape);
        for (update, examples) in updates {
            let update: std::collections::BTreeMap<u32, f32> = update.into_iter().collect();
            let (positions, values): (Vec<u32>, Vec<f32>) = update.into_iter().unzip();
            sum.add(Values::Sparse { positions: &positions, values: &values }, Examples::new(examples).unwrap()).unwrap();
        }
        let bytes = encode(Kind::Sum, &sum);
        prop_assert_eq!(decode(shape, &bytes), Ok((Kind::Sum, sum)));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&bytes);
    }

    #[test]
    fn changed_bytes_are_read_without_harm(
        values in proptest::array::uniform5(-9.0..9.0_f32),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = encode(Kind::Sum, &sum(&values));
        let head = dressed(SHAPE, &[0]).len() - CHECK_BYTES;
        let mut body = vec![1, 0];
        body.extend(&bytes[head..bytes.len() - CHECK_BYTES]);
        for (at, to) in changes {
            let at = at.index(body.len());
            body[at] = to;
        }
        body[0] = 1;
        fuzz(&body);
        let mut changed = bytes.clone();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        prop_assert!(decode(SHAPE, &changed).is_err());
    }
}
