//! Creating, changing, deleting and listing objects.

use http::Method;
use sandbox::api::{ApiError, Patch};
use sandbox::apiserver::ApiServerOptions;
use serde_json::{Value, json};

use super::{CONFIGMAPS, PODS, configmap, name, pod, start, start_with, version};

fn reason(error: ApiError) -> String {
    format!("{} {}", error.code().unwrap_or(0), error.reason())
}

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let (_server, api) = start().await;
    let created = api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    assert_eq!(created["metadata"]["namespace"], "default");
    assert!(
        created["metadata"]["uid"].is_string()
            && created["metadata"]["creationTimestamp"].is_string()
    );
    assert!(created["metadata"]["generation"].is_null());
    let path = format!("{CONFIGMAPS}/a");
    assert_eq!(api.get(&path).await.unwrap(), created);

    let mut changed = created.clone();
    changed["data"]["a"] = json!("2");
    changed["metadata"]["creationTimestamp"] = json!("2000-01-01T00:00:00Z");
    let replaced = api.replace(&path, &changed).await.unwrap();
    assert!(version(&replaced) > version(&created));
    assert_eq!(
        replaced["metadata"]["creationTimestamp"],
        created["metadata"]["creationTimestamp"]
    );
    // The same content again is no change, an old version a conflict.
    assert_eq!(api.replace(&path, &replaced).await.unwrap(), replaced);
    assert!(
        api.replace(&path, &changed)
            .await
            .unwrap_err()
            .is_conflict()
    );

    let gone = api.delete(&path).await.unwrap();
    assert_eq!(
        (&gone["status"], &gone["details"]["uid"]),
        (&json!("Success"), &created["metadata"]["uid"])
    );
    assert!(api.get(&path).await.unwrap_err().is_not_found());
    assert!(api.delete(&path).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn names_are_generated_and_checked() {
    let (_server, api) = start().await;
    let generated = json!({"metadata": {"generateName": "web-"}, "data": {}});
    let first = api.create(CONFIGMAPS, &generated).await.unwrap();
    let second = api.create(CONFIGMAPS, &generated).await.unwrap();
    assert!(
        name(&first).starts_with("web-")
            && name(&first).len() == 9
            && name(&first) != name(&second)
    );
    for (object, expected) in [
        (json!({"metadata": {}}), "422 Invalid"),
        (json!({"metadata": {"name": "Not_Valid"}}), "422 Invalid"),
        (
            json!({"metadata": {"name": "x", "namespace": "other"}}),
            "400 BadRequest",
        ),
        (
            json!({"metadata": {"name": "x", "resourceVersion": "5"}}),
            "400 BadRequest",
        ),
        (
            json!({"metadata": {"name": "x", "labels": {"a": 1}}}),
            "400 BadRequest",
        ),
        (
            json!({"kind": "Secret", "metadata": {"name": "x"}}),
            "400 BadRequest",
        ),
        (json!([]), "400 BadRequest"),
    ] {
        let refused = api.create(CONFIGMAPS, &object).await.unwrap_err();
        assert_eq!(reason(refused), expected, "{object}");
    }
    let missing = api
        .create("/api/v1/namespaces/none/configmaps", &configmap("a", "1"))
        .await;
    assert_eq!(
        missing.unwrap_err().status().unwrap().message,
        "namespaces \"none\" not found"
    );
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let (_server, api) = start().await;
    let mut deployment = json!({
        "metadata": {"name": "web"}, "spec": {"replicas": 1, "template": {"metadata": {}}}, "status": {"replicas": 9},
    });
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let created = api.create(path, &deployment).await.unwrap();
    assert_eq!(
        (&created["metadata"]["generation"], &created["status"]),
        (&json!(1), &Value::Null)
    );

    let path = format!("{path}/web");
    deployment["spec"]["replicas"] = json!(2);
    deployment["status"] = json!({"replicas": 2});
    let status = api
        .replace(&format!("{path}/status"), &deployment)
        .await
        .unwrap();
    assert_eq!(
        (&status["spec"]["replicas"], &status["status"]["replicas"]),
        (&json!(1), &json!(2))
    );
    deployment["status"] = json!({"replicas": 7});
    let spec = api.replace(&path, &deployment).await.unwrap();
    assert_eq!(
        (&spec["spec"]["replicas"], &spec["status"]["replicas"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (
            &status["metadata"]["generation"],
            &spec["metadata"]["generation"]
        ),
        (&json!(1), &json!(2))
    );
    let labelled = api
        .patch(
            &path,
            Patch::Merge,
            &json!({"metadata": {"labels": {"a": "b"}}}),
        )
        .await
        .unwrap();
    assert_eq!(labelled["metadata"]["generation"], 2);
}

#[tokio::test]
async fn patches_of_each_kind_change_what_they_say() {
    let (_server, api) = start().await;
    api.create(PODS, &pod("p")).await.unwrap();
    let path = format!("{PODS}/p");
    let image = |pod: &Value| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let strategic = json!({"spec": {"containers": [{"name": "main", "image": "two"}]}});
    let patched = api
        .patch(&path, Patch::Strategic, &strategic)
        .await
        .unwrap();
    assert_eq!(
        (
            image(&patched),
            name(&patched["spec"]["containers"][0]).is_empty()
        ),
        ("two".to_owned(), true)
    );
    assert_eq!(
        patched["spec"]["containers"][0]["terminationMessagePolicy"],
        "File"
    );
    let operations =
        json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "three"}]);
    assert_eq!(
        image(&api.patch(&path, Patch::Json, &operations).await.unwrap()),
        "three"
    );
    let failing = json!([{"op": "test", "path": "/metadata/name", "value": "other"}]);
    assert_eq!(
        reason(api.patch(&path, Patch::Json, &failing).await.unwrap_err()),
        "422 Invalid"
    );
    let merge = json!({"metadata": {"labels": {"app": null, "b": "1"}}});
    let merged = api.patch(&path, Patch::Merge, &merge).await.unwrap();
    assert_eq!(merged["metadata"]["labels"], json!({"b": "1"}));
    let status = json!({"status": {"phase": "Running"}, "metadata": {"labels": {"c": "1"}}});
    let status = api
        .patch(&format!("{path}/status"), Patch::Merge, &status)
        .await
        .unwrap();
    assert_eq!(
        (&status["status"]["phase"], &status["metadata"]["labels"]),
        (&json!("Running"), &json!({"b": "1"}))
    );

    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "1"}});
    let path = format!("{CONFIGMAPS}/new");
    let created = api
        .patch(&path, Patch::Apply("test"), &applied)
        .await
        .unwrap();
    let again = api
        .patch(&path, Patch::Apply("test"), &applied)
        .await
        .unwrap();
    assert_eq!(created, again);
    assert_eq!(
        reason(
            api.patch(&format!("{CONFIGMAPS}/none"), Patch::Merge, &json!({}))
                .await
                .unwrap_err()
        ),
        "404 NotFound"
    );
}

