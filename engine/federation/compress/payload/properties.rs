//! Properties of every payload: it comes back, its size is known before, and no change of a byte goes unnoticed.

use proptest::prelude::*;

use super::fuzz::dressed;
use super::{Layout, Update, Values, decode, encode, fuzz, payload_bytes};

/// Lengths of tensors, some empty, and an update of them.
fn update() -> impl Strategy<Value = (Layout, Vec<u32>, Vec<f32>)> {
    let lengths = proptest::collection::vec(prop_oneof![Just(0_u32), Just(1), 1..40_u32, 1..3000_u32], 0..8);
    (lengths, 1..200_u32, any::<u64>()).prop_map(|(lengths, sparse, seed)| {
        let layout = Layout::new(&lengths).unwrap();
        let mut state = seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u32
        };
        let positions: Vec<u32> =
            (0..layout.parameters()).filter(|_| next().is_multiple_of(sparse)).collect();
        let values = positions.iter().map(|_| (next() as f32 / 2_f32.powi(31) - 1.0) * 3.0).collect();
        (layout, positions, values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn updates_come_back((layout, positions, values) in update()) {
        for how in Values::ALL {
            let payload = encode(&layout, &positions, &values, how).unwrap();
            let size = payload_bytes(&layout, &positions, how).unwrap();
            prop_assert_eq!(payload.bytes.len() as u64, size);
            let expected = Update { positions: positions.clone(), values: payload.values.clone() };
            prop_assert_eq!(decode(&layout, &payload.bytes).unwrap(), expected);
            if how == Values::Float32 {
                prop_assert_eq!(&payload.values, &values);
            }
            for (sent, value) in payload.values.iter().zip(&values) {
                prop_assert!(sent.abs() <= 4.0 && sent * value >= 0.0);
            }
        }
    }

    #[test]
    fn a_changed_or_missing_byte_is_noticed((layout, positions, values) in update(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let bytes = encode(&layout, &positions, &values, Values::Levels2).unwrap().bytes;
        let at = at.index(bytes.len());
        prop_assert!(decode(&layout, &bytes[..at]).is_err());
        let mut changed = bytes.clone();
        changed[at] ^= flip;
        prop_assert!(decode(&layout, &changed).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&bytes);
    }

    /// A body whose bits are changed, under a checksum that fits.
    #[test]
    fn changed_bodies_are_read_without_harm(
        (layout, positions, values) in update(),
        how in 0..4_u8,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 0..4_usize,
    ) {
        let bytes = encode(&layout, &positions, &values, Values::ALL[usize::from(how)]).unwrap().bytes;
        let head = dressed(&layout, &[how]).len() - 8;
        let mut body = vec![how | bytes[head - 1] << 2];
        body.extend(&bytes[head..bytes.len() - 8]);
        for (at, to) in changes {
            let at = at.index(body.len());
            body[at] = to;
        }
        body.truncate(body.len().saturating_sub(cut).max(1));
        if let Ok(update) = decode(&layout, &dressed(&layout, &body)) {
            prop_assert_eq!(super::fuzz::check(&layout, &update), Ok(()));
        }
    }
}

/// A few bytes that name four thousand million values allocate nothing for them.
#[test]
fn promises_of_many_values_are_not_believed() {
    let layout = Layout::new(&[u32::MAX]).unwrap();
    for how in 0..4 {
        let mut body = vec![how, 0xff, 0xff, 0xff, 0xff, 0x0f];
        body.extend([0x80, 0x3f, 9]);
        body.extend([0; 64]);
        let message = decode(&layout, &dressed(&layout, &body)).unwrap_err().to_string();
        assert_eq!(message, "the payload is damaged: it holds fewer values than it names");
    }
}

/// log2 C(n, k): no code of positions needs less on average, when each set of them is as likely.
fn log2_choices(n: u32, k: u32) -> f64 {
    (0..k).map(|i| (f64::from(n - i) / f64::from(k - i)).log2()).sum()
}

#[test]
fn payloads_are_near_the_bound_and_below_it_in_clusters() {
    const PARAMETERS: u32 = 1_000_000;
    // A value in `sparse` parameters; in clusters, seven times as often in one row of 512 in eight, and seldom elsewhere.
    let check = |tensors: u32, sparse: u32, clustered: bool, range: std::ops::Range<f64>| {
        let layout = Layout::new(&vec![PARAMETERS / tensors; tensors as usize]).unwrap();
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let (mut positions, mut every) = (Vec::new(), sparse);
        for position in 0..layout.parameters() {
            if clustered && position.is_multiple_of(512) {
                every = if next() % 8 == 0 { sparse / 7 } else { sparse * 7 };
            }
            if next() % every == 0 {
                positions.push(position);
            }
        }
        let values: Vec<f32> = positions.iter().map(|_| 0.01 + (next() % 1000) as f32 * 1e-5).collect();
        let bytes = encode(&layout, &positions, &values, Values::Levels2).unwrap().bytes.len();
        let k = u32::try_from(positions.len()).unwrap();
        let bound = log2_choices(layout.parameters(), k) + f64::from(k) * 3.0;
        let ratio = bytes as f64 * 8.0 / bound;
        assert!(range.contains(&ratio), "{tensors} {sparse} {clustered}: {ratio}");
    };
    for tensors in [1, 50] {
        check(tensors, 100, false, 1.0..1.03);
        check(tensors, 1000, false, 1.0..1.03);
        check(tensors, 100, true, 0.5..0.93);
        check(tensors, 1000, true, 0.5..1.0);
    }
}
