//! The web application of the demo: one pod of it. It answers 200 until it is told to answer 503.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// `khctl demo-web`: what a pod of the demo's web application runs.
#[derive(Debug, clap::Args)]
pub(crate) struct WebArgs {
    /// Address to listen on: the pod's
    #[arg(long)]
    ip: IpAddr,
    /// Port to listen on
    #[arg(long, default_value_t = super::scene::WEB_PORT)]
    port: u16,
}

/// Serves until SIGTERM, as a pod does.
pub(crate) async fn serve(args: &WebArgs) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let address = SocketAddr::new(args.ip, args.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    axum::serve(listener, router())
        .with_graceful_shutdown(async move {
            terminated.recv().await;
        })
        .await?;
    Ok(())
}

/// `GET /` is the application; `POST /control/break` and `/control/heal` are for whoever stages the demo.
fn router() -> Router {
    let broken = Arc::new(AtomicBool::new(false));
    Router::new()
        .route("/", get(page))
        .route(
            "/control/break",
            post(|state| async { control(state, true) }),
        )
        .route(
            "/control/heal",
            post(|state| async { control(state, false) }),
        )
        .with_state(broken)
}

async fn page(State(broken): State<Arc<AtomicBool>>) -> (StatusCode, &'static str) {
    if broken.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "the database is gone\n")
    } else {
        (StatusCode::OK, "welcome to the shop\n")
    }
}

fn control(State(broken): State<Arc<AtomicBool>>, to: bool) -> StatusCode {
    broken.store(to, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}
