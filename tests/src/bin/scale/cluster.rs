//! The cluster: the sandbox's API server with a Kuberhealthy and a controller of Deployments that are only as alive as
//! the measurement needs.

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServer, ApiServerOptions, Request};
use sandbox::kuberhealthy::v3::health_check;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::bare;

/// Checks in the cluster.
pub(crate) const CHECKS: usize = 10_000;

/// Policies, each with a check and a workload of its own.
pub(crate) const POLICIES: usize = 1_000;

/// Workloads: those that have a policy, and as many that the bare program looks after.
const TARGETS: usize = 2 * POLICIES;

/// Seconds since all checks have passed: before the first failures, and not so long ago that they are stale, which is 1380,
/// before the last of them has failed.
const PASSED: u64 = 700;

/// Seconds between two failing runs of a check: half its interval, within which a second failure does not count, and a
/// little more.
const BETWEEN: u64 = 320;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const HEALTH_CHECKS: &str = "/apis/kuberhealthy.github.io/v2/namespaces/default/healthchecks";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const POLICY: &str = "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediationpolicies";

/// How the driver of the measurement names itself.
const DRIVER: &str = "scale";

/// The longest that anything is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks, which take some of the server's time: longer than an action takes.
const LOOK: Duration = Duration::from_millis(15);

pub(crate) struct Cluster {
    server: ApiServer,
    api: Api,
}

impl Cluster {
    /// A cluster in which every check passes and every workload is well.
    pub(crate) async fn start() -> anyhow::Result<Cluster> {
        let server = ApiServer::start(ApiServerOptions {
            request_log: 1000,
            ..ApiServerOptions::default()
        })
        .await?;
        let api = Api::new(&server.url(), None, DRIVER)?;
        let cluster = Cluster { server, api };
        let api = &cluster.api;
        for definition in remediator::crd::definitions()? {
            api.create(DEFINITIONS, &definition.value).await?;
        }
        api.create(DEFINITIONS, &health_check()).await?;
        for number in 0..CHECKS {
            api.create(HEALTH_CHECKS, &check(number)).await?;
            cluster.passed(number, 1, PASSED).await?;
        }
        for number in 0..TARGETS {
            api.create(DEPLOYMENTS, &deployment(number)).await?;
            cluster.roll_out(number).await?;
        }
        for number in 0..POLICIES {
            api.create(POLICY, &policy(number)).await?;
        }
        Ok(cluster)
    }

