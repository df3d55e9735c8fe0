//! The options of tcp-check.

use std::str::FromStr;

use http::{HeaderName, HeaderValue};

use super::bytes::{Expected, Payload};
use super::dialogue::{Step, StepFile};
use super::starttls::StartTls;
use super::target::{Scheme, TargetList};
use crate::cli::Names;
use crate::pods::{PodArgs, PortRef};
use crate::tls::TlsArgs;
use crate::values::{AtLeastOne, BadValue, IpFamily, PositiveSpan, Span, Switch, UpTo};

pub(super) const NAMES: Names = Names {
    official: &[
        "CONNECTION_TARGET",
        "CONNECTION_TARGET_UNREACHABLE",
        "CONNECTION_TIMEOUT",
    ],
    secret: &["SEND", "DIALOGUE", "GRPC_METADATA"],
};

/// Every option of tcp-check.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Targets")]
pub(super) struct TcpArgs {
    /// Targets as HOST:PORT (tcp), or with tcp://, tls://, udp://, grpc:// or grpcs:// before it; IPv6 in brackets;
    /// several separated by commas or white space
    #[arg(long, value_name = "TARGETS", action = clap::ArgAction::Append)]
    pub connection_target: Vec<TargetList>,
    /// Pass if no target can be reached: one that answers is the failure
    #[arg(long, value_name = "BOOL", default_value = "false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub connection_target_unreachable: Switch,

    #[command(flatten)]
    pub pods: PodArgs,
    /// Port of each pod: a number, or the name of a container port
    #[arg(long, value_name = "PORT", help_heading = "Pods")]
    pub pod_targetport: Option<PortRef>,
    /// How each pod is spoken to: tcp, tls, udp, grpc or grpcs
    #[arg(
        long,
        value_name = "SCHEME",
        default_value = "tcp",
        help_heading = "Pods"
    )]
    pub pod_scheme: Scheme,

    #[command(flatten)]
    pub schedule: ScheduleArgs,
    #[command(flatten)]
    pub dialogue: DialogueArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub grpc: GrpcArgs,
}

/// How often and how long to try.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Schedule")]
pub(super) struct ScheduleArgs {
    /// Time for one try of one target, from the look-up of its name to its last answer
    #[arg(long, value_name = "DURATION", default_value = "20s")]
    pub connection_timeout: PositiveSpan,
    /// Times to try a failing target again before it counts as failed
    #[arg(long, value_name = "N", default_value = "0")]
    pub retries: UpTo<1000>,
    /// Pause before trying again
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub retry_delay: Span,
    /// Targets tried at the same time
    #[arg(long, value_name = "N", default_value = "10")]
    pub concurrency: AtLeastOne,
}

/// What is said, and what must be answered.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Send and expect")]
pub(super) struct DialogueArgs {
    /// What the target must say before anything is sent: as for EXPECT
    #[arg(long, value_name = "PATTERN")]
    pub expect_banner: Option<Expected>,
    /// What to send: text in which \r, \n, \t, \0, \\ and \xHH stand for bytes, or hex: and hex digits
    #[arg(long, value_name = "BYTES")]
    pub send: Option<Payload>,
    /// What must be answered: a regular expression over bytes, ^ and $ at the ends of lines, or prefix: and what the
    /// answer begins with, written as for SEND
    #[arg(long, value_name = "PATTERN")]
    pub expect: Option<Expected>,
    /// Steps, one a line, for more than one exchange: `send BYTES`, `expect PATTERN`, `starttls`; an answer is used up to
    /// the end of what matched, so end a pattern with \r\n to use up a line
    #[arg(long, value_name = "STEP", action = clap::ArgAction::Append)]
    pub dialogue: Vec<Step>,
    /// File with steps as for DIALOGUE, where they hold a password
    #[arg(long, value_name = "FILE")]
    pub dialogue_file: Option<StepFile>,
}

/// How to connect.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    /// Addresses to use: any, 4, 6, prefer-4 or prefer-6
    #[arg(long, value_name = "FAMILY", default_value = "any")]
    pub ip_family: IpFamily,
    /// Address of this pod to connect from
    #[arg(long, value_name = "IP")]
    pub source_address: Option<Source>,
    /// Begin in plain text, and change to TLS as this protocol does: smtp, imap or postgres; what is sent and expected
    /// comes after that
    #[arg(long, value_name = "PROTOCOL")]
    pub starttls: Option<StartTls>,
}

/// What to ask by the gRPC health protocol.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "gRPC")]
pub(super) struct GrpcArgs {
    /// Service that must be SERVING; unset: the server as a whole
    #[arg(long, value_name = "NAME")]
    pub grpc_service: Option<String>,
    /// Metadata to send, as `name: value`
    #[arg(long, value_name = "HEADER", action = clap::ArgAction::Append)]
    pub grpc_metadata: Vec<Metadata>,
}

/// An address to connect from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source(pub std::net::IpAddr);

impl FromStr for Source {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Source, BadValue> {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        bare.parse()
            .map(Source)
            .map_err(|_| BadValue::expected("an IP address, such as 10.0.0.5 or fd00::5"))
    }
}

/// Metadata of a gRPC call, which is a header of HTTP/2.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    /// In lower case.
    pub name: HeaderName,
    /// Marked as sensitive: it is often a token.
    pub value: HeaderValue,
}

impl FromStr for Metadata {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Metadata, BadValue> {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| BadValue::expected("`name: value`"))?;
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| BadValue::expected("a name of metadata before the colon"))?;
        let own = ["te", "content-type", "user-agent", "host", "connection"];
        if own.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
            return Err(BadValue(format!(
                "expected metadata of your own: {name} belongs to the protocol"
            )));
        }
        if name.as_str().ends_with("-bin") {
            return Err(BadValue::expected(
                "text: metadata with -bin at the end of its name is binary",
            ));
        }
        let mut value = HeaderValue::from_str(value.trim())
            .map_err(|_| BadValue::expected("a value in printable ASCII characters"))?;
        value.set_sensitive(true);
        Ok(Metadata { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_a_header_of_ones_own() {
        let metadata: Metadata = "Authorization: Bearer s3cret".parse().unwrap();
        assert_eq!(metadata.name.as_str(), "authorization");
        assert!(!format!("{metadata:?}").contains("s3cret"));
        for (text, words) in [
            ("x", "`name: value`"),
            ("a b: c", "a name of metadata"),
            ("grpc-timeout: 1S", "belongs to the protocol"),
            ("TE: trailers", "belongs to the protocol"),
            ("x-bin: AAA=", "binary"),
            ("x: a\u{7}", "printable"),
        ] {
            assert!(
                text.parse::<Metadata>().unwrap_err().0.contains(words),
                "{text}"
            );
        }
    }

    #[test]
    fn sources_are_addresses() {
        assert_eq!(
            "[::1]"
                .parse::<Source>()
                .map(|source| source.0.to_string())
                .unwrap(),
            "::1"
        );
        assert!("eth0".parse::<Source>().is_err());
    }
}