#[tokio::test]
async fn a_dry_run_answers_and_writes_nothing() {
    let (_server, api) = start().await;
    let before = api.list(CONFIGMAPS).await.unwrap();
    let created = api
        .create(&format!("{CONFIGMAPS}?dryRun=All"), &configmap("a", "1"))
        .await
        .unwrap();
    assert_eq!(name(&created), "a");
    assert_eq!(api.list(CONFIGMAPS).await.unwrap(), before);
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    api.delete(&format!("{CONFIGMAPS}/a?dryRun=All"))
        .await
        .unwrap();
    assert!(api.get(&format!("{CONFIGMAPS}/a")).await.is_ok());
}

#[tokio::test]
async fn a_running_pod_goes_when_its_node_says_so() {
    let (_server, api) = start().await;
    let path = format!("{PODS}/p");
    // Not placed on a node: gone at once.
    api.create(PODS, &pod("p")).await.unwrap();
    api.delete(&path).await.unwrap();
    assert!(api.get(&path).await.unwrap_err().is_not_found());

    api.create(PODS, &pod("p")).await.unwrap();
    let binding = json!({"target": {"kind": "Node", "name": "n1"}});
    api.create(&format!("{path}/binding"), &binding)
        .await
        .unwrap();
    assert!(
        api.create(&format!("{path}/binding"), &binding)
            .await
            .unwrap_err()
            .is_conflict()
    );
    let terminating = api.delete(&path).await.unwrap();
    assert_eq!(terminating["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(terminating["metadata"]["deletionTimestamp"].is_string());
    // Asking again changes nothing; a shorter grace period counts.
    assert_eq!(api.delete(&path).await.unwrap(), terminating);
    let shorter = api
        .delete(&format!("{path}?gracePeriodSeconds=5"))
        .await
        .unwrap();
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    api.delete_now(&path).await.unwrap();
    assert!(api.get(&path).await.unwrap_err().is_not_found());

    // One that is over needs no grace.
    api.create(PODS, &pod("p")).await.unwrap();
    api.create(&format!("{path}/binding"), &binding)
        .await
        .unwrap();
    let over = json!({"status": {"phase": "Succeeded"}});
    api.patch(&format!("{path}/status"), Patch::Merge, &over)
        .await
        .unwrap();
    api.delete(&path).await.unwrap();
    assert!(api.get(&path).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_finalizer_holds_an_object_back() {
    let (_server, api) = start().await;
    let mut object = configmap("a", "1");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.create(CONFIGMAPS, &object).await.unwrap();
    let path = format!("{CONFIGMAPS}/a");
    let held = api.delete(&path).await.unwrap();
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(api.get(&path).await.unwrap(), held);
    let release = json!({"metadata": {"finalizers": null}});
    api.patch(&path, Patch::Merge, &release).await.unwrap();
    assert!(api.get(&path).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_namespace_takes_its_objects_with_it() {
    let (_server, api) = start().await;
    let namespace = json!({"metadata": {"name": "shop"}});
    api.create("/api/v1/namespaces", &namespace).await.unwrap();
    let pods = "/api/v1/namespaces/shop/pods";
    api.create(pods, &pod("p")).await.unwrap();
    let binding = json!({"target": {"name": "n1"}});
    api.create(&format!("{pods}/p/binding"), &binding)
        .await
        .unwrap();
    api.create("/api/v1/namespaces/shop/configmaps", &configmap("a", "1"))
        .await
        .unwrap();

    let terminating = api.delete("/api/v1/namespaces/shop").await.unwrap();
    assert_eq!(terminating["status"]["phase"], "Terminating");
    assert!(
        api.get("/api/v1/namespaces/shop/configmaps/a")
            .await
            .unwrap_err()
            .is_not_found()
    );
    let late = api.create(pods, &pod("late")).await.unwrap_err();
    assert_eq!(reason(late), "403 Forbidden");
    // A write does not end it while something is left in it.
    let label = json!({"metadata": {"labels": {"team": "blue"}}});
    api.patch("/api/v1/namespaces/shop", Patch::Merge, &label)
        .await
        .unwrap();
    api.get("/api/v1/namespaces/shop").await.unwrap();
    api.delete_now(&format!("{pods}/p")).await.unwrap();
    assert!(
        api.get("/api/v1/namespaces/shop")
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn lists_are_paged_at_one_version() {
    let (server, api) = start().await;
    for at in 0..5 {
        api.create(CONFIGMAPS, &configmap(&format!("c{at}"), "1"))
            .await
            .unwrap();
    }
    let first = api.get("/api/v1/configmaps?limit=2").await.unwrap();
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    // What happens between the pages is not seen on them.
    api.delete(&format!("{CONFIGMAPS}/c3")).await.unwrap();
    api.create(CONFIGMAPS, &configmap("c9", "1")).await.unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = api
        .get(&format!("/api/v1/configmaps?limit=9&continue={token}"))
        .await
        .unwrap();
    let names: Vec<&str> = rest["items"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(names, ["c2", "c3", "c4"]);
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );

    server.compact();
    let expired = api
        .get(&format!("/api/v1/configmaps?continue={token}"))
        .await
        .unwrap_err();
    let status = expired.status().unwrap();
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    let fresh = status.continue_token.as_deref().unwrap();
    let rest = api
        .get(&format!("/api/v1/configmaps?continue={fresh}"))
        .await
        .unwrap();
    let names: Vec<&str> = rest["items"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(names, ["c2", "c4", "c9"]);
}

#[tokio::test]
async fn versions_asked_for_are_honoured() {
    let (_server, api) = start().await;
    let first = api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    let exact = format!(
        "{CONFIGMAPS}?resourceVersion={}&resourceVersionMatch=Exact",
        version(&first)
    );
    assert_eq!(
        api.get(&exact).await.unwrap()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        api.list(&format!("{CONFIGMAPS}?resourceVersion=0"))
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    let future = api
        .get(&format!("{CONFIGMAPS}?resourceVersion=99999999"))
        .await
        .unwrap_err();
    assert_eq!(reason(future), "504 Timeout");
    let nonsense = api
        .get(&format!("{CONFIGMAPS}?resourceVersion=x"))
        .await
        .unwrap_err();
    assert_eq!(reason(nonsense), "400 BadRequest");
}

#[tokio::test]
async fn selectors_choose_what_is_listed_and_deleted() {
    let (_server, api) = start().await;
    for (name, app) in [("a", "web"), ("b", "web"), ("c", "api")] {
        let mut pod = pod(name);
        pod["metadata"]["labels"]["app"] = json!(app);
        api.create(PODS, &pod).await.unwrap();
    }
    let names = async |query: &str| {
        let list = api.list(&format!("/api/v1/pods?{query}")).await.unwrap();
        list.items
            .iter()
            .map(|pod| name(pod).to_owned())
            .collect::<String>()
    };
    assert_eq!(names("labelSelector=app%3Dweb").await, "ab");
    assert_eq!(names("labelSelector=app+notin+(web)").await, "c");
    assert_eq!(names("fieldSelector=metadata.name%3Db").await, "b");
    assert_eq!(
        names("fieldSelector=spec.nodeName%3D,status.phase%3DPending&labelSelector=app").await,
        "abc"
    );
    let unknown = api
        .get("/api/v1/pods?fieldSelector=spec.x%3D1")
        .await
        .unwrap_err();
    assert_eq!(reason(unknown), "400 BadRequest");
    api.delete(&format!("{PODS}?labelSelector=app%3Dweb"))
        .await
        .unwrap();
    assert_eq!(names("").await, "c");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused() {
    let options = ApiServerOptions {
        max_objects: 6,
        ..ApiServerOptions::default()
    };
    let (server, api) = start_with(options).await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let mut wrong = api.get(&format!("{CONFIGMAPS}/a")).await.unwrap();
    wrong["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    let refused = api
        .replace(&format!("{CONFIGMAPS}/a"), &wrong)
        .await
        .unwrap_err();
    assert_eq!(reason(refused), "409 Conflict");
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    let full = api
        .create(CONFIGMAPS, &configmap("c", "1"))
        .await
        .unwrap_err();
    assert_eq!(reason(full), "500 InternalError");

    for (method, path, body, expected) in [
        (
            Method::POST,
            "/api/v1/namespaces/default/configmaps/a",
            "{}",
            405,
        ),
        (
            Method::PUT,
            "/api/v1/namespaces/default/configmaps",
            "{}",
            405,
        ),
        (
            Method::POST,
            "/api/v1/namespaces/default/configmaps",
            "{",
            400,
        ),
        (Method::GET, "/api/v1/configmaps/a", "", 404),
        (Method::GET, "/api/v1/namespaces/default/nodes", "", 404),
        (
            Method::GET,
            "/api/v1/namespaces/default/configmaps/a/status",
            "",
            404,
        ),
        (Method::GET, "/apis/apps/v9/deployments", "", 404),
        (Method::GET, "/readyz", "", 200),
    ] {
        assert_eq!(
            raw(&server.url(), &method, path, body).await,
            expected,
            "{method} {path}"
        );
    }
    let huge = "x".repeat(4 << 20);
    assert_eq!(
        raw(&server.url(), &Method::POST, CONFIGMAPS, &huge).await,
        413
    );
}

/// The code of a request that `Api` would not send.
async fn raw(url: &str, method: &Method, path: &str, body: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The server may answer, and close, before it has read a body that is too long.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).parse().unwrap()
}

#[tokio::test]
async fn a_deletion_that_says_two_things_about_dependents_is_refused() {
    let (_server, api) = start().await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let path = format!("{CONFIGMAPS}/a");
    for (query, why) in [
        (
            "propagationPolicy=Never",
            "Unsupported value: \"Never\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
        ),
        (
            "propagationPolicy=Orphan&orphanDependents=true",
            "Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
        ),
    ] {
        let refused = api.delete(&format!("{path}?{query}")).await.unwrap_err();
        assert_eq!(refused.code(), Some(422));
        let expected =
            format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {why}");
        assert!(refused.to_string().contains(&expected), "{refused}");
    }
    // What was asked for last counts, until the collector has done it.
    let orphan = format!("{path}?propagationPolicy=Orphan");
    let terminating = api.delete(&orphan).await.unwrap();
    assert_eq!(terminating["metadata"]["finalizers"], json!(["orphan"]));
    api.delete(&path).await.unwrap();
    assert!(api.get(&path).await.is_ok());
    let background = format!("{path}?propagationPolicy=Background");
    assert_eq!(api.delete(&background).await.unwrap()["kind"], "Status");
    assert!(api.get(&path).await.unwrap_err().is_not_found());
}
