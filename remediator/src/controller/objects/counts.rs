//! How many checks fail: what storms are told by. Policies are looked at by the thousand, so what changes rarely is
//! counted rarely.

use std::collections::{BTreeSet, HashSet};

use super::{Check, Objects};
use crate::core::{CheckKey, CheckKind, CheckStatus, ObjectKey, Time};

/// Checks become stale one by one and all at once only when Kuberhealthy is down: counted again after so many seconds.
const STALE: i64 = 5;

/// Checks that policies are triggered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct Counts {
    /// All of them.
    pub(in crate::controller) mapped: u32,
    /// Those that fail or are being remediated.
    pub(in crate::controller) failing: u32,
    /// Those that are stale.
    pub(in crate::controller) stale: u32,
}

/// What was counted last.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Forgotten when policies name other checks or checks come and go.
    all: Option<(Time, u32, u32)>,
    failing: Option<(Time, u32)>,
}

impl Counted {
    pub(super) fn forget(&mut self) {
        *self = Counted::default();
    }
}

impl Objects {
    /// Counts the checks. Failing ones are counted anew if `exactly`, else at most once a second.
    pub(in crate::controller) fn counts(&mut self, now: Time, exactly: bool) -> Counts {
        let (mapped, stale) = match self.counted.all {
            Some((at, mapped, stale)) if (0..STALE).contains(&now.since(at)) => (mapped, stale),
            _ => {
                let (mapped, stale) = self.count_all(now);
                self.counted.all = Some((now, mapped, stale));
                (mapped, stale)
            }
        };
        let failing = match self.counted.failing {
            Some((at, failing)) if at == now && !exactly => failing,
            _ => {
                let failing = self.count_failing();
                self.counted.failing = Some((now, failing));
                failing
            }
        };
        Counts {
            mapped,
            failing,
            stale,
        }
    }

    fn count_all(&self, now: Time) -> (u32, u32) {
        let (mut mapped, mut stale) = (0_u32, 0_u32);
        for (check, policies) in self.policies.triggers() {
            for key in self.triggers_of(check, policies) {
                // That is asked to know whether Kuberhealthy works.
                let is_stale = |check: &Check| {
                    key.kind != CheckKind::Alert && check.status(now) == CheckStatus::Stale
                };
                mapped = mapped.saturating_add(1);
                stale = stale.saturating_add(self.checks.read(&key).is_some_and(is_stale).into());
            }
        }
        (mapped, stale)
    }

    fn count_failing(&self) -> u32 {
        let remediated = self.records.remediated();
        let busy = remediated.into_iter().filter_map(|key| self.spec(key));
        let mut failing: HashSet<CheckKey> = busy
            .flat_map(|spec| self.meant(spec.source, &spec.check))
            .collect();
        for key in self.checks.failing() {
            let check = ObjectKey {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
            };
            let policies = self.policies.triggered_by(&check);
            let mut specs = policies.filter_map(|policy| self.spec(policy));
            if specs.any(|spec| self.meant(spec.source, &spec.check).contains(key)) {
                failing.insert(key.clone());
            }
        }
        u32::try_from(failing.len()).unwrap_or(u32::MAX)
    }

    /// The checks that these policies mean by this name.
    fn triggers_of(&self, check: &ObjectKey, policies: &BTreeSet<ObjectKey>) -> BTreeSet<CheckKey> {
        let specs = policies.iter().filter_map(|key| self.spec(key));
        specs
            .flat_map(|spec| self.meant(spec.source, check))
            .collect()
    }
}
