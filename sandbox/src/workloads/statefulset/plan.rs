//! What a StatefulSet's controller does next. Pure.
//!
//! Follows `updateStatefulSet` in `pkg/controller/statefulset/stateful_set_control.go`, one pod at a time
//! (`maxUnavailable` is not looked at).

/// A pod of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) ordinal: i64,
    /// Is of the template asked for now.
    pub(super) updated: bool,
    /// Has ended for good.
    pub(super) over: bool,
    pub(super) terminating: bool,
    /// Runs, is ready, and has been for long enough.
    pub(super) available: bool,
}

impl Member {
    fn serves(self) -> bool {
        self.available && !self.over && !self.terminating
    }
}

/// What the set asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) replicas: i64,
    /// The first ordinal.
    pub(super) start: i64,
    /// One after the other (`OrderedReady`), or all at once (`Parallel`).
    pub(super) ordered: bool,
    /// Pods below this one, counted from the first, keep their template; `None`: all do (`OnDelete`).
    pub(super) partition: Option<i64>,
}

/// Something to do with the pod of this ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Create(i64),
    Delete(i64),
}

/// What is to be done now; more may follow from what comes of it.
pub(super) fn plan(rules: Rules, members: &[Member]) -> Vec<Act> {
    let wanted = rules.start..rules.start.saturating_add(rules.replicas);
    let find = |ordinal: i64| members.iter().find(|member| member.ordinal == ordinal);
    let mut acts = Vec::new();
    for ordinal in wanted.clone() {
        let blocks = match find(ordinal) {
            None => {
                acts.push(Act::Create(ordinal));
                true
            }
            Some(member) => {
                if member.over && !member.terminating {
                    acts.push(Act::Delete(ordinal));
                }
                !member.serves()
            }
        };
        if blocks && rules.ordered {
            return acts;
        }
    }
    let mut surplus: Vec<Member> = members.to_vec();
    surplus.retain(|member| !wanted.contains(&member.ordinal));
    surplus.sort_by_key(|member| std::cmp::Reverse(member.ordinal));
    // Only the first of those that do not serve may go before the ones above it serve. In this mode all wanted ones do.
    let first_failing = surplus.iter().rev().find(|member| !member.serves());
    for member in &surplus {
        if member.terminating {
            if rules.ordered {
                return acts;
            }
            continue;
        }
        if rules.ordered && !member.serves() && first_failing != Some(member) {
            return acts;
        }
        acts.push(Act::Delete(member.ordinal));
        if rules.ordered {
            return acts;
        }
    }
    let Some(partition) = rules.partition else {
        return acts;
    };
    for ordinal in wanted.rev() {
        if ordinal < rules.start.saturating_add(partition) {
            break;
        }
        match find(ordinal) {
            Some(member) if !member.updated && !member.terminating && !member.over => {
                acts.push(Act::Delete(ordinal));
                break;
            }
            Some(member) if member.serves() => {}
            _ => break,
        }
    }
    acts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pods by letter, from `start`: U updated, o of an older template, f failing (old), F failing (updated), t
    /// terminating, x ended, - missing.
    fn members(start: i64, pods: &str) -> Vec<Member> {
        let ordinals = start..;
        let found = ordinals.zip(pods.chars()).filter(|(_, pod)| *pod != '-');
        let member = |(ordinal, pod)| Member {
            ordinal,
            updated: matches!(pod, 'U' | 'F'),
            over: pod == 'x',
            terminating: pod == 't',
            available: matches!(pod, 'U' | 'o' | 't'),
        };
        found.map(member).collect()
    }

    #[test]
    fn pods_come_go_and_change_in_order() {
        use Act::{Create, Delete};
        for (replicas, start, partition, pods, expected) in [
            (3, 0, Some(0), "", vec![Create(0)]),
            (3, 0, Some(0), "F", vec![]),
            (3, 0, Some(0), "U", vec![Create(1)]),
            (3, 0, Some(0), "UUU", vec![]),
            (3, 0, Some(0), "U-U", vec![Create(1)]),
            // The update begins at the top and waits for each.
            (3, 0, Some(0), "ooo", vec![Delete(2)]),
            (3, 0, Some(0), "oot", vec![]),
            (3, 0, Some(0), "oo-", vec![Create(2)]),
            (3, 0, Some(0), "ooF", vec![]),
            (3, 0, Some(0), "ooU", vec![Delete(1)]),
            (3, 0, Some(2), "ooU", vec![]),
            (3, 0, Some(9), "ooo", vec![]),
            (3, 0, None, "ooo", vec![]),
            // One that failed under the old template holds all up, as it does in Kubernetes.
            (3, 0, Some(0), "off", vec![]),
            (3, 0, Some(0), "oxo", vec![Delete(1)]),
            // Scaling down goes before the update, from the top.
            (1, 0, Some(0), "ooo", vec![Delete(2)]),
            (1, 0, Some(0), "oot", vec![]),
            (1, 0, Some(0), "oof", vec![Delete(2)]),
            (1, 0, Some(0), "off", vec![]),
            (1, 0, Some(0), "foo", vec![]),
            (0, 0, Some(0), "U", vec![Delete(0)]),
            (2, 5, Some(0), "oo", vec![Delete(6)]),
            (2, 5, Some(1), "oU", vec![]),
        ] {
            let rules = Rules {
                replicas,
                start,
                ordered: true,
                partition,
            };
            assert_eq!(
                plan(rules, &members(start, pods)),
                expected,
                "{pods} {rules:?}"
            );
        }
    }

    #[test]
    fn parallel_pods_do_not_wait_for_each_other() {
        use Act::{Create, Delete};
        for (replicas, pods, expected) in [
            (3, "", vec![Create(0), Create(1), Create(2)]),
            (3, "Ft", vec![Create(2)]),
            (1, "UUt", vec![Delete(1)]),
            (1, "FUU", vec![Delete(2), Delete(1)]),
            // The update is still one at a time.
            (3, "ooo", vec![Delete(2)]),
            (3, "oot", vec![]),
            (3, "fff", vec![Delete(2)]),
        ] {
            let rules = Rules {
                replicas,
                start: 0,
                ordered: false,
                partition: Some(0),
            };
            assert_eq!(plan(rules, &members(0, pods)), expected, "{pods} {rules:?}");
        }
    }
}
