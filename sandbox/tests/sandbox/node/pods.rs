//! Pods from start to end.

use std::time::Duration;

use sandbox::faults::{Effect, Rule};
use serde_json::{Value, json};

use super::{Cluster, is_alive, is_phase, shell};
use crate::setup::{self, checker_spec, pod};

async fn cluster() -> Cluster {
    Cluster::start(setup::options(1).node).await
}

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap()
}

#[tokio::test]
async fn containers_get_their_environment_and_nothing_else() {
    let mut options = setup::options(1).node;
    options.env = vec![("FROM_NODE".to_owned(), "1".to_owned())];
    options.images = options.images.with(
        "with-env",
        sandbox::node::Image::program([setup::checker()])
            .env("FROM_IMAGE", "image")
            .env("OVERRIDDEN", "image"),
    );
    let cluster = Cluster::start(options).await;
    for (kind, data) in [
        ("Secret", json!({"key": "c2VjcmV0"})),
        ("ConfigMap", json!({"key": "plain", "other": "o"})),
    ] {
        let object = json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": "source", "namespace": "default"}, "data": data,
        });
        setup::create(&cluster.api, &object).await;
    }
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let reference =
        |kind: &str, name: &str| json!({kind: {"name": name, "key": "key", "optional": true}});
    let env = json!([
        {"name": "PLAIN", "value": "a"},
        {"name": "EXPANDED", "value": "$(PLAIN)-$(NONE)-$$(PLAIN)"},
        {"name": "OVERRIDDEN", "value": "spec"},
        {"name": "NAME", "valueFrom": field("metadata.name")},
        {"name": "NAMESPACE", "valueFrom": field("metadata.namespace")},
        {"name": "UID", "valueFrom": field("metadata.uid")},
        {"name": "LABEL", "valueFrom": field("metadata.labels['team']")},
        {"name": "NODE", "valueFrom": field("spec.nodeName")},
        {"name": "IP", "valueFrom": field("status.podIP")},
        {"name": "SECRET", "valueFrom": reference("secretKeyRef", "source")},
        {"name": "CONFIG", "valueFrom": reference("configMapKeyRef", "source")},
        {"name": "ABSENT", "valueFrom": reference("configMapKeyRef", "none")},
    ]);
    let mut env_pod = pod(
        "env",
        json!({
            "restartPolicy": "Never",
            "containers": [{
                "name": "main", "image": "registry/with-env:1", "args": ["env", "print:arg $(NAME) $(NONE)"], "env": env,
                "envFrom": [{"prefix": "CM_", "configMapRef": {"name": "source"}}],
            }],
        }),
    );
    env_pod["metadata"]["labels"] = json!({"team": "blue"});
    let done = cluster.pod(&env_pod, "ends", is_phase("Succeeded")).await;
    let mut seen = cluster.output(&env_pod);
    seen.sort();
    let url = cluster.server.url();
    let port = url.rsplit(':').next().unwrap();
    let (uid, ip) = (
        done["metadata"]["uid"].as_str().unwrap(),
        done["status"]["podIP"].as_str().unwrap(),
    );
    let mut expected: Vec<String> = [
        "FROM_NODE=1",
        "FROM_IMAGE=image",
        "HOME=/",
        "HOSTNAME=env",
        "PLAIN=a",
        "EXPANDED=a-$(NONE)-$(PLAIN)",
        "OVERRIDDEN=spec",
        "NAME=env",
        "NAMESPACE=default",
        "LABEL=blue",
        "NODE=n1",
        "SECRET=secret",
        "CONFIG=plain",
        "CM_key=plain",
        "CM_other=o",
        "KUBERNETES_SERVICE_HOST=127.0.0.1",
        "arg env $(NONE)",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!("KUBERNETES_SERVICE_PORT={port}"),
        format!("UID={uid}"),
        format!("IP={ip}"),
    ])
    .collect();
    expected.sort();
    assert_eq!(seen, expected);
    cluster.stop().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let cluster = cluster().await;
    let container = |extra: Value| {
        let mut container = json!({"name": "main", "image": "none", "command": ["true"]});
        for (key, value) in extra.as_object().unwrap() {
            container[key] = value.clone();
        }
        json!({"restartPolicy": "Never", "containers": [container]})
    };
    let variable = |kind: &str, name: &str, key: &str| json!({"env": [{"name": "A", "valueFrom": {kind: {"name": name, "key": key}}}]});
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "there", "namespace": "default"}, "data": {},
    });
    setup::create(&cluster.api, &object).await;
    for (name, extra, reason, message) in [
        (
            "no-secret",
            variable("secretKeyRef", "x", "k"),
            "CreateContainerConfigError",
            "secrets \"x\" not found",
        ),
        (
            "no-key",
            variable("secretKeyRef", "there", "k"),
            "CreateContainerConfigError",
            "couldn't find key k in Secret default/there",
        ),
        (
            "no-image",
            json!({"command": null}),
            "ErrImagePull",
            "failed to pull and unpack image \"none\"",
        ),
        (
            "no-image-yet",
            json!({"command": null}),
            "ImagePullBackOff",
            "Back-off pulling image \"none\"",
        ),
    ] {
        let pod = pod(name, container(extra));
        let found = cluster
            .pod(&pod, reason, |pod| {
                state(pod)["waiting"]["reason"] == reason
            })
            .await;
        assert!(
            state(&found)["waiting"]["message"]
                .as_str()
                .unwrap()
                .starts_with(message),
            "{found:#}"
        );
        assert_eq!(
            (
                &found["status"]["phase"],
                &condition(&found, "Ready")["status"]
            ),
            (&json!("Pending"), &json!("False"))
        );
    }
    let pod = pod("no-program", container(json!({"command": ["/nowhere"]})));
    let found = cluster.pod(&pod, "fails", is_phase("Failed")).await;
    let ended = &state(&found)["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(128), &json!("StartError"))
    );
    cluster.stop().await;
}

