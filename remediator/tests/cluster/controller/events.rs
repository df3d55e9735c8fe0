//! Events, and that they say what conditions and metrics say.

use std::time::Duration;

use sandbox::faults::{Effect, Rule};
use serde_json::json;

use super::support::{AGENT, Cluster, next_second};

#[tokio::test]
async fn each_transition_is_told_once_with_the_reason_of_condition_and_metric() {
    let cluster = Cluster::start().await;
    cluster.policy("web", json!({})).await;
    cluster.report("web", &[], 1, 60).await;
    let first = cluster.controller(1);
    cluster.report("web", &["broken"], 2, 5).await;
    cluster.reaches("Applied").await;
    cluster.roll_out("web").await;
    cluster.reaches("Verifying").await;
    next_second().await;
    cluster.report("web", &[], 3, 0).await;
    cluster.reaches("Succeeded").await;
    cluster.tells("Deployment", &["Applied", "Verified"]).await;
    let mut told = ["CheckFailing", "Applied", "Verified", "Recovered"];
    told.sort_unstable();
    cluster
        .until("events on the policy", async || {
            let events = cluster.events("RemediationPolicy").await;
            let mut found: Vec<String> = events.into_iter().map(|(reason, _)| reason).collect();
            found.sort_unstable();
            found == told
        })
        .await;
    let ended =
        "remediations_total{action=\"rolloutRestart\",outcome=\"Succeeded\",mode=\"Enforce\"} 1";
    assert!(cluster.metrics().contains(ended), "{}", cluster.metrics());

    // It fails again at once, and is held. Who leads next tells nothing anew.
    next_second().await;
    cluster.report("web", &["broken"], 1, 0).await;
    let (_, message) = cluster.says("web", "RemediationAllowed", "Cooldown").await;
    let held = |events: Vec<(String, String)>| {
        let mut held = events;
        held.retain(|(reason, _)| reason == "Cooldown");
        held
    };
    cluster
        .until("the event", async || {
            let events = cluster.events("Deployment").await;
            held(events) == [("Cooldown".to_owned(), message.clone())]
        })
        .await;
    let blocked = "remediations_blocked_total{reason=\"Cooldown\"} 1";
    assert!(cluster.metrics().contains(blocked), "{}", cluster.metrics());
    let before = cluster.events("RemediationPolicy").await;
    first.crash().await;
    let _second = cluster.controller(2);
    let others = json!({"mode": "DryRun", "target": {"kind": "Deployment", "name": "none"}});
    cluster.policy("zzz", others).await;
    cluster.says("zzz", "Accepted", "CheckNotFound").await;
    let mut after = cluster.events("RemediationPolicy").await;
    after.retain(|(reason, _)| reason != "CheckNotFound");
    assert_eq!(before, after);
}

#[tokio::test]
async fn an_event_that_cannot_be_written_holds_nothing_up() {
    for effect in [
        Effect::Refuse {
            code: 500,
            retry_after: None,
        },
        Effect::Delay(Duration::from_secs(600)),
    ] {
        let cluster = Cluster::start().await;
        let rule = Rule::new(effect).agent(AGENT).resource("events");
        cluster.server.faults().add(rule);
        cluster.policy("web", json!({})).await;
        cluster.report("web", &["broken"], 1, 5).await;
        let _controller = cluster.controller(1);
        cluster.reaches("Applied").await;
        assert_eq!(cluster.writes(), 1);
    }
}

#[tokio::test]
async fn an_event_whose_answer_was_lost_is_told_once() {
    let cluster = Cluster::start().await;
    let rule = Rule::hang_up().agent(AGENT).resource("events").times(1);
    let lost = cluster.server.faults().add(rule.after_commit());
    cluster.policy("web", json!({"steps": []})).await;
    cluster.report("web", &["broken"], 1, 5).await;
    let _controller = cluster.controller(1);
    cluster
        .until("a second try", async || {
            cluster.server.faults().strikes(lost) == 1 && cluster.count("create", "events") == 2
        })
        .await;
    let events = cluster.events("RemediationPolicy").await;
    assert_eq!(
        events,
        [(
            "CheckFailing".to_owned(),
            "the check fails: broken".to_owned()
        )]
    );
}
