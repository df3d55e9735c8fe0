//! What this process is called in the lease.

/// The longest part of a name that is kept: with the random one it has at most the 128 bytes that an event's
/// `reportingInstance` may have.
pub(super) const LONGEST: usize = 90;

/// A name that no other process has, past ones included: a lease that was held before a restart is another's.
pub(super) fn unique(given: Option<&str>) -> String {
    let name = given.map_or_else(host, str::to_owned);
    format!("{name}_{}", uuid::Uuid::new_v4())
}

/// The name of the host, which is that of the pod.
fn host() -> String {
    // Linux only; elsewhere the random part has to do.
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let read = read.unwrap_or_default();
    let plain = read.trim().chars().filter(char::is_ascii_graphic);
    let name: String = plain.take(LONGEST).collect();
    if name.is_empty() {
        return "remediator".to_owned();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::unique;

    #[test]
    fn no_two_processes_have_the_same_name() {
        let (one, other) = (unique(Some("web-1")), unique(Some("web-1")));
        assert!(one.starts_with("web-1_") && other.starts_with("web-1_"));
        assert_ne!(one, other);
        assert!(unique(None).len() > 37);
        assert!(unique(Some(&"a".repeat(super::LONGEST))).len() <= 128);
    }
}