#[tokio::test]
async fn ends_show_in_the_status() {
    let cluster = cluster().await;
    for (script, phase, code, reason) in [
        ("exit 0", "Succeeded", 0, "Completed"),
        ("exit 7", "Failed", 7, "Error"),
        ("kill -9 $$$$", "Failed", 137, "Error"),
    ] {
        let pod = pod(&format!("code-{code}"), shell(script));
        let ended = cluster.pod(&pod, phase, is_phase(phase)).await;
        let terminated = &state(&ended)["terminated"];
        assert_eq!(
            (&terminated["exitCode"], &terminated["reason"]),
            (&json!(code), &json!(reason))
        );
        assert_eq!(condition(&ended, "Ready")["status"], "False");
        assert_eq!(ended["status"]["containerStatuses"][0]["restartCount"], 0);
    }
    let running = cluster
        .pod(
            &pod("runs", shell("sleep 60")),
            "ready",
            is_phase("Running"),
        )
        .await;
    assert_eq!(condition(&running, "Ready")["status"], "True");
    assert_eq!(running["status"]["containerStatuses"][0]["started"], true);
    let two = cluster
        .pod(
            &pod("other", shell("sleep 60")),
            "ready",
            is_phase("Running"),
        )
        .await;
    assert_ne!(running["status"]["podIP"], two["status"]["podIP"]);
    cluster.stop().await;
}

