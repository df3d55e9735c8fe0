//! Which variables a command gets.

use std::ffi::OsString;
use std::str::FromStr;

use crate::values::BadValue;

/// What belongs to the check and to nobody it starts: with the report's address and run id a command could report a
/// verdict of its own, and with the address of the API server it could find its way to the check's service account.
const KEPT_BACK: &[&str] = &["KH_", "KUBERNETES_"];

/// A variable to set: `NAME=value`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// The name.
    pub(super) name: String,
    /// The value, which may be empty.
    pub(super) value: String,
}

impl FromStr for Variable {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Variable, BadValue> {
        match text.split_once('=') {
            Some((name, value)) if is_name(name.trim()) && !value.contains('\0') => Ok(Variable {
                name: name.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(BadValue::expected("NAME=value")),
        }
    }
}

impl std::fmt::Debug for Variable {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

/// Names of variables, separated by commas or white space; one that ends in `*` stands for all that begin so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NamePatterns(Vec<String>);

impl NamePatterns {
    fn matches(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
    }
}

impl FromStr for NamePatterns {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<NamePatterns, BadValue> {
        let names = text
            .split([',', ' ', '\t', '\n', '\r'])
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        let names: Vec<String> = names.collect();
        let good = |name: &String| name == "*" || is_name(name.strip_suffix('*').unwrap_or(name));
        match !names.is_empty() && names.iter().all(good) {
            true => Ok(NamePatterns(names)),
            false => Err(BadValue::expected(
                "names of variables, such as KH_POD_NAMESPACE,KUBERNETES_*",
            )),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '*', '\0']) && !name.contains(char::is_whitespace)
}

/// The variables of a command: those of the check that are not kept back (none at all if `clear`), those that `pass`
/// names, and those `set`, which win.
pub(crate) fn child_env(
    own: impl Iterator<Item = (OsString, OsString)>,
    clear: bool,
    pass: &NamePatterns,
    set: &[Variable],
) -> Vec<(OsString, OsString)> {
    let passed = |name: &str| {
        pass.matches(name) || !(clear || KEPT_BACK.iter().any(|prefix| name.starts_with(prefix)))
    };
    let mut env: Vec<(OsString, OsString)> = own
        .filter(|(name, _)| passed(&name.to_string_lossy()))
        .collect();
    for Variable { name, value } in set {
        env.retain(|(present, _)| present.to_str() != Some(name));
        env.push((name.into(), value.into()));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[(&str, &str)] = &[
        ("PATH", "/bin"),
        ("KH_RUN_UUID", "1"),
        ("KH_POD_NAMESPACE", "shop"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("KUBECONFIG", "/k"),
        ("WEB_SERVICE_HOST", "10.0.0.2"),
    ];

    fn names(clear: bool, pass: &str, set: &[&str]) -> Vec<String> {
        let own = OWN.iter().map(|(name, value)| (name.into(), value.into()));
        let pass = if pass.is_empty() {
            NamePatterns::default()
        } else {
            pass.parse().unwrap()
        };
        let set: Vec<Variable> = set.iter().map(|text| text.parse().unwrap()).collect();
        let env = child_env(own, clear, &pass, &set);
        env.into_iter()
            .map(|(name, value)| format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_the_checks_own_is_kept_back() {
        assert_eq!(
            names(false, "", &[]),
            ["PATH=/bin", "KUBECONFIG=/k", "WEB_SERVICE_HOST=10.0.0.2"]
        );
        assert_eq!(names(true, "", &["A=b=c"]), ["A=b=c"]);
        assert_eq!(
            names(true, "PATH, KUBERNETES_*", &[]),
            ["PATH=/bin", "KUBERNETES_SERVICE_HOST=10.0.0.1"]
        );
        assert_eq!(
            names(false, "KH_POD_NAMESPACE", &["PATH="]).join(" "),
            "KH_POD_NAMESPACE=shop KUBECONFIG=/k WEB_SERVICE_HOST=10.0.0.2 PATH="
        );
        assert_eq!(names(true, "*", &[]).len(), OWN.len());
    }

    #[test]
    fn names_are_checked() {
        for text in ["", "=x", "A B=x", "A", "A*=x"] {
            assert!(text.parse::<Variable>().is_err(), "{text}");
        }
        for text in ["", ",", "A=b", "A**", "*A"] {
            assert!(text.parse::<NamePatterns>().is_err(), "{text}");
        }
        assert!(
            !format!("{:?}", "PASSWORD=hunter2".parse::<Variable>().unwrap()).contains("hunter2")
        );
    }
}
