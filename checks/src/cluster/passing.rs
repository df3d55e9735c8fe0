//! Finds the end of a JSON value without looking at what is in it, at the speed of memory rather than of a parser.

/// A value on its way past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Passing {
    /// A number, `true`, `false` or `null`, up to what cannot be part of it.
    Word,
    /// Text, an object or an array.
    Delimited {
        /// Objects and arrays that are open.
        depth: usize,
        in_text: bool,
        /// The last byte was a backslash.
        escaped: bool,
    },
}

impl Passing {
    /// The value that begins with `byte`, of which nothing has passed yet; `None` if no value does.
    pub(super) fn begin(byte: u8) -> Option<Passing> {
        match byte {
            b'"' | b'{' | b'[' => Some(Passing::Delimited {
                depth: 0,
                in_text: false,
                escaped: false,
            }),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Some(Passing::Word),
            _ => None,
        }
    }

    /// How many of `bytes` belong to the value, and whether it has ended.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        match self {
            Passing::Word => {
                let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let end = bytes.iter().position(|byte| !part(byte));
                (end.unwrap_or(bytes.len()), end.is_some())
            }
            Passing::Delimited {
                depth,
                in_text,
                escaped,
            } => delimited(bytes, depth, in_text, escaped),
        }
    }
}

fn delimited(
    bytes: &[u8],
    depth: &mut usize,
    in_text: &mut bool,
    escaped: &mut bool,
) -> (usize, bool) {
    let mut at = usize::from(*escaped && !bytes.is_empty());
    *escaped &= at == 0;
    loop {
        if *in_text {
            loop {
                at += plain(bytes.get(at..).unwrap_or_default());
                let Some(byte) = bytes.get(at) else {
                    return (bytes.len(), false);
                };
                at += 1;
                if *byte == b'"' {
                    *in_text = false;
                    break;
                }
                // A backslash: what comes after it is no end.
                if at == bytes.len() {
                    *escaped = true;
                    return (at, false);
                }
                at += 1;
            }
            if *depth == 0 {
                return (at, true);
            }
        }
        loop {
            let Some(byte) = bytes.get(at) else {
                return (at, false);
            };
            at += 1;
            match byte {
                b'"' => {
                    *in_text = true;
                    break;
                }
                b'{' | b'[' => *depth += 1,
                b'}' | b']' => {
                    *depth = depth.saturating_sub(1);
                    if *depth == 0 {
                        return (at, true);
                    }
                }
                _ => {}
            }
        }
    }
}

/// How many bytes there are before the first quote or backslash. Eight at a time: the lists of a large cluster have
/// hundreds of megabytes, nearly all of it text.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    // The top bit of each byte that is zero; above such a byte there may be false ones, below it there are none.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found =
            zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return place * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let tail = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    words.len() * 8 + tail.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> (usize, bool) {
        let bytes = text.as_bytes();
        Passing::begin(bytes[0]).unwrap().pass(bytes)
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

    proptest! {
        #[test]
        fn text_is_found_as_byte_by_byte(bytes in proptest::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')], 0..80)) {
            let expected = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(plain(&bytes), expected.unwrap_or(bytes.len()));
        }

        #[test]
        fn the_end_is_found_wherever_the_bytes_are_cut(text in "[a\"\\\\{}\\[\\]]{0,30}", cuts in proptest::collection::vec(1_usize..5, 0..40)) {
            let value = serde_json::json!([{"k": text}]).to_string();
            let bytes = format!("{value},\"next\"]");
            let mut rest = bytes.as_bytes();
            let mut passing = Passing::begin(rest[0]).unwrap();
            let mut passed = 0;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let piece = &rest[..cut.min(rest.len())];
                let (length, ended) = passing.pass(piece);
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
