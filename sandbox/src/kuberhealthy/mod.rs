//! Kuberhealthy as its two lines really behave: the same writes in the same order, the same answers to reports, the
//! same status page and metrics.
//!
//! What is here was read from the sources of v2.8.0-rc2 and v3.0.13 and is checked against recordings of both.

mod clock;
mod duration;
mod faults;
mod go;
mod install;
mod pods;
mod server;
mod speed;
pub mod v2;
pub mod v3;

pub use duration::{DurationError, GoDuration};
pub use faults::{ReportFault, ReportFaults};
pub use speed::Speed;

use crate::api::ApiError;

/// Why a Kuberhealthy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its address cannot be listened on.
    #[error(
        "cannot listen on {address}: {why}; choose another listen address, or port 0 for a free port"
    )]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// The system's reason.
        why: std::io::Error,
    },
    /// The API server did not take its definitions.
    #[error("the API server does not take {what}: {why}")]
    Install {
        /// What was to be created.
        what: String,
        /// The refusal.
        why: ApiError,
    },
}
