//! What Kuberhealthy tells a check: the `KH_*` variables of a checker pod, read once and never again.
//!
//! Reading is pure: the variables come from a look-up function, so that a test, or a program that runs several
//! checks in one process, can give each its own environment.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use url::Url;

use crate::text;

/// The URL the verdict goes to; without it a check prints its verdict instead of reporting it.
pub const REPORTING_URL: &str = "KH_REPORTING_URL";
/// This run's identity, sent back as the header `kh-run-uuid`.
pub const RUN_UUID: &str = "KH_RUN_UUID";
/// The end of the run, in unix seconds, counted from before the pod existed.
pub const RUN_DEADLINE: &str = "KH_CHECK_RUN_DEADLINE";
/// The namespace of the checker pod.
pub const POD_NAMESPACE: &str = "KH_POD_NAMESPACE";
/// A PEM file with the CA certificates for an https reporting URL. Ours, not Kuberhealthy's.
pub const CA_FILE: &str = "KH_CA_FILE";

/// The environment of one run.
///
/// The default is the environment of a terminal: nothing to report to and no deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEnv {
    /// Where the verdict goes (`KH_REPORTING_URL`, `KH_RUN_UUID`). `None`: it is printed.
    pub endpoint: Option<Endpoint>,
    /// When the run is over (`KH_CHECK_RUN_DEADLINE`). `None` if it is unset, as on Kuberhealthy 2.0 and 2.1, or of no use.
    pub deadline: Option<SystemTime>,
    /// The namespace of the checker pod (`KH_POD_NAMESPACE`).
    pub pod_namespace: Option<String>,
    /// CA certificates (PEM) for an https reporting URL (`KH_CA_FILE`). `None`: `SSL_CERT_FILE`, else the system's.
    pub ca_file: Option<PathBuf>,
    /// One sentence for each variable that was set and could not be used. The harness writes them to standard error.
    pub ignored: Vec<String>,
}

/// Where a verdict goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address to POST to. May hold credentials: log it through [`Endpoint`]'s `Display`.
    pub url: Url,
    /// The run, for the header `kh-run-uuid`. Without it, Kuberhealthy 2 goes by the pod's IP and Kuberhealthy 3 refuses.
    pub run_uuid: Option<String>,
    /// Whose rules apply.
    pub line: Line,
}

/// The two lines of Kuberhealthy, which differ in what they answer and how long they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// 2.x: reports go to `/externalCheckStatus`, results are kept in `KuberhealthyState`.
    V2,
    /// 3.x: reports go to `/check`, results are kept in the status of `HealthCheck`.
    V3,
}

/// The environment cannot be used at all: there is an address to report to, and no way to reach it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// `KH_REPORTING_URL` is not an http or https URL.
    #[error("{REPORTING_URL}={value:?}: expected an http:// or https:// URL, {reason}")]
    ReportingUrl {
        /// The value, without credentials.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RunEnv {
    /// Reads the variables through `lookup`. Surrounding white space is dropped, and empty means unset.
    ///
    /// A deadline or run id that is of no use does not stop a run, because the verdict can still be delivered: it is
    /// dropped and named in [`RunEnv::ignored`].
    ///
    /// # Errors
    /// Only if `KH_REPORTING_URL` is set and cannot be reported to.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<RunEnv, EnvError> {
        let get = |name: &str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let mut ignored = Vec::new();
        let url = get(REPORTING_URL)
            .map(|value| parse_url(&value))
            .transpose()?;
        let run_uuid = get(RUN_UUID).filter(|value| {
            let fits = value.bytes().all(|byte| byte.is_ascii_graphic());
            if !fits {
                ignored.push(format!("{RUN_UUID}: expected printable ASCII, ignored it"));
            }
            fits
        });
        let deadline = get(RUN_DEADLINE).and_then(|value| {
            let parsed = parse_deadline(&value);
            if parsed.is_none() {
                let seen = text::clean(&value);
                ignored.push(format!(
                    "{RUN_DEADLINE}={seen:?}: expected unix seconds such as 1767225600, ignored it"
                ));
            }
            parsed
        });
        Ok(RunEnv {
            endpoint: url.map(|url| Endpoint::new(url, run_uuid)),
            deadline,
            pod_namespace: get(POD_NAMESPACE),
            ca_file: get(CA_FILE).map(PathBuf::from),
            ignored,
        })
    }

    /// [`RunEnv::read`] on the variables of this process.
    ///
    /// # Errors
    /// As [`RunEnv::read`].
    pub fn from_process() -> Result<RunEnv, EnvError> {
        // Lossy, so that a value that is not UTF-8 is complained about rather than taken for unset.
        RunEnv::read(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }
}

impl Endpoint {
    /// The endpoint at `url`; its line follows from the last path segment, so that a path prefix does not matter.
    pub fn new(url: Url, run_uuid: Option<String>) -> Endpoint {
        let last = url.path().trim_end_matches('/').rsplit('/').next();
        let line = match last {
            Some("externalCheckStatus") => Line::V2,
            _ => Line::V3,
        };
        Endpoint {
            url,
            run_uuid,
            line,
        }
    }
}

