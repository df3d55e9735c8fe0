//! An API server with pods in it, and the real binary.

use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions, Request, Token};
use sandbox::faults::Faults;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

pub(crate) use super::common::{PATIENCE, Server, Verdict, answer, closed_port};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The user of the check where roles decide.
pub(crate) const CHECKER: &str = "system:serviceaccount:checks:checker";

/// This long ago, as the API writes it.
pub(crate) fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds))
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Status of a container that restarted so often, last ended so many seconds ago, and runs.
pub(crate) fn restarted(name: &str, count: u32, seconds: i64) -> Value {
    json!({
        "name": name, "image": "i", "imageID": "", "ready": true, "restartCount": count,
        "state": {"running": {"startedAt": ago(seconds)}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ago(seconds)}},
    })
}

/// What is said of such a container, with the defaults.
pub(crate) fn finding(pod: &str) -> String {
    format!(
        "pod {pod}: container main: expected at most 10 restarts, seen more, the last in the past 1h (Error, exit code 1)"
    )
}

/// A pod with the container `main`.
pub(crate) fn pod(name: &str, status: &Value) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"app": name.split('-').next().unwrap_or_default()}},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
        "status": status,
    })
}

/// One whose container restarted 11 times, the last time a minute ago.
pub(crate) fn failing(name: &str) -> Value {
    pod(
        name,
        &json!({"phase": "Running", "containerStatuses": [restarted("main", 11, 60)]}),
    )
}

pub(crate) fn healthy(name: &str) -> Value {
    pod(
        name,
        &json!({"phase": "Running", "containerStatuses": [restarted("main", 10, 60)]}),
    )
}

/// An API server with the namespaces that tests use.
pub(crate) struct Cluster {
    server: ApiServer,
    api: Api,
    /// The check's token, if the server asks for one.
    token: Option<NamedTempFile>,
}

impl Cluster {
    /// Everybody may do everything.
    pub(crate) fn new() -> Cluster {
        Cluster::with(ApiServerOptions::default(), None)
    }

    /// Roles decide what the check may do, which is nothing yet.
    pub(crate) fn guarded() -> Cluster {
        let token = |token: &str, user: &str, group: &str| Token {
            token: token.to_owned(),
            user: user.to_owned(),
            groups: vec![group.to_owned()],
        };
        let options = ApiServerOptions {
            tokens: vec![
                token("admin", "admin", "system:masters"),
                token("checker", CHECKER, "system:authenticated"),
            ],
            rbac: true,
            ..ApiServerOptions::default()
        };
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "checker").unwrap();
        Cluster {
            token: Some(file),
            ..Cluster::with(options, Some("admin"))
        }
    }

    fn with(options: ApiServerOptions, token: Option<&str>) -> Cluster {
        let server = RUNTIME.block_on(ApiServer::start(options)).unwrap();
        let api = Api::new(&server.url(), token, "test").unwrap();
        let cluster = Cluster {
            server,
            api,
            token: None,
        };
        for (name, team) in [("shop", "a"), ("bank", "a"), ("test", "b")] {
            cluster.create(
                "/api/v1/namespaces",
                &json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": {"team": team}}}),
            );
        }
        cluster
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn faults(&self) -> Faults {
        self.server.faults()
    }

    /// Forgets the history, so that tokens of lists run out.
    pub(crate) fn compact(&self) {
        self.server.compact();
    }

    pub(crate) fn create(&self, path: &str, object: &Value) {
        RUNTIME.block_on(self.api.create(path, object)).unwrap();
    }

    pub(crate) fn delete(&self, path: &str) {
        RUNTIME.block_on(self.api.delete(path)).unwrap();
    }

    /// Creates a pod and sets its status.
    pub(crate) fn pod(&self, namespace: &str, pod: &Value) {
        self.pods(namespace, vec![pod.clone()]);
    }

    /// Creates pods and sets their statuses.
    pub(crate) fn pods(&self, namespace: &str, pods: Vec<Value>) {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let create = |pod: Value| {
            let (api, path) = (&self.api, &path);
            async move {
                let mut created = api.create(path, &pod).await.unwrap();
                created["status"] = pod["status"].clone();
                let name = pod["metadata"]["name"].as_str().unwrap();
                let path = format!("{path}/{name}/status");
                api.replace(&path, &created).await.unwrap();
            }
        };
        RUNTIME.block_on(
            stream::iter(pods)
                .map(create)
                .buffer_unordered(8)
                .collect::<()>(),
        );
    }

    /// Requests of the check, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut requests = self.server.requests();
        requests.retain(|seen| seen.agent.starts_with("kuberhealer"));
        requests
    }

    /// The check, all of whose options may be set by `vars`.
    pub(crate) fn check(&self, vars: &[(&str, &str)]) -> Check {
        let check = check(vars).var("KUBE_API_URL", &self.url());
        match &self.token {
            Some(file) => check.var("KUBE_API_TOKEN_FILE", file.path().to_str().unwrap()),
            None => check,
        }
    }
}

/// Waits for what must come.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never came: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A run to be.
pub(crate) struct Check {
    deadline: Option<Duration>,
    path: &'static str,
    command: Command,
}

/// The check with these variables, in the namespace `checks`.
pub(crate) fn check(vars: &[(&str, &str)]) -> Check {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pod-restarts-check"));
    command
        .env_clear()
        .env("KH_POD_NAMESPACE", "checks")
        .envs(vars.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Check {
        deadline: Some(Duration::from_secs(60)),
        path: "/check",
        command,
    }
}

impl Check {
    pub(crate) fn var(mut self, name: &str, value: &str) -> Check {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Check {
        self.command.arg(arg);
        self
    }

    pub(crate) fn deadline(mut self, deadline: Option<Duration>) -> Check {
        self.deadline = deadline;
        self
    }

    /// Reports as to Kuberhealthy 2.
    pub(crate) fn v2(mut self) -> Check {
        self.path = "/externalCheckStatus";
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Verdict {
        self.start().end()
    }

    /// Starts it under a Kuberhealthy that waits for its report.
    pub(crate) fn start(mut self) -> Running {
        let kuberhealthy = Server::saying(200, &[], "");
        self.command
            .env("KH_REPORTING_URL", kuberhealthy.url(self.path))
            .env("KH_RUN_UUID", "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41");
        if let Some(deadline) = self.deadline {
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + deadline;
            self.command
                .env("KH_CHECK_RUN_DEADLINE", deadline.as_secs().to_string());
        }
        Running {
            started: Instant::now(),
            child: self.command.spawn().unwrap(),
            kuberhealthy,
        }
    }

    /// Runs it as on a terminal, without Kuberhealthy.
    pub(crate) fn alone(mut self) -> Output {
        self.command.output().unwrap()
    }
}

/// A run under way.
pub(crate) struct Running {
    started: Instant,
    child: Child,
    kuberhealthy: Server,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn end(self) -> Verdict {
        let output = self.child.wait_with_output().unwrap();
        let took = self.started.elapsed();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        let reports = self.kuberhealthy.seen();
        assert_eq!(reports.len(), 1, "{log}");
        let report: Value = serde_json::from_str(&reports[0].body).unwrap();
        let errors = report["Errors"].as_array().unwrap().iter();
        Verdict {
            ok: report["OK"].as_bool().unwrap(),
            errors: errors
                .map(|error| error.as_str().unwrap().to_owned())
                .collect(),
            log,
            took,
        }
    }
}
