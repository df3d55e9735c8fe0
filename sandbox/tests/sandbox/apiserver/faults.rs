//! Faults, and the log of requests.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sandbox::api::{Api, ApiError, Patch};
use sandbox::apiserver::{ApiServerOptions, RequestCount, RequestKind};
use sandbox::faults::{Effect, Gate, Held, Rule, storm};
use serde_json::json;

use super::{CONFIGMAPS, configmap, next, start, start_with};

#[tokio::test]
async fn a_refusal_before_the_commit_has_no_effect_and_one_after_it_has() {
    let (server, api) = start().await;
    let refuse = Rule::new(Effect::Refuse {
        code: 503,
        retry_after: Some(2),
    });
    let id = server.faults().add(
        refuse
            .clone()
            .verb("create")
            .resource("configmaps")
            .times(1),
    );
    let refused = api
        .create(CONFIGMAPS, &configmap("a", "1"))
        .await
        .unwrap_err();
    let status = refused.status().unwrap();
    assert_eq!((status.code, status.retry_after_seconds()), (503, Some(2)));
    assert_eq!(server.faults().strikes(id), 1);
    assert!(
        api.get(&format!("{CONFIGMAPS}/a"))
            .await
            .unwrap_err()
            .is_not_found()
    );

    server
        .faults()
        .add(refuse.verb("create").after_commit().times(1));
    assert_eq!(
        api.create(CONFIGMAPS, &configmap("a", "1"))
            .await
            .unwrap_err()
            .code(),
        Some(503)
    );
    assert!(
        api.create(CONFIGMAPS, &configmap("a", "1"))
            .await
            .unwrap_err()
            .is_already_exists()
    );
}

#[tokio::test]
async fn a_connection_is_closed_without_an_answer() {
    let (server, api) = start().await;
    server.faults().add(
        Rule::hang_up()
            .agent("test/")
            .verb("create")
            .after_commit()
            .times(1),
    );
    let lost = api
        .create(CONFIGMAPS, &configmap("a", "1"))
        .await
        .unwrap_err();
    assert!(matches!(lost, ApiError::Broken { .. }), "{lost}");
    assert!(api.get(&format!("{CONFIGMAPS}/a")).await.is_ok());
    // Another client is spared, and so is the next request.
    server.faults().add(Rule::hang_up().agent("other/"));
    assert!(api.list(CONFIGMAPS).await.is_ok());
    let other = Api::new(&server.url(), None, "other/1").unwrap();
    assert!(other.list(CONFIGMAPS).await.is_err());
}

#[tokio::test]
async fn a_delay_delays() {
    let (server, api) = start().await;
    let delay = Duration::from_millis(150);
    server
        .faults()
        .add(Rule::new(Effect::Delay(delay)).times(1));
    let begin = Instant::now();
    api.list(CONFIGMAPS).await.unwrap();
    assert!(begin.elapsed() >= delay);
}

#[tokio::test]
async fn watches_are_cut() {
    let (server, api) = start().await;
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let mut watch = api.watch(CONFIGMAPS, "").await.unwrap();
    next(&mut watch).await;
    server.faults().cut_watches();
    let end = tokio::time::timeout(Duration::from_secs(10), watch.next())
        .await
        .unwrap();
    assert!(matches!(end, Some(Err(ApiError::Broken { .. }))), "{end:?}");
    // A new one is not.
    let mut watch = api.watch(CONFIGMAPS, "").await.unwrap();
    next(&mut watch).await;
}

#[tokio::test]
async fn watches_of_one_client_are_cut_or_told_that_they_are_too_old() {
    let (server, api) = start().await;
    let other = Api::new(&server.url(), None, "other/1").unwrap();
    let faults = server.faults();
    let mut kept = other.watch(CONFIGMAPS, "").await.unwrap();
    let mut cut = api.watch(CONFIGMAPS, "").await.unwrap();
    faults.watches_opened("test/", 1).await;
    faults.cut_watches_of("test/");
    let end = cut.next().await;
    assert!(matches!(end, Some(Err(ApiError::Broken { .. }))), "{end:?}");

    let mut expired = api.watch(CONFIGMAPS, "").await.unwrap();
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let event = next(&mut expired).await;
    faults.expire_watches_of("test/");
    let end = expired.next().await;
    let Some(Err(gone)) = end else {
        panic!("{end:?}")
    };
    assert_eq!((gone.is_expired(), gone.reason()), (true, "Expired"));
    assert!(expired.next().await.is_none());
    // Compacted too, there is no way back but a list.
    api.create(CONFIGMAPS, &configmap("b", "1")).await.unwrap();
    server.compact();
    let again = api.watch(CONFIGMAPS, event.resource_version()).await;
    let refused = match again {
        Ok(mut watch) => watch.next().await.unwrap().unwrap_err(),
        Err(refused) => refused,
    };
    assert!(refused.is_expired(), "{refused}");
    // The other client has seen all of it.
    for name in ["a", "b"] {
        let event = next(&mut kept).await;
        assert_eq!(super::name(event.object()), name);
    }
}

