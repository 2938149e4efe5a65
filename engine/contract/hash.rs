//! The one stable hash: the place of a key must be the same on every machine, in every version, for ever.
//!
//! FNV-1a over 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv), finished by the 64-bit mixer of MurmurHash3 so that the
//! high and low bits are both usable. Not a cryptographic hash: it decides placement, never trust.

/// The stable 64-bit hash of a byte string.
pub fn stable(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    finish(hash)
}

/// The group of a key, of so many groups: what is computed together must not depend on the number of workers.
pub fn group(key: &str, groups: u32) -> u32 {
    u32::try_from(stable(key.as_bytes()) % u64::from(groups.max(1))).unwrap_or(0)
}

/// Mixes a further number into a hash: for keys made of several parts.
pub fn mix(hash: u64, next: u64) -> u64 {
    finish(hash.rotate_left(5) ^ next.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn finish(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State on disk is placed by these numbers: they may never change.
    #[test]
    fn the_hash_is_frozen() {
        assert_eq!(stable(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(stable(b"kitchen"), stable(b"kitchen"));
        assert_ne!(stable(b"kitchen"), stable(b"kitchem"));
        assert_ne!(mix(stable(b"kitchen"), 1), mix(stable(b"kitchen"), 2));
    }

    #[test]
    fn the_hash_spreads_over_partitions() {
        let mut counts = [0u32; 256];
        for n in 0..25_600u32 {
            counts[usize::try_from(stable(format!("device-{n}").as_bytes()) % 256).unwrap()] += 1;
        }
        assert!(counts.iter().all(|c| (50..200).contains(c)), "{counts:?}");
    }
}
