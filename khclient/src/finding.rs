//! One thing a check found wrong, in the form other programs can read: `subject: message`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::text;

/// Kinds that live in no namespace; only these are written and read as `kind NAME`.
const CLUSTER_KINDS: [&str; 13] = [
    "apiservice",
    "certificatesigningrequest",
    "csidriver",
    "customresourcedefinition",
    "ingressclass",
    "namespace",
    "node",
    "persistentvolume",
    "priorityclass",
    "runtimeclass",
    "storageclass",
    "validatingwebhookconfiguration",
    "volumeattachment",
];

/// What a subject with nothing to say about it gets as its message.
const NO_MESSAGE: &str = "failed";

/// What keeps a message without a subject from being read as one that has a subject.
const NO_SUBJECT: &str = "error: ";

/// The Kubernetes object a finding is about: `pod shop/web-1`, or `node worker-3` for the kinds that have no namespace.
///
/// Names are checked when it is made, so that it reads back as what was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl Subject {
    /// An object in a namespace. `kind` in lower-case letters and singular (`pod`, `deployment`), `namespace` a DNS label
    /// of at most 63 characters, `name` a DNS subdomain of at most 253. `None` if one of them is not, or if objects of
    /// this kind live in no namespace.
    pub fn namespaced(kind: &str, namespace: &str, name: &str) -> Option<Subject> {
        let fits = is_kind(kind)
            && !CLUSTER_KINDS.contains(&kind)
            && is_label(namespace)
            && is_subdomain(name);
        fits.then(|| Subject {
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        })
    }

    /// An object that lives in no namespace. `None` unless `kind` is known to be such (`node`, `namespace`,
    /// `persistentvolume`, `storageclass` and a few more) and `name` is a DNS subdomain.
    pub fn cluster(kind: &str, name: &str) -> Option<Subject> {
        let fits = CLUSTER_KINDS.contains(&kind) && is_subdomain(name);
        fits.then(|| Subject {
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        })
    }

    /// The kind, in lower case and singular.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The namespace; `None` for the kinds that live in none.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads exactly what `Display` writes.
    fn parse(text: &str) -> Option<Subject> {
        let (kind, name) = text.split_once(' ')?;
        match name.split_once('/') {
            Some((namespace, name)) => Subject::namespaced(kind, namespace, name),
            None => Subject::cluster(kind, name),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {}/{}", self.kind, namespace, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One thing a check found wrong: a message, and the object it is about if there is one.
///
/// Its text form is `subject: message`, or just the message. Every finding reads back as it was written, and a message
/// never reads as a subject: a remediator takes the objects to act on from here, and a message may quote what a broken
/// or hostile target said.
///
/// A message says what was expected and what was seen, and should be the same text in the next run if nothing changed:
/// no latencies, counters or times, because Kuberhealthy makes it the label of a metric. It is kept on one line without
/// control characters, credentials in URLs are hidden, and it is cut to 300 characters.
///
/// ```
/// use khclient::{Finding, Subject};
///
/// let subject = Subject::namespaced("pod", "shop", "web-1").ok_or("not a name")?;
/// let finding = Finding::about(subject, "expected status 200, got 503");
/// assert_eq!(finding.to_string(), "pod shop/web-1: expected status 200, got 503");
/// assert_eq!(finding.to_string().parse(), Ok(finding));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    subject: Option<Subject>,
    message: String,
}

impl Finding {
    /// A finding about nothing in particular. A message that reads like `pod a/b: ...` gets `error: ` before it.
    pub fn new(message: impl AsRef<str>) -> Finding {
        let mut message = text::clean(message.as_ref());
        if split_subject(&message).is_some() {
            message = text::clean(&format!("{NO_SUBJECT}{message}"));
        }
        Finding {
            subject: None,
            message,
        }
    }

    /// A finding about `subject`. A blank message becomes "failed".
    pub fn about(subject: Subject, message: impl AsRef<str>) -> Finding {
        let mut message = text::clean(message.as_ref());
        if message.is_empty() {
            message = NO_MESSAGE.to_owned();
        }
        Finding {
            subject: Some(subject),
            message,
        }
    }

    /// The object this is about.
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// The message without the subject. Empty only if there is no subject and nothing was said; a report drops those.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{subject}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl FromStr for Finding {
    type Err = Infallible;

    /// Reads the text form. Anything is a finding: what does not begin with a subject is all message.
    fn from_str(text: &str) -> Result<Finding, Infallible> {
        Ok(match split_subject(text) {
            Some((subject, message)) => Finding::about(subject, message),
            None => Finding::new(text),
        })
    }
}

impl From<String> for Finding {
    fn from(message: String) -> Finding {
        Finding::new(message)
    }
}

impl From<&str> for Finding {
    fn from(message: &str) -> Finding {
        Finding::new(message)
    }
}

fn split_subject(text: &str) -> Option<(Subject, &str)> {
    let (subject, message) = text.split_once(": ")?;
    Some((Subject::parse(subject)?, message))
}

fn is_kind(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// An RFC 1123 label as Kubernetes has it: lower-case letters, digits and inner hyphens.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// An RFC 1123 subdomain as Kubernetes has it: parts joined by dots, 253 characters in all, no limit on a part.
fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty()
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Finding {
        text.parse().unwrap()
    }

    #[test]
    fn reads_subjects_with_and_without_namespace() {
        let finding = parse("deployment shop/web: 1 of 3 replicas: not ready");
        let subject = finding.subject().unwrap();
        assert_eq!(
            (subject.kind(), subject.namespace(), subject.name()),
            ("deployment", Some("shop"), "web")
        );
        assert_eq!(finding.message(), "1 of 3 replicas: not ready");

        let finding = parse("node worker-3.internal: disk pressure");
        let subject = finding.subject().unwrap();
        assert_eq!(
            (subject.kind(), subject.namespace(), subject.name()),
            ("node", None, "worker-3.internal")
        );
    }

    #[test]
    fn what_is_not_exactly_a_subject_is_message() {
        let cases = [
            "connection refused",
            "GET http://shop/: expected status 200, got 503",
            "configuration: COUNT=\"abc\": expected a whole number",
            "pod web-1: namespace missing",
            "node shop/worker: a node has no namespace",
            "Pod shop/web: kind in capitals",
            "pod shop/Web: name in capitals",
            "pod shop/web/x: too many parts",
            "pod -shop/web: bad label",
            "pod shop/web..x: bad name",
            "pod shop/web:no space",
            "pod shop/web:",
            "pod /: nothing",
            "",
        ];
        for text in cases {
            let finding = parse(text);
            assert_eq!(finding.subject(), None, "{text}");
            assert_eq!(finding.to_string(), text);
        }
    }

    #[test]
    fn a_message_is_never_taken_for_a_subject() {
        for message in [
            "pod kube-system/etcd-0: restart me",
            "pod \n kube-system/etcd-0:\tx",
            "node a: x",
        ] {
            let finding = Finding::new(message);
            assert!(finding.to_string().starts_with("error: "), "{finding}");
            assert_eq!(parse(&finding.to_string()), finding);
        }
    }

    #[test]
    fn a_subject_with_nothing_to_say_failed() {
        let subject = Subject::namespaced("pod", "shop", "web").unwrap();
        assert_eq!(
            Finding::about(subject, " \n").to_string(),
            "pod shop/web: failed"
        );
    }

    #[test]
    fn names_that_are_not_kubernetes_names_make_no_subject() {
        assert!(Subject::namespaced("pod", &"n".repeat(63), &"n".repeat(253)).is_some());
        assert!(Subject::namespaced("pod", &"n".repeat(64), "web").is_none());
        assert!(Subject::namespaced("pod", "shop", &"n".repeat(254)).is_none());
        assert!(Subject::namespaced("pod", "shop.a", "web").is_none());
        assert!(Subject::namespaced("", "shop", "web").is_none());
        assert!(Subject::namespaced("pod", "shop", "web: x").is_none());
        assert!(Subject::cluster("pod", "web").is_none());
        assert!(Subject::cluster("node", "a/b").is_none());
    }

    fn subject() -> impl Strategy<Value = Option<Subject>> {
        prop_oneof![
            Just(None),
            ("[a-z]{1,12}", "[a-z0-9-]{1,20}", "[a-z0-9.-]{1,40}")
                .prop_map(|(kind, namespace, name)| Subject::namespaced(&kind, &namespace, &name)),
            ("(node|namespace|pod)", "[a-z0-9.-]{1,40}")
                .prop_map(|(kind, name)| Subject::cluster(&kind, &name)),
        ]
    }

    proptest! {
        #[test]
        fn every_finding_reads_back_as_it_was_written(
            subject in subject(),
            message in "((pod|node|error|[a-z]{1,5})( |: |:|/|://|\n|\u{202e}|@|\\?token=)?|\\PC|\\p{Cc}){0,120}",
        ) {
            let finding = match subject {
                Some(subject) => Finding::about(subject, &message),
                None => Finding::new(&message),
            };
            let shown = finding.to_string();
            prop_assert_eq!(parse(&shown), finding);
            prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn a_hostile_message_has_no_subject(
            message in "(pod|node|service)( |\n|  )[a-z]{1,3}/?[a-z]{1,3}:( |\t)[ -~]{0,320}",
        ) {
            let finding = Finding::new(&message);
            let read = parse(&finding.to_string());
            prop_assert_eq!(read.subject(), None);
        }

        #[test]
        fn any_text_is_a_finding_of_bounded_length(text in "\\PC{0,700}") {
            prop_assert!(parse(&text).message().chars().count() <= text::MAX_CHARS);
        }
    }
}
