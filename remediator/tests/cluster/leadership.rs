//! Leadership, and what survives the end of a process, on the sandbox's API server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, Config};
use remediator::clock;
use remediator::fence::{Fence, Keeper, Term};
use remediator::lease::{Lease, Timings};
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::faults::{Effect, Rule};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const LEASE: &str = "remediator";

fn client(server: &ApiServer, agent: &str) -> Client {
    khclient::install_crypto_provider();
    let mut config = Config::new(server.url().parse().unwrap());
    config.default_retry = false;
    config
        .headers
        .push((http::header::USER_AGENT, agent.parse().unwrap()));
    Client::try_from(config).unwrap()
}

/// A replica named `name`, which is its user agent too.
struct Replica {
    fence: Fence,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    failures: Arc<AtomicU64>,
    last: Arc<Mutex<String>>,
}

impl Replica {
    fn start(server: &ApiServer, name: &str) -> Replica {
        let lease = Lease::new(client(server, name), "default", LEASE, name, Timings::of(3));
        let (keeper, fence) = Keeper::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let failures = Arc::new(AtomicU64::new(0));
        let last = Arc::new(Mutex::new(String::new()));
        let (count, text) = (failures.clone(), last.clone());
        let task = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            lease
                .run(keeper, stopped, move |error| {
                    count.fetch_add(1, Ordering::Relaxed);
                    *text.lock().unwrap() = error.to_string();
                })
                .await;
        });
        Replica {
            fence,
            stop,
            task,
            failures,
            last,
        }
    }

    async fn leads(&self) -> Term {
        let gained = soon(self.fence.gained()).await;
        gained.unwrap_or_else(|_| panic!("never: {}", self.last.lock().unwrap()))
    }

    fn may_write(&self) -> bool {
        self.fence.check(clock::instant()).is_ok()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        soon(self.task).await.unwrap();
        assert!(self.fence.check(clock::instant()).is_err());
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("nothing for 30 s")
}

async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

fn leases(server: &ApiServer) -> Api<Object> {
    Api::namespaced(client(server, "test"), "default")
}

async fn holder(server: &ApiServer) -> (String, i32) {
    let spec = leases(server).get(LEASE).await.unwrap().spec.unwrap();
    (
        spec.holder_identity.unwrap(),
        spec.lease_transitions.unwrap(),
    )
}

async fn server() -> ApiServer {
    ApiServer::start(ApiServerOptions::default()).await.unwrap()
}

#[tokio::test]
async fn lease_changes_hands_once() {
    let server = server().await;
    let a = Replica::start(&server, "a");
    assert_eq!(a.leads().await, Term(1));
    let b = Replica::start(&server, "b");
    // It waits although it looks at a lease that another clock might call expired long ago.
    let looks = || {
        let requests = server.requests();
        requests.iter().filter(|r| r.agent == "b").count()
    };
    until(|| looks() >= 3).await;
    assert!(a.may_write() && !b.may_write());

    // Given up: the other need not wait.
    a.stop().await;
    assert_eq!(b.leads().await, Term(2));
    assert_eq!(holder(&server).await, ("b".to_owned(), 2));

    // Cut off: it has stopped when the next one begins.
    server.faults().add(Rule::hang_up().agent("b"));
    let c = Replica::start(&server, "c");
    assert_eq!(c.leads().await, Term(3));
    assert!(!b.may_write());
    assert!(b.failures.load(Ordering::Relaxed) > 0);
    server.faults().clear();
    until(|| looks() > 10).await;
    assert!(c.may_write() && !b.may_write());
    assert_eq!(holder(&server).await, ("c".to_owned(), 3));
    b.stop().await;
    c.stop().await;
    assert_eq!(holder(&server).await, (String::new(), 3));
}

#[tokio::test]
async fn a_slow_renewal_fences() {
    let server = server().await;
    let a = Replica::start(&server, "a");
    let term = a.leads().await;
    let slow = Rule::new(Effect::Delay(Duration::from_secs(20)));
    server.faults().add(slow.agent("a").verb("update"));
    soon(a.fence.lost(term)).await;
    assert!(!a.may_write());
    server.faults().clear();
    assert!(a.leads().await > term);
}

#[tokio::test]
async fn a_renewal_that_comes_too_late_is_a_new_term() {
    let server = server().await;
    let a = Replica::start(&server, "a");
    let term = a.leads().await;
    // Refused until just before the time is over: the next one would succeed, but after it.
    let refused = Rule::refuse(503).agent("a").verb("update").times(4);
    server.faults().add(refused);
    soon(a.fence.lost(term)).await;
    assert!(a.leads().await > term);
}

#[tokio::test]
async fn a_lease_that_is_deleted_goes_on_with_later_terms() {
    let server = server().await;
    let a = Replica::start(&server, "a");
    let b = Replica::start(&server, "b");
    let (term, other, name) = tokio::select! {
        term = a.leads() => (term, &b, "b"),
        term = b.leads() => (term, &a, "a"),
    };
    // Who looks again has seen what it looked at before.
    let looks = || {
        let requests = server.requests();
        let found = requests.iter().filter(|request| request.code == Some(200));
        found.filter(|request| request.agent == name).count()
    };
    until(|| looks() >= 2).await;
    leases(&server)
        .delete(LEASE, &DeleteParams::default())
        .await
        .unwrap();
    assert!(other.leads().await > term);
}

#[tokio::test]
async fn a_lost_answer_costs_no_leadership() {
    let server = server().await;
    let a = Replica::start(&server, "a");
    let term = a.leads().await;
    let hang_up = Rule::hang_up().agent("a").verb("update");
    let id = server.faults().add(hang_up.after_commit().times(2));
    until(|| server.faults().strikes(id) == 2).await;
    let renewed = server.requests().len();
    until(|| server.requests().len() > renewed + 3).await;
    assert_eq!(a.fence.check(clock::instant()), Ok(term));
    assert_eq!(holder(&server).await, ("a".to_owned(), 1));
}

#[tokio::test]
async fn a_lost_lease_stops_before_the_next_write() {
    let server = server().await;
    let a = Replica::start(&server, "a");
    let term = a.leads().await;
    // Somebody takes it by force; a renewal may come in between.
    let leases = leases(&server);
    loop {
        let mut object = leases.get(LEASE).await.unwrap();
        let spec = object.spec.as_mut().unwrap();
        spec.holder_identity = Some("thief".to_owned());
        spec.lease_transitions = Some(7);
        let parameters = PostParams::default();
        if leases.replace(LEASE, &parameters, &object).await.is_ok() {
            break;
        }
    }
    soon(a.fence.lost(term)).await;
    assert!(!a.may_write());
    assert_eq!(holder(&server).await, ("thief".to_owned(), 7));
    // Once the thief has been silent for the time of a lease, it is an ordinary change of hands.
    assert_eq!(a.leads().await, Term(8));
}
