//! The options, checked against each other: which belong together, and which prove nothing.

use super::args::{DialogueArgs, TcpArgs};
use super::bytes::{Expected, Payload};
use super::connect::Route;
use super::dialogue::{Dialogue, Step};
use super::grpc::Question;
use super::probe::Prober;
use super::target::{Scheme, Target};
use crate::cli::ConfigError;
use crate::tls::Tls;

/// From the options to what probes targets.
///
/// # Errors
///
/// Every [`ConfigError`] found.
pub(super) fn prober(args: &TcpArgs) -> Result<Prober, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let dialogue = dialogue(&args.dialogue)
        .map_err(|error| errors.push(error))
        .unwrap_or_default();
    let tls = Tls::new(args.tls.clone())
        .map_err(|error| errors.push(error))
        .ok();
    if errors.is_empty() {
        errors.extend(missing(args));
        for (scheme, option) in schemes(args) {
            errors.extend(unfit(args, &dialogue, scheme, &option));
        }
        errors.extend(useless(args, &dialogue));
    }
    match tls {
        Some(tls) if errors.is_empty() => Ok(Prober {
            route: Route {
                family: args.connection.ip_family,
                source: args.connection.source_address.map(|source| source.0),
            },
            tls,
            starttls: args.connection.starttls,
            dialogue,
            question: Question {
                service: args.grpc.grpc_service.clone().unwrap_or_default(),
                metadata: args
                    .grpc
                    .grpc_metadata
                    .iter()
                    .map(|m| (m.name.clone(), m.value.clone()))
                    .collect(),
            },
            min_days: args.tls.min_cert_days.map_or(0, |days| days.0),
            must_fail: args.connection_target_unreachable.0,
        }),
        _ => Err(errors),
    }
}

/// The targets that options name.
pub(super) fn targets(args: &TcpArgs) -> impl Iterator<Item = &Target> {
    args.connection_target.iter().flat_map(|list| &list.0)
}

fn dialogue(args: &DialogueArgs) -> Result<Dialogue, ConfigError> {
    let DialogueArgs {
        expect_banner,
        send,
        expect,
        dialogue,
        dialogue_file,
    } = args;
    let steps: Vec<Step> = simple(expect_banner.as_ref(), send.as_ref(), expect.as_ref());
    let (name, steps) = match (steps.is_empty(), dialogue.is_empty(), dialogue_file) {
        (_, true, None) => ("SEND", steps),
        (true, false, None) => ("DIALOGUE", dialogue.clone()),
        (true, true, Some(file)) => ("DIALOGUE_FILE", file.0.clone()),
        (false, false, _) => {
            return Err(ConfigError::of(
                "DIALOGUE",
                "cannot be combined with EXPECT_BANNER, SEND or EXPECT",
            ));
        }
        (false, true, Some(_)) => {
            return Err(ConfigError::of(
                "DIALOGUE_FILE",
                "cannot be combined with EXPECT_BANNER, SEND or EXPECT",
            ));
        }
        (true, false, Some(_)) => {
            return Err(ConfigError::of(
                "DIALOGUE_FILE",
                "cannot be combined with DIALOGUE",
            ));
        }
    };
    Dialogue::new(steps).map_err(|reason| ConfigError::of(name, reason))
}

fn simple(
    banner: Option<&Expected>,
    send: Option<&Payload>,
    expect: Option<&Expected>,
) -> Vec<Step> {
    let expect_step = |expected: &Expected| Step::Expect(expected.clone());
    let steps = [
        banner.map(expect_step),
        send.map(|bytes| Step::Send(bytes.clone())),
        expect.map(expect_step),
    ];
    steps.into_iter().flatten().collect()
}

