//! The options of http-check. Their defaults and meanings are the official checks' where those have them.

use super::credentials::CredentialArgs;
use super::headers::{Header, HeaderFile, HeaderRule};
use super::json::JsonRule;
use super::values::*;
use crate::cli::Names;
use crate::pods::{PodArgs, PortRef};
use crate::tls::TlsArgs;
use crate::values::*;

pub(super) const NAMES: Names = Names {
    official: &[
        "CHECK_URL",
        "COUNT",
        "SECONDS",
        "PASSING_PERCENT",
        "REQUEST_TYPE",
        "REQUEST_BODY",
        "EXPECTED_STATUS_CODE",
        "TARGET_URL",
        "TARGET_STRING",
        "TIMEOUT_DURATION",
    ],
    secret: &[
        "REQUEST_BODY",
        "REQUEST_HEADERS",
        "BASIC_AUTH_PASSWORD",
        "BEARER_TOKEN",
    ],
};

/// Every option of http-check.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Targets")]
pub(super) struct HttpArgs {
    /// URLs to probe, separated by white space or by a comma before the next http:// or https://
    #[arg(long, value_name = "URL", action = clap::ArgAction::Append)]
    pub(super) check_url: Vec<UrlList>,
    /// URLs as for CHECK_URL (the name http-content-check uses); needs TARGET_STRING
    #[arg(long, value_name = "URL", action = clap::ArgAction::Append)]
    pub(super) target_url: Vec<UrlList>,

    #[command(flatten)]
    pub(super) pods: PodArgs,
    /// Port of each pod: a number, or the name of a container port
    #[arg(long, value_name = "PORT", help_heading = "Pods")]
    pub(super) pod_targetport: Option<PortRef>,
    /// Path, with a query if need be, to ask each pod for
    #[arg(long, value_name = "PATH", default_value = "/", help_heading = "Pods")]
    pub(super) pod_path: String,
    /// Scheme to ask each pod with: http or https
    #[arg(
        long,
        value_name = "SCHEME",
        default_value = "http",
        help_heading = "Pods"
    )]
    pub(super) pod_scheme: Scheme,

    #[command(flatten)]
    pub(super) schedule: ScheduleArgs,
    #[command(flatten)]
    pub(super) request: RequestArgs,
    #[command(flatten)]
    pub(super) expected: ExpectedArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
}

/// How often and how long to probe.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub(super) struct ScheduleArgs {
    /// Probes of each target in one run; 0 counts as 1
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) count: Count,
    /// Pause between the probes of a target
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    pub(super) seconds: Span,
    /// Share of the probes of a target that must pass, rounded up; 0 counts as 100
    #[arg(long, value_name = "PERCENT", default_value = "100")]
    pub(super) passing_percent: Percent,
    /// Times to try a failing probe again before it counts as failed
    #[arg(long, value_name = "N", default_value = "0")]
    pub(super) retries: UpTo<1000>,
    /// Pause before trying again
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(super) retry_delay: Span,
    /// Time for one request, from the connection to the last byte, redirects included
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub(super) timeout_duration: PositiveSpan,
    /// Targets probed at the same time
    #[arg(long, value_name = "N", default_value = "10")]
    pub(super) concurrency: AtLeastOne,
}

/// What to send.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Request")]
pub(super) struct RequestArgs {
    /// Method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub(super) request_type: Method,
    /// Body; not sent with GET, HEAD and TRACE
    #[arg(long, value_name = "TEXT", default_value = "{}")]
    pub(super) request_body: String,
    /// File with the body, instead of REQUEST_BODY
    #[arg(long, value_name = "FILE")]
    pub(super) request_body_file: Option<FileText>,
    /// Header to send, as `Name: value`
    #[arg(long, value_name = "HEADER", action = clap::ArgAction::Append)]
    pub(super) request_headers: Vec<Header>,
    /// Header to send with its value from a file, as `Name: /path`
    #[arg(long, value_name = "HEADER", action = clap::ArgAction::Append)]
    pub(super) request_header_files: Vec<HeaderFile>,
    /// Host to ask for instead of the one in the URL; over https also the TLS server name unless that is set
    #[arg(long, value_name = "HOST")]
    pub(super) host_header: Option<HostHeader>,
    #[command(flatten)]
    pub(super) credentials: CredentialArgs,
    /// Redirects to follow; 0 judges the first answer
    #[arg(long, value_name = "N", default_value = "10")]
    pub(super) max_redirects: UpTo<100>,
}

/// What the answer must be.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Expected answer")]
pub(super) struct ExpectedArgs {
    /// Status codes that pass, such as 200,204,300-399 or 2xx; 0 counts as 200
    #[arg(long, value_name = "CODES", default_value = "200")]
    pub(super) expected_status_code: StatusSet,
    /// Text that the body must contain
    #[arg(long, value_name = "TEXT")]
    pub(super) target_string: Option<String>,
    /// Regular expression that the body must match
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    pub(super) expected_body: Vec<Pattern>,
    /// Regular expression that the body must not match
    #[arg(long, value_name = "REGEX", action = clap::ArgAction::Append)]
    pub(super) forbidden_body: Vec<Pattern>,
    /// JSONPath or JSON pointer and a comparison (==, !=, <, <=, >, >=, =~, exists, absent), such as `$.status == "ok"`
    #[arg(long, value_name = "RULE", action = clap::ArgAction::Append)]
    pub(super) expected_json: Vec<JsonRule>,
    /// Response header that must be there and match, as `Name`, `Name: regex`, or `Name?: regex` if it may be missing
    #[arg(long, value_name = "RULE", action = clap::ArgAction::Append)]
    pub(super) expected_headers: Vec<HeaderRule>,
    /// Response header that must not be there, or not match, as `Name` or `Name: regex`
    #[arg(long, value_name = "RULE", action = clap::ArgAction::Append)]
    pub(super) forbidden_headers: Vec<HeaderRule>,
    /// Longest time one request may take to pass
    #[arg(long, value_name = "DURATION")]
    pub(super) max_latency: Option<PositiveSpan>,
    /// Most of the body that is read; a longer one fails if the body is to be judged
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    pub(super) max_body_size: Size,
    /// Fail if the answer did not come over https
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) require_tls: Switch,
}

/// How to connect.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// HTTP version to require: any, 1.1 or 2
    #[arg(long, value_name = "VERSION", default_value = "any")]
    pub(super) http_version: HttpVersion,
    /// Addresses to use: any, 4, 6, prefer-4 or prefer-6
    #[arg(long, value_name = "FAMILY", default_value = "any")]
    pub(super) ip_family: IpFamily,
    /// Address to connect to instead of looking up the host of the URL
    #[arg(long, value_name = "IP")]
    pub(super) resolve_to: Option<Address>,
    /// Proxy: its URL, `direct`, or `env` for HTTP_PROXY, HTTPS_PROXY and NO_PROXY; never used for pods
    #[arg(long, value_name = "PROXY", default_value = "env")]
    pub(super) proxy_url: ProxyChoice,
}
