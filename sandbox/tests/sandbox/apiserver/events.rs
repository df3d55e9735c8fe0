//! Events by both of their names.

use sandbox::api::{Patch, WatchEvent};
use serde_json::{Value, json};

use super::{name, next, start};

const OLD: &str = "/api/v1/namespaces/default/events";
const NEW: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

fn event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
        "regarding": {"kind": "Deployment", "name": "web", "namespace": "default"},
        "note": "restarted", "reason": "Restarted", "action": "Restart", "type": "Normal",
        "eventTime": "2026-11-21T00:00:00.000000Z",
        "reportingController": "kuberhealer.io/remediator", "reportingInstance": "remediator-0",
    })
}

#[tokio::test]
async fn an_event_is_one_object_with_two_names() {
    let (_server, api) = start().await;
    let mut watch = api.watch(OLD, "").await.unwrap();
    let created = api.create(NEW, &event("one")).await.unwrap();
    assert_eq!(
        (&created["apiVersion"], &created["note"]),
        (&json!("events.k8s.io/v1"), &json!("restarted"))
    );
    let old = api.get(&format!("{OLD}/one")).await.unwrap();
    assert_eq!(old["metadata"], created["metadata"]);
    assert_eq!(
        (
            &old["apiVersion"],
            &old["message"],
            &old["involvedObject"],
            &old["reportingComponent"],
        ),
        (
            &json!("v1"),
            &created["note"],
            &created["regarding"],
            &created["reportingController"],
        )
    );
    assert!(old["note"].is_null() && created["message"].is_null());
    let WatchEvent::Added(seen) = next(&mut watch).await else {
        panic!("not added")
    };
    assert_eq!(seen, old);

    // The other way round, and with selectors in the words of each.
    let legacy = json!({
        "metadata": {"name": "two"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "message": "m", "reason": "r", "type": "Warning", "count": 3, "source": {"component": "kubelet"},
    });
    api.create(OLD, &legacy).await.unwrap();
    let shown = api.get(&format!("{NEW}/two")).await.unwrap();
    assert_eq!(
        (
            &shown["deprecatedCount"],
            &shown["deprecatedSource"],
            &shown["note"]
        ),
        (&json!(3), &json!({"component": "kubelet"}), &json!("m"))
    );
    for (path, selector) in [
        (OLD, "involvedObject.kind=Pod"),
        (NEW, "regarding.kind=Pod"),
        (NEW, "type=Warning"),
        (NEW, "reportingController!=kuberhealer.io/remediator"),
    ] {
        let found = api
            .list(&format!("{path}?fieldSelector={selector}"))
            .await
            .unwrap()
            .items;
        assert_eq!(found.len(), 1, "{selector}");
        assert_eq!(name(&found[0]), "two");
    }
    let wrong = format!("{NEW}?fieldSelector=note=m");
    assert_eq!(api.list(&wrong).await.unwrap_err().code(), Some(400));
    let deleted = api.delete(&format!("{NEW}/two")).await.unwrap();
    assert_eq!(deleted["details"]["group"], "events.k8s.io");
    assert!(
        api.get(&format!("{OLD}/two"))
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_new_event_has_to_be_complete() {
    let (_server, api) = start().await;
    for (field, value, cause) in [
        ("eventTime", Value::Null, "eventTime"),
        (
            "reportingController",
            json!("not a name"),
            "reportingController",
        ),
        ("reportingInstance", json!(""), "reportingInstance"),
        ("action", Value::Null, "action"),
        ("reason", json!("r".repeat(129)), "reason"),
        ("note", json!("n".repeat(1025)), "message"),
        ("type", json!("Error"), "type"),
        ("deprecatedCount", json!(1), "count"),
        ("series", json!({"count": 1}), "series.count"),
        ("regarding", json!({"namespace": "other"}), ""),
    ] {
        let mut event = event("one");
        event[field] = value;
        let answer = api.create(NEW, &event).await;
        if cause.is_empty() {
            assert!(answer.is_ok(), "{field}");
            continue;
        }
        let refused = answer.unwrap_err();
        let status = refused.status().unwrap();
        assert_eq!(
            (status.code, &status.details["causes"][0]["field"]),
            (422, &json!(cause)),
            "{status}"
        );
    }
    // By its old name an event without a time is as good as ever, but has to be where its object is.
    let mut elsewhere =
        json!({"metadata": {"name": "two"}, "involvedObject": {"namespace": "other"}});
    let refused = api.create(OLD, &elsewhere).await.unwrap_err();
    let status = refused.status().unwrap();
    assert_eq!(
        status.details["causes"][0]["field"],
        "involvedObject.namespace"
    );
    elsewhere["involvedObject"]["namespace"] = "default".into();
    api.create(OLD, &elsewhere).await.unwrap();
}

#[tokio::test]
async fn of_an_event_only_the_series_changes() {
    let (_server, api) = start().await;
    api.create(NEW, &event("one")).await.unwrap();
    let path = format!("{NEW}/one");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-11-21T00:01:00.000000Z"}});
    let changed = api.patch(&path, Patch::Merge, &series).await.unwrap();
    assert_eq!(changed["series"], series["series"]);
    let note = json!({"note": "something else"});
    let refused = api.patch(&path, Patch::Merge, &note).await.unwrap_err();
    let status = refused.status().unwrap();
    assert_eq!(
        (status.code, &status.details["causes"][0]["field"]),
        (422, &json!("message"))
    );
}

#[tokio::test]
async fn a_recorder_that_is_not_ours_is_understood() {
    use kube::runtime::events::{Event, EventType, Recorder, Reporter};
    let (server, api) = start().await;
    let config = kube::Config::new(server.url().parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    let reporter = Reporter {
        controller: "remediator".to_owned(),
        instance: Some("remediator-0".to_owned()),
    };
    let recorder = Recorder::new(client, reporter);
    let event = Event {
        type_: EventType::Warning,
        reason: "Blocked".to_owned(),
        note: Some("a budget".to_owned()),
        action: "Evict".to_owned(),
        secondary: None,
    };
    let pod = k8s_openapi::api::core::v1::ObjectReference {
        kind: Some("Pod".to_owned()),
        name: Some("web".to_owned()),
        namespace: Some("default".to_owned()),
        uid: Some("u".to_owned()),
        ..Default::default()
    };
    // The second is the first one's series.
    recorder.publish(&event, &pod).await.unwrap();
    recorder.publish(&event, &pod).await.unwrap();
    let found = api.list(OLD).await.unwrap().items;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (&found[0]["message"], &found[0]["series"]["count"]),
        (&json!("a budget"), &json!(2))
    );
}
