//! How many checks fail: what storms are told by. Policies are looked at by the thousand, so what changes rarely is
//! counted rarely.

use std::collections::{BTreeSet, HashSet};

use super::records::count;
use super::{Objects, means};
use crate::core::{CheckKey, CheckKind, CheckStatus, ObjectKey, Time};

/// Checks become stale one by one and all at once only when Kuberhealthy is down: who leads counts them again after so many
/// seconds. Who decides takes a count that is up to three times as old.
pub(in crate::controller) const STALE: u32 = 5;

/// Checks that policies are triggered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct Counts {
    /// All of them that are Kuberhealthy's, and the alerts among those that fail: of the others nobody knows whether
    /// they could fail at all.
    pub(in crate::controller) mapped: u32,
    /// Those that are Kuberhealthy's.
    pub(in crate::controller) checks: u32,
    /// Those that fail or are being remediated, without stale alerts.
    pub(in crate::controller) failing: u32,
    /// Those of Kuberhealthy's that are stale.
    pub(in crate::controller) stale: u32,
}

/// What was counted last.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Kuberhealthy's checks and those of them that are stale. Forgotten when policies name other checks or checks come
    /// and go.
    all: Option<(Time, u32, u32)>,
    /// What fails, and the alerts among that.
    failing: Option<(Time, u32, u32)>,
}

impl Counted {
    pub(super) fn forget(&mut self) {
        *self = Counted::default();
    }
}

impl Objects {
    /// Counts the checks. Failing ones are counted anew if `exactly`, else at most once a second.
    pub(in crate::controller) fn counts(&mut self, now: Time, exactly: bool) -> Counts {
        let (checks, stale) = match self.counted.all {
            Some((at, checks, stale)) if (0..i64::from(3 * STALE)).contains(&now.since(at)) => {
                (checks, stale)
            }
            _ => self.count_stale(now),
        };
        let (failing, alerts) = match self.counted.failing {
            Some((at, failing, alerts)) if at == now && !exactly => (failing, alerts),
            _ => {
                let (failing, alerts) = self.count_failing(now);
                self.counted.failing = Some((now, failing, alerts));
                (failing, alerts)
            }
        };
        Counts {
            mapped: checks.saturating_add(alerts),
            checks,
            failing,
            stale,
        }
    }

    /// Counts all checks and the stale ones. That takes a while where there are thousands, so it is done now and then, and
    /// by who decides only if it was not.
    pub(in crate::controller) fn count_stale(&mut self, now: Time) -> (u32, u32) {
        let (checks, stale) = self.count_all(now);
        self.counted.all = Some((now, checks, stale));
        (checks, stale)
    }

    fn count_all(&self, now: Time) -> (u32, u32) {
        let (mut checks, mut stale) = (0_u32, 0_u32);
        for (check, policies) in self.policies.triggers() {
            for key in self.triggers_of(check, policies) {
                if key.kind == CheckKind::Alert {
                    continue;
                }
                checks = checks.saturating_add(1);
                stale = stale.saturating_add(self.is_stale(&key, now).into());
            }
        }
        (checks, stale)
    }

    fn is_stale(&self, key: &CheckKey, now: Time) -> bool {
        let check = self.checks.read(key);
        check.is_some_and(|check| check.status(now) == CheckStatus::Stale)
    }

