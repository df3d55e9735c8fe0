//! http-check against real web servers.

mod answers;
mod configuration;
mod drop_in;
mod http2;
mod pods;
mod requests;
mod tls;
mod transport;

use crate::support::*;

/// The check with these variables.
fn check(vars: &[(&str, &str)]) -> Check {
    Check::of(env!("CARGO_BIN_EXE_http-check")).with(vars)
}

/// The check of one URL, with further variables.
fn probe(url: &str, vars: &[(&str, &str)]) -> Verdict {
    check(vars).var("CHECK_URL", url).run()
}
