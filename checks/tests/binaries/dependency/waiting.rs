//! Optional dependencies, and waiting for those that are not.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

#[test]
fn optional_ones_are_only_logged() {
    let cluster = Cluster::new();
    cluster.service("db", json!({}));
    cluster.slice("db-1", "db", &[("db-0", ready())]);
    // It waits for nothing either.
    let verdict = cluster
        .dependencies("shop/db,optional:shop/cache")
        .var("WAIT_SECONDS", "50")
        .run();
    verdict.passed();
    let logged = "optional: service shop/cache: expected a service of this name, seen none";
    assert!(verdict.log.contains(logged), "{verdict:#?}");
    cluster
        .dependencies("optional:shop/cache,shop/gone")
        .run()
        .failed(&["service shop/gone: expected a service of this name, seen none"]);
}

#[test]
fn it_waits_until_all_are_available() {
    let cluster = Cluster::new();
    cluster.service("db", json!({}));
    cluster.slice("db-1", "db", &[("db-0", ready())]);
    let running = cluster
        .dependencies("shop/db,shop/cache")
        .var("WAIT_SECONDS", "50")
        .start();
    let asked = |verb: &str, resource: &str, name: &str| {
        let requests = cluster.requests();
        requests
            .iter()
            .any(|seen| (&*seen.verb, &*seen.resource, &*seen.name) == (verb, resource, name))
    };
    eventually("a look for it", || asked("get", "services", "cache"));
    cluster.service("cache", json!({}));
    eventually("a look for its endpoints", || {
        asked("list", "endpointslices", "")
    });
    cluster.slice("cache-1", "cache", &[("cache-0", ready())]);
    let verdict = running.end();
    verdict.passed();
    let logged = "waiting: service shop/cache: expected ";
    assert!(verdict.log.contains(logged), "{verdict:#?}");
}

#[test]
fn waiting_ends() {
    let cluster = Cluster::new();
    let finding = "service shop/cache: expected a service of this name, seen none";
    cluster
        .dependencies("shop/cache")
        .var("WAIT_SECONDS", "0.1")
        .run()
        .failed(&[finding]);
    assert_eq!(cluster.asked_for("services"), 2);
    // The deadline of the run ends it too, early enough to report what was seen.
    let start = Instant::now();
    let long = cluster.dependencies("shop/cache").var("WAIT_SECONDS", "1h");
    long.deadline(Duration::from_secs(7))
        .run()
        .failed(&[finding]);
    assert!(start.elapsed() < PATIENCE);
}
