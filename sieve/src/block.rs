//! Where the characters are that structure JSON, 64 bytes at a time.
//!
//! Each mask has bit `n` for byte `n`, so that whole blocks are judged by arithmetic on words instead of by a branch for
//! each byte (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019).

use wide::u8x16;

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

/// The masks of a block.
pub(crate) fn masks(block: &[u8; SIZE]) -> Masks {
    let (quarters, _) = block.as_chunks::<16>();
    let [a, b, c, d] = quarters else {
        return Masks::default();
    };
    let (a, b, c, d) = (quarter(a), quarter(b), quarter(c), quarter(d));
    let whole =
        |part: fn(&Masks) -> u64| part(&a) | part(&b) << 16 | part(&c) << 32 | part(&d) << 48;
    Masks {
        quotes: whole(|part| part.quotes),
        backslashes: whole(|part| part.backslashes),
        opens: whole(|part| part.opens),
        closes: whole(|part| part.closes),
    }
}

// Images are optimised for size, where a compiler calls even this.
#[inline(always)]
fn quarter(bytes: &[u8; 16]) -> Masks {
    let bytes = u8x16::new(*bytes);
    let found =
        |bytes: u8x16, wanted: u8| u64::from(bytes.simd_eq(u8x16::splat(wanted)).to_bitmask());
    let braces = bytes | u8x16::splat(BRACE);
    Masks {
        quotes: found(bytes, b'"'),
        backslashes: found(bytes, b'\\'),
        opens: found(braces, b'{'),
        closes: found(braces, b'}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            prop_assert_eq!(masks(&block), expected);
        }
    }
}