#[tokio::test]
async fn the_nth_write_is_held_before_it_takes_effect_until_it_is_released() {
    let (server, api) = start().await;
    let gate = Gate::new();
    let rule = Rule::hold(&gate).agent("test/").writes().nth(2);
    server.faults().add(rule);
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let second = {
        let api = api.clone();
        tokio::spawn(async move { api.create(CONFIGMAPS, &configmap("b", "1")).await })
    };
    let held = gate.held().await;
    let expected = Held {
        agent: "test/1".to_owned(),
        verb: "create".to_owned(),
        resource: "configmaps".to_owned(),
        name: String::new(),
    };
    assert_eq!(held, expected);
    // Reads and later writes go on meanwhile.
    let b = format!("{CONFIGMAPS}/b");
    assert!(api.get(&b).await.unwrap_err().is_not_found());
    api.create(CONFIGMAPS, &configmap("c", "1")).await.unwrap();
    assert!(!second.is_finished());
    gate.release();
    second.await.unwrap().unwrap();
    gate.empty().await;
    assert!(api.get(&b).await.is_ok());
}

#[tokio::test]
async fn a_write_is_held_after_it_took_effect_and_hung_up() {
    let (server, api) = start().await;
    let gate = Gate::new();
    let rule = Rule::hold(&gate).verb("patch").name("a").after_commit();
    server.faults().add(rule);
    let a = format!("{CONFIGMAPS}/a");
    api.create(CONFIGMAPS, &configmap("a", "1")).await.unwrap();
    let patch = {
        let (api, a) = (api.clone(), a.clone());
        tokio::spawn(async move {
            let change = json!({"data": {"a": "2"}});
            api.patch(&a, Patch::Merge, &change).await
        })
    };
    gate.held().await;
    assert_eq!(api.get(&a).await.unwrap()["data"]["a"], "2");
    gate.hang_up();
    let lost = patch.await.unwrap().unwrap_err();
    assert!(matches!(lost, ApiError::Broken { .. }), "{lost}");
}

#[tokio::test]
async fn a_held_write_whose_client_goes_away_has_no_effect() {
    let (server, api) = start().await;
    let gate = Gate::new();
    server.faults().add(Rule::hold(&gate).verb("create"));
    let given_up = {
        // A client of its own, whose connection ends with it.
        let api = Api::new(&server.url(), None, "test/2").unwrap();
        tokio::spawn(async move { api.create(CONFIGMAPS, &configmap("a", "1")).await })
    };
    gate.held().await;
    given_up.abort();
    let left = tokio::time::timeout(Duration::from_secs(10), gate.empty()).await;
    assert!(left.is_ok(), "the server has not noticed within 10 s");
    gate.release();
    let gone = api.get(&format!("{CONFIGMAPS}/a")).await.unwrap_err();
    assert!(gone.is_not_found());
    let requests = server.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.agent.as_str(), request.code))
        .collect();
    assert_eq!(seen, [("test/2", None), ("test/1", Some(404))]);
}

#[tokio::test]
async fn a_storm_leaves_every_write_made_once_or_not_at_all() {
    let (server, api) = start().await;
    for rule in storm(0.5, 3) {
        server.faults().add(rule.agent("test/").writes());
    }
    let other = Api::new(&server.url(), None, "other/1").unwrap();
    let mut unknown = 0;
    for number in 0..100 {
        let name = format!("c{number}");
        let answer = api.create(CONFIGMAPS, &configmap(&name, "1")).await;
        let there = other.get(&format!("{CONFIGMAPS}/{name}")).await.is_ok();
        match answer {
            Ok(_) => assert!(there, "{name}"),
            // Refused by a busy server: before it did anything.
            Err(error) if matches!(error.code(), Some(429 | 503)) => assert!(!there, "{name}"),
            Err(_) => unknown += usize::from(there),
        }
    }
    assert!(unknown > 0, "nothing was lost after it took effect");
    server.faults().clear();
    api.create(CONFIGMAPS, &configmap("last", "1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn requests_can_be_taken_in_parts_and_are_counted() {
    let (server, api) = start().await;
    for name in ["a", "b"] {
        api.create(CONFIGMAPS, &configmap(name, "1")).await.unwrap();
    }
    assert_eq!(server.take_requests().len(), 2);
    let twice = api.create(CONFIGMAPS, &configmap("a", "1")).await;
    assert!(twice.unwrap_err().is_already_exists());
    assert_eq!(server.take_requests().len(), 1);
    let kind = RequestKind {
        agent: "test/1".to_owned(),
        verb: "create".to_owned(),
        resource: "configmaps".to_owned(),
    };
    let count = RequestCount {
        all: 3,
        succeeded: 2,
        unanswered: 0,
    };
    assert_eq!(server.request_counts()[&kind], count);
}

#[tokio::test]
async fn requests_are_remembered_up_to_a_bound() {
    let options = ApiServerOptions {
        request_log: 3,
        ..ApiServerOptions::default()
    };
    let (server, api) = start_with(options).await;
    for _ in 0..3 {
        api.list(CONFIGMAPS).await.unwrap();
    }
    let refused = api.get(&format!("{CONFIGMAPS}/a")).await;
    assert!(refused.is_err());
    let requests = server.requests();
    let last = requests.last().unwrap();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        (
            last.agent.as_str(),
            last.verb.as_str(),
            last.resource.as_str(),
            last.namespace.as_str(),
            last.name.as_str(),
            last.code
        ),
        ("test/1", "get", "configmaps", "default", "a", Some(404))
    );
}

#[tokio::test]
async fn a_stopped_server_answers_nobody() {
    let (server, api) = start().await;
    let mut watch = api.watch(CONFIGMAPS, "1").await.unwrap();
    server.stop().await;
    let end = tokio::time::timeout(Duration::from_secs(10), watch.next())
        .await
        .unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    assert!(api.list(CONFIGMAPS).await.is_err());
}
