//! Disruption budgets that are counted, not given.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_counted_and_lets_one_pod_go_at_a_time() {
    let cluster = cluster().await;
    let api = cluster.api();
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxUnavailable": "34%", "selector": {"matchLabels": {"app": "web"}}},
    });
    setup::create(&api, &budget).await;
    setup::create(&api, &web(2)).await;
    rolled_out(&api).await;
    let counted = |allowed: i64, healthy: i64| {
        move |budget: &Value| {
            let status = &budget["status"];
            status["disruptionsAllowed"] == allowed && status["currentHealthy"] == healthy
        }
    };
    let found = until(&api, &setup::path(&budget), "counted", counted(1, 2)).await;
    assert_eq!(
        (
            &found["status"]["desiredHealthy"],
            &found["status"]["expectedPods"]
        ),
        (&json!(1), &json!(2))
    );
    assert_eq!(found["status"]["conditions"][0]["reason"], "SufficientPods");

    let pods = items(&api, PODS).await;
    let evict = async |pod: &Value| {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let eviction = json!({"metadata": {"name": name}});
        api.create(&format!("{PODS}/{name}/eviction"), &eviction)
            .await
    };
    evict(&pods[0]).await.unwrap();
    let refused = evict(&pods[1]).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason()),
        (Some(429), "TooManyRequests")
    );
    until(&api, &setup::path(&budget), "healthy again", counted(1, 2)).await;
    evict(&pods[1]).await.unwrap();
    cluster.stop().await;
}
