//! Where the characters are that structure JSON, 64 bytes at a time.
//!
//! Each mask has bit `n` for byte `n`, so that whole blocks are judged by arithmetic on words instead of by a branch for
//! each byte (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019).

use fearless_simd::prelude::*;
use fearless_simd::u8x64;

/// Bytes of a block.
pub(crate) const SIZE: usize = 64;

/// The bytes of a block by what they may mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    /// `"`
    pub(crate) quotes: u64,
    /// `\`
    pub(crate) backslashes: u64,
    /// `{` and `[`
    pub(crate) opens: u64,
    /// `}` and `]`
    pub(crate) closes: u64,
}

/// Brackets and braces differ in this bit alone.
const BRACE: u8 = b'[' ^ b'{';

/// The masks of a block. Those that are not looked at cost nothing.
// What `dispatch!` compiles for each set of instructions must be in one piece.
#[inline(always)]
pub(crate) fn masks<S: Simd>(simd: S, block: &[u8; SIZE]) -> Masks {
    let bytes = u8x64::load_array_ref(simd, block);
    let braces = bytes | BRACE;
    Masks {
        quotes: bytes.simd_eq(b'"').to_bitmask(),
        backslashes: bytes.simd_eq(b'\\').to_bitmask(),
        opens: braces.simd_eq(b'{').to_bitmask(),
        closes: braces.simd_eq(b'}').to_bitmask(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};

    proptest! {
        #[test]
        fn each_byte_has_its_bit(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\{}[]".to_vec())], SIZE)) {
            let block = *bytes.first_chunk::<SIZE>().unwrap();
            let mask = |set: &[u8]| {
                let found = bytes.iter().enumerate().filter(|(_, byte)| set.contains(byte));
                found.map(|(n, _)| 1_u64 << n).sum::<u64>()
            };
            let expected = Masks {
                quotes: mask(b"\""),
                backslashes: mask(b"\\"),
                opens: mask(b"{["),
                closes: mask(b"}]"),
            };
            // What every processor of the kind has, and what this one has.
            for level in [Level::baseline(), Level::new()] {
                let found = dispatch!(level, simd => masks(simd, &block));
                prop_assert_eq!(found, expected, "{:?}", level);
            }
        }
    }
}
