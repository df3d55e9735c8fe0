//! A Kuberhealthy that takes one report, an API server with objects in it, and the real binary between them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions, Token};
use sandbox::faults::Faults;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// An HTTP server on loopback that answers every request by `respond`, which gets the path and the body; it lives as
/// long as the test process.
pub(crate) fn serve(respond: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let respond = Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let respond = Arc::clone(&respond);
            thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut reader = BufReader::new(&stream);
                let (mut path, mut length) = (String::new(), 0);
                for line in reader.by_ref().lines() {
                    let Ok(line) = line else { return };
                    if path.is_empty() {
                        path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_ok() {
                    let answer = respond(&path, &String::from_utf8_lossy(&body));
                    let _ = (&stream).write_all(&answer);
                }
            });
        }
    });
    address
}

/// An answer with this status and headers, and no body.
pub(crate) fn answer(status: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Word\r\nContent-Length: 0\r\n{headers}\r\n").into_bytes()
}

/// An HTTPS server on 127.0.0.1 that answers 200; gives its port.
pub(crate) fn serve_tls(certificate: CertificateDer<'static>, key: Vec<u8>) -> u16 {
    let key = PrivateKeyDer::try_from(key).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certificate], key)
    .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    RUNTIME.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&answer(200, "")).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        port
    })
}

/// A port nobody listens on.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// An API server with the namespaces that tests use.
pub(crate) struct Cluster {
    server: ApiServer,
    api: Api,
    /// The check's token, if the server asks for one.
    token: Option<NamedTempFile>,
}

/// The user of the check where roles decide.
pub(crate) const CHECKER: &str = "system:serviceaccount:checks:checker";

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
        for name in ["shop", "checks"] {
            let object =
                json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}});
            cluster.add("/api/v1/namespaces", object);
        }
        cluster
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn faults(&self) -> Faults {
        self.server.faults()
    }

    /// Creates an object, with its status if it has one.
    #[track_caller]
    pub(crate) fn add(&self, path: &str, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let created = RUNTIME.block_on(self.api.create(path, &object)).unwrap();
        if object.get("status").is_some() {
            let mut with_status = created;
            with_status["status"] = object["status"].clone();
            let path = format!("{path}/{name}/status");
            RUNTIME
                .block_on(self.api.replace(&path, &with_status))
                .unwrap();
        }
    }

    /// A service of the namespace `shop` with the ports `http` (80) and `metrics` (9090).
    pub(crate) fn service(&self, name: &str, spec: Value) {
        let mut object = json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": {
            "ports": [
                {"name": "http", "port": 80, "targetPort": 8080},
                {"name": "metrics", "port": 9090},
            ],
        }});
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        self.add("/api/v1/namespaces/shop/services", object);
    }

    /// A slice of a service with the port `http`; endpoints as (pod, conditions).
    pub(crate) fn slice(&self, name: &str, service: &str, endpoints: &[(&str, Value)]) {
        let endpoints: Vec<Value> = endpoints
            .iter()
            .enumerate()
            .map(|(at, (pod, conditions))| {
                json!({
                    "addresses": [format!("10.0.0.{}", at + 1)],
                    "conditions": conditions,
                    "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": pod},
                })
            })
            .collect();
        let labels = json!({"kubernetes.io/service-name": service});
        self.add(
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
            json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
                   "metadata": {"name": name, "labels": labels},
                   "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}),
        );
    }

    /// Waits until the server has answered a request for which `wanted` holds: verb, resource and name.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&str, &str, &str) -> bool) {
        let start = Instant::now();
        while !self.server.requests().iter().any(|seen| {
            seen.agent.starts_with("kuberhealer") && wanted(&seen.verb, &seen.resource, &seen.name)
        }) {
            assert!(
                start.elapsed() < PATIENCE,
                "no such request: {:#?}",
                self.server.requests()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many requests of the check there were for a resource.
    pub(crate) fn requests(&self, resource: &str) -> usize {
        let requests = self.server.requests();
        let own = requests
            .iter()
            .filter(|seen| seen.agent.starts_with("kuberhealer"));
        own.filter(|seen| seen.resource == resource).count()
    }

    /// The check with this list, in the namespace `checks`.
    pub(crate) fn check(&self, dependencies: &str) -> Check {
        let check = check(dependencies).var("KUBE_API_URL", &self.url());
        match &self.token {
            Some(file) => check.var("KUBE_API_TOKEN_FILE", file.path().to_str().unwrap()),
            None => check,
        }
    }
}

/// Conditions of an endpoint that can be used.
pub(crate) fn ready() -> Value {
    json!({"ready": true, "serving": true, "terminating": false})
}

pub(crate) fn not_ready() -> Value {
    json!({"ready": false, "serving": false, "terminating": false})
}

pub(crate) fn terminating() -> Value {
    json!({"ready": false, "serving": true, "terminating": true})
}

/// A run to be.
pub(crate) struct Check {
    deadline: Option<Duration>,
    vars: BTreeMap<String, String>,
}

/// The check with this list, without a cluster.
pub(crate) fn check(dependencies: &str) -> Check {
    let vars = [
        ("DEPENDENCIES", dependencies),
        ("KH_POD_NAMESPACE", "checks"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Check {
        deadline: Some(Duration::from_secs(60)),
        vars: vars.into(),
    }
}

impl Check {
    pub(crate) fn var(mut self, name: &str, value: &str) -> Check {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn deadline(mut self, deadline: Option<Duration>) -> Check {
        self.deadline = deadline;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dependency-check"));
        command.env_clear().envs(&self.vars).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Verdict {
        self.start().end()
    }

    /// Starts it under a Kuberhealthy that waits for its report.
    pub(crate) fn start(self) -> Running {
        let (sender, reports) = channel();
        let kuberhealthy = serve(move |_, body| {
            let _ = sender.send(body.to_owned());
            answer(200, "")
        });
        let mut command = self.command();
        command
            .env("KH_REPORTING_URL", format!("http://{kuberhealthy}/check"))
            .env("KH_RUN_UUID", "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41");
        if let Some(deadline) = self.deadline {
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + deadline;
            command.env("KH_CHECK_RUN_DEADLINE", deadline.as_secs().to_string());
        }
        Running {
            child: command.spawn().unwrap(),
            reports,
        }
    }

    /// Runs it as on a terminal, without Kuberhealthy.
    pub(crate) fn alone(self) -> Output {
        self.command().output().unwrap()
    }
}

/// A run under way.
pub(crate) struct Running {
    child: Child,
    reports: Receiver<String>,
}

impl Running {
    /// Waits for its end; asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn end(self) -> Verdict {
        let output = self.child.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        let reports: Vec<String> = self.reports.try_iter().collect();
        assert_eq!(reports.len(), 1, "{log}");
        let report: Value = serde_json::from_str(&reports[0]).unwrap();
        let errors = report["Errors"].as_array().unwrap().iter();
        Verdict {
            ok: report["OK"].as_bool().unwrap(),
            errors: errors
                .map(|error| error.as_str().unwrap().to_owned())
                .collect(),
            log,
        }
    }
}

/// What was reported.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) errors: Vec<String>,
    pub(crate) log: String,
}

impl Verdict {
    #[track_caller]
    pub(crate) fn passed(&self) -> &Verdict {
        assert!(self.ok && self.errors.is_empty(), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(&self, errors: &[&str]) -> &Verdict {
        assert!(!self.ok, "{self:#?}");
        assert_eq!(self.errors, errors, "{self:#?}");
        self
    }
}
