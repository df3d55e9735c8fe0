//! The plot of the demo, and whether it went as it should. Pure: it is told what happened and says what is next.

use std::time::Duration;

use super::remedies::News;
use crate::follow::RunResult;

/// Runs of each check in a row that a quiet chapter waits for: one could be luck.
const RUNS: u32 = 2;
/// The longest a chapter may last. Its runs take a few seconds; a loaded machine takes longer.
pub(crate) const CHAPTER_LIMIT: Duration = Duration::from_secs(90);

/// The checks of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// v2's, of the web application's Service.
    WebV2,
    /// v3's, of the web application's pods.
    WebV3,
    /// v3's, of the database.
    Database,
}

impl Check {
    /// All of them.
    pub(crate) const ALL: [Check; 3] = [Check::WebV2, Check::WebV3, Check::Database];

    /// As tables and messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Check::WebV2 => "web (v2)",
            Check::WebV3 => "web (v3)",
            Check::Database => "db (v3)",
        }
    }
}

/// Where the story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chapter {
    /// Everything is well.
    Healthy,
    /// One pod has gone bad: it is evicted, and its replacement is well.
    BadPod,
    /// All pods of this revision are bad: a new pod does not help, a rollout does.
    BadRevision,
    /// The database is down: the web application is left alone.
    BadUpstream,
    /// The database is back: everything is well again, by itself.
    Recovery,
    /// Everything happened.
    Over,
}

impl Chapter {
    fn next(self) -> Chapter {
        match self {
            Chapter::Healthy => Chapter::BadPod,
            Chapter::BadPod => Chapter::BadRevision,
            Chapter::BadRevision => Chapter::BadUpstream,
            Chapter::BadUpstream => Chapter::Recovery,
            Chapter::Recovery | Chapter::Over => Chapter::Over,
        }
    }

    /// What has to happen to the remediator's records, in this order: action and phase.
    fn remedies(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Chapter::BadPod => &[("restartPods", "Succeeded")],
            Chapter::BadRevision => &[("restartPods", "Failed"), ("rolloutRestart", "Succeeded")],
            _ => &[],
        }
    }

    /// Why the remediator has to hold back.
    fn held(self) -> Option<&'static str> {
        (self == Chapter::BadUpstream).then_some("UpstreamUnhealthy")
    }

    /// Whether all checks have to pass in the end.
    fn all_pass(self) -> bool {
        self != Chapter::BadUpstream
    }
}

/// The runs of one check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Runs that ended.
    pub(crate) runs: u32,
    /// Those that passed.
    pub(crate) passed: u32,
    /// The latest verdict.
    pub(crate) last: Option<bool>,
    /// The different findings, in the order they were first seen.
    pub(crate) found: Vec<String>,
    /// Runs in this chapter, in a row up to now, that passed.
    in_a_row: u32,
}

/// The story so far.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    chapter: Chapter,
    checks: [Tally; 3],
    /// How many of the chapter's remedies have happened.
    remedied: usize,
    held: bool,
    /// Remediations that the plot does not know.
    unexpected: Vec<String>,
}

impl Story {
    /// The beginning.
    pub(crate) fn new() -> Story {
        Story {
            chapter: Chapter::Healthy,
            checks: Default::default(),
            remedied: 0,
            held: false,
            unexpected: Vec::new(),
        }
    }

    /// The runs of one check.
    pub(crate) fn tally(&self, check: Check) -> &Tally {
        &self.checks[check as usize]
    }

    /// A run of a check ended.
    pub(crate) fn run_ended(&mut self, check: Check, result: &RunResult) {
        let tally = &mut self.checks[check as usize];
        tally.runs += 1;
        tally.passed += u32::from(result.ok);
        tally.last = Some(result.ok);
        for error in &result.errors {
            // A demo that is kept running must not grow: what is new after this many is in the timeline.
            if tally.found.len() < 5 && !tally.found.contains(error) {
                tally.found.push(error.clone());
            }
        }
        tally.in_a_row = if result.ok { tally.in_a_row + 1 } else { 0 };
    }

    /// The remediator did something.
    pub(crate) fn heard(&mut self, news: &News) {
        match news {
            News::Held { reason, .. } => self.held |= self.chapter.held() == Some(reason),
            News::Remedy(remedy) => {
                let expected = self.chapter.remedies();
                let known = expected.iter().any(|(action, _)| *action == remedy.action);
                if !known && self.unexpected.len() < 5 {
                    self.unexpected
                        .push(format!("{} of {}", remedy.action, remedy.to));
                }
                if expected.get(self.remedied) == Some(&(&remedy.action, &remedy.phase)) {
                    self.remedied += 1;
                    // Only what passes from now on shows that it helped.
                    for tally in &mut self.checks {
                        tally.in_a_row = 0;
                    }
                }
            }
        }
    }

    /// Whether the chapter is told.
    pub(crate) fn chapter_told(&self) -> bool {
        self.chapter != Chapter::Over && self.missing().is_empty()
    }

