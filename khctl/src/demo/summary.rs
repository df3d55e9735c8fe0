//! The tables at the end of the demo.

use serde_json::Value;

use super::remedies::Remedy;
use super::story::{Check, Story};
use crate::style::{Tone, printable};
use crate::table::{Cell, Table};

/// One row a check.
pub(super) fn checks(story: &Story) -> Table<6> {
    let mut table = Table::new(["CHECK", "RUNS", "PASSED", "FAILED", "LAST", "FOUND"]);
    for check in Check::ALL {
        let tally = story.tally(check);
        let found: Vec<String> = tally.found.iter().map(|text| printable(text)).collect();
        table.push([
            check.name().into(),
            tally.runs.to_string().into(),
            tally.passed.to_string().into(),
            (tally.runs - tally.passed).to_string().into(),
            match tally.last {
                Some(true) => Cell::toned(Tone::Good, "passed"),
                Some(false) => Cell::toned(Tone::Bad, "failed"),
                None => "none".into(),
            },
            found.join("\n").into(),
        ]);
    }
    table
}

/// One row a Remediation.
pub(super) fn remedies<'a>(remedies: impl Iterator<Item = &'a Remedy>) -> Table<6> {
    let mut table = Table::new(["REMEDIATION", "ACTION", "PHASE", "REASON", "TOOK", "TO"]);
    for remedy in remedies {
        table.push([
            printable(&remedy.name).into(),
            printable(&remedy.action).into(),
            match remedy.phase.as_str() {
                "Succeeded" => Cell::toned(Tone::Good, "Succeeded"),
                "Failed" => Cell::toned(Tone::Bad, "Failed"),
                other => printable(other).into(),
            },
            printable(&remedy.reason).into(),
            printable(&remedy.took).into(),
            printable(&remedy.to).into(),
        ]);
    }
    table
}

/// How many of a policy's remediations helped, and their share as `kubectl get` shows it: rounded down.
pub(super) fn rate(policy: &Value, name: &str) -> String {
    let actions = policy["status"]["statistics"]["byAction"].as_object();
    let sum = |ended: &str| -> u128 {
        let tallies = actions.into_iter().flat_map(|actions| actions.values());
        let counts = tallies.filter_map(|tally| tally[ended].as_u64());
        counts.map(u128::from).sum()
    };
    let helped = sum("succeeded");
    let all = helped + sum("failed");
    if all == 0 {
        return format!("no remediation of policy {name} has ended");
    }
    let percent = helped * 100 / all;
    format!("{helped} of {all} remediations of policy {name} helped ({percent}%)")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::follow::RunResult;
    use crate::style::Style;

    #[test]
    fn a_row_for_each_check() {
        let mut story = Story::new();
        for (ok, errors) in [(true, vec![]), (false, vec!["got 503".to_owned()])] {
            story.run_ended(Check::WebV2, &RunResult { ok, errors });
        }
        assert_eq!(
            checks(&story).render(None, Style::PLAIN),
            "CHECK     RUNS  PASSED  FAILED  LAST    FOUND\n\
             web (v2)  2     1       1       failed  got 503\n\
             web (v3)  0     0       0       none\n\
             db (v3)   0     0       0       none\n"
        );
    }

    #[test]
    fn how_many_helped_is_counted_over_all_actions() {
        for (succeeded, failed, said) in [
            (2, 1, "2 of 3 remediations of policy shop/web helped (66%)"),
            (1, 2, "1 of 3 remediations of policy shop/web helped (33%)"),
            (1, 0, "1 of 1 remediations of policy shop/web helped (100%)"),
            (0, 0, "no remediation of policy shop/web has ended"),
        ] {
            let policy = json!({"status": {"statistics": {"byAction": {
                "restartPods": {"succeeded": succeeded, "failed": 0, "dryRun": 5},
                "rolloutRestart": {"failed": failed},
            }}}});
            assert_eq!(rate(&policy, "shop/web"), said);
        }
    }

    #[test]
    fn a_row_for_each_remediation() {
        let remedy = Remedy {
            name: "web-0123456789-1".to_owned(),
            action: "restartPods".to_owned(),
            to: "pod shop/web-x".to_owned(),
            phase: "Succeeded".to_owned(),
            reason: "Verified".to_owned(),
            message: String::new(),
            took: "7s".to_owned(),
        };
        assert_eq!(
            remedies([remedy].iter()).render(None, Style::PLAIN),
            "REMEDIATION       ACTION       PHASE      REASON    TOOK  TO\n\
             web-0123456789-1  restartPods  Succeeded  Verified  7s    pod shop/web-x\n"
        );
    }
}