    /// How many fail, and how many of those are alerts.
    fn count_failing(&self, now: Time) -> (u32, u32) {
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
            if specs.any(|spec| means(spec.source, key.kind)) {
                failing.insert(key.clone());
            }
        }
        let is_alert = |key: &&CheckKey| key.kind == CheckKind::Alert;
        // One that nobody repeats would hold everything back until somebody resolves it.
        failing.retain(|key| !(is_alert(&key) && self.is_stale(key, now)));
        (
            count(failing.len()),
            count(failing.iter().filter(is_alert).count()),
        )
    }

    /// The checks that these policies mean by this name.
    fn triggers_of(&self, check: &ObjectKey, policies: &BTreeSet<ObjectKey>) -> BTreeSet<CheckKey> {
        let specs = policies.iter().filter_map(|key| self.spec(key));
        specs
            .flat_map(|spec| self.meant(spec.source, check))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::{Objects, Policy};
    use super::Counts;
    use crate::core::{CheckKind, ObjectKey, Time, parse_snapshot};

    fn at(seconds: i64) -> Time {
        Time::from_unix(1_800_000_000 + seconds)
    }

    fn put_policy(objects: &mut Objects, name: &str, trigger: &Value, alerts: &Value) {
        let object = json!({
            "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"trigger": trigger, "target": {"kind": "Deployment", "name": name}},
            "status": {"alerts": alerts},
        });
        let policy = Arc::new(Policy::new(serde_json::from_value(object).unwrap()));
        let key = policy.spec.as_ref().unwrap().key.clone();
        objects.put_policy(&key, policy, at(0));
    }

    /// A policy and its check, which was written so many seconds ago.
    fn put_check(objects: &mut Objects, name: &str, ok: bool, before: i64) {
        let named = json!({"kind": "HealthCheck", "namespace": "shop", "name": name});
        put_policy(objects, name, &json!({"check": named}), &json!([]));
        let last = at(-before).unix();
        let check = json!({
            "metadata": {"namespace": "shop", "name": name, "uid": name},
            "spec": {"runInterval": "60s", "timeout": "10s"},
            "status": {
                "ok": ok, "errors": if ok { json!([]) } else { json!(["broken"]) }, "currentUUID": "",
                "lastRunUnix": last, "lastOKUnix": last, "lastFailureUnix": last,
                "successCount": 1, "failureCount": 1,
            },
        });
        let check = parse_snapshot(CheckKind::HealthCheck, &check, None).unwrap();
        objects.put_check(check, at(0));
    }

    /// A policy and what was received for it: nothing, or an alert so many seconds ago, that fires or is resolved.
    fn put_alert(objects: &mut Objects, name: &str, received: Option<(i64, bool)>) {
        let trigger = json!({"alert": {"matchLabels": {"alertname": "A"}, "staleSeconds": 600}});
        put_policy(objects, name, &trigger, &json!([]));
        let Some((before, fires)) = received else {
            return;
        };
        let policy = objects.policies.values().find(|policy| {
            let spec = policy.spec.as_ref().unwrap();
            &*spec.key.name == name
        });
        let matched = policy
            .unwrap()
            .spec
            .as_ref()
            .unwrap()
            .alert
            .clone()
            .unwrap();
        let mut alert = json!({
            "fingerprint": "0123456789abcdef", "startsAt": at(-before), "receivedAt": at(-before), "count": 1,
            "summary": "slow", "matched": matched.id(),
        });
        if !fires {
            alert["endsAt"] = json!(at(-before));
        }
        objects.policies.remove(&policy_key(name));
        put_policy(objects, name, &trigger, &json!([alert]));
    }

    fn policy_key(name: &str) -> ObjectKey {
        ObjectKey {
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    #[test]
    fn an_alert_counts_while_it_is_known_to_fire() {
        let mut objects = Objects::default();
        put_check(&mut objects, "passes", true, 5);
        put_check(&mut objects, "fails", false, 5);
        put_check(&mut objects, "stale", true, 3600);
        let checks = Counts {
            mapped: 3,
            checks: 3,
            failing: 1,
            stale: 1,
        };
        assert_eq!(objects.counts(at(0), true), checks);
        for (name, received) in [
            ("nothing", None),
            ("resolved", Some((5, false))),
            ("silent", Some((700, true))),
        ] {
            put_alert(&mut objects, name, received);
            assert_eq!(objects.counts(at(0), true), checks, "{name}");
        }
        put_alert(&mut objects, "fires", Some((5, true)));
        let more = Counts {
            mapped: 4,
            failing: 2,
            ..checks
        };
        assert_eq!(objects.counts(at(0), true), more);
        // It is counted as long as it is repeated, and what is counted rarely does not lag behind that.
        assert_eq!(objects.counts(at(4), true), more);
        assert_eq!(objects.counts(at(600), true).mapped, 3);
        put_alert(&mut objects, "nothing", Some((0, true)));
        assert_eq!(objects.counts(at(600), true).failing, 2);
    }
}