    /// Turns the page.
    pub(crate) fn next_chapter(&mut self) -> Chapter {
        self.chapter = self.chapter.next();
        self.remedied = 0;
        self.held = false;
        for tally in &mut self.checks {
            tally.in_a_row = 0;
        }
        self.chapter
    }

    /// What still has to happen in this chapter.
    fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> = self
            .chapter
            .remedies()
            .iter()
            .skip(self.remedied)
            .map(|(action, phase)| format!("{action} {phase}"))
            .collect();
        if let Some(reason) = self.chapter.held().filter(|_| !self.held) {
            missing.push(format!("the policy held back by {reason}"));
        }
        if self.chapter.all_pass() {
            let behind = Check::ALL
                .into_iter()
                .filter(|check| self.tally(*check).in_a_row < RUNS);
            missing.extend(behind.map(|check| {
                let last = match self.tally(check) {
                    Tally { last: None, .. } => "no run ended".to_owned(),
                    Tally {
                        last: Some(true), ..
                    } => "its last run passed".to_owned(),
                    Tally { found, .. } => format!(
                        "its last run failed: {}",
                        found.last().map(String::as_str).unwrap_or("no error")
                    ),
                };
                format!("{RUNS} passing runs of {} ({last})", check.name())
            }));
        }
        missing
    }

    /// Why the present chapter did not end, for the error of a demo that failed.
    pub(crate) fn what_is_missing(&self) -> String {
        format!(
            "expected within {} s: {}",
            CHAPTER_LIMIT.as_secs(),
            self.missing().join("; ")
        )
    }

    /// What the remediator did that it should not have done.
    pub(crate) fn unexpected(&self) -> &[String] {
        &self.unexpected
    }
}

#[cfg(test)]
mod tests {
    use super::super::remedies::Remedy;
    use super::*;

    fn passed() -> RunResult {
        RunResult {
            ok: true,
            errors: Vec::new(),
        }
    }

    fn failed(error: &str) -> RunResult {
        RunResult {
            ok: false,
            errors: vec![error.to_owned()],
        }
    }

    fn remedy(action: &str, phase: &str) -> News {
        News::Remedy(Remedy {
            name: "web-1".to_owned(),
            action: action.to_owned(),
            to: "pod shop/web-x".to_owned(),
            phase: phase.to_owned(),
            reason: String::new(),
            message: String::new(),
            took: String::new(),
        })
    }

    fn held(reason: &str) -> News {
        News::Held {
            policy: "shop/web".to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
        }
    }

    fn all_pass(story: &mut Story) {
        for _ in 0..RUNS {
            for check in Check::ALL {
                assert!(!story.chapter_told());
                story.run_ended(check, &passed());
            }
        }
    }

    #[test]
    fn the_whole_story() {
        let mut story = Story::new();
        all_pass(&mut story);
        assert!(story.chapter_told());

        assert_eq!(story.next_chapter(), Chapter::BadPod);
        story.run_ended(Check::WebV3, &failed("pod shop/web-x: got 503"));
        story.heard(&remedy("restartPods", "Pending"));
        story.heard(&remedy("restartPods", "Succeeded"));
        all_pass(&mut story);
        assert!(story.chapter_told());

        assert_eq!(story.next_chapter(), Chapter::BadRevision);
        story.heard(&remedy("rolloutRestart", "Succeeded"));
        all_pass(&mut story);
        assert!(
            !story.chapter_told(),
            "not before the gentler step has failed"
        );
        story.heard(&remedy("restartPods", "Failed"));
        story.heard(&remedy("rolloutRestart", "Succeeded"));
        all_pass(&mut story);
        assert!(story.chapter_told());

        assert_eq!(story.next_chapter(), Chapter::BadUpstream);
        story.heard(&held("Cooldown"));
        assert!(!story.chapter_told());
        story.heard(&held("UpstreamUnhealthy"));
        assert!(story.chapter_told());

        assert_eq!(story.next_chapter(), Chapter::Recovery);
        all_pass(&mut story);
        assert!(story.chapter_told());
        assert_eq!(story.next_chapter(), Chapter::Over);
        assert!(!story.chapter_told());
        assert_eq!(story.unexpected(), &[] as &[String]);
        let tally = story.tally(Check::WebV3);
        assert_eq!((tally.runs, tally.passed, tally.last), (11, 10, Some(true)));
        assert_eq!(tally.found, ["pod shop/web-x: got 503"]);
    }

    #[test]
    fn an_action_that_is_not_in_the_plot_is_noticed() {
        let mut story = Story::new();
        story.heard(&remedy("restartPods", "Pending"));
        assert_eq!(story.unexpected(), ["restartPods of pod shop/web-x"]);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut story = Story::new();
        story.next_chapter();
        story.run_ended(Check::WebV3, &failed("got 503"));
        assert_eq!(
            story.what_is_missing(),
            "expected within 90 s: restartPods Succeeded; 2 passing runs of web (v2) (no run ended); \
             2 passing runs of web (v3) (its last run failed: got 503); 2 passing runs of db (v3) (no run ended)"
        );
    }
}
