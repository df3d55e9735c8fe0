//! Names with `*` and `?` in them.

use std::str::FromStr;

use crate::values::BadValue;

/// A name in which `*` stands for any characters, none included, and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(String);

impl Glob {
    /// Letters, digits and what else names of objects have.
    fn parse(text: &str) -> Option<Glob> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.*?".contains(c);
        (!text.is_empty() && text.chars().all(allowed)).then(|| Glob(text.to_owned()))
    }

    /// In time that grows with the product of both lengths at most.
    fn matches(&self, name: &str) -> bool {
        let (glob, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut in_glob, mut in_name) = (0, 0);
        // Where the last star is, and what it has taken so far ends.
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match (glob.get(in_glob), star) {
                (Some(b'*'), _) => {
                    star = Some((in_glob, in_name));
                    in_glob += 1;
                }
                (Some(c), _) if *c == b'?' || Some(c) == name.get(in_name) => {
                    in_glob += 1;
                    in_name += 1;
                }
                (_, Some((place, taken))) => {
                    star = Some((place, taken + 1));
                    (in_glob, in_name) = (place + 1, taken + 1);
                }
                _ => return false,
            }
        }
        glob.iter().skip(in_glob).all(|c| *c == b'*')
    }
}

/// A list of namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NamespaceGlobs(Vec<Glob>);

impl NamespaceGlobs {
    pub(super) fn matches(&self, namespace: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(namespace))
    }
}

impl FromStr for NamespaceGlobs {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<NamespaceGlobs, BadValue> {
        let globs = text.split(',').map(|part| Glob::parse(part.trim()));
        globs
            .collect::<Option<_>>()
            .map(NamespaceGlobs)
            .ok_or_else(|| {
                BadValue::expected(
                    "names of namespaces, separated by commas, such as kube-*,monitoring",
                )
            })
    }
}

/// A list of pods, each with or without its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PodGlobs(Vec<(Option<Glob>, Glob)>);

impl PodGlobs {
    pub(super) fn matches(&self, namespace: &str, name: &str) -> bool {
        self.0.iter().any(|(place, glob)| {
            glob.matches(name) && place.as_ref().is_none_or(|place| place.matches(namespace))
        })
    }
}

impl FromStr for PodGlobs {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<PodGlobs, BadValue> {
        let glob = |part: &str| {
            let part = part.trim();
            Some(match part.split_once('/') {
                Some((namespace, name)) => (Some(Glob::parse(namespace)?), Glob::parse(name)?),
                None => (None, Glob::parse(part)?),
            })
        };
        text.split(',')
            .map(glob)
            .collect::<Option<_>>()
            .map(PodGlobs)
            .ok_or_else(|| {
                BadValue::expected(
                    "names of pods, separated by commas, such as import-*,shop/web-?",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (glob, name, expected) in [
            ("web", "web", true),
            ("web", "web-1", false),
            ("web", "my-web", false),
            ("web-*", "web-1", true),
            ("web-*", "web-", true),
            ("web-*", "web", false),
            ("*-web", "my-web", true),
            ("*", "anything", true),
            ("web-?", "web-1", true),
            ("web-?", "web-10", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            (
                "*a*a*a*a*a*b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
            ("web.v1", "web-v1", false),
        ] {
            assert_eq!(
                Glob::parse(glob).unwrap().matches(name),
                expected,
                "{glob} {name}"
            );
        }
    }

    #[test]
    fn pods_may_be_named_with_their_namespace() {
        let globs: PodGlobs = "import-*, shop/web-?,*/x".parse().unwrap();
        for (namespace, name, expected) in [
            ("a", "import-7", true),
            ("shop", "web-1", true),
            ("other", "web-1", false),
            ("other", "x", true),
            ("other", "y", false),
        ] {
            assert_eq!(
                globs.matches(namespace, name),
                expected,
                "{namespace}/{name}"
            );
        }
        let namespaces: NamespaceGlobs = "kube-*, monitoring".parse().unwrap();
        assert!(namespaces.matches("kube-system") && namespaces.matches("monitoring"));
        assert!(!namespaces.matches("shop"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "", ",", "a,", "A", "a b", "a/b/c", "/a", "a/", "^web$", "a|b",
        ] {
            assert!(text.parse::<PodGlobs>().is_err(), "{text}");
            assert!(text.parse::<NamespaceGlobs>().is_err(), "{text}");
        }
        assert!("a/b".parse::<NamespaceGlobs>().is_err());
    }

    proptest! {
        #[test]
        fn as_the_regex_for_it(glob in "[ab*?]{1,8}", name in "[ab]{0,10}") {
            let regex = format!("^{}$", glob.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&regex).unwrap().is_match(&name);
            prop_assert_eq!(Glob::parse(&glob).unwrap().matches(&name), expected);
        }
    }
}
