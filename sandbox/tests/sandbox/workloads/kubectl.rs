//! kubectl's commands for rollouts, if it is installed.

use super::*;
use crate::apiserver::kubectl::Kubectl;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_restarts_undoes_scales_and_waits() {
    let cluster = cluster().await;
    let api = cluster.api();
    let Some(kubectl) = Kubectl::new(cluster.api_server()).await else {
        return;
    };
    setup::create(&api, &web(2)).await;
    let waited = kubectl
        .run(&["rollout", "status", "deployment/web", "--timeout=40s"])
        .await;
    assert!(
        waited.ends_with("deployment \"web\" successfully rolled out\n"),
        "{waited}"
    );
    let restarted = kubectl.run(&["rollout", "restart", "deployment/web"]).await;
    assert_eq!(restarted, "deployment.apps/web restarted\n");
    kubectl
        .run(&["rollout", "status", "deployment/web", "--timeout=40s"])
        .await;
    let history = kubectl.run(&["rollout", "history", "deployment/web"]).await;
    assert!(
        history.contains("\n1 ") && history.contains("\n2 "),
        "{history}"
    );

    assert_eq!(
        kubectl.run(&["rollout", "undo", "deployment/web"]).await,
        "deployment.apps/web rolled back\n"
    );
    kubectl
        .run(&["rollout", "status", "deployment/web", "--timeout=40s"])
        .await;
    let back = rolled_out(&api).await;
    assert_eq!(
        back["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
    assert!(
        back["spec"]["template"]["metadata"]["annotations"].is_null(),
        "{back:#}"
    );

    assert_eq!(
        kubectl
            .run(&["scale", "deployment/web", "--replicas=3"])
            .await,
        "deployment.apps/web scaled\n"
    );
    assert_eq!(rolled_out(&api).await["status"]["availableReplicas"], 3);
    cluster.stop().await;
}
