//! Everything goes wrong at random for a long time; then it stops, and nothing is lost, nothing was doubled, and the
//! API server was not flooded.

use sandbox::faults;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{AGENT, LOOK, Shop, rolled_out, unix_now};

/// The share of the requests that something happens to.
const CHANCE: f64 = 0.2;

/// Requests of the two remediators in that time: each is a step at which something can go wrong.
const STEPS: u64 = 2000;

/// The longest that may take, in seconds.
const LONGEST: u64 = 240;

/// Requests in a second at most. Twelve workloads that are remediated all the time need some forty.
const FLOOD: u64 = 100;

const NAMES: [&str; 12] = [
    "web", "api", "jobs", "mail", "cart", "pay", "feed", "auth", "geo", "log", "tax", "ads",
];

/// One workload: how often it was changed, and whether it is well.
struct Workload {
    name: &'static str,
    generation: i64,
    /// The generation at which it broke last.
    broken_at: Option<i64>,
    breaks: i64,
}

impl Workload {
    async fn create(shop: &Shop, name: &'static str) -> Workload {
        if name != "web" {
            shop.create_check(name).await;
            shop.create_deployment(name, 2).await;
        }
        let retry = json!({"cooldownSeconds": 1, "minHealthySeconds": 0, "maxRetry": 10});
        let spec = json!({"retry": retry, "historyLimit": 100});
        shop.create_policy(name, json!([{"rolloutRestart": {}}]), spec)
            .await;
        let deployment = shop.deployment(name).await;
        Workload {
            name,
            generation: generation(&deployment),
            broken_at: None,
            breaks: 0,
        }
    }

    /// A run of its check. If it is well and `breaks`, it breaks.
    async fn live(&mut self, shop: &Shop, breaks: bool) {
        let deployment = shop.deployment(self.name).await;
        let generation = generation(&deployment);
        match self.broken_at {
            Some(at) if generation > at && rolled_out(&deployment) => self.broken_at = None,
            None if breaks => {
                self.broken_at = Some(generation);
                self.breaks += 1;
            }
            _ => {}
        }
        let errors: &[&str] = if self.broken_at.is_some() {
            &["broken"]
        } else {
            &[]
        };
        shop.report(self.name, errors).await;
    }
}

fn generation(deployment: &Value) -> i64 {
    deployment["metadata"]["generation"].as_i64().unwrap()
}

/// Requests of all replicas so far.
fn requests(shop: &Shop) -> u64 {
    let counts = shop.sandbox.api_server().request_counts();
    let own = counts
        .iter()
        .filter(|(kind, _)| kind.agent.starts_with(AGENT));
    own.map(|(_, count)| count.all).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_is_lost_and_nothing_doubled() {
    let shop = Shop::start().await;
    let mut workloads = Vec::new();
    for name in NAMES {
        workloads.push(Workload::create(&shop, name).await);
    }
    let limits = [
        "--max-in-flight",
        "12",
        "--max-per-hour",
        "10000",
        "--storm-minimum",
        "100",
    ];
    let replicas = [
        shop.replica("first", &limits),
        shop.replica("second", &limits),
    ];
    let server = shop.sandbox.api_server();
    let seed = unix_now();
    for rule in faults::storm(CHANCE, seed) {
        server.faults().add(rule.agent(AGENT));
    }
    let began = unix_now();
    while requests(&shop) < STEPS {
        assert!(
            unix_now() - began < LONGEST,
            "seed {seed}: {}",
            shop.story().await
        );
        match unix_now() % 10 {
            0 | 5 => server.faults().cut_watches_of(AGENT),
            3 => {
                server.compact();
                server.faults().expire_watches_of(AGENT);
            }
            _ => {}
        }
        for (nth, workload) in (0..).zip(&mut workloads) {
            workload.live(&shop, unix_now() % 12 == nth).await;
        }
    }
    let rate = requests(&shop) / (unix_now() - began).max(1);
    server.faults().clear();

    // Calm: what is still broken is cured, and every remediation comes to its end.
    let until = Instant::now() + super::DEADLINE;
    while workloads
        .iter()
        .any(|workload| workload.broken_at.is_some())
        || !shop.all_over().await
    {
        assert!(
            Instant::now() < until,
            "seed {seed}: {}",
            shop.story().await
        );
        for workload in &mut workloads {
            workload.live(&shop, false).await;
        }
        sleep(LOOK).await;
    }
    let records = shop.records().await;
    for workload in &workloads {
        let name = workload.name;
        let deployment = shop.deployment(name).await;
        let changes = generation(&deployment) - workload.generation;
        let touched = |record: &&Value| {
            record["spec"]["target"]["name"] == name && record["status"]["touched"] != "No"
        };
        let touched = i64::try_from(records.iter().filter(touched).count()).unwrap();
        let story = || {
            format!(
                "seed {seed}: {name} broke {} times, was changed {changes} times by {touched} remediations",
                workload.breaks
            )
        };
        assert!(workload.breaks >= 2, "{}: {}", story(), shop.story().await);
        assert!(
            changes >= workload.breaks,
            "{}: {}",
            story(),
            shop.story().await
        );
        assert!(changes <= touched, "{}: {}", story(), shop.story().await);
    }
    assert!(rate < FLOOD, "seed {seed}: {rate} requests a second");
    drop(replicas);
    shop.stop().await;
}
