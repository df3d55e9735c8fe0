//! Pods of a selector.

use super::{NotReady, at_least, holds};
use crate::dependency::item::Minimum;
use crate::dependency::objects::{ContainerStatus, Pod};

/// More pods than a report can name are of no use.
const MOST_NAMED: usize = 20;

/// The pods of a selector, as far as they count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dependency) struct PodTally {
    ready: usize,
    all: usize,
    waiting: Vec<(String, &'static str)>,
}

/// What is wrong with the pods of a selector.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dependency) struct PodsNotReady {
    /// Names of pods that are not ready, and why.
    pub(in crate::dependency) pods: Vec<(String, NotReady)>,
    /// What naming pods does not tell: that there are too few of them.
    pub(in crate::dependency) too_few: Option<NotReady>,
}

impl PodTally {
    /// Adds a pod. One that terminates will not be ready again, one that is done will not be either: neither counts.
    pub(in crate::dependency) fn add(&mut self, pod: Pod) {
        let over = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if over || pod.metadata.deletion_timestamp.is_some() {
            return;
        }
        self.all += 1;
        match why(&pod) {
            None => self.ready += 1,
            Some(why) if self.waiting.len() < MOST_NAMED => {
                self.waiting.push((pod.metadata.name, why))
            }
            Some(_) => {}
        }
    }
}

/// Why a pod is not ready, in words that stay the same while it is restarted again and again.
fn why(pod: &Pod) -> Option<&'static str> {
    let status = &pod.status;
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if holds(conditions, "Ready") == Some(true) {
        return None;
    }
    let containers = [&status.init_container_statuses, &status.container_statuses];
    let mut reasons = containers
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|ContainerStatus { state }| state.waiting.as_ref()?.reason.as_deref());
    // Kubernetes goes to and fro between these two.
    if reasons.any(|reason| matches!(reason, "ErrImagePull" | "ImagePullBackOff")) {
        return Some("its image not pulled");
    }
    if holds(conditions, "PodScheduled") == Some(false) {
        return Some("it not scheduled");
    }
    Some("not ready")
}

/// Enough pods ready. A share is one of those that count.
pub(in crate::dependency) fn pods(tally: PodTally, minimum: Minimum) -> Result<(), PodsNotReady> {
    let needed = minimum.of(tally.all);
    if tally.ready >= needed {
        return Ok(());
    }
    let too_few = (tally.all < needed).then(|| {
        let seen = if tally.all == 0 {
            "no such pod"
        } else {
            "fewer pods"
        };
        NotReady::new(at_least(minimum, "ready", "pod"), seen)
    });
    let mut pods: Vec<_> = tally.waiting;
    pods.sort_unstable();
    let pods = pods
        .into_iter()
        .map(|(name, why)| (name, NotReady::new("it to be ready", why)))
        .collect();
    Err(PodsNotReady { pods, too_few })
}

#[cfg(test)]
mod tests;
