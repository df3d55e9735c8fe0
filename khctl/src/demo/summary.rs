//! The table at the end of the demo.

use super::story::Story;
use super::timeline::Source;
use crate::style::{Tone, printable};
use crate::table::{Cell, Table};

/// One row a check.
pub(super) fn table(story: &Story) -> Table<6> {
    let mut table = Table::new(["CHECK", "RUNS", "PASSED", "FAILED", "LAST", "FOUND"]);
    for (name, source) in [
        ("v2 KuberhealthyCheck", Source::V2),
        ("v3 HealthCheck", Source::V3),
    ] {
        let tally = story.tally(source);
        let found: Vec<String> = tally.found.iter().map(|text| printable(text)).collect();
        table.push([
            name.into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::RunResult;
    use crate::style::Style;

    #[test]
    fn a_row_for_each_check() {
        let mut story = Story::new("pod shop/web-2");
        for (ok, errors) in [(true, vec![]), (false, vec!["got 503".to_owned()])] {
            story.run_ended(Source::V2, &RunResult { ok, errors });
        }
        assert_eq!(
            table(&story).render(None, Style::PLAIN),
            "CHECK                 RUNS  PASSED  FAILED  LAST    FOUND\n\
             v2 KuberhealthyCheck  2     1       1       failed  got 503\n\
             v3 HealthCheck        0     0       0       none\n"
        );
    }
}
