//! Faults, and the log of requests.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sandbox::api::{Api, ApiError};
use sandbox::apiserver::ApiServerOptions;
use sandbox::faults::{Effect, Rule};

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
