//! The worst of what was found, however much that is.

use super::judge::Trouble;

/// One more than a report holds, so that it says that more was left out.
const KEPT: usize = 21;

/// Containers that restart too often, in order, and no more of them than can be reported.
#[derive(Debug, Default)]
pub(super) struct Worst(Vec<Trouble>);

impl Worst {
    /// Whether it is, for now, one of the worst.
    pub(super) fn add(&mut self, trouble: Trouble) -> bool {
        let place = match self.0.binary_search(&trouble) {
            // The same container.
            Ok(_) => return false,
            Err(place) => place,
        };
        if place >= KEPT {
            return false;
        }
        self.0.insert(place, trouble);
        self.0.truncate(KEPT);
        true
    }

    /// Forgets what was found in a namespace, or anywhere.
    pub(super) fn forget(&mut self, namespace: Option<&str>) {
        self.0
            .retain(|trouble| namespace.is_some_and(|namespace| trouble.namespace != namespace));
    }

    pub(super) fn all(&self) -> &[Trouble] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::judge::Rule;
    use super::*;

    /// 2026-11-21T03:13:00Z.
    const NOW: i64 = 1_795_230_780;

    fn trouble(namespace: &str, number: u8, looping: bool) -> Trouble {
        let at = if looping { "03:12:00" } else { "02:50:00" };
        let pod = json!({
            "metadata": {"name": format!("web-{number}"), "namespace": namespace},
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "web", "restartCount": 11,
                "lastState": {"terminated": {"exitCode": 1, "finishedAt": format!("2026-11-21T{at}Z")}},
            }]},
        });
        let rule = Rule {
            most: 10,
            window: Duration::from_secs(3600),
        };
        rule.judge(&serde_json::from_value(pod).unwrap(), NOW)
            .remove(0)
    }

    #[test]
    fn a_namespace_can_be_forgotten() {
        let mut worst = Worst::default();
        for (namespace, number) in [("a", 1), ("b", 1), ("a", 2)] {
            assert!(worst.add(trouble(namespace, number, true)));
        }
        assert!(!worst.add(trouble("a", 1, true)));
        worst.forget(Some("a"));
        assert_eq!(worst.all(), [trouble("b", 1, true)]);
        worst.forget(None);
        assert!(worst.all().is_empty());
    }

    proptest! {
        #[test]
        fn the_first_of_all_are_kept(found in proptest::collection::vec((any::<u8>(), any::<bool>()), 0..60)) {
            let mut worst = Worst::default();
            let mut all: Vec<Trouble> = found.iter().map(|(number, looping)| trouble("a", *number, *looping)).collect();
            for trouble in &all {
                worst.add(trouble.clone());
            }
            all.sort();
            all.dedup();
            all.truncate(KEPT);
            prop_assert_eq!(worst.all(), all);
        }
    }
}
