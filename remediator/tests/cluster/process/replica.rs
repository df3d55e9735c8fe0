//! A process of the binary, its log and what it serves.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use remediator::crd::definitions;
use sandbox::api::Api;
use sandbox::apiserver::ApiServer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/default/leases/kuberhealer-remediator";
pub(super) const POLICIES: &str =
    "/apis/kuberhealer.io/v1alpha1/namespaces/default/remediationpolicies";
pub(super) const AGENT: &str = concat!("remediator/", env!("CARGO_PKG_VERSION"));

/// The binary, with no more of the environment than any program needs.
pub(super) fn remediator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remediator"));
    command.env_clear();
    command
}

/// A running process. Dropping it kills it.
pub(super) struct Replica {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Replica {
    /// A replica that works on this API server.
    pub(super) fn start(server: &ApiServer, options: &[&str]) -> Replica {
        Replica::with_kubeconfig(&server.kubeconfig(), options)
    }

    pub(super) fn with_kubeconfig(kubeconfig: &str, options: &[&str]) -> Replica {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig).unwrap();
        let mut child = remediator()
            .env("KUBECONFIG", &path)
            .env("KUBERHEALER_LISTEN", "127.0.0.1:0")
            .env("KUBERHEALER_LOG_FORMAT", "json")
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Replica {
            child,
            log,
            _folder: folder,
        }
    }

    /// The lines of the log, each of which is JSON.
    pub(super) fn log(&self) -> Vec<Value> {
        let lines = self.log.lock().unwrap();
        let parsed =
            |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        lines.iter().map(parsed).collect()
    }

    /// Waits for a line whose message holds `text`.
    pub(super) async fn says(&self, text: &str) -> Value {
        let line = async {
            loop {
                let said = |line: &Value| line["message"].as_str().unwrap().contains(text);
                if let Some(line) = self.log().into_iter().find(said) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let line = tokio::time::timeout(Duration::from_secs(60), line).await;
        line.unwrap_or_else(|_| panic!("never said {text:?}: {:#?}", self.log()))
    }

    pub(super) async fn identity(&self) -> String {
        let line = self.says("seeking the lease").await;
        line["identity"].as_str().unwrap().to_owned()
    }

    /// The status code and the text of an answer.
    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        let line = self.says("starting").await;
        let address: SocketAddr = line["listen"].as_str().unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, body.to_owned())
    }

    /// Waits until `path` answers `code` with a text that holds `text`.
    pub(super) async fn answers(&self, path: &str, code: u16, text: &str) {
        let mut last = (0, String::new());
        for _ in 0..600 {
            last = self.get(path).await;
            if last.0 == code && last.1.contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} never {code} {text:?}: {last:?} {:#?}", self.log());
    }

    pub(super) async fn leads(&self) {
        self.answers("/metrics", 200, "\nkuberhealer_leader 1\n")
            .await;
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().cast_signed());
        kill(id, signal).unwrap();
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        for _ in 0..1200 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not end: {:#?}", self.log());
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // Refused only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) async fn install(api: &Api) {
    for definition in definitions().unwrap() {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        api.create(path, &definition.value).await.unwrap();
    }
}

/// Who holds the lease; nobody if it was given up.
pub(super) async fn holder(api: &Api) -> String {
    let lease = api.get(LEASE).await.unwrap();
    let holder = lease["spec"]["holderIdentity"].as_str();
    holder.unwrap_or_default().to_owned()
}
