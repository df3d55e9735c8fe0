//! Autoscalers without metrics.

use sandbox::api::Patch;

use super::*;

const SCALER: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/web";

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_keeps_its_target_within_its_bounds() {
    let cluster = cluster().await;
    let api = cluster.api();
    setup::create(&api, &web(1)).await;
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    });
    let created = setup::create(&api, &scaler).await;
    assert_eq!(created["spec"]["minReplicas"], 1);
    assert_eq!(rolled_out(&api).await["spec"]["replicas"], 1);

    let least = |number: i64| json!({"spec": {"minReplicas": number}});
    let refused = api
        .patch(SCALER, Patch::Merge, &least(3))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(422));
    let status = refused.status().unwrap();
    assert_eq!(
        status.message,
        "HorizontalPodAutoscaler.autoscaling \"web\" is invalid: spec.maxReplicas: Invalid value: 2: must be greater \
         than or equal to `minReplicas`"
    );
    let none = api.patch(SCALER, Patch::Merge, &least(0)).await;
    assert_eq!(none.unwrap_err().code(), Some(422));
    api.patch(SCALER, Patch::Merge, &least(2)).await.unwrap();
    let scaled =
        |replicas: i64| move |deployment: &Value| deployment["spec"]["replicas"] == replicas;
    until(&api, DEPLOYMENT, "scaled up", scaled(2)).await;
    let counted = until(&api, SCALER, "counted", |scaler| {
        scaler["status"]["currentReplicas"] == 2 && scaler["status"]["desiredReplicas"] == 2
    })
    .await;
    let able = &counted["status"]["conditions"][0];
    assert_eq!(
        (&able["type"], &able["status"]),
        (&json!("AbleToScale"), &json!("True"))
    );

    let scale = json!({"spec": {"replicas": 5}});
    api.patch(&format!("{DEPLOYMENT}/scale"), Patch::Merge, &scale)
        .await
        .unwrap();
    until(&api, DEPLOYMENT, "scaled down", scaled(2)).await;
    // A target that was scaled to nothing is not touched.
    let nothing = json!({"spec": {"replicas": 0}});
    api.patch(&format!("{DEPLOYMENT}/scale"), Patch::Merge, &nothing)
        .await
        .unwrap();
    until(&api, SCALER, "stand aside", |scaler| {
        let conditions = scaler["status"]["conditions"].as_array().unwrap();
        conditions
            .iter()
            .any(|condition| condition["reason"] == "ScalingDisabled")
    })
    .await;
    assert_eq!(api.get(DEPLOYMENT).await.unwrap()["spec"]["replicas"], 0);
    cluster.stop().await;
}
