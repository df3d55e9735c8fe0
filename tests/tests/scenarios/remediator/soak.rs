//! Everything goes wrong at random for a long time; then it stops, and nothing is lost, nothing was doubled, and the
//! API server was not flooded.

use std::time::Duration;

use sandbox::faults::{Effect, Rule};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{AGENT, Shop, rolled_out, unix_now};

/// Faults injected.
const STEPS: u32 = 3000;

/// From one to the next.
const STEP: Duration = Duration::from_millis(20);

/// Requests in a minute that faults may lead to: five watches that are cut fifty times a second, and three workloads.
const REQUESTS_PER_MINUTE: f64 = 1500.0;

const NAMES: [&str; 3] = ["web", "api", "jobs"];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A fault for the next few requests of the remediator.
fn fault(dice: &mut Dice) -> Rule {
    let refuse = |code, retry_after| Effect::Refuse { code, retry_after };
    let effect = match dice.below(8) {
        0 => refuse(429, Some(1)),
        1 => refuse(429, None),
        2 => refuse(500, None),
        3 => refuse(503, None),
        4 => refuse(409, None),
        5 => refuse(410, None),
        6 => Effect::Delay(Duration::from_millis(dice.below(300))),
        _ => Effect::Drop,
    };
    let rule = Rule::new(effect.clone())
        .agent(AGENT)
        .times(1 + dice.below(3));
    // A refusal has no effect; only an answer can be lost or late.
    let late = matches!(effect, Effect::Drop | Effect::Delay(_)) && dice.below(2) == 0;
    if late { rule.after_commit() } else { rule }
}

/// One workload: how often it was changed, and whether it is well.
struct Workload {
    name: &'static str,
    generation: i64,
    /// The generation at which it broke last.
    broken_at: Option<i64>,
    breaks: i64,
}

impl Workload {
    /// Lives for a second: a run of its check. If it is well and `breaks`, it breaks.
    async fn live(&mut self, shop: &Shop, breaks: bool) {
        let deployment = shop.deployment(self.name).await;
        let generation = deployment["metadata"]["generation"].as_i64().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nothing_is_lost_and_nothing_doubled() {
    let shop = Shop::start().await;
    let mut workloads = Vec::new();
    for name in NAMES {
        if name != "web" {
            shop.create_check(name).await;
            shop.create_deployment(name, 2).await;
        }
        let retry = json!({"cooldownSeconds": 1, "minHealthySeconds": 0, "maxRetry": 10});
        let spec = json!({"retry": retry, "historyLimit": 100});
        shop.create_policy(name, json!([{"rolloutRestart": {}}]), spec)
            .await;
        let deployment = shop.deployment(name).await;
        let generation = deployment["metadata"]["generation"].as_i64().unwrap();
        workloads.push(Workload {
            name,
            generation,
            broken_at: None,
            breaks: 0,
        });
    }
    let limits = ["--max-in-flight", "3", "--max-per-hour", "1000"];
    let replicas = [
        shop.replica("first", &limits),
        shop.replica("second", &limits),
    ];
    let server = shop.sandbox.api_server();
    let seed = unix_now();
    let mut dice = Dice(seed);
    let began = Instant::now();
    let mut second = unix_now();
    for _ in 0..STEPS {
        match dice.below(40) {
            0 => server.faults().cut_watches(),
            1 => server.compact(),
            _ => drop(server.faults().add(fault(&mut dice))),
        }
        sleep(STEP).await;
        if unix_now() != second {
            second = unix_now();
            // What has not struck by now would only pile up.
            server.faults().clear();
            for workload in &mut workloads {
                workload.live(&shop, dice.below(4) == 0).await;
            }
        }
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let requests = server
        .requests()
        .iter()
        .filter(|request| request.agent.starts_with(AGENT))
        .count();
    server.faults().clear();

    // Calm: what is still broken is cured, and every remediation comes to its end.
    let until = Instant::now() + super::DEADLINE;
    loop {
        assert!(
            Instant::now() < until,
            "seed {seed}: {}",
            shop.story().await
        );
        let broken = workloads
            .iter()
            .any(|workload| workload.broken_at.is_some());
        if !broken && shop.all_over().await {
            break;
        }
        for workload in &mut workloads {
            workload.live(&shop, false).await;
        }
        let second = unix_now();
        while unix_now() == second {
            sleep(super::LOOK).await;
        }
    }
    let records = shop.records().await;
    for workload in &workloads {
        let deployment = shop.deployment(workload.name).await;
        let changes = deployment["metadata"]["generation"].as_i64().unwrap() - workload.generation;
        let touched = |record: &&Value| {
            record["spec"]["target"]["name"] == workload.name && record["status"]["touched"] != "No"
        };
        let touched = i64::try_from(records.iter().filter(touched).count()).unwrap();
        let story = shop.story().await;
        assert!(
            workload.breaks > 3,
            "seed {seed}: {} broke {} times",
            workload.name,
            workload.breaks
        );
        assert!(
            changes >= workload.breaks,
            "seed {seed}: {} was left broken: {story}",
            workload.name
        );
        assert!(
            changes <= touched,
            "seed {seed}: {} changed {changes} times by {touched} remediations: {story}",
            workload.name
        );
    }
    let rate = requests as f64 / minutes;
    assert!(
        rate < REQUESTS_PER_MINUTE,
        "seed {seed}: {rate:.0} requests per minute"
    );
    drop(replicas);
    shop.stop().await;
}
