//! Container images: which of them this executable has built in.

/// What to run for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BuiltIn {
    /// The name of the check, such as `http-check`.
    pub(crate) check: &'static str,
}

/// A built-in check and the official images it stands in for, without registry and tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The name of the check, which is also the last part of our own image's name.
    pub(crate) check: &'static str,
    /// Such as `kuberhealthy/http-check`.
    pub(crate) replaces: &'static [&'static str],
}

/// Finds the built-in check behind an image reference. Registries mirror images under any prefix, so the last
/// part of the name decides: `mirror.corp:5000/kuberhealthy/http-check:v1.5.1` is http-check.
pub(crate) fn built_in(reference: &str, known: &[Known]) -> Option<BuiltIn> {
    let name = base_name(reference);
    known
        .iter()
        .find(|known| {
            known.check == name || known.replaces.iter().any(|image| base_name(image) == name)
        })
        .map(|known| BuiltIn { check: known.check })
}

/// Whether a command only starts the check that is built in, as an image's own entrypoint would: what it
/// names is a file of the image, which is not here.
pub(crate) fn starts(command: &[&str], reference: &str, found: BuiltIn) -> bool {
    match command {
        [] => true,
        [program] => {
            let name = program.rsplit('/').next().unwrap_or(program);
            name == found.check || name == base_name(reference)
        }
        _ => false,
    }
}

/// The last part of an image's name, without tag and digest.
fn base_name(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Known] = &[
        Known {
            check: "http-check",
            replaces: &["kuberhealthy/http-check", "kuberhealthy/http-content-check"],
        },
        Known {
            check: "tcp-check",
            replaces: &["kuberhealthy/network-connection-check"],
        },
    ];

    #[test]
    fn any_registry_and_tag() {
        let cases = [
            ("kuberhealthy/http-check:v1.5.1", Some("http-check")),
            ("docker.io/kuberhealthy/http-check", Some("http-check")),
            ("kuberhealthy/http-content-check:v1.5.0", Some("http-check")),
            (
                "reg.corp:5000/mirror/kuberhealthy/network-connection-check@sha256:0123",
                Some("tcp-check"),
            ),
            ("kuberhealer/http-check", Some("http-check")),
            ("http-check:latest", Some("http-check")),
            ("localhost:5000/tcp-check", Some("tcp-check")),
            ("busybox", None),
            ("kuberhealthy/http-check-extra", None),
            ("http-check/other", None),
            ("", None),
        ];
        for (reference, check) in cases {
            assert_eq!(
                built_in(reference, KNOWN).map(|found| found.check),
                check,
                "{reference:?}"
            );
        }
    }

    #[test]
    fn a_command_that_names_the_images_own_program_is_the_entrypoint() {
        let found = BuiltIn {
            check: "http-check",
        };
        let image = "kuberhealthy/http-content-check:v1";
        for (command, is) in [
            (vec![], true),
            (vec!["/app/http-check"], true),
            (vec!["/app/http-content-check"], true),
            (vec!["sh", "-c", "exit 0"], false),
            (vec!["/bin/sh"], false),
        ] {
            assert_eq!(starts(&command, image, found), is, "{command:?}");
        }
    }
}
