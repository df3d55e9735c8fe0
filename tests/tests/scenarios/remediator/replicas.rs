//! Two replicas and one lease, which changes hands while something is being done.

use std::time::Duration;

use nix::sys::signal::Signal;
use sandbox::faults::{Effect, Rule, When};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{AGENT, LOOK, Shop, rolled_out};

/// Longer than another replica needs to take over and finish, shorter than a test.
const LATE: Duration = Duration::from_secs(20);

async fn restarted(shop: &Shop) -> bool {
    let deployment = shop.deployment("web").await;
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    annotations["kubectl.kubernetes.io/restartedAt"].is_string() && rolled_out(&deployment)
}

/// The leader is stopped, as a machine that hangs, while its write to the workload is under way; the other one takes
/// over and finishes; then the packet arrives, and then the first one goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_arrives_after_the_lease_changed_hands_changes_nothing() {
    for when in [When::BeforeCommit, When::AfterCommit] {
        let shop = Shop::start().await;
        let policy = json!({"retry": {"cooldownSeconds": 3600}});
        shop.create_policy("web", json!([{"rolloutRestart": {}}]), policy)
            .await;
        let generation = shop.deployment("web").await["metadata"]["generation"]
            .as_i64()
            .unwrap();
        let faults = shop.sandbox.api_server().faults();
        let rule = Rule::new(Effect::Delay(LATE))
            .agent(AGENT)
            .writes()
            .resource("deployments")
            .times(1);
        let rule = faults.add(match when {
            When::BeforeCommit => rule,
            When::AfterCommit => rule.after_commit(),
        });
        let first = shop.replica("first", &[]);
        shop.wait_for_leader("first").await;
        let second = shop.replica("second", &[]);
        let sent = Instant::now();
        shop.run_checks("web", async || false, async || faults.strikes(rule) > 0)
            .await;
        first.signal(Signal::SIGSTOP);
        shop.run_checks(
            "web",
            async || restarted(&shop).await,
            async || shop.all_over().await,
        )
        .await;
        assert!(shop.leader().await.starts_with(&second.identity));
        // The one that was stopped is back, with the answer to its write or without.
        first.signal(Signal::SIGCONT);
        while sent.elapsed() < LATE + Duration::from_secs(1) {
            shop.report("web", &[]).await;
            sleep(Duration::from_secs(1)).await;
        }
        let deployment = shop.deployment("web").await;
        let changes = deployment["metadata"]["generation"].as_i64().unwrap() - generation;
        assert_eq!(changes, 1, "{when:?}: {}", shop.story().await);
        assert_eq!(
            shop.records().await.len(),
            1,
            "{when:?}: {}",
            shop.story().await
        );
        drop((first, second));
        shop.stop().await;
    }
}

/// The lease goes from one to the other all the time while remediations go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_wanders_doubles_nothing() {
    let shop = Shop::start().await;
    let policy = json!({"retry": {"cooldownSeconds": 3600}});
    shop.create_policy(
        "web",
        json!([{"restartPods": {"pods": "All", "maxPods": 2}}]),
        policy,
    )
    .await;
    let before = shop.pods("web").await;
    let replicas = [shop.replica("first", &[]), shop.replica("second", &[])];
    let wander = async {
        loop {
            let leader = shop.leader().await;
            if let Some(replica) = replicas
                .iter()
                .find(|replica| leader.starts_with(&replica.identity))
            {
                replica.signal(Signal::SIGSTOP);
                let until = Instant::now() + Duration::from_secs(30);
                while shop.leader().await == leader && Instant::now() < until {
                    sleep(LOOK).await;
                }
                replica.signal(Signal::SIGCONT);
            }
            sleep(LOOK).await;
        }
    };
    let gone = async || before.difference(&shop.pods("web").await).count();
    let cured = async || gone().await == 2 && rolled_out(&shop.deployment("web").await);
    tokio::select! {
        () = shop.run_checks("web", cured, async || shop.all_over().await) => {}
        () = wander => {}
    }
    assert_eq!(gone().await, 2, "{}", shop.story().await);
    let evicted = shop
        .writes()
        .into_iter()
        .filter(|write| write.code == Some(201))
        .count();
    assert_eq!(evicted, 2, "{}", shop.story().await);
    assert_eq!(shop.records().await.len(), 1);
    drop(replicas);
    shop.stop().await;
}
