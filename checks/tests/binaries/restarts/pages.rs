//! Clusters with more pods than one answer holds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::faults::Rule;

use super::*;

/// 1,201 pods, three pages, of which the first, one of the second and the last fail.
fn large() -> Cluster {
    let cluster = Cluster::new();
    let pods = (0..1201).map(|n| {
        let name = format!("web-{n:04}");
        match n {
            0 | 700 | 1200 => failing(&name),
            _ => healthy(&name),
        }
    });
    cluster.pods("shop", pods);
    cluster
}

fn is_next(path: &str) -> bool {
    path.contains("&continue=")
}

#[test]
fn all_pages_are_read() {
    let cluster = large();
    let verdict = cluster.restarts(&[]).run();
    verdict.failed(&[
        &finding("shop/web-0000"),
        &finding("shop/web-0700"),
        &finding("shop/web-1200"),
    ]);
    assert!(
        verdict.log.contains("1201 pods looked at"),
        "{}",
        verdict.log
    );
    let paths: Vec<String> = cluster
        .requests()
        .into_iter()
        .map(|seen| seen.path)
        .collect();
    assert_eq!(paths.len(), 3);
    assert!(
        paths
            .iter()
            .all(|path| path.starts_with("/api/v1/pods?limit=500"))
    );
    assert!(!is_next(&paths[0]) && is_next(&paths[1]) && is_next(&paths[2]));
}

/// The second page is refused until the token for it has run out; the check then reads on from where it was.
#[test]
fn a_token_that_runs_out_is_replaced_by_the_one_that_comes_with_the_answer() {
    let cluster = large();
    let busy = cluster
        .faults()
        .add(Rule::refuse(503).resource("pods").verb("list").skip(1));
    let running = cluster.restarts(&[]).start();
    eventually("a second page", || cluster.faults().strikes(busy) > 0);
    // Gone meanwhile: no failure. And a new one, which the rest of the list shows.
    cluster.delete("/api/v1/namespaces/shop/pods/web-0700");
    cluster.pods("shop", [failing("web-0999-new")]);
    cluster.compact();
    cluster.faults().remove(busy);
    let verdict = running.end();
    verdict.failed(&[
        &finding("shop/web-0000"),
        &finding("shop/web-0999-new"),
        &finding("shop/web-1200"),
    ]);
    assert!(
        verdict.log.contains("1201 pods looked at"),
        "{}",
        verdict.log
    );
    let codes: Vec<Option<u16>> = cluster.requests().iter().map(|seen| seen.code).collect();
    assert!(codes.contains(&Some(410)), "{codes:?}");
    let first = cluster
        .requests()
        .iter()
        .filter(|seen| !is_next(&seen.path))
        .count();
    assert_eq!(first, 1);
}

/// An item with its namespace, as in a list.
fn item(name: &str) -> Value {
    let mut pod = failing(name);
    pod["metadata"]["namespace"] = json!("shop");
    pod
}

fn page(items: &[Value], next: &str) -> Vec<u8> {
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": next}, "items": items});
    answer(
        200,
        &[("Content-Type", "application/json")],
        &list.to_string(),
    )
}

fn gone(next: Option<&str>) -> Vec<u8> {
    let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "metadata": {"continue": next.unwrap_or("")}});
    answer(410, &[], &status.to_string())
}

#[test]
fn without_another_token_the_list_begins_again() {
    let api = Server::answering(move |number, seen| match (number, is_next(&seen.path)) {
        (0, false) => page(&[item("gone"), item("web-1")], "a"),
        (1, true) => gone(None),
        (2, false) => page(&[item("web-1")], "b"),
        (3, true) => page(&[item("web-2")], ""),
        _ => answer(400, &[], ""),
    });
    let verdict = check(&[("KUBE_API_URL", &api.url(""))]).run();
    verdict.failed(&[&finding("shop/web-1"), &finding("shop/web-2")]);
    assert!(verdict.log.contains("2 pods looked at"), "{}", verdict.log);
}

#[test]
fn tokens_that_always_run_out_end_in_a_verdict() {
    let expected = "Kubernetes API: cannot list pods in all namespaces: status 410: the list changes faster than it can \
                    be read";
    for next in [None, Some("another")] {
        let api = Server::answering(move |_, seen| match is_next(&seen.path) {
            false => page(&[item("web-1")], "a"),
            true => gone(next),
        });
        let verdict = check(&[("KUBE_API_URL", &api.url(""))]).run();
        verdict.failed(&[expected, &finding("shop/web-1")]);
    }
    let api = Server::answering(|_, _| gone(None));
    check(&[("KUBE_API_URL", &api.url(""))])
        .run()
        .failed(&[expected]);
    assert_eq!(api.seen().len(), 1);
}

/// The connection breaks in the middle of a page: that page is asked for again, and nothing counts twice.
#[test]
fn a_page_that_breaks_off_is_asked_for_again() {
    let api = Server::on("127.0.0.1:0", |number, seen, stream| {
        let bytes = match (number, is_next(&seen.path)) {
            (0, false) => page(&[item("web-1")], "a"),
            (1, true) => {
                let whole = page(&[item("web-2"), item("web-3")], "");
                whole[..whole.len() - 100].to_vec()
            }
            (2, true) => page(&[item("web-2")], ""),
            _ => answer(400, &[], ""),
        };
        let _ = stream.write_all(&bytes);
    });
    let verdict = check(&[("KUBE_API_URL", &api.url(""))]).run();
    verdict.failed(&[&finding("shop/web-1"), &finding("shop/web-2")]);
    assert!(verdict.log.contains("2 pods looked at"), "{}", verdict.log);
}

/// One page of 80 MB, from a server that does not mind the limit: 8,000 pods of 10 kB, one of them of 1 MB more. When all
/// but its end is sent, the check has never held more than a small part of it.
#[test]
fn memory_does_not_grow_with_the_page() {
    static CHILD: AtomicU32 = AtomicU32::new(0);
    static PEAKS: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let api = Server::on("127.0.0.1:0", |_, _, stream| {
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"kind\":\"PodList\",\"items\":[",
        );
        eventually("the process", || CHILD.load(Ordering::SeqCst) != 0);
        let mut pod = item("web-1");
        pod["metadata"]["annotations"] = json!({"padding": "x".repeat(10_000)});
        let usual = format!("{pod},");
        pod["metadata"]["annotations"] = json!({"padding": "y\\\"".repeat(300_000)});
        let huge = format!("{pod},");
        PEAKS
            .lock()
            .unwrap()
            .push(peak_kib(CHILD.load(Ordering::SeqCst)));
        for n in 0..8_000 {
            let text = if n == 4_000 { &huge } else { &usual };
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
        PEAKS
            .lock()
            .unwrap()
            .push(peak_kib(CHILD.load(Ordering::SeqCst)));
        let _ = stream.write_all(format!("{pod}]}}").as_bytes());
    });
    let running = check(&[("KUBE_API_URL", &api.url(""))]).start();
    CHILD.store(running.id(), Ordering::SeqCst);
    let verdict = running.end();
    verdict.failed(&[&finding("shop/web-1")]);
    assert!(
        verdict.log.contains("8001 pods looked at"),
        "{}",
        verdict.log
    );
    let peaks = PEAKS.lock().unwrap().clone();
    assert_eq!(peaks.len(), 2);
    assert!(peaks[1] - peaks[0] < 12 << 10, "{peaks:?} KiB");
}

/// The largest resident set so far.
fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