#[tokio::test]
async fn restart_policies() {
    let cluster = cluster().await;
    let with = |name: &str, policy: &str, script: &str| {
        let mut spec = shell(script);
        spec["restartPolicy"] = policy.into();
        pod(name, spec)
    };
    let crashing = with("crashing", "Always", "exit 3");
    let found = cluster
        .pod(&crashing, "backs off", |pod| {
            state(pod)["waiting"]["reason"] == "CrashLoopBackOff"
        })
        .await;
    let status = &found["status"]["containerStatuses"][0];
    assert_eq!(
        (
            &status["lastState"]["terminated"]["exitCode"],
            &found["status"]["phase"]
        ),
        (&json!(3), &json!("Running"))
    );
    let message = state(&found)["waiting"]["message"].as_str().unwrap();
    assert!(
        message.ends_with(&format!(
            "pod=crashing_default({})",
            found["metadata"]["uid"].as_str().unwrap()
        )),
        "{message}"
    );
    cluster
        .until(&crashing, "restarted", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"] == 3
        })
        .await;

    let again = cluster
        .pod(&with("again", "Always", "exit 0"), "restarted", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"].as_u64() >= Some(1)
        })
        .await;
    assert_eq!(
        again["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"],
        "Completed"
    );

    let folder = tempfile::TempDir::new().unwrap();
    let marker = folder.path().join("ran").display().to_string();
    let script = format!("test -e {marker} && exit 0; touch {marker}; exit 1");
    let ended = cluster
        .pod(
            &with("on-failure", "OnFailure", &script),
            "succeeds",
            is_phase("Succeeded"),
        )
        .await;
    assert_eq!(ended["status"]["containerStatuses"][0]["restartCount"], 1);
    cluster.stop().await;
}

#[tokio::test]
async fn init_containers_run_first_and_in_order() {
    let cluster = cluster().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("order").display().to_string();
    let container = |name: &str, script: String| json!({"name": name, "image": "none", "command": ["/bin/sh", "-c", script]});
    let append = |name: &str| container(name, format!("echo {name} >> {file}"));
    let ordered = pod(
        "ordered",
        json!({
            "restartPolicy": "Never",
            "initContainers": [append("one"), append("two")],
            "containers": [append("main")],
        }),
    );
    let done = cluster.pod(&ordered, "ends", is_phase("Succeeded")).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo\nmain\n");
    assert_eq!(condition(&done, "Initialized")["status"], "True");

    let failing = pod(
        "failing",
        json!({
            "restartPolicy": "Never",
            "initContainers": [container("bad", "exit 2".to_owned())],
            "containers": [append("never")],
        }),
    );
    let failed = cluster.pod(&failing, "fails", is_phase("Failed")).await;
    assert_eq!(
        failed["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"],
        2
    );
    assert_eq!(state(&failed)["waiting"]["reason"], "PodInitializing");
    let initialized = condition(&failed, "Initialized");
    assert_eq!(
        initialized["message"],
        "containers with incomplete status: [bad]"
    );
    cluster.stop().await;
}

