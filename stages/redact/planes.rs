//! Which tokens have which bits: 64 tokens in one look.
//!
//! In: the bits of each token. Out: the next token that has any of some. It must not know what a bit says.

/// The number of tokens in a block.
const BLOCK: usize = 64;

/// For every 64 tokens, and each of 32 bits, which of them have it.
#[derive(Debug, Default)]
pub struct Planes(Vec<[u64; 32]>);

impl Planes {
    /// Takes the bits of all tokens in place of those of an earlier text.
    pub fn fill(&mut self, tokens: &[u32]) {
        self.0.clear();
        for tokens in tokens.chunks(BLOCK) {
            let mut block = [0; 32];
            for (place, bits) in tokens.iter().enumerate() {
                add(&mut block, place, *bits);
            }
            self.0.push(block);
        }
    }

    /// Adds bits to a token.
    #[inline]
    pub fn mark(&mut self, index: usize, bits: u32) {
        if let Some(block) = self.0.get_mut(index / BLOCK) {
            add(block, index % BLOCK, bits);
        }
    }

    /// The first token from `from` on with any of these bits.
    #[inline]
    pub fn next(&self, from: usize, bits: u32) -> Option<usize> {
        let mut place = from / BLOCK;
        let mut kept = u64::MAX << (from % BLOCK);
        while let Some(block) = self.0.get(place) {
            let has = kept & any(block, bits);
            if has != 0 {
                return Some(place * BLOCK + has.trailing_zeros() as usize);
            }
            (place, kept) = (place + 1, u64::MAX);
        }
        None
    }
}

#[inline]
fn add(block: &mut [u64; 32], place: usize, bits: u32) {
    let mut rest = bits;
    while rest != 0
        && let Some(plane) = block.get_mut(rest.trailing_zeros() as usize)
    {
        *plane |= 1 << place;
        rest &= rest - 1;
    }
}

/// Which of 64 tokens have any of these bits.
#[inline]
fn any(block: &[u64; 32], bits: u32) -> u64 {
    let (mut has, mut rest) = (0, bits);
    while rest != 0
        && let Some(plane) = block.get(rest.trailing_zeros() as usize)
    {
        has |= plane;
        rest &= rest - 1;
    }
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_found_across_blocks() {
        let tokens: Vec<u32> =
            (0..200).map(|at| u32::from(at % 63 == 5) | u32::from(at == 190) << 31).collect();
        let mut planes = Planes::default();
        planes.fill(&tokens);
        let all = |bits| {
            std::iter::successors(planes.next(0, bits), |at| planes.next(at + 1, bits)).collect::<Vec<_>>()
        };
        assert_eq!(all(1), [5, 68, 131, 194]);
        assert_eq!(all(1 | 1 << 31), [5, 68, 131, 190, 194]);
        assert_eq!((planes.next(1000, 1), planes.next(0, 2)), (None, None));
        planes.mark(199, 2);
        assert_eq!(planes.next(0, 2), Some(199));
    }
}
