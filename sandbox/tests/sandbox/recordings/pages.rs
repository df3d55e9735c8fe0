//! Status pages, metrics and checker pods against the recorded ones, in their shape.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::Sandbox;
use serde_json::Value;

use crate::setup;

fn fixture(path: &str) -> String {
    let path = format!(
        "{}/tests/fixtures/kuberhealthy/{path}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The keys at the start of lines with this indentation, in order.
fn keys(page: &str, indent: usize) -> Vec<&str> {
    let prefix = " ".repeat(indent);
    let lines = page
        .lines()
        .filter_map(|line| line.strip_prefix(prefix.as_str())?.strip_prefix('"'));
    lines
        .filter_map(|line| Some(line.split_once("\": ")?.0))
        .collect()
}

/// The lines of one check in a page.
fn check<'a>(page: &'a str, name: &str) -> &'a str {
    let from = page
        .find(&format!("\"{name}\": {{"))
        .unwrap_or_else(|| panic!("{name} is not in {page}"));
    let to = page[from..].find("\n    }").unwrap();
    &page[from..from + to]
}

/// HELP and TYPE lines in order, and for each metric the names of its labels in order.
fn metrics(text: &str) -> (Vec<&str>, BTreeMap<&str, BTreeSet<String>>) {
    let (comments, samples): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with('#'));
    let mut labels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let label = regex::Regex::new(r#"([a-z_]+)="[^"]*""#).unwrap();
    for sample in samples {
        let name = sample.split(['{', ' ']).next().unwrap();
        let names: Vec<String> = label
            .captures_iter(sample)
            .map(|found| found[1].to_owned())
            .collect();
        labels.entry(name).or_default().insert(names.join(","));
    }
    (comments, labels)
}

/// The sample lines of some checks with numbers of two digits and more, and uuids and times, taken out.
fn samples<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name))
        .collect()
}

/// The paths of all fields in a JSON value; lists count with their first item.
fn fields(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                fields(value, &format!("{at}.{key}"), into);
            }
        }
        Value::Array(list) => {
            for value in list {
                fields(value, &format!("{at}[]"), into);
            }
        }
        _ => drop(into.insert(at.to_owned())),
    }
}

/// A checker pod has the fields of the recorded one, but for what only its container's command and the real kubelet's
/// fake were responsible for.
fn assert_like_recorded_pod(recorded: &str, pod: &Value) {
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let sets = [&recorded, pod].map(|pod| {
        let mut all = BTreeSet::new();
        fields(&pod["metadata"], "metadata", &mut all);
        fields(&pod["spec"], "spec", &mut all);
        all.retain(|field| {
            !field.contains("containers[].command") && !field.contains("containers[].args")
        });
        all
    });
    assert_eq!(sets[1], sets[0]);
    let names = |pod: &Value| {
        let env = pod["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap()
            .clone();
        env.iter()
            .map(|variable| variable["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(pod), names(&recorded));
    for kind in ["labels", "annotations"] {
        let keys = |pod: &Value| {
            pod["metadata"][kind]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(pod), keys(&recorded));
    }
    let owner = |pod: &Value| {
        let mut owner = pod["metadata"]["ownerReferences"][0].clone();
        for key in ["uid", "name"] {
            assert!(owner[key].is_string(), "{owner}");
            owner[key] = Value::Null;
        }
        owner
    };
    assert_eq!(owner(pod), owner(&recorded));
}

async fn newest_pod(sandbox: &Sandbox, prefix: &str) -> Value {
    let pods = sandbox
        .api()
        .list("/api/v1/namespaces/kuberhealthy/pods")
        .await
        .unwrap()
        .items;
    let named = |pod: &&Value| {
        pod["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with(prefix)
    };
    pods.iter()
        .rfind(named)
        .unwrap_or_else(|| panic!("no pod {prefix}... in {pods:#?}"))
        .clone()
}

pub(crate) async fn v2(sandbox: &Sandbox) {
    let recorded = fixture("v2/status.json");
    let url = sandbox.v2_url();
    let seen = setup::page(&url, |page| {
        page.contains("exits-one") && page.contains("never-reports")
    })
    .await;
    assert_eq!(keys(&seen, 2), keys(&recorded, 2));
    let checks = |page| {
        keys(page, 4)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(checks(&seen), checks(&recorded));
    for name in ["kuberhealthy/http-two", "kuberhealthy/never-reports"] {
        assert_eq!(
            keys(check(&seen, name), 6),
            keys(check(&recorded, name), 6),
            "{name}"
        );
    }
    let page: Value = serde_json::from_str(&seen).unwrap();
    let recorded_page: Value = serde_json::from_str(&recorded).unwrap();
    for key in ["OK", "JobDetails", "CurrentMaster", "Metadata"] {
        assert_eq!(page[key], recorded_page[key], "{key}");
    }
    let execution_error = "Check execution error: kuberhealthy/exits-one: timed out waiting for checker pod to report in";
    assert!(
        page["Errors"]
            .as_array()
            .unwrap()
            .contains(&execution_error.into()),
        "{page:#}"
    );
    let namespaced = setup::page(&format!("{url}/?namespace=,other"), |_| true).await;
    let namespaced: Value = serde_json::from_str(&namespaced).unwrap();
    assert_eq!(
        (&namespaced["OK"], &namespaced["CheckDetails"]),
        (&true.into(), &serde_json::json!({}))
    );

    let recorded = fixture("v2/metrics.txt");
    let seen = setup::page(&format!("{url}/metrics"), |_| true).await;
    assert_eq!(metrics(&seen), metrics(&recorded));
    let failing = |text| {
        let lines = samples(text, "kuberhealthy_check")
            .into_iter()
            .filter(|line| line.contains("exits-one"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(failing(&seen), failing(&recorded));
    assert_like_recorded_pod(
        &fixture("v2/checker-pod.json"),
        &newest_pod(sandbox, "multi-errors-").await,
    );
}

pub(crate) async fn v3(sandbox: &Sandbox) {
    let recorded = fixture("v3/status.json");
    let url = sandbox.v3_url();
    // Between runs, one that reports has no pod; in a run, one that does not has one.
    let seen = setup::page(&format!("{url}/json"), |page| {
        let page: Value = serde_json::from_str(page).unwrap();
        let details = &page["CheckDetails"];
        details["never-reports-v3"]["podName"].is_string()
            && details["multi-errors-v3"]["nextRunUnix"].is_number()
    })
    .await;
    assert_eq!(keys(&seen, 2), keys(&recorded, 2));
    for name in ["never-reports-v3", "multi-errors-v3"] {
        assert_eq!(
            keys(check(&seen, name), 6),
            keys(check(&recorded, name), 6),
            "{name}"
        );
    }
    let page: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(page["OK"], false);
    assert!(
        page["Errors"].as_array().unwrap().contains(&"b".into()),
        "{page:#}"
    );

    let recorded = fixture("v3/metrics.txt");
    let seen = setup::page(&format!("{url}/metrics"), |text| {
        text.contains("reaper_deleted_pods_total{")
    })
    .await;
    assert_eq!(metrics(&seen), metrics(&recorded));
    for metric in [
        "kuberhealthy_check",
        "kuberhealthy_check_consecutive_failures",
    ] {
        let of = |text| {
            let lines = samples(text, metric)
                .into_iter()
                .filter(|line| line.contains("multi-errors"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of(&seen), of(&recorded));
    }
    assert_like_recorded_pod(
        &fixture("v3/checker-pod.json"),
        &newest_pod(sandbox, "multi-errors-v3-").await,
    );
}
