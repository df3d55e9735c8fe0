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

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_restarts_and_undoes_sets() {
    let cluster = cluster().await;
    let api = cluster.api();
    let Some(kubectl) = Kubectl::new(cluster.api_server()).await else {
        return;
    };
    for (kind, name, done) in [
        (
            "StatefulSet",
            "statefulset/web",
            "statefulset.apps/web rolled back\n",
        ),
        (
            "DaemonSet",
            "daemonset/web",
            "daemonset.apps/web rolled back\n",
        ),
    ] {
        let created = setup::create(&api, &set(kind, 2)).await;
        let wait = ["rollout", "status", name, "--timeout=40s"];
        kubectl.run(&wait).await;
        kubectl.run(&["rollout", "restart", name]).await;
        kubectl.run(&wait).await;
        let history = kubectl.run(&["rollout", "history", name]).await;
        assert!(
            history.contains("\n1 ") && history.contains("\n2 "),
            "{history}"
        );
        assert_eq!(kubectl.run(&["rollout", "undo", name]).await, done);
        kubectl.run(&wait).await;
        let back = api.get(&setup::path(&created)).await.unwrap();
        assert_eq!(back["spec"]["template"], created["spec"]["template"]);
        let history = kubectl.run(&["rollout", "history", name]).await;
        assert!(
            history.contains("\n2 ") && history.contains("\n3 "),
            "{history}"
        );
        // Left behind, its pods stay as they are; as orphans are not adopted, they are deleted by hand.
        if kind == "DaemonSet" {
            let before = items(&api, PODS).await;
            kubectl.run(&["delete", name, "--cascade=orphan"]).await;
            let after = items(&api, PODS).await;
            let uids = |pods: &[Value]| -> Vec<Value> {
                pods.iter()
                    .map(|pod| pod["metadata"]["uid"].clone())
                    .collect()
            };
            assert_eq!(uids(&after), uids(&before));
            for pod in &after {
                assert!(pod["metadata"]["ownerReferences"].is_null(), "{pod:#}");
            }
            continue;
        }
        // Its pods and revisions go with it.
        kubectl.run(&["delete", name]).await;
        let empty = |list: &Value| list["items"] == json!([]);
        until(&api, PODS, "empty", empty).await;
        let revisions = "/apis/apps/v1/namespaces/default/controllerrevisions";
        until(&api, revisions, "empty", empty).await;
    }
    cluster.stop().await;
}
