//! Finds the end of a JSON value without looking at what is in it, at the speed of memory rather than of a parser.

use fearless_simd::Simd;

use crate::block::{Masks, SIZE, masks};

/// A value on its way past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    /// A number, `true`, `false` or `null`, up to what cannot be part of it.
    Word,
    /// From its first quote on.
    Text { opened: bool, escaped: bool },
    /// An object or an array.
    Nested {
        /// Objects and arrays that are open.
        depth: u64,
        in_text: bool,
        escaped: bool,
    },
}

impl Passing {
    /// The value that begins with `byte`, of which nothing has passed yet; `None` if no value does.
    pub(crate) fn begin(byte: u8) -> Option<Passing> {
        match byte {
            b'"' => Some(Passing::Text {
                opened: false,
                escaped: false,
            }),
            b'{' | b'[' => Some(Passing::Nested {
                depth: 0,
                in_text: false,
                escaped: false,
            }),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Some(Passing::Word),
            _ => None,
        }
    }

    /// How many of `bytes` belong to the value, and whether it has ended.
    // As `masks`; so is what it calls.
    #[inline(always)]
    pub(crate) fn pass<S: Simd>(&mut self, simd: S, bytes: &[u8]) -> (usize, bool) {
        match self {
            Passing::Word => {
                let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let end = bytes.iter().position(|byte| !part(byte));
                (end.unwrap_or(bytes.len()), end.is_some())
            }
            Passing::Text { opened, escaped } => by_blocks(
                bytes,
                #[inline(always)]
                |block, length| text(masks(simd, block), length, opened, escaped),
            ),
            Passing::Nested {
                depth,
                in_text,
                escaped,
            } => by_blocks(
                bytes,
                #[inline(always)]
                |block, length| nested(masks(simd, block), length, depth, in_text, escaped),
            ),
        }
    }
}

/// Looks for the end of a value. `judge` says where in a block, of which as many bytes as it is told count, that is.
#[inline(always)]
fn by_blocks(
    bytes: &[u8],
    mut judge: impl FnMut(&[u8; SIZE], usize) -> Option<usize>,
) -> (usize, bool) {
    let (blocks, rest) = bytes.as_chunks::<SIZE>();
    for (place, block) in blocks.iter().enumerate() {
        if let Some(end) = judge(block, SIZE) {
            return (place * SIZE + end, true);
        }
    }
    if !rest.is_empty() {
        // Blanks mean nothing anywhere.
        let mut block = [b' '; SIZE];
        if let Some(part) = block.get_mut(..rest.len()) {
            part.copy_from_slice(rest);
        }
        if let Some(end) = judge(&block, rest.len()) {
            return (blocks.len() * SIZE + end, true);
        }
    }
    (bytes.len(), false)
}

#[inline(always)]
fn text(masks: Masks, length: usize, opened: &mut bool, escaped: &mut bool) -> Option<usize> {
    let mut ends = masks.quotes & !after_backslashes(masks.backslashes, length, escaped);
    if !*opened {
        *opened = true;
        ends &= ends.wrapping_sub(1);
    }
    (ends != 0).then(|| ends.trailing_zeros() as usize + 1)
}

#[inline(always)]
fn nested(
    masks: Masks,
    length: usize,
    depth: &mut u64,
    in_text: &mut bool,
    escaped: &mut bool,
) -> Option<usize> {
    let quotes = masks.quotes & !after_backslashes(masks.backslashes, length, escaped);
    let text = between(quotes) ^ if *in_text { u64::MAX } else { 0 };
    *in_text = text >> (SIZE - 1) == 1;
    let (opens, closes) = (masks.opens & !text, masks.closes & !text);
    let closed = u64::from(closes.count_ones());
    if *depth > closed {
        // Whatever their order.
        *depth += u64::from(opens.count_ones());
        *depth -= closed;
        return None;
    }
    let mut left = opens | closes;
    while left != 0 {
        let bit = left & left.wrapping_neg();
        left ^= bit;
        if opens & bit != 0 {
            *depth += 1;
        } else {
            *depth = depth.saturating_sub(1);
            if *depth == 0 {
                return Some(bit.trailing_zeros() as usize + 1);
            }
        }
    }
    None
}

