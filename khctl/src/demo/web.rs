//! The applications of the demo: one pod of them, which answers 200 until something is wrong, and the way to make
//! something wrong.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// One request to a pod, and the time it has to come to be as it was told.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// `khctl demo-web`: what a pod of the demo's applications runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WebArgs {
    /// Address to listen on: the pod's
    #[arg(long)]
    ip: IpAddr,
    /// Port to listen on
    #[arg(long, default_value_t = super::scene::PORT)]
    port: u16,
    /// Revision of the Deployment that the pod belongs to
    #[arg(long, default_value = "")]
    revision: String,
    /// URL that has to answer 200, or this one does not
    #[arg(long)]
    backend: Option<String>,
    /// File with a revision whose pods all answer 503
    #[arg(long)]
    spoilt: Option<PathBuf>,
}

/// Serves until SIGTERM, as a pod does.
pub(crate) async fn serve(args: &WebArgs) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let address = SocketAddr::new(args.ip, args.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    axum::serve(listener, router(args)?)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminated.recv() => {}
                () = orphaned() => {}
            }
        })
        .await?;
    Ok(())
}

/// Returns once the process that started this one is gone: a node that is killed cannot stop its pods.
async fn orphaned() {
    let parent = parent_id();
    while parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What a pod's answer depends on.
struct Pod {
    args: WebArgs,
    broken: AtomicBool,
    remote: Remote,
}

/// `GET /` is the application; `POST /control/break` and `/control/heal` are for whoever stages the demo.
fn router(args: &WebArgs) -> anyhow::Result<Router> {
    let pod = Arc::new(Pod {
        args: args.clone(),
        broken: AtomicBool::new(false),
        remote: Remote::new()?,
    });
    Ok(Router::new()
        .route("/", get(page))
        .route(
            "/control/break",
            post(|state| async { control(state, true) }),
        )
        .route(
            "/control/heal",
            post(|state| async { control(state, false) }),
        )
        .with_state(pod))
}

async fn page(State(pod): State<Arc<Pod>>) -> (StatusCode, &'static str) {
    let wrong = |what| (StatusCode::SERVICE_UNAVAILABLE, what);
    if pod.broken.load(Ordering::Relaxed) {
        return wrong("this pod has lost its way\n");
    }
    if pod
        .args
        .spoilt
        .as_deref()
        .is_some_and(|file| names(file, &pod.args.revision))
    {
        return wrong("this revision is spoilt\n");
    }
    if let Some(backend) = &pod.args.backend
        && !pod.remote.is_well(backend).await
    {
        return wrong("the database does not answer\n");
    }
    (StatusCode::OK, "welcome to the shop\n")
}

/// Whether the file holds this revision; one that does not exist holds none.
fn names(file: &Path, revision: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|spoilt| spoilt == revision)
}

fn control(State(pod): State<Arc<Pod>>, to: bool) -> StatusCode {
    pod.broken.store(to, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

/// How a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers 200.
    Well,
    /// It answers 503.
    Broken,
}

impl Health {
    fn status(self) -> StatusCode {
        match self {
            Health::Well => StatusCode::OK,
            Health::Broken => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Health::Well => "/control/heal",
            Health::Broken => "/control/break",
        }
    }
}

/// Talks to pods of the applications.
#[derive(Debug)]
pub(super) struct Remote {
    http: reqwest::Client,
}

impl Remote {
    /// A client for loopback: no proxy, no certificates.
    pub(super) fn new() -> anyhow::Result<Remote> {
        khclient::install_crypto_provider();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .connect_timeout(REQUEST_LIMIT)
            .build()?;
        Ok(Remote { http })
    }

    /// The client itself.
    pub(super) fn client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Whether `url` answers 200 now.
    pub(super) async fn is_well(&self, url: &str) -> bool {
        let answer = self.http.get(url).timeout(REQUEST_LIMIT).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Waits until the pod at `address` answers as it should: a process is running before it listens.
    pub(super) async fn answers(&self, address: &str, health: Health) -> anyhow::Result<()> {
        let expected = health.status();
        let url = format!("http://{address}/");
        let until = Instant::now() + REQUEST_LIMIT;
        loop {
            let answer = self.http.get(&url).timeout(REQUEST_LIMIT).send().await;
            match answer.map(|answer| answer.status()) {
                Ok(status) if status == expected => return Ok(()),
                _ if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                Ok(status) => bail!("{url}: expected status {expected}, got {status}"),
                Err(error) => bail!("{url}: expected status {expected}, got {error}"),
            }
        }
    }

    /// Breaks or heals the pod at `address`, and makes sure that it did.
    pub(super) async fn set(&self, address: &str, health: Health) -> anyhow::Result<()> {
        let url = format!("http://{address}{}", health.path());
        let answer = self.http.post(&url).timeout(REQUEST_LIMIT).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{url}: expected success, got {status}");
        self.answers(address, health).await
    }
}
