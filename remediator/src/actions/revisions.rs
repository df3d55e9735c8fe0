//! A workload's revisions: ReplicaSets of a Deployment, ControllerRevisions of the others.

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::Api;
use kube::core::{DynamicObject, Selector};
use serde_json::Value;

use super::kinds::{controller, revision_resource};
use super::pages::{self, NotRead};
use crate::core::{Revision, TargetKind};

/// Annotation of a ReplicaSet: its number.
const NUMBER: &str = "deployment.kubernetes.io/revision";

/// Label that a Deployment's controller adds to the template of a ReplicaSet.
const HASH: &str = "pod-template-hash";

/// A revision as it was read.
#[derive(Clone, Debug)]
struct Kept {
    name: String,
    uid: String,
    number: i64,
    created: Option<Timestamp>,
    template: Value,
}

/// Which revision is which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revisions {
    /// UID of the one with the workload's template.
    pub(super) current: Option<String>,
    /// The one before it.
    pub(super) previous: Option<Revision>,
}

/// The revisions of a workload with this pod template.
pub(super) async fn of(
    client: &Client,
    namespace: &str,
    kind: TargetKind,
    uid: &str,
    selector: &Selector,
    template: &Value,
) -> Result<Revisions, NotRead> {
    let api = revisions(client, namespace, kind);
    let fetch = |parameters| {
        let api = api.clone();
        async move { api.list(&parameters).await }
    };
    let take = |object: DynamicObject| {
        let own = controller(&object.metadata) == Some(uid);
        own.then(|| kept(kind, object)).flatten()
    };
    let what = "revisions that its selector finds";
    let kept = pages::all(what, Some(selector), fetch, take).await?;
    Ok(choose(kept, &normal(template.clone())))
}

/// The revisions of workloads of a kind.
pub(super) fn revisions(client: &Client, namespace: &str, kind: TargetKind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &revision_resource(kind))
}

/// The pod template that a revision keeps, as it was before the workload's controller marked it.
pub(super) fn template(kind: TargetKind, revision: &DynamicObject) -> Option<Value> {
    let place = match kind {
        TargetKind::Deployment => "/spec/template",
        // The patch that leads back to it.
        TargetKind::StatefulSet | TargetKind::DaemonSet => "/data/spec/template",
    };
    let mut template = revision.data.pointer(place)?.clone();
    template.as_object_mut()?.remove("$patch");
    if kind == TargetKind::Deployment
        && let Some(labels) = template.pointer_mut("/metadata/labels")
        && let Some(labels) = labels.as_object_mut()
    {
        labels.remove(HASH);
    }
    Some(template)
}

fn kept(kind: TargetKind, object: DynamicObject) -> Option<Kept> {
    let number = match kind {
        TargetKind::Deployment => {
            let annotations = object.metadata.annotations.as_ref()?;
            annotations.get(NUMBER)?.parse().ok()?
        }
        TargetKind::StatefulSet | TargetKind::DaemonSet => object.data.get("revision")?.as_i64()?,
    };
    let template = normal(template(kind, &object)?);
    let metadata = object.metadata;
    Some(Kept {
        name: metadata.name?,
        uid: metadata.uid?,
        number,
        created: metadata.creation_timestamp.map(|time| time.0),
        template,
    })
}

