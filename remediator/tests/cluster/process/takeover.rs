//! How a process ends, and what the next one finds.

use std::time::Duration;

use nix::sys::signal::Signal;
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::faults::{Effect, Rule, RuleId};
use serde_json::json;

use super::replica::{AGENT, POLICIES, Replica, holder, install};

async fn cluster() -> (ApiServer, Api) {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    install(&api).await;
    (server, api)
}

#[tokio::test]
async fn a_second_replica_is_ready_and_takes_over_when_the_first_one_ends() {
    let (server, api) = cluster().await;
    let mut first = Replica::start(&server, &["--identity", "first"]);
    first.leads().await;
    let second = Replica::start(&server, &["--identity", "second"]);
    second.answers("/readyz", 200, "ok").await;
    second
        .answers("/metrics", 200, "\nkuberhealer_leader 0\n")
        .await;
    assert!(holder(&api).await.starts_with("first_"));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().await.code(), Some(0));
    second.leads().await;
    assert!(holder(&api).await.starts_with("second_"));
}

/// Waits until a request meets the fault.
async fn struck(server: &ApiServer, rule: RuleId) {
    for _ in 0..6000 {
        if server.faults().strikes(rule) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing met the fault: {:#?}", server.requests());
}

async fn policy(api: &Api) {
    let policy = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "metadata": {"name": "web"},
        "spec": {
            "trigger": {"check": {"namespace": "default", "name": "web"}},
            "target": {"kind": "Deployment", "name": "web"},
            "steps": [{"rolloutRestart": {}}],
        },
    });
    api.create(POLICIES, &policy).await.unwrap();
}

#[tokio::test]
async fn a_write_under_way_ends_before_the_lease_is_given_up() {
    let (server, api) = cluster().await;
    let mut replica = Replica::start(&server, &[]);
    replica.leads().await;
    // Long enough that it is under way when the signal comes, and less than what a write may take.
    let slow = Rule::new(Effect::Delay(Duration::from_secs(2)));
    let slow = slow
        .agent(AGENT)
        .verb("update")
        .resource("remediationpolicies/status");
    let slow = server.faults().add(slow.times(1));
    policy(&api).await;
    struck(&server, slow).await;
    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.ended().await.code(), Some(0));
    assert_eq!(holder(&api).await, "", "given up");
    let requests = server.requests();
    let last = |resource: &str| {
        let of = |r: &sandbox::apiserver::Request| {
            r.agent == AGENT && r.verb == "update" && r.resource == resource
        };
        requests.iter().rposition(of)
    };
    let (status, lease) = (last("remediationpolicies/status"), last("leases"));
    assert!(status.is_some() && status < lease, "{status:?} {lease:?}");
    let written = api.get(&format!("{POLICIES}/web")).await.unwrap();
    assert!(written["status"]["conditions"].is_array(), "{written:#}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (server, api) = cluster().await;
    // Requests for such a lease may take 80 seconds, so that giving it up is still tried when the signal comes.
    let mut replica = Replica::start(&server, &["--lease-seconds", "300"]);
    replica.leads().await;
    let never = Rule::new(Effect::Delay(Duration::from_secs(3600)));
    let never = server.faults().add(never.agent(AGENT).resource("leases"));
    replica.signal(Signal::SIGTERM);
    struck(&server, never).await;
    replica.answers("/readyz", 503, "shutting down").await;
    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.ended().await.code(), Some(143));
    assert_eq!(
        holder(&api).await,
        replica.identity().await,
        "it ends by itself"
    );
}