    /// URL of its API server.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// A file with which it is reached.
    pub(crate) fn kubeconfig(&self) -> anyhow::Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        file.write_all(self.server.kubeconfig().as_bytes())?;
        Ok(file)
    }

    /// Waits until `agent` watches checks.
    pub(crate) async fn until_watched(&self, agent: &str) -> anyhow::Result<()> {
        let watches = |request: &Request| {
            request.agent.starts_with(agent)
                && request.verb == "watch"
                && request.resource == "healthchecks"
        };
        let until = Instant::now() + LIMIT;
        while self.server.newest_request(watches).is_none() {
            if Instant::now() > until {
                bail!("{agent} does not watch checks after {} s", LIMIT.as_secs());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until nobody has asked for anything for two seconds, other than to keep a lease.
    pub(crate) async fn until_settled(&self) -> anyhow::Result<()> {
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            let last = self
                .server
                .newest_request(|request| request.resource != "leases");
            if last.is_none_or(|last| last.received.elapsed() > Duration::from_secs(2)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let requests = self.server.requests();
        let last: Vec<String> = requests
            .iter()
            .rev()
            .take(10)
            .map(|request| {
                let Request {
                    agent,
                    verb,
                    resource,
                    name,
                    ..
                } = request;
                format!("{agent}: {verb} {resource} {name}")
            })
            .collect();
        bail!(
            "there are still requests after {} s, the last of them: {last:#?}",
            LIMIT.as_secs()
        )
    }

    /// So many runs end, all passing; `from` varies which.
    pub(crate) async fn pass_runs(&self, from: usize, runs: usize) -> anyhow::Result<()> {
        for number in (0..runs).map(|nth| (from + nth * 587) % CHECKS) {
            self.pass(number, u32::try_from(from)? + 1).await?;
        }
        Ok(())
    }

    /// A run fails, which makes it so many; returns how long it took from then until `agent`'s write to the workload came in.
    pub(crate) async fn fail_and_wait(
        &self,
        number: usize,
        agent: &str,
        failures: u32,
    ) -> anyhow::Result<Duration> {
        let workload = name(number);
        self.fail(number, failures, 0).await?;
        let acts = |request: &Request| {
            request.agent.starts_with(agent)
                && request.verb == "patch"
                && request.resource == "deployments"
                && request.name == workload
        };
        let fails = |request: &Request| {
            request.agent == DRIVER
                && request.resource == "healthchecks/status"
                && request.name == workload
        };
        let until = Instant::now() + LIMIT;
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(action) = self.server.newest_request(acts) {
                let failure = self.server.newest_request(fails);
                let failure = failure.context("the log of requests is too short")?;
                self.roll_out(number).await?;
                return Ok(action.received - failure.received);
            }
            if Instant::now() > until {
                let policy = self.api.get(&format!("{POLICY}/{workload}")).await?;
                bail!(
                    "expected {agent} to patch Deployment {workload}; its policy says {:#}",
                    policy["status"]
                );
            }
        }
    }

    /// A run fails, which makes it so many; so many more will until it is acted on.
    pub(crate) async fn fail(&self, number: usize, failures: u32, more: u32) -> anyhow::Result<()> {
        let status = result(false, (1, failures), BETWEEN * u64::from(more));
        self.write(number, &json!({"status": status})).await
    }

    /// A run begins.
    pub(crate) async fn begin(&self, number: usize) -> anyhow::Result<()> {
        let status = json!({"currentUUID": format!("00000000-0000-4000-8000-{number:012}")});
        self.write(number, &json!({"status": status})).await
    }

    /// A run passes, which makes it so many.
    pub(crate) async fn pass(&self, number: usize, successes: u32) -> anyhow::Result<()> {
        self.passed(number, successes, 0).await
    }

    /// A run passed so many seconds ago.
    async fn passed(&self, number: usize, successes: u32, ago: u64) -> anyhow::Result<()> {
        let status = result(true, (successes, 0), ago);
        self.write(number, &json!({"status": status})).await
    }

    async fn write(&self, number: usize, status: &Value) -> anyhow::Result<()> {
        let path = format!("{HEALTH_CHECKS}/{}/status", name(number));
        self.api.patch(&path, Patch::Merge, status).await?;
        Ok(())
    }

    /// What the controller of Deployments does in the end.
    async fn roll_out(&self, number: usize) -> anyhow::Result<()> {
        let path = format!("{DEPLOYMENTS}/{}", name(number));
        let generation = self.api.get(&path).await?["metadata"]["generation"].clone();
        let status = json!({"status": {
            "observedGeneration": generation, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        }});
        self.api
            .patch(&format!("{path}/status"), Patch::Merge, &status)
            .await?;
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

fn check(number: usize) -> Value {
    let labels = match number {
        POLICIES..TARGETS => json!({bare::AGENT: ""}),
        _ => json!({}),
    };
    let env = json!([{"name": "CHECK_URL", "value": format!("https://web-{number}.default.svc/healthz")}]);
    json!({
        "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck", "metadata": {"name": name(number), "labels": labels},
        "spec": {
            "runInterval": "10m", "timeout": "1m",
            "podSpec": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "http-check:1", "env": env}]}},
        },
    })
}

/// The status after a run that ended so many seconds ago, and how many have passed and failed.
fn result(ok: bool, (successes, failures): (u32, u32), ago: u64) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        .saturating_sub(ago);
    let errors = if ok {
        json!([])
    } else {
        json!(["expected status 200, got 503"])
    };
    let mut status = json!({
        "ok": ok, "errors": errors, "currentUUID": "", "lastRunUnix": now, "successCount": successes,
        "failureCount": failures,
    });
    status[if ok { "lastOKUnix" } else { "lastFailureUnix" }] = json!(now);
    status
}

fn deployment(number: usize) -> Value {
    let labels = json!({"app": name(number)});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name(number)},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}},
        },
    })
}

fn policy(number: usize) -> Value {
    json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "metadata": {"name": name(number)},
        "spec": {
            "mode": "Enforce",
            "trigger": {"check": {"namespace": "default", "name": name(number)}},
            "target": {"kind": "Deployment", "name": name(number)},
            "steps": [{"rolloutRestart": {}}],
        },
    })
}
