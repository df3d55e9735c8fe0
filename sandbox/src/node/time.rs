//! Times in statuses.

use jiff::Timestamp;

/// Now in RFC 3339, in whole seconds as in all Kubernetes objects.
pub(super) fn now() -> String {
    let now = Timestamp::from_second(Timestamp::now().as_second());
    now.unwrap_or_default().to_string()
}
