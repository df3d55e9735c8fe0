//! Report the verdict of a Kuberhealthy check, once, in time, whatever happens.

mod context;
mod display;
pub mod env;
mod finding;
mod report;
mod run;
mod text;

pub use context::Context;
pub use env::{Endpoint, EnvError, Line, RunEnv};
pub use finding::{Finding, Subject};
pub use report::Report;
pub use run::{run, run_in};
pub use text::redact_urls;

/// Makes ring the process's crypto provider for TLS, unless one is installed already. [`run`] does it first of all.
pub fn install_crypto_provider() {
    // Refused only if there is one, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
