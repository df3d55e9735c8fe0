//! The process: from the command line to a clean end.
//!
//! ```text
//!   Options --connect--> clients --preflight--> API server there, kinds installed
//!        |                                          v
//!        |                       lease ----fence--> controller --gate--> API server
//!        v                                          |
//!   logs, HTTP (/metrics, /healthz, /readyz) <------+
//! ```
//!
//! A signal closes the gate, waits for the writes under way, ends the controller and gives the lease up, in this order,
//! so that the next leader finds nothing half done that could be whole.

mod connect;
mod gate;
mod health;
mod http;
mod identity;
mod logging;
mod options;
mod preflight;
mod signals;
mod strays;
mod variables;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock;
use crate::explain::{chain, explain};
use crate::fence::{Fence, Keeper, LostLease};
use crate::hooks::{Credentials, Hooks, NoCredential};
use crate::lease::{Lease, Timings};
use crate::metrics::Metrics;
use crate::notify::{Config, ConfigError, Notify};
use connect::{Connection, NoCluster, connect};
use gate::Gate;
use health::{Health, Stage};
use logging::Repeated;
use signals::{Received, Signals};

pub use logging::{LogFormat, LogLevel};
pub use options::Options;
pub use variables::{OptionDoc, parse, reference, with_help};

/// The longest that giving up the lease may take; without an answer by then it is left to expire.
const RELEASE: Duration = Duration::from_secs(10);

/// Exit status after a panic, as of any Rust program.
const PANICKED: i32 = 101;

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    #[error("cannot listen on {address}: {source}; another address can be given with --listen")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(
        "cannot listen on {address}: {source}; another address can be given with --webhook-listen"
    )]
    ListenForAlerts {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    NoCluster(#[from] NoCluster),
    #[error(transparent)]
    Notify(#[from] ConfigError),
    #[error(transparent)]
    NoCredential(#[from] NoCredential),
    #[error("the controller has ended: {0}")]
    Ended(String),
}

/// Runs the controller until a signal asks it to end. This is all that the process does: it takes over logs, signals
/// and panics.
///
/// The exit status is 0 after a clean end; 1 if it could not run, or if writes were still under way when
/// [`Options::shutdown_seconds`] were over; 130 or 143 if a second signal cut the end short; 101 after a panic.
pub fn run(options: &Options) -> ExitCode {
    if let Err(error) = logging::install(options.log_format, &options.log_level) {
        // Nobody is left to be told if standard error is closed.
        let _ = io::Write::write_all(
            &mut io::stderr(),
            format!("remediator: nothing can be logged: {error}\n").as_bytes(),
        );
        return ExitCode::FAILURE;
    }
    end_with_a_panic();
    for stray in strays::find(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!("{stray}");
    }
    khclient::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(supervise(options));
    // A name look-up or a credential plugin must not hold the exit.
    runtime.shutdown_background();
    ended.unwrap_or_else(|failed| {
        tracing::error!("{failed}");
        ExitCode::FAILURE
    })
}

/// A controller of which a part has panicked looks alive and does nothing. All state is in the cluster, so that a new
/// process is cheap and goes on where this one was.
fn end_with_a_panic() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}");
        std::process::exit(PANICKED);
    }));
}

async fn supervise(options: &Options) -> Result<ExitCode, Failed> {
    let mut signals = Signals::listen().map_err(Failed::Signals)?;
    let metrics = Metrics::new();
    let health = Health::new(metrics.clone());
    let gate = Gate::new(metrics.clone());
    let notify = match &options.notify_config {
        Some(path) => Notify::new(Config::read(path)?, metrics.clone()),
        None => Notify::default(),
    };
    let failed = |source| Failed::Listen {
        address: options.listen,
        source,
    };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let listen = listener.local_addr().map_err(failed)?;
    let hooks = match options.webhook_listen {
        Some(address) => Some(hooks(address, options.credentials()).await?),
        None => None,
    };
    let connection = connect(options, &gate).await?;
    let (version, server) = (env!("CARGO_PKG_VERSION"), &connection.url);
    tracing::info!(version, %listen, server, "starting");
    tokio::spawn(http::serve(listener, metrics.clone(), health.clone()));
    tokio::select! {
        () = preflight::ready(&connection.client, &connection.url, &health) => {}
        signal = signals.next() => {
            tracing::info!(%signal, "stopped before anything was begun");
            return Ok(ExitCode::SUCCESS);
        }
    }
    health.set(Stage::Running);
    let identity = identity::unique(options.identity.as_deref());
    let (leadership, fence) = Leadership::seek(options, &connection, &identity, metrics.clone());
    let (desk, opened) = oneshot::channel();
    // Ended together when dropped.
    let mut parts = JoinSet::new();
    parts.spawn(follow(fence.clone(), metrics.clone()));
    parts.spawn(wire::controller(
        connection.client,
        fence,
        options.clone(),
        identity,
        metrics.clone(),
        notify,
        desk,
    ));
    if let Some(hooks) = hooks {
        tokio::spawn(async move {
            // It is not handed over if the controller has ended.
            if let Ok(desk) = opened.await {
                hooks.serve(desk, metrics).await;
            }
        });
    }
    tokio::select! {
        ended = parts.join_next() => Err(Failed::Ended(match ended {
            Some(Ok(Err(lost))) => lost.to_string(),
            Some(Err(error)) => chain(&error),
            Some(Ok(Ok(()))) | None => "without a reason".to_owned(),
        })),
        signal = signals.next() => {
            health.set(Stage::Stopping);
            Ok(stop(signal, &mut signals, options, &gate, parts, leadership).await)
        }
    }
}