/// A template without what is there in one encoding of it and not in another: nulls, and maps without entries in its
/// metadata.
fn normal(mut template: Value) -> Value {
    drop_nulls(&mut template);
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    template
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// As `kubectl rollout undo` does, the revision with the highest number below the current one; one with the same template
/// would change nothing.
///
/// Several revisions may have one template. The oldest stands for them all, as for a Deployment's controller: their
/// numbers move when one of them is rolled out anew, and which one is meant must not move with them.
fn choose(mut kept: Vec<Kept>, template: &Value) -> Revisions {
    kept.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let eldest = |template: &Value| kept.iter().find(|one| one.template == *template);
    let Some(current) = eldest(template) else {
        return Revisions::default();
    };
    let (same, other): (Vec<&Kept>, Vec<&Kept>) =
        kept.iter().partition(|one| one.template == *template);
    let newest = same.iter().map(|one| one.number).max();
    let below = other.iter().filter(|one| Some(one.number) < newest);
    let previous = below.max_by_key(|one| one.number);
    Revisions {
        current: Some(current.uid.clone()),
        previous: previous.and_then(|one| {
            let eldest = eldest(&one.template)?;
            Some(Revision {
                name: eldest.name.clone(),
                uid: eldest.uid.clone(),
                number: one.number,
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::{Kept, Revisions, choose, kept, normal};
    use crate::core::{Revision, TargetKind};

    fn revision(number: i64, age: i64, image: &str) -> Kept {
        Kept {
            name: format!("web-{number}-{image}"),
            uid: format!("uid-{number}-{image}"),
            number,
            created: Some(k8s_openapi::jiff::Timestamp::from_second(1_000_000 - age).unwrap()),
            template: json!({"image": image}),
        }
    }

    fn previous(number: i64, name: &str) -> Option<Revision> {
        Some(Revision {
            name: format!("web-{name}"),
            uid: format!("uid-{name}"),
            number,
        })
    }

    #[test]
    fn the_previous_revision_is_the_highest_below_the_current_one() {
        type Case<'a> = (
            &'a [(i64, i64, &'a str)],
            &'a str,
            Option<&'a str>,
            Option<Revision>,
        );
        let table: &[Case<'_>] = &[
            (&[], "a", None, None),
            (&[(1, 9, "a")], "a", Some("uid-1-a"), None),
            // The controller has not seen the template yet.
            (&[(1, 9, "a"), (2, 8, "b")], "c", None, None),
            (
                &[(2, 8, "b"), (1, 9, "a")],
                "b",
                Some("uid-2-b"),
                previous(1, "1-a"),
            ),
            (
                &[(1, 9, "a"), (2, 8, "b"), (3, 7, "c")],
                "c",
                Some("uid-3-c"),
                previous(2, "2-b"),
            ),
            // After going back from 2 to 1, which is 3 now.
            (
                &[(3, 9, "a"), (2, 8, "b")],
                "a",
                Some("uid-3-a"),
                previous(2, "2-b"),
            ),
            // Two with one template: the oldest stands for both.
            (
                &[(1, 9, "a"), (3, 7, "a"), (4, 6, "b")],
                "b",
                Some("uid-4-b"),
                previous(3, "1-a"),
            ),
            (&[(1, 9, "a"), (2, 8, "a")], "a", Some("uid-1-a"), None),
            (
                &[(1, 9, "z"), (2, 8, "a"), (3, 7, "a")],
                "a",
                Some("uid-2-a"),
                previous(1, "1-z"),
            ),
        ];
        for (kept, template, current, previous) in table {
            let kept = kept
                .iter()
                .map(|(number, age, image)| revision(*number, *age, image));
            let expected = Revisions {
                current: current.map(str::to_owned),
                previous: previous.clone(),
            };
            let found = choose(kept.collect(), &json!({"image": template}));
            assert_eq!(found, expected, "{template}");
        }
    }

    #[test]
    fn a_template_is_the_same_however_it_is_written() {
        let plain = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"volumes": [{"emptyDir": {}}]}});
        let object = |data: Value| -> DynamicObject { serde_json::from_value(data).unwrap() };
        let set = object(json!({
            "metadata": {"name": "web-1", "uid": "u", "annotations": {"deployment.kubernetes.io/revision": "7"}},
            "spec": {"template": {
                "metadata": {"labels": {"app": "web", "pod-template-hash": "1"}, "annotations": {}, "creationTimestamp": null},
                "spec": {"volumes": [{"emptyDir": {}}]},
            }},
        }));
        let found = kept(TargetKind::Deployment, set).unwrap();
        assert_eq!((found.number, &found.template), (7, &normal(plain.clone())));
        let history = object(json!({
            "metadata": {"name": "web-1", "uid": "u"}, "revision": 3,
            "data": {"spec": {"template": {
                "$patch": "replace", "metadata": {"creationTimestamp": null, "labels": {"app": "web"}},
                "spec": {"volumes": [{"emptyDir": {}}]},
            }}},
        }));
        let found = kept(TargetKind::DaemonSet, history.clone()).unwrap();
        assert_eq!((found.number, found.template), (3, normal(plain)));
        // Without number or template it is none.
        assert!(kept(TargetKind::Deployment, history).is_none());
    }
}