/// The schemes in use, each with an option, as `NAME="value"`, that asks for it.
fn schemes(args: &TcpArgs) -> Vec<(Scheme, (&'static str, String))> {
    let mut schemes: Vec<(Scheme, (&'static str, String))> = Vec::new();
    for target in targets(args) {
        if !schemes.iter().any(|(scheme, _)| *scheme == target.scheme) {
            schemes.push((target.scheme, ("CONNECTION_TARGET", target.to_string())));
        }
    }
    if args.pods.pod_selector.is_some()
        && !schemes.iter().any(|(scheme, _)| *scheme == args.pod_scheme)
    {
        schemes.push((args.pod_scheme, ("POD_SCHEME", args.pod_scheme.to_string())));
    }
    schemes
}

/// Options without which others mean nothing.
fn missing(args: &TcpArgs) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut wrong = |env: &str, message: &str| errors.push(ConfigError::of(env, message));
    let per_pod = args.pods.pod_selector.is_some();
    if args.connection_target.is_empty() && !per_pod {
        wrong(
            "CONNECTION_TARGET",
            "expected at least one target, such as db:5432, or POD_SELECTOR",
        );
    }
    if per_pod && args.pod_targetport.is_none() {
        wrong(
            "POD_TARGETPORT",
            "expected the port of the pods that POD_SELECTOR matches",
        );
    }
    if !per_pod && (args.pod_targetport.is_some() || args.pods.pod_selector_namespace.is_some()) {
        wrong("POD_SELECTOR", "expected a label selector, such as app=db");
    }
    errors
}

/// What a scheme needs and does not get, or gets and cannot use.
fn unfit(
    args: &TcpArgs,
    dialogue: &Dialogue,
    scheme: Scheme,
    option: &(&str, String),
) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut wrong = |message: &str| errors.push(ConfigError::value(option.0, &option.1, message));
    if args.connection.starttls.is_some() && scheme != Scheme::Tcp {
        wrong("cannot be combined with STARTTLS, which begins in plain text over tcp");
    }
    if dialogue.tls().is_some() && scheme != Scheme::Tcp {
        wrong("cannot be combined with the step starttls, which begins in plain text over tcp");
    }
    if scheme.is_grpc() && !dialogue.is_empty() {
        wrong(
            "cannot be combined with send and expect: the gRPC health protocol says itself what is sent",
        );
    }
    if scheme == Scheme::Udp && !dialogue.asks_first() {
        wrong(
            "needs SEND and EXPECT, or DIALOGUE that begins with send: UDP has no connections, so a target is only \
             known to be up when it answers something that was sent",
        );
    }
    errors
}

/// Options that nothing would look at.
fn useless(args: &TcpArgs, dialogue: &Dialogue) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let used = schemes(args);
    let any = |fits: fn(Scheme) -> bool| used.iter().any(|(scheme, _)| fits(*scheme));
    let tls = any(Scheme::is_tls) || args.connection.starttls.is_some() || dialogue.tls().is_some();
    if let (Some(days), false) = (args.tls.min_cert_days, tls) {
        let message = "expected a target with a certificate: tls://, grpcs://, or STARTTLS";
        errors.push(ConfigError::value(
            "MIN_CERT_DAYS",
            &days.0.to_string(),
            message,
        ));
    }
    if args.connection.starttls.is_some() && dialogue.tls().is_some() {
        errors.push(ConfigError::of(
            "STARTTLS",
            "cannot be combined with the step starttls of DIALOGUE",
        ));
    }
    let message = "expected a target with grpc:// or grpcs://";
    if let (Some(service), false) = (&args.grpc.grpc_service, any(Scheme::is_grpc)) {
        errors.push(ConfigError::value("GRPC_SERVICE", service, message));
    }
    if !args.grpc.grpc_metadata.is_empty() && !any(Scheme::is_grpc) {
        errors.push(ConfigError::of("GRPC_METADATA", message));
    }
    errors
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn prober_of(flags: &[&str]) -> Result<Prober, Vec<String>> {
        let flags: Vec<std::ffi::OsString> = flags.iter().map(Into::into).collect();
        let command = TcpArgs::augment_args(clap::Command::new("tcp-check"));
        let matches =
            crate::cli::parse(command, super::super::args::NAMES, &flags, &|_| None).unwrap();
        let args = TcpArgs::from_arg_matches(&matches).unwrap();
        prober(&args).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn options_that_belong_together_are_accepted() {
        for flags in [
            &["--connection-target=a:1"][..],
            &["--connection-target=a:1,tls://b:2", "--min-cert-days=30"],
            &["--connection-target=udp://a:1", "--send=x", "--expect=y"],
            &[
                "--connection-target=udp://a:1,b:2",
                "--dialogue=send x",
                "--dialogue=expect y",
            ],
            &["--connection-target=a:1", "--expect-banner=^220"],
            &[
                "--connection-target=a:1",
                "--starttls=smtp",
                "--min-cert-days=30",
                "--send=QUIT\\r\\n",
                "--expect=^221",
            ],
            &["--connection-target=a:1", "--dialogue=starttls"],
            &[
                "--connection-target=grpc://a:1",
                "--grpc-service=x",
                "--grpc-metadata=a: b",
            ],
            &["--pod-selector=app=db", "--pod-targetport=pg"],
            &[
                "--pod-selector=app=api",
                "--pod-targetport=80",
                "--pod-scheme=grpc",
                "--grpc-service=x",
            ],
        ] {
            assert!(
                prober_of(flags).is_ok(),
                "{flags:?}: {:?}",
                prober_of(flags).err()
            );
        }
    }

    #[test]
    fn options_that_prove_nothing_are_refused() {
        for (flags, words) in [
            (&[][..], "CONNECTION_TARGET: expected at least one target"),
            (
                &["--connection-target=udp://a:1"],
                "CONNECTION_TARGET=\"udp://a:1\": needs SEND and EXPECT",
            ),
            (
                &["--connection-target=udp://a:1", "--expect=x"],
                "CONNECTION_TARGET=\"udp://a:1\": needs SEND and EXPECT",
            ),
            (
                &["--connection-target=a:1", "--send=x"],
                "SEND: expected an answer to be expected too",
            ),
            (
                &["--connection-target=a:1", "--dialogue=send x"],
                "DIALOGUE: expected an answer to be expected too",
            ),
            (
                &["--connection-target=a:1", "--send=x", "--dialogue=expect y"],
                "DIALOGUE: cannot be combined with",
            ),
            (
                &["--connection-target=tls://a:1", "--starttls=imap"],
                "CONNECTION_TARGET=\"tls://a:1\": cannot be combined with STARTTLS",
            ),
            (
                &["--connection-target=tls://a:1", "--dialogue=starttls"],
                "cannot be combined with the step starttls",
            ),
            (
                &[
                    "--connection-target=a:1",
                    "--starttls=imap",
                    "--dialogue=starttls",
                ],
                "STARTTLS: cannot be combined",
            ),
            (
                &["--connection-target=grpc://a:1", "--expect=x"],
                "the gRPC health protocol says itself",
            ),
            (
                &["--connection-target=a:1", "--min-cert-days=3"],
                "MIN_CERT_DAYS=\"3\": expected a target with a certificate",
            ),
            (
                &["--connection-target=a:1", "--grpc-service=x"],
                "GRPC_SERVICE=\"x\": expected a target with grpc://",
            ),
            (
                &["--connection-target=a:1", "--grpc-metadata=a: b"],
                "GRPC_METADATA: expected a target with grpc://",
            ),
            (
                &["--pod-selector=app=db"],
                "POD_TARGETPORT: expected the port",
            ),
            (
                &["--connection-target=a:1", "--pod-targetport=1"],
                "POD_SELECTOR: expected a label selector",
            ),
            (
                &[
                    "--pod-selector=a=b",
                    "--pod-targetport=1",
                    "--pod-scheme=udp",
                ],
                "POD_SCHEME=\"udp\": needs SEND and EXPECT",
            ),
            (
                &[
                    "--connection-target=a:1",
                    "--tls-min-version=1.3",
                    "--tls-max-version=1.2",
                ],
                "TLS_MAX_VERSION",
            ),
        ] {
            let errors = prober_of(flags).map(drop).unwrap_err();
            assert!(
                errors.iter().any(|error| error.contains(words)),
                "{flags:?}: {errors:?}"
            );
        }
    }
}
