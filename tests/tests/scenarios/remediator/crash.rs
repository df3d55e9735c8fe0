//! A remediator that is killed between any two of its writes, before the write takes effect or after it, and started
//! again: the workload is changed exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandbox::faults::{Effect, Gate, Rule, When};
use serde_json::{Value, json};

use super::{AGENT, Shop, rolled_out};

/// Clusters at once: each waits most of the time.
const AT_ONCE: usize = 6;

/// What a policy's only step does, and how its effect is told and counted from the workload alone.
#[derive(Clone, Copy, Debug)]
enum Action {
    RestartPods,
    RolloutRestart,
    Scale,
    Rollback,
}

/// The workload before anything was done to it.
struct Before {
    pods: BTreeSet<String>,
    generation: i64,
}

impl Action {
    fn steps(self) -> Value {
        match self {
            Action::RestartPods => json!([{"restartPods": {"pods": "All", "maxPods": 1}}]),
            Action::RolloutRestart => json!([{"rolloutRestart": {}}]),
            Action::Scale => json!([{"scale": {"replicas": 5}}]),
            Action::Rollback => json!([{"rollback": {}}]),
        }
    }

    async fn before(self, shop: &Shop) -> Before {
        if matches!(self, Action::Rollback) {
            shop.roll_out("web", "bad").await;
        }
        Before {
            pods: shop.pods("web").await,
            generation: generation(&shop.deployment("web").await),
        }
    }

    /// How often it has taken effect.
    async fn effects(self, shop: &Shop, before: &Before) -> i64 {
        let deployment = shop.deployment("web").await;
        let changes = generation(&deployment) - before.generation;
        let template = &deployment["spec"]["template"]["metadata"]["annotations"];
        match self {
            Action::RestartPods => {
                assert_eq!(changes, 0);
                let gone = before.pods.difference(&shop.pods("web").await).count();
                i64::try_from(gone).unwrap()
            }
            Action::RolloutRestart => {
                let restarted = template["kubectl.kubernetes.io/restartedAt"].is_string();
                assert_eq!(restarted, changes > 0);
                changes
            }
            Action::Scale => {
                assert_eq!(deployment["spec"]["replicas"] == 5, changes > 0);
                changes
            }
            Action::Rollback => {
                assert_eq!(template["revision"] == "bad", changes == 0);
                changes
            }
        }
    }

    async fn cured(self, shop: &Shop, before: &Before) -> bool {
        self.effects(shop, before).await > 0 && rolled_out(&shop.deployment("web").await)
    }
}

fn generation(deployment: &Value) -> i64 {
    deployment["metadata"]["generation"].as_i64().unwrap()
}

/// The writes of a remediator that count: neither renewals of its lease nor events.
fn counted(rule: Rule) -> Rule {
    let rule = rule.agent(AGENT).writes();
    rule.spare("leases").spare("events")
}

/// Writes that one remediation may have more than another: what a policy's status tells depends on how its check's runs
/// fall.
const MARGIN: u64 = 3;

/// A remediation during which the process is killed at its `nth` write, if `at` says so and there is one. Returns how
/// many writes there were, or, if it was to be killed, whether it was.
async fn remediation(action: Action, at: Option<(u64, When)>) -> u64 {
    let shop = Shop::start().await;
    let before = action.before(&shop).await;
    let policy = json!({"retry": {"cooldownSeconds": 3600}});
    shop.create_policy("web", action.steps(), policy).await;
    let faults = shop.sandbox.api_server().faults();
    let writes = faults.add(counted(Rule::new(Effect::Delay(Duration::ZERO))));
    let gate = Gate::new();
    let held = at.map(|(nth, when)| {
        faults.remove(writes);
        let rule = counted(Rule::hold(&gate)).skip(nth).times(1);
        faults.add(match when {
            When::BeforeCommit => rule,
            When::AfterCommit => rule.after_commit(),
        })
    });
    let is_held = || held.is_some_and(|rule| faults.strikes(rule) > 0);
    let cured = async || action.cured(&shop, &before).await;
    let first = shop.replica("first", &[]);
    let over = async || is_held() || shop.all_over().await;
    shop.run_checks("web", cured, over).await;
    let count = if at.is_some() {
        u64::from(is_held())
    } else {
        faults.strikes(writes)
    };
    if let Some(rule) = held.filter(|_| is_held()) {
        first.kill().await;
        gate.empty().await;
        faults.remove(rule);
        shop.free_lease().await;
        let _second = shop.replica("second", &[]);
        shop.run_checks("web", cured, async || shop.all_over().await)
            .await;
    }
    let records = shop.records().await;
    let story = shop.story().await;
    assert_eq!(
        action.effects(&shop, &before).await,
        1,
        "{action:?} {at:?}: {story}"
    );
    assert_eq!(records.len(), 1, "{action:?} {at:?}: {story}");
    assert_eq!(
        records[0]["status"]["phase"], "Succeeded",
        "{action:?} {at:?}: {story}"
    );
    shop.stop().await;
    count
}

/// A remediation that nothing disturbs tells how many writes there are; then one is killed at each of them.
async fn killed_at_every_write(action: Action) {
    let writes = remediation(action, None).await;
    assert!(writes >= 5, "{action:?}: {writes} writes");
    let cases = (0..writes).flat_map(|nth| {
        [When::BeforeCommit, When::AfterCommit].map(|when| remediation(action, Some((nth, when))))
    });
    let killed: Vec<u64> = stream::iter(cases)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let killed: u64 = killed.into_iter().sum();
    assert!(
        killed + 2 * MARGIN >= 2 * writes,
        "{action:?}: killed at {killed} of {writes} writes, before and after"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_write_an_eviction_happens_once() {
    killed_at_every_write(Action::RestartPods).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_write_a_restart_happens_once() {
    killed_at_every_write(Action::RolloutRestart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_write_scaling_happens_once() {
    killed_at_every_write(Action::Scale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_write_a_rollback_happens_once() {
    killed_at_every_write(Action::Rollback).await;
}