/// Takes the address, and looks whether anybody could send alerts.
async fn hooks(address: SocketAddr, credentials: Credentials) -> Result<Hooks, Failed> {
    credentials.check().await?;
    let failed = |source| Failed::ListenForAlerts { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let listen = listener.local_addr().map_err(failed)?;
    tracing::info!(%listen, "alerts are taken in");
    Ok(Hooks::new(listener, credentials))
}

/// Ends everything in order.
async fn stop(
    signal: Received,
    signals: &mut Signals,
    options: &Options,
    gate: &Gate,
    mut parts: JoinSet<Result<(), LostLease>>,
    leadership: Leadership,
) -> ExitCode {
    tracing::info!(%signal, "stopping: nothing more is begun; a second signal ends this at once");
    gate.close();
    let ended = async {
        let drained = tokio::time::timeout(options.shutdown(), gate.drained()).await;
        parts.shutdown().await;
        if drained.is_err() {
            // The lease is kept until it ends by itself, so that nobody acts before the last write has.
            let seconds = options.shutdown_seconds;
            tracing::warn!(
                seconds,
                "writes were still under way; the lease is left to expire"
            );
            return ExitCode::FAILURE;
        }
        leadership.release().await;
        tracing::info!("stopped");
        ExitCode::SUCCESS
    };
    tokio::select! {
        code = ended => code,
        second = signals.next() => {
            tracing::warn!(signal = %second, "ended at once");
            ExitCode::from(second.exit_status())
        }
    }
}

/// A replica that seeks the lease.
struct Leadership {
    release: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Leadership {
    fn seek(
        options: &Options,
        connection: &Connection,
        identity: &str,
        metrics: Metrics,
    ) -> (Leadership, Fence) {
        let namespace = options.lease_namespace.as_ref();
        let namespace = namespace.unwrap_or(&connection.namespace).clone();
        let name = options.lease_name.clone();
        tracing::info!(lease = %format_args!("{namespace}/{name}"), identity, "seeking the lease");
        let timings = Timings::of(options.lease_seconds);
        let client = connection.lease.clone();
        let lease = Lease::new(client, &namespace, &name, identity, timings);
        let (keeper, fence) = Keeper::new();
        let (release, released) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut repeated = Repeated::default();
            let failed = |error: &kube::Error| {
                metrics.request_failed(crate::explain::code(error));
                let why = explain(error);
                if repeated.is_due(&why, clock::instant()) {
                    tracing::warn!(
                        "the lease {namespace}/{name} cannot be read or written: {why}; it is tried again"
                    );
                }
            };
            // Dropped without a word it would be released too; that never happens, as the task ends with it.
            let released = async move { drop(released.await) };
            lease.run(keeper, released, failed).await;
        });
        (Leadership { release, task }, fence)
    }

    /// Gives the lease up, so that another replica need not wait.
    async fn release(mut self) {
        // Refused only if the task has ended.
        let _ = self.release.send(());
        match tokio::time::timeout(RELEASE, &mut self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given up"),
            Err(_) => {
                self.task.abort();
                let seconds = RELEASE.as_secs();
                tracing::warn!(
                    seconds,
                    "no answer to giving up the lease; it is left to expire"
                );
            }
        }
    }
}

/// Shows whether this replica leads.
async fn follow(fence: Fence, metrics: Metrics) -> Result<(), LostLease> {
    loop {
        let term = fence.gained().await?;
        metrics.leading(true);
        fence.lost(term).await;
        metrics.leading(false);
    }
}