/// The ids of the shell and of its child, once both have told theirs.
async fn pids(cluster: &Cluster, pod: &Value) -> Vec<String> {
    loop {
        let pids = cluster.output(pod);
        if pids.len() >= 2 {
            assert!(
                pids[..2].iter().all(|pid| pid.parse::<u32>().is_ok()),
                "{pids:?}"
            );
            return pids;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_dead(pids: &[String]) {
    let dead = async {
        while pids.iter().any(|pid| is_alive(pid)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(setup::DEADLINE, dead).await.unwrap();
}

/// In a container's command `$$` stands for `$`.
const FAMILY: &str = "echo $$$$; sleep 300 & echo $!; wait";

#[tokio::test]
async fn a_deleted_pod_is_asked_to_end_and_then_killed() {
    let cluster = cluster().await;
    let polite = pod(
        "polite",
        shell(&format!("trap 'echo bye; exit 0' TERM; {FAMILY}")),
    );
    let stubborn = pod(
        "stubborn",
        shell(&format!("trap '' TERM; {FAMILY}; {FAMILY}")),
    );
    for (pod, last) in [(&polite, Some("bye")), (&stubborn, None)] {
        cluster.pod(pod, "runs", is_phase("Running")).await;
        let pids = pids(&cluster, pod).await;
        assert!(pids[..2].iter().all(|pid| is_alive(pid)));
        cluster.delete(pod).await.unwrap();
        cluster.until(pod, "gone", Value::is_null).await;
        until_dead(&pids[..2]).await;
        if let Some(last) = last {
            assert_eq!(cluster.output(pod).last().map(String::as_str), Some(last));
        }
    }
    cluster.stop().await;
}

#[tokio::test]
async fn processes_end_with_their_pod_object_and_with_the_node() {
    let cluster = cluster().await;
    let vanishing = pod("vanishing", shell(FAMILY));
    cluster.pod(&vanishing, "runs", is_phase("Running")).await;
    let first = pids(&cluster, &vanishing).await;
    cluster
        .api
        .delete_now(&setup::path(&vanishing))
        .await
        .unwrap();
    until_dead(&first).await;

    let staying = pod("staying", shell(FAMILY));
    cluster.pod(&staying, "runs", is_phase("Running")).await;
    let second = pids(&cluster, &staying).await;
    let Cluster { server, api, node } = cluster;
    node.stop().await;
    assert!(
        second.iter().all(|pid| !is_alive(pid)),
        "stop waits for the processes"
    );
    let left = api.get(&setup::path(&staying)).await.unwrap();
    assert_eq!(left["status"]["phase"], "Running");
    server.stop().await;
}

#[tokio::test]
async fn a_pod_that_cannot_be_bound_at_first_still_runs() {
    let cluster = cluster().await;
    let refusal = Rule::refuse(503).resource("pods/binding").times(3);
    let refusal = cluster.server.faults().add(refusal);
    let late = pod("late", shell("exit 0"));
    cluster.pod(&late, "ends", is_phase("Succeeded")).await;
    assert_eq!(cluster.server.faults().strikes(refusal), 3);
    cluster.stop().await;
}

#[tokio::test]
async fn a_node_that_waits_for_an_answer_can_be_stopped() {
    let cluster = cluster().await;
    let delay = Rule::new(Effect::Delay(Duration::from_secs(600))).resource("pods/binding");
    let faults = cluster.server.faults();
    let delay = faults.add(delay);
    setup::create(&cluster.api, &pod("waits", shell("exit 0"))).await;
    let struck = async {
        while faults.strikes(delay) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(setup::DEADLINE, struck).await.unwrap();
    tokio::time::timeout(setup::DEADLINE, cluster.stop())
        .await
        .unwrap();
}

/// What a container leaves behind ends with it, as in a real container.
#[tokio::test]
async fn children_do_not_outlive_their_container() {
    let cluster = cluster().await;
    let leaving = pod("leaving", shell("echo $$$$; sleep 300 & echo $!"));
    cluster.pod(&leaving, "ends", is_phase("Succeeded")).await;
    until_dead(&pids(&cluster, &leaving).await).await;
    cluster.stop().await;
}

#[tokio::test]
async fn pods_follow_their_readiness_probe() {
    let cluster = cluster().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("ready");
    let probe = json!({
        "httpGet": {"path": format!("/file{}", file.display()), "port": "web"}, "periodSeconds": 1, "failureThreshold": 1,
    });
    let mut spec = checker_spec(&["serve:$(IP):8099"]);
    let container = &mut spec["containers"][0];
    container["env"] =
        json!([{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    container["ports"] = json!([{"name": "web", "containerPort": 8099}]);
    container["readinessProbe"] = probe;
    let web = pod("web", spec);
    let starting = cluster.pod(&web, "runs", is_phase("Running")).await;
    assert_eq!(condition(&starting, "Ready")["status"], "False");
    std::fs::write(&file, "").unwrap();
    let ready =
        |status: &'static str| move |pod: &Value| condition(pod, "Ready")["status"] == status;
    cluster.until(&web, "ready", ready("True")).await;
    std::fs::remove_file(&file).unwrap();
    cluster.until(&web, "not ready", ready("False")).await;
    cluster.stop().await;
}