impl fmt::Display for Endpoint {
    /// The address without credentials and query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::shown_url(&self.url))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.to_string())
            .field("run_uuid", &self.run_uuid)
            .field("line", &self.line)
            .finish()
    }
}

fn parse_url(value: &str) -> Result<Url, EnvError> {
    let wrong = |reason: String| EnvError::ReportingUrl {
        value: text::clean(&text::redact_value(value)),
        reason,
    };
    let url =
        Url::parse(value).map_err(|error| wrong(format!("but it cannot be read: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(wrong(format!("not {other}:"))),
    }
}

/// Unix seconds. Zero and less is no deadline but a variable that nobody filled in.
fn parse_deadline(value: &str) -> Option<SystemTime> {
    let seconds: u64 = value.parse().ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<RunEnv, EnvError> {
        RunEnv::read(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_and_everything_empty_are_the_same() {
        let empty = [
            REPORTING_URL,
            RUN_UUID,
            RUN_DEADLINE,
            POD_NAMESPACE,
            CA_FILE,
        ]
        .map(|name| (name, " "));
        assert_eq!(read(&[]), Ok(RunEnv::default()));
        assert_eq!(read(&empty), Ok(RunEnv::default()));
    }

    #[test]
    fn reads_what_a_checker_pod_gets() {
        let env = read(&[
            (
                REPORTING_URL,
                "http://kuberhealthy.kuberhealthy.svc/externalCheckStatus\n",
            ),
            (RUN_UUID, " 8a9c3ae6-1d2e-4c3a-9f4e-0e7a52f6b3ad "),
            (RUN_DEADLINE, "1767225600"),
            (POD_NAMESPACE, "kuberhealthy"),
            (CA_FILE, "/ca/tls.crt"),
        ])
        .unwrap();
        let endpoint = env.endpoint.unwrap();
        assert_eq!(endpoint.line, Line::V2);
        assert_eq!(
            endpoint.run_uuid.as_deref(),
            Some("8a9c3ae6-1d2e-4c3a-9f4e-0e7a52f6b3ad")
        );
        assert_eq!(
            env.deadline,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
        );
        assert_eq!(env.pod_namespace.as_deref(), Some("kuberhealthy"));
        assert_eq!(env.ca_file, Some(PathBuf::from("/ca/tls.crt")));
        assert_eq!(env.ignored, Vec::<String>::new());
    }

    #[test]
    fn the_line_follows_the_last_path_segment() {
        let cases = [
            ("http://kh/externalCheckStatus", Line::V2),
            ("http://kh/externalCheckStatus/", Line::V2),
            (
                "https://proxy/team/kh/externalCheckStatus?x=/check",
                Line::V2,
            ),
            ("http://kh/check", Line::V3),
            ("http://proxy/externalCheckStatus/check", Line::V3),
            ("http://kh/", Line::V3),
            ("http://kh/externalcheckstatus", Line::V3),
        ];
        for (url, line) in cases {
            let env = read(&[(REPORTING_URL, url)]).unwrap();
            assert_eq!(env.endpoint.unwrap().line, line, "{url}");
        }
    }

    #[test]
    fn a_reporting_url_that_cannot_be_used_is_named_without_its_password() {
        for url in [
            "kuberhealthy/check",
            "ftp://u:hunter2@kh/check",
            "http://",
            "http://u:hunter2@kh:port/check",
            "u:hunter2@kh/check",
            "http:u:hunter2@kh:port/check",
            "unix:/x",
        ] {
            let error = read(&[(REPORTING_URL, url)]).unwrap_err().to_string();
            assert!(error.starts_with("KH_REPORTING_URL="), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_deadline_that_is_no_time_is_unknown_and_said_to_be() {
        for value in ["soon", "-62135596800", "0", "1.5", "99999999999999999999"] {
            let env = read(&[(RUN_DEADLINE, value)]).unwrap();
            assert_eq!(env.deadline, None, "{value}");
            assert_eq!(env.ignored.len(), 1, "{value}");
            assert!(env.ignored[0].contains(value), "{:?}", env.ignored);
        }
    }

    #[test]
    fn a_run_id_that_fits_no_header_is_ignored() {
        let env = read(&[(REPORTING_URL, "http://kh/check"), (RUN_UUID, "a\nb")]).unwrap();
        assert_eq!(env.endpoint.unwrap().run_uuid, None);
        assert_eq!(env.ignored.len(), 1);
    }

    #[test]
    fn an_endpoint_shows_neither_credentials_nor_query() {
        let env = read(&[(REPORTING_URL, "http://u:hunter2@kh/check?token=hunter2")]).unwrap();
        let shown = format!("{0} {0:?}", env.endpoint.unwrap());
        assert!(shown.starts_with("http://kh/check"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
