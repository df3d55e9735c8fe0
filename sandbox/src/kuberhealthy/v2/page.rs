//! The status page and `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::super::duration::GoDuration;
use super::state::Details;

/// The status page, in the order Kuberhealthy serves it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(rename = "OK")]
    ok: bool,
    errors: Vec<String>,
    check_details: BTreeMap<String, Details>,
    job_details: BTreeMap<String, Details>,
    current_master: String,
    metadata: BTreeMap<String, String>,
}

impl Page {
    /// Builds the page from the khstates, khchecks and khjobs by `namespace/name`; of the namespaces only, if any are
    /// named.
    ///
    /// A state without an author has never had a result and is left out. One that has neither check nor job any more
    /// still counts with its errors, until it is reaped.
    pub(super) fn build(
        states: &BTreeMap<String, Value>,
        checks: &BTreeMap<String, Value>,
        jobs: &BTreeMap<String, Value>,
        namespaces: &[&str],
        master: &str,
    ) -> Page {
        let mut page = Page {
            ok: true,
            current_master: master.to_owned(),
            ..Page::default()
        };
        for (key, state) in states {
            let details = Details::of(state);
            let is_known = checks.contains_key(key) || jobs.contains_key(key);
            let wanted = namespaces.is_empty()
                || (is_known && namespaces.contains(&details.namespace.as_str()));
            if details.authoritative_pod.is_empty() || !wanted {
                continue;
            }
            let errors = details
                .errors()
                .iter()
                .filter(|error| !error.trim().is_empty());
            page.errors.extend(errors.cloned());
            if checks.contains_key(key) {
                page.check_details.insert(key.clone(), details);
            } else if jobs.contains_key(key) {
                page.job_details.insert(key.clone(), details);
            }
        }
        page.ok = page.errors.is_empty();
        page
    }

    /// The page in Prometheus' text format.
    ///
    /// Kuberhealthy writes the lines of a metric in random order; here they are in the order of their checks.
    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        header(
            &mut text,
            "kuberhealthy_running",
            "Shows if kuberhealthy is running error free",
        );
        line(
            &mut text,
            format_args!(
                "kuberhealthy_running{{current_master=\"{}\"}} 1",
                self.current_master
            ),
        );
        header(
            &mut text,
            "kuberhealthy_cluster_state",
            "Shows the status of the cluster",
        );
        line(
            &mut text,
            format_args!("kuberhealthy_cluster_state {}", u8::from(self.ok)),
        );
        self.workload(&mut text, "check", &self.check_details);
        self.workload(&mut text, "job", &self.job_details);
        text
    }

    fn workload(&self, text: &mut String, kind: &str, all: &BTreeMap<String, Details>) {
        let metric = format!("kuberhealthy_{kind}");
        header(
            text,
            &metric,
            &format!("Shows the status of a Kuberhealthy {kind}"),
        );
        for (key, details) in all {
            let (namespace, ok) = (&details.namespace, u8::from(details.ok));
            let error = details.errors().join("|").replace('"', "'");
            let labels = format!(
                "check=\"{key}\",namespace=\"{namespace}\",status=\"{ok}\",error=\"{error}\""
            );
            line(text, format_args!("{metric}{{{labels}}} {ok}"));
        }
        let metric = format!("kuberhealthy_{kind}_duration_seconds");
        header(
            text,
            &metric,
            &format!("Shows the {kind} run duration of a Kuberhealthy {kind}"),
        );
        for (key, details) in all {
            let seconds = details
                .run_duration
                .parse()
                .unwrap_or(GoDuration::default())
                .as_secs_f64();
            let namespace = &details.namespace;
            line(
                text,
                format_args!("{metric}{{check=\"{key}\",namespace=\"{namespace}\"}} {seconds:.6}"),
            );
        }
    }
}

fn header(text: &mut String, metric: &str, help: &str) {
    line(
        text,
        format_args!("# HELP {metric} {help}\n# TYPE {metric} gauge"),
    );
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(objects: &[(&str, Value)]) -> BTreeMap<String, Value> {
        objects
            .iter()
            .map(|(key, object)| ((*key).to_owned(), object.clone()))
            .collect()
    }

    fn state(namespace: &str, author: &str, errors: &[&str]) -> Value {
        json!({"spec": {
            "OK": errors.is_empty(), "Errors": errors, "RunDuration": "1.5s", "Namespace": namespace, "Node": "n1",
            "LastRun": "2026-11-21T02:08:16Z", "AuthoritativePod": author, "uuid": "u",
        }})
    }

    #[test]
    fn the_page_leaves_out_what_never_ran_and_counts_what_has_lost_its_check() {
        let states = map(&[
            ("a/lost", state("a", "kh", &["gone"])),
            ("a/new", state("a", "", &[])),
            ("a/ok", state("a", "kh", &[])),
            ("b/bad", state("b", "kh", &["x", " "])),
        ]);
        let checks = map(&[
            ("a/new", json!({})),
            ("a/ok", json!({})),
            ("b/bad", json!({})),
        ]);
        let page = Page::build(&states, &checks, &BTreeMap::new(), &[], "kh");
        assert_eq!(page.errors, ["gone", "x"]);
        assert!(!page.ok);
        assert_eq!(
            page.check_details.keys().collect::<Vec<_>>(),
            ["a/ok", "b/bad"]
        );
        let page = Page::build(&states, &checks, &BTreeMap::new(), &["a"], "kh");
        assert!(page.ok && page.errors.is_empty());
        assert_eq!(page.check_details.keys().collect::<Vec<_>>(), ["a/ok"]);
    }

    #[test]
    fn quotes_in_errors_become_single_ones() {
        let states = map(&[("b/bad", state("b", "kh", &["say \"x\"", "y"]))]);
        let page = Page::build(
            &states,
            &map(&[("b/bad", json!({}))]),
            &BTreeMap::new(),
            &[],
            "kh",
        );
        let expected = "kuberhealthy_check{check=\"b/bad\",namespace=\"b\",status=\"0\",error=\"say 'x'|y\"} 0\n";
        assert!(page.metrics().contains(expected), "{}", page.metrics());
    }
}
