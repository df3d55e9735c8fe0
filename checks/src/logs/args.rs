//! The options of log-check.

use super::values::{ApiUrl, Backend, Bound, DslQuery, Object, Window};
use crate::cli::Names;
use crate::http::credentials::CredentialArgs;
use crate::http::values::ProxyChoice;
use crate::tls::TlsArgs;
use crate::values::{FileText, PositiveSpan, Span, Switch, UpTo};

pub(super) const NAMES: Names = Names {
    official: &[],
    secret: &["BASIC_AUTH_PASSWORD", "BEARER_TOKEN", "API_KEY"],
};

/// Every option of log-check.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Log backend")]
pub(super) struct LogArgs {
    /// What keeps the logs: elasticsearch, opensearch or loki
    #[arg(long, value_name = "BACKEND")]
    pub(super) log_backend: Option<Backend>,
    /// URL of its API, without /_count or /loki/api, such as https://es.logging.svc:9200
    #[arg(long, value_name = "URL")]
    pub(super) log_url: Option<ApiUrl>,
    /// Tenants of Loki (X-Scope-OrgID), separated by |; unset: none is named
    #[arg(long, value_name = "TENANT")]
    pub(super) loki_tenant: Option<String>,

    #[command(flatten)]
    pub(super) query: QueryArgs,
    #[command(flatten)]
    pub(super) expected: ExpectedArgs,
    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(super) auth: AuthArgs,
    /// Proxy: its URL, `direct`, or `env` for HTTP_PROXY, HTTPS_PROXY and NO_PROXY
    #[arg(
        long,
        value_name = "PROXY",
        default_value = "env",
        help_heading = "Connection"
    )]
    pub(super) proxy_url: ProxyChoice,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
}

/// What to count.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Query")]
pub(super) struct QueryArgs {
    /// Lines to count: a query string (Elasticsearch, OpenSearch) or a log query in LogQL (Loki), whose lines are counted
    /// over WINDOW; for Loki also a metric query, which has a range of its own and whose results are summed
    #[arg(long, value_name = "QUERY")]
    pub(super) query: Option<String>,
    /// Lines to count as query DSL, instead of QUERY: {"query": ...}, to which the time window is added
    #[arg(long, value_name = "JSON")]
    pub(super) query_body: Option<DslQuery>,
    /// Index, data stream or alias; wildcards and several separated by commas are allowed
    #[arg(long, value_name = "INDEX")]
    pub(super) index: Option<String>,
    /// Field with the time of a line (Elasticsearch, OpenSearch); unset: @timestamp
    #[arg(long, value_name = "FIELD")]
    pub(super) time_field: Option<String>,
    /// How far back lines count, by the clock of the backend; unset: 10m
    #[arg(long, value_name = "DURATION")]
    pub(super) window: Option<Window>,
}

/// What the number must be.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Expected number")]
pub(super) struct ExpectedArgs {
    /// Least number that passes; this or EXPECTED_MAX is needed
    #[arg(long, value_name = "N")]
    pub(super) expected_min: Option<Bound>,
    /// Greatest number that passes
    #[arg(long, value_name = "N")]
    pub(super) expected_max: Option<Bound>,
    /// Whom the logs are about, such as `deployment shop/web`: a number that does not pass is told of it
    #[arg(long, value_name = "OBJECT")]
    pub(super) subject: Option<Object>,
    /// Judge a number that is not of all shards, or that comes with warnings
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) allow_partial: Switch,
}

/// How long and how often to try.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub(super) struct ScheduleArgs {
    /// Time for one request, from the connection to the last byte
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub(super) timeout_duration: PositiveSpan,
    /// Times to ask a backend again that cannot be reached, is busy, or answers in part
    #[arg(long, value_name = "N", default_value = "2")]
    pub(super) retries: UpTo<100>,
    /// Pause before the first of them, doubled before each next one; a longer Retry-After of the backend is kept to
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(super) retry_delay: Span,
}

/// Who asks.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Credentials")]
pub(super) struct AuthArgs {
    #[command(flatten)]
    pub(super) credentials: CredentialArgs,
    /// API key of Elasticsearch in its encoded form; better from a file
    #[arg(long, value_name = "KEY")]
    pub(super) api_key: Option<String>,
    /// File with the API key
    #[arg(long, value_name = "FILE")]
    pub(super) api_key_file: Option<FileText>,
}
