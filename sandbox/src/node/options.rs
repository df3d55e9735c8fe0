//! How a node is set up.

use std::time::Duration;

use super::addresses::PodNetwork;
use super::images::Images;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Name of its Node object.
    pub name: String,
    /// What it runs for which image.
    pub images: Images,
    /// Variables every container gets, unless its image or spec says otherwise. Beyond these and what Kubernetes sets
    /// there are only `PATH` and `HOME`; nothing of this process' own environment is passed on.
    pub env: Vec<(String, String)>,
    /// Where pods get their addresses from.
    pub network: PodNetwork,
    /// Pauses between failing attempts.
    pub back_off: BackOff,
}

impl Default for NodeOptions {
    /// Node `n1` without images, pods in 127.9.0.0/16, a kubelet's pauses.
    fn default() -> NodeOptions {
        NodeOptions {
            name: "n1".to_owned(),
            images: Images::new(),
            env: Vec::new(),
            network: PodNetwork::default(),
            back_off: BackOff::default(),
        }
    }
}

/// Pauses before a container that crashes is restarted, or an image is pulled again: none before the first restart, then
/// `initial`, doubled each time up to `max`. A container that ran for twice `max` starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for BackOff {
    /// 10 s up to 5 min, like a kubelet.
    fn default() -> BackOff {
        BackOff {
            initial: Duration::from_secs(10),
            max: Duration::from_secs(300),
        }
    }
}

/// The pauses of one container.
#[derive(Debug)]
pub(crate) struct Pauses {
    of: BackOff,
    next: Duration,
}

impl Pauses {
    pub(crate) fn new(of: BackOff) -> Pauses {
        Pauses {
            of,
            next: Duration::ZERO,
        }
    }

    /// The pause after a container that ran for so long.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        if ran > self.of.max * 2 {
            self.next = Duration::ZERO;
        }
        let pause = self.next;
        self.next = if pause.is_zero() {
            self.of.initial
        } else {
            (pause * 2).min(self.of.max)
        };
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_a_long_run() {
        let mut pauses = Pauses::new(BackOff::default());
        let short = Duration::from_secs(1);
        let seconds: Vec<u64> = (0..8).map(|_| pauses.after(short).as_secs()).collect();
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pauses.after(Duration::from_secs(601)).as_secs(), 0);
    }
}
