//! Whether a pod's containers restart too often. Pure: the time is given.
//!
//! What the API tells of a container's restarts is one counter, which begins with the pod, and how and when the container
//! ended the last time. Whether it restarted ten times in the last hour or in the last year cannot be told from one look.
//! So a container fails if it restarted more often than allowed in its life *and* its last end was in the window: it is
//! not known how long it took to get there, but it is known that it has not stopped yet.

use std::cmp::Ordering;
use std::time::Duration;

use khclient::{Finding, Subject};

use super::objects::{ContainerStatus, Pod, Terminated};
use super::time::unix_seconds;
use crate::describe::shorten;
use crate::values::Span;

/// A kubelet forgets how often a container crashed once it ran this long (twice the longest pause, 5 minutes).
const BACK_OFF_FORGOTTEN: i64 = 600;

/// What is too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Restarts that are allowed.
    pub(super) most: u32,
    /// Zero: whenever the last end was.
    pub(super) window: Duration,
}

/// A container that restarted too often. Those that are still at it come first, then by name: an order by counts or times
/// would not be the same in the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    looping: bool,
    pub(super) namespace: String,
    pod: String,
    container: String,
    message: String,
    /// For the log: it changes from run to run.
    pub(super) details: String,
}

impl Trouble {
    fn order(&self) -> (bool, &str, &str, &str) {
        (!self.looping, &self.namespace, &self.pod, &self.container)
    }

    pub(super) fn finding(&self) -> Finding {
        match Subject::namespaced("pod", &self.namespace, &self.pod) {
            Some(subject) => Finding::about(subject, &self.message),
            None => Finding::new(format!("{}/{}: {}", self.namespace, self.pod, self.message)),
        }
    }
}

impl Ord for Trouble {
    fn cmp(&self, other: &Trouble) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Trouble {
    fn partial_cmp(&self, other: &Trouble) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Rule {
    /// The containers of `pod` that restarted too often by now, in seconds since 1970.
    ///
    /// None of a pod that is being deleted or has ended, be it completed, failed or evicted: nothing in it restarts any
    /// more.
    pub(super) fn judge(&self, pod: &Pod, now: i64) -> Vec<Trouble> {
        let ended = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        if ended || pod.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        let init = pod.status.init_container_statuses.iter().map(|status| {
            let sidecar = pod
                .spec
                .init_containers
                .iter()
                .any(|one| one.name == status.name && one.restart_policy == "Always");
            (if sidecar { "sidecar" } else { "init container" }, status)
        });
        let other = pod.status.container_statuses.iter();
        init.chain(other.map(|status| ("container", status)))
            .filter_map(|(kind, status)| self.container(pod, kind, status, now))
            .collect()
    }

    fn container(
        &self,
        pod: &Pod,
        kind: &str,
        status: &ContainerStatus,
        now: i64,
    ) -> Option<Trouble> {
        if status.restart_count <= i64::from(self.most) {
            return None;
        }
        let end = last_end(status);
        let ago = last_time(status, end).map(|time| now - time);
        let backing_off = status
            .state
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.reason == "CrashLoopBackOff");
        let window = i64::try_from(self.window.as_secs()).unwrap_or(i64::MAX);
        // A node's clock may be ahead of ours: the future is recent.
        let recent = ago.is_some_and(|ago| ago <= window);
        // The window is asked first: a container in a loop runs and waits by turns, and the text shall not.
        let when = if window == 0 {
            String::new()
        } else if recent {
            format!(", the last in the past {}", shown(self.window))
        } else if backing_off {
            ", now in CrashLoopBackOff".to_owned()
        } else {
            return None;
        };
        let expected = match self.most {
            0 => "expected no restarts, seen some".to_owned(),
            1 => "expected at most 1 restart, seen more".to_owned(),
            most => format!("expected at most {most} restarts, seen more"),
        };
        let cause = end.map(cause).unwrap_or_default();
        Some(Trouble {
            looping: backing_off || ago.is_some_and(|ago| ago < BACK_OFF_FORGOTTEN),
            namespace: pod.metadata.namespace.clone(),
            pod: pod.metadata.name.clone(),
            container: status.name.clone(),
            message: format!("{kind} {}: {expected}{when}{cause}", status.name),
            details: format!(
                "{}/{}: {kind} {}: {} restarts, last end {}{cause}",
                pod.metadata.namespace,
                pod.metadata.name,
                status.name,
                status.restart_count,
                ago.map_or_else(|| "unknown".to_owned(), |ago| format!("{ago} s ago")),
            ),
        })
    }
}

/// How the container ended the last time. That it has done its work (exit code 0) is told only if there is nothing else.
fn last_end(status: &ContainerStatus) -> Option<&Terminated> {
    let now = status.state.terminated.as_ref();
    let before = status.last_state.terminated.as_ref();
    now.filter(|end| end.exit_code != 0).or(before).or(now)
}

/// When that was; when it was started again, if a kubelet lost sight of the end.
fn last_time(status: &ContainerStatus, end: Option<&Terminated>) -> Option<i64> {
    let started = status.state.running.as_ref();
    let ended = end.and_then(|end| end.finished_at.as_deref());
    ended
        .and_then(unix_seconds)
        .or_else(|| started?.started_at.as_deref().and_then(unix_seconds))
}

fn cause(end: &Terminated) -> String {
    match end.reason.as_str() {
        "" => format!(" (exit code {})", end.exit_code),
        reason => format!(" ({}, exit code {})", shorten(reason, 60), end.exit_code),
    }
}

/// A length of time as it is usually written.
fn shown(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => Span(span).to_string(),
    }
}

#[cfg(test)]
mod tests;