/// The bytes that a backslash before them makes part of the text, backslashes among them: of a row of backslashes, every
/// second one and, after an odd number, what follows. `escaped` is whether the first byte is one, then whether the first
/// of the next block is.
#[inline(always)]
fn after_backslashes(backslashes: u64, length: usize, escaped: &mut bool) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let first = u64::from(*escaped);
    if backslashes == 0 {
        *escaped = false;
        return first;
    }
    // Rows that begin at an even and at an odd place are told apart by where a subtraction's borrow ends.
    let may_escape = backslashes & !first;
    let codes = ((may_escape << 1) | ODD).wrapping_sub(may_escape) ^ ODD;
    *escaped = (codes & backslashes) >> (length - 1) & 1 == 1;
    codes ^ (backslashes | first)
}

/// From each first quote up to its second, which is not included.
#[inline(always)]
fn between(quotes: u64) -> u64 {
    let mask = quotes ^ (quotes << 1);
    let mask = mask ^ (mask << 2);
    let mask = mask ^ (mask << 4);
    let mask = mask ^ (mask << 8);
    let mask = mask ^ (mask << 16);
    mask ^ (mask << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};
    use proptest::prelude::{prop_assert_eq, proptest};

    /// The same with what every processor of the kind has, and with what this one has.
    fn pass(passing: &mut Passing, bytes: &[u8]) -> (usize, bool) {
        let mut plain = *passing;
        let expected = dispatch!(Level::baseline(), simd => plain.pass(simd, bytes));
        let found = dispatch!(Level::new(), simd => passing.pass(simd, bytes));
        assert_eq!((found, *passing), (expected, plain));
        found
    }

    fn whole(text: &str) -> (usize, bool) {
        let bytes = text.as_bytes();
        pass(&mut Passing::begin(bytes[0]).unwrap(), bytes)
    }

    #[test]
    fn values_end_where_json_says() {
        for (value, rest) in [
            ("1", ","),
            ("-1.5e+3", "}"),
            ("null", " "),
            ("true", "]"),
            (r#""""#, r#","a""#),
            (r#""a\"b\\""#, r#",""#),
            (r#""\\\"}]""#, "}"),
            ("{}", "}"),
            ("[]", "]"),
            (r#"{"a":{"b":["}","]"]}}"#, r#","c":1}"#),
            (r#"[[1,2],{"x":"\""}]"#, "]"),
        ] {
            assert_eq!(
                whole(&format!("{value}{rest}")),
                (value.len(), true),
                "{value}"
            );
        }
        assert_eq!(whole(r#"{"a":"#), (5, false));
        for byte in *b"]},:x" {
            assert_eq!(Passing::begin(byte), None);
        }
    }

    /// The same, byte by byte.
    fn reference(bytes: &[u8]) -> (usize, bool) {
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for (n, byte) in bytes.iter().enumerate() {
            match (in_text, byte) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (true, b'"') => in_text = false,
                (true, _) => continue,
                (false, b'"') => in_text = true,
                (false, b'{' | b'[') => depth += 1,
                (false, b'}' | b']') => depth -= 1,
                _ => continue,
            }
            if depth == 0 && !in_text {
                return (n + 1, true);
            }
        }
        (bytes.len(), false)
    }

    proptest! {
        #[test]
        fn the_end_is_found_wherever_the_bytes_are_cut(
            texts in proptest::collection::vec("[ab\"\\\\{}\\[\\]]{0,20}|[a\\\\]{50,80}", 0..12),
            nested: bool,
            cuts in proptest::collection::vec(1_usize..150, 0..40),
        ) {
            let value = match (nested, texts.first()) {
                (false, Some(text)) => serde_json::json!(text),
                _ => serde_json::json!([{"k": texts}, [[]]]),
            };
            let value = value.to_string();
            let bytes = format!("{value},\"next\"]");
            prop_assert_eq!(reference(bytes.as_bytes()), (value.len(), true));
            let mut rest = bytes.as_bytes();
            let mut passing = Passing::begin(rest[0]).unwrap();
            let mut passed = 0;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let piece = &rest[..cut.min(rest.len())];
                let (length, ended) = pass(&mut passing, piece);
                passed += length;
                rest = &rest[length..];
                if ended {
                    break;
                }
                prop_assert_eq!(length, piece.len());
            }
            prop_assert_eq!(passed, value.len());
        }
    }
}
