//! Variables that look like ours and set nothing: most likely misspelt.

use std::ffi::OsString;
use std::fmt;

use clap::error::ContextKind;
use clap::{Args as _, Command};

use super::options::Options;
use super::variables::{PREFIX, name_of, reference};
use crate::core::reason::bounded;

/// Longer names are cut where they are shown.
const SHOWN: usize = 100;

/// A variable that is ignored although its name begins as those of options do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stray {
    name: String,
    /// That of the option whose name is most like it, if one is.
    meant: Option<String>,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no option's variable, and is ignored", self.name)?;
        match &self.meant {
            Some(meant) => write!(f, "; is {meant} meant?"),
            None => write!(f, "; --help lists them"),
        }
    }
}

/// Those among the names of variables, in their order.
pub(super) fn find(names: impl IntoIterator<Item = OsString>) -> Vec<Stray> {
    let names = names.into_iter();
    let names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    // A pod gets variables of each Service in its namespace, which may be called kuberhealer.
    let services: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_suffix("_SERVICE_HOST"))
        .collect();
    let of_service = |name: &str| {
        let mut rests = services.iter().filter_map(|own| name.strip_prefix(own));
        rests.any(|rest| {
            rest == "_PORT" || rest.starts_with("_PORT_") || rest.starts_with("_SERVICE_")
        })
    };
    let options = reference();
    let known = |name: &str| options.iter().any(|option| option.variable == name);
    let ours = names.iter().filter(|name| name.starts_with(PREFIX));
    let strays = ours.filter(|name| !known(name) && !of_service(name));
    strays
        .map(|name| Stray {
            name: bounded(name, SHOWN),
            // Not every flag has a variable: --help has none.
            meant: meant(name).filter(|meant| known(meant)),
        })
        .collect()
}

/// What clap would propose for a flag that is misspelt like this.
fn meant(name: &str) -> Option<String> {
    let own = name.strip_prefix(PREFIX)?;
    let flag = format!("--{}", own.replace('_', "-").to_ascii_lowercase());
    let command = Options::augment_args(Command::new("remediator"));
    let error = command.try_get_matches_from(["remediator", &flag]).err()?;
    let proposed = error.get(ContextKind::SuggestedArg)?.to_string();
    Some(name_of(proposed.strip_prefix("--")?))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::find;
    use crate::run::reference;

    fn told(names: &[&str]) -> Vec<String> {
        let strays = find(names.iter().map(OsString::from));
        strays.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_one_that_is_meant() {
        for (name, meant) in [
            ("KUBERHEALER_MAX_PER_HUOR", "KUBERHEALER_MAX_PER_HOUR"),
            ("KUBERHEALER_MAX_INFLIGHT", "KUBERHEALER_MAX_IN_FLIGHT"),
            ("KUBERHEALER_NAMESPACE", "KUBERHEALER_NAMESPACES"),
            ("KUBERHEALER_STORM_PERCENTAGE", "KUBERHEALER_STORM_PERCENT"),
        ] {
            let expected =
                format!("{name} is no option's variable, and is ignored; is {meant} meant?");
            assert_eq!(told(&["PATH", name]), [expected]);
        }
        for name in [
            "KUBERHEALER_",
            "KUBERHEALER_XYZ",
            "KUBERHEALER_HELP",
            "KUBERHEALER_HELM",
        ] {
            let expected =
                format!("{name} is no option's variable, and is ignored; --help lists them");
            assert_eq!(told(&[name]), [expected]);
        }
    }

    #[test]
    fn what_is_set_on_purpose_is_not_named() {
        let options = reference();
        let mut names: Vec<&str> = options.iter().map(|one| one.variable.as_str()).collect();
        names.extend([
            "KUBECONFIG",
            "MY_KUBERHEALER_THING",
            // Of a Service kuberhealer, and of one kuberhealer-remediator.
            "KUBERHEALER_SERVICE_HOST",
            "KUBERHEALER_SERVICE_PORT",
            "KUBERHEALER_SERVICE_PORT_HTTP",
            "KUBERHEALER_PORT",
            "KUBERHEALER_PORT_8080_TCP_ADDR",
            "KUBERHEALER_REMEDIATOR_SERVICE_HOST",
            "KUBERHEALER_REMEDIATOR_SERVICE_PORT",
            "KUBERHEALER_REMEDIATOR_PORT_8080_TCP",
        ]);
        assert_eq!(told(&names), [""; 0]);
    }

    #[test]
    fn what_the_manifests_set_is_an_options_variable() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests");
        for file in [
            "remediator/deployment.yaml",
            "remediator/alerts/deployment.yaml",
            "remediator/notify/deployment.yaml",
            "helm/templates/deployment.yaml",
        ] {
            let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            let after = text.split("name: KUBERHEALER_").skip(1);
            let names: Vec<String> = after
                .map(|rest| {
                    let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
                    format!("KUBERHEALER_{}", &rest[..end.unwrap_or(rest.len())])
                })
                // Those that the chart makes of its values.
                .filter(|name| name != "KUBERHEALER_")
                .collect();
            assert!(!names.is_empty(), "{file}");
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert_eq!(told(&names), [""; 0], "{file}");
        }
    }
}
