//! The options of dependency-check.

use crate::cli::Names;
use crate::cluster::ClusterArgs;
use crate::tls::TlsArgs;
use crate::values::{AtLeastOne, PositiveSpan, Span, StatusSet};

pub(super) const NAMES: Names = Names {
    official: &[],
    secret: &[],
};

/// Every option of dependency-check.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Dependencies")]
pub(super) struct DependencyArgs {
    /// What must be available, separated by commas: service:[NS/]NAME[:PORT], deployment:, statefulset:, daemonset:,
    /// job: or pvc:[NS/]NAME, pod:[NS/]SELECTOR (in parentheses if it has commas), dns:NAME, tcp:HOST:PORT,
    /// http(s)://..., GROUP/VERSION/KIND:[NS/]NAME:CONDITION[=STATUS]; a name alone is a service. `>=2` or `>=50%` at
    /// the end asks for more than one; optional: at the start only logs what is missing
    #[arg(long, value_name = "LIST", action = clap::ArgAction::Append)]
    pub(super) dependencies: Vec<String>,
    /// Services as kubernetes-entrypoint names them: [NAMESPACE:]NAME, separated by commas
    #[arg(long, value_name = "LIST", action = clap::ArgAction::Append)]
    pub(super) dependency_service: Vec<String>,
    /// Jobs as kubernetes-entrypoint names them: [NAMESPACE:]NAME, separated by commas
    #[arg(long, value_name = "LIST", action = clap::ArgAction::Append)]
    pub(super) dependency_jobs: Vec<String>,
    /// Status codes of http:// and https:// dependencies that pass; redirects are not followed
    #[arg(long, value_name = "CODES", default_value = "200-399")]
    pub(super) expected_status_code: StatusSet,

    /// Time to wait for all of them to become available, up to the deadline of the run; 0 looks once
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "0",
        help_heading = "Schedule"
    )]
    pub(super) wait_seconds: Span,
    /// Time for one look at one dependency
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        help_heading = "Schedule"
    )]
    pub(super) timeout_duration: PositiveSpan,
    /// Dependencies looked at at the same time
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        help_heading = "Schedule"
    )]
    pub(super) concurrency: AtLeastOne,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
}
