//! The least that a check over HTTP can be: one GET, one report, with reqwest and tokio and nothing else.
//!
//! No deadline, no retry, no option, no error worth reading: the benchmark runs it beside http-check to show
//! what those cost.

use std::env;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Without this, reqwest has no TLS provider to build a client with, even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()?;
    let ok = client
        .get(env::var("CHECK_URL")?)
        .send()
        .await?
        .status()
        .is_success();
    let body = if ok {
        r#"{"OK":true,"Errors":[]}"#
    } else {
        r#"{"OK":false,"Errors":["failed"]}"#
    };
    client
        .post(env::var("KH_REPORTING_URL")?)
        .header("Content-Type", "application/json")
        .header("kh-run-uuid", env::var("KH_RUN_UUID")?)
        .body(body)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
