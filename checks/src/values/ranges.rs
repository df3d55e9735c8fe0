//! Lists of numbers and ranges of them, such as `200,204,300-399`.

use std::fmt;
use std::ops::RangeInclusive;

/// Numbers, as a list of ranges in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges<N>(Vec<RangeInclusive<N>>);

impl<N: Copy + PartialOrd> Ranges<N> {
    /// Reads parts between commas: `FROM-TO` with both read by `number`, else what `single` makes of it. `None` if a part is
    /// neither, or a range that ends before it begins.
    pub(crate) fn parse(
        text: &str,
        number: impl Fn(&str) -> Option<N>,
        single: impl Fn(&str) -> Option<RangeInclusive<N>>,
    ) -> Option<Ranges<N>> {
        let part = |part: &str| match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (number(from.trim())?, number(to.trim())?);
                (from <= to).then_some(from..=to)
            }
            None => single(part.trim()),
        };
        text.split(',').map(part).collect::<Option<_>>().map(Ranges)
    }

    /// Whether one of the ranges holds `number`.
    pub(crate) fn contains(&self, number: N) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

impl<N: fmt::Display + PartialEq> fmt::Display for Ranges<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (from, to) if from == to => write!(f, "{comma}{from}")?,
                (from, to) => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Ranges<u8>> {
        let number = |text: &str| text.parse::<u8>().ok();
        Ranges::parse(text, number, |text| number(text).map(|n| n..=n))
    }

    #[test]
    fn numbers_and_ranges_are_read_and_shown() {
        let ranges = parse("0, 3,10 - 20,7-7").unwrap();
        for (number, expected) in [
            (0, true),
            (1, false),
            (3, true),
            (7, true),
            (10, true),
            (20, true),
            (21, false),
        ] {
            assert_eq!(ranges.contains(number), expected, "{number}");
        }
        assert_eq!(ranges.to_string(), "0,3,10-20,7");
        for text in ["", ",", "1,", "-1", "1-", "2-1", "1-2-3", "256", "a", "1 2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
