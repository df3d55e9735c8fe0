#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! ```text
//!   KH_* variables                     Kuberhealthy
//!        | env: RunEnv                      ^
//!        v                                  | POST {"OK": ..., "Errors": [...]}
//!   run: the harness -- Report --> reporter: attempts <-- answer: what the server means
//!        |  ^                               |
//!        |  | SIGTERM, deadline, panic      | no KH_REPORTING_URL
//!        v  |                               v
//!   the check: async fn(Context)       display: the verdict in words
//!   on a thread of its own
//! ```
//!
//! The rules of both lines of Kuberhealthy stand where they are applied: what a checker pod is told in [`env`](mod@env), what a
//! verdict may look like in [`Report`], how objects are named in [`Finding`], how long things may take and what
//! answers mean in the private modules `timing` and `answer`.

mod answer;
mod context;
mod display;
pub mod env;
mod finding;
pub mod harness_errors;
mod report;
mod reporter;
mod run;
mod running;
mod signals;
mod text;
mod timing;
mod tls;

pub use context::Context;
pub use env::{Endpoint, EnvError, Line, RunEnv};
pub use finding::{Finding, Subject};
pub use report::Report;
pub use reporter::{Delivery, Reporter, Undelivered};
pub use run::{run, run_in};
pub use text::{redact_urls, redact_value};
pub use tls::SetupError;

#[doc(hidden)]
pub use run::run_in_with_timing;
#[doc(hidden)]
pub use timing::Timing;

/// Makes ring the process's crypto provider for TLS, unless one is installed already. [`run`] does this first of all.
pub fn install_crypto_provider() {
    // Refused only if there is one, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Compiles the check in the document.
#[cfg(doctest)]
#[doc = include_str!("../../docs/write-a-check.md")]
struct WriteACheck;
