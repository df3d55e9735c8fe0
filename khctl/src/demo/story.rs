//! The plot of the demo, and whether it went as it should. Pure: it is told what happened and says what is next.

use std::time::Duration;

use super::timeline::Source;
use crate::follow::RunResult;

/// Runs of each check in a row that a chapter waits for: one could be luck.
const RUNS: u32 = 2;
/// The longest a chapter may last. Its runs take a few seconds; a loaded machine takes longer.
pub(crate) const CHAPTER_LIMIT: Duration = Duration::from_secs(45);

/// Where the story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chapter {
    /// Both checks should pass.
    Healthy,
    /// One pod is broken; both checks should fail.
    Broken,
    /// The pod is healed; both checks should pass again.
    Healed,
    /// Everything happened.
    Over,
}

impl Chapter {
    /// What a message says the chapter waits for.
    pub(crate) fn expectation(self) -> &'static str {
        match self {
            Chapter::Healthy => "pass while the web application is well",
            Chapter::Broken => "fail while a pod of it is broken",
            Chapter::Healed => "pass after the pod has healed",
            Chapter::Over => "rest",
        }
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
    /// Runs in this chapter, in a row up to now, that were as expected.
    in_a_row: u32,
}

/// The story so far.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    chapter: Chapter,
    culprit: String,
    v2: Tally,
    v3: Tally,
}

impl Story {
    /// The beginning. `culprit`: how v3's finding must name the pod that breaks, such as `pod shop/web-2`.
    pub(crate) fn new(culprit: impl Into<String>) -> Story {
        Story {
            chapter: Chapter::Healthy,
            culprit: culprit.into(),
            v2: Tally::default(),
            v3: Tally::default(),
        }
    }

    /// The runs of one check; of v2's for any source that is none.
    pub(crate) fn tally(&self, source: Source) -> &Tally {
        match source {
            Source::V3 => &self.v3,
            _ => &self.v2,
        }
    }

    /// A run of a check ended. True if that ends the chapter.
    pub(crate) fn run_ended(&mut self, source: Source, result: &RunResult) -> bool {
        let expected = match (self.chapter, source) {
            (Chapter::Healthy | Chapter::Healed, _) => result.ok,
            (Chapter::Broken, Source::V3) => {
                !result.ok
                    && result
                        .errors
                        .iter()
                        .any(|error| error.starts_with(&self.culprit))
            }
            (Chapter::Broken, _) => !result.ok,
            (Chapter::Over, _) => false,
        };
        let tally = match source {
            Source::V3 => &mut self.v3,
            _ => &mut self.v2,
        };
        tally.runs += 1;
        tally.passed += u32::from(result.ok);
        tally.last = Some(result.ok);
        for error in &result.errors {
            // A demo that is kept running must not grow: what is new after this many is in the timeline.
            if tally.found.len() < 5 && !tally.found.contains(error) {
                tally.found.push(error.clone());
            }
        }
        tally.in_a_row = if expected { tally.in_a_row + 1 } else { 0 };
        self.chapter != Chapter::Over && self.v2.in_a_row >= RUNS && self.v3.in_a_row >= RUNS
    }

    /// Turns the page.
    pub(crate) fn next_chapter(&mut self) -> Chapter {
        self.chapter = match self.chapter {
            Chapter::Healthy => Chapter::Broken,
            Chapter::Broken => Chapter::Healed,
            Chapter::Healed | Chapter::Over => Chapter::Over,
        };
        self.v2.in_a_row = 0;
        self.v3.in_a_row = 0;
        self.chapter
    }

    /// Why the present chapter did not end, for the error of a demo that failed.
    pub(crate) fn what_is_missing(&self) -> String {
        let behind: Vec<String> = [("v2", &self.v2), ("v3", &self.v3)]
            .into_iter()
            .filter(|(_, tally)| tally.in_a_row < RUNS)
            .map(|(name, tally)| {
                let last = match tally.last {
                    None => "no run ended".to_owned(),
                    Some(true) => "its last run passed".to_owned(),
                    Some(false) => format!(
                        "its last run failed: {}",
                        tally.found.last().map(String::as_str).unwrap_or("no error")
                    ),
                };
                format!("{name} ({} runs, {last})", tally.runs)
            })
            .collect();
        format!(
            "expected both checks to {} {RUNS} times within {} s; still waiting for {}",
            self.chapter.expectation(),
            CHAPTER_LIMIT.as_secs(),
            behind.join(" and ")
        )
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_whole_story() {
        let mut story = Story::new("pod shop/web-2");
        let culprit = failed("pod shop/web-2: expected status 200, got 503");
        let service = failed("expected status 200, got 503");
        let tell = |story: &mut Story, v2: &RunResult, v3: &RunResult| {
            for _ in 0..RUNS {
                assert!(!story.run_ended(Source::V2, v2));
            }
            assert!(!story.run_ended(Source::V3, v3));
            assert!(story.run_ended(Source::V3, v3));
        };
        tell(&mut story, &passed(), &passed());
        assert_eq!(story.next_chapter(), Chapter::Broken);
        // Runs that began before the pod broke do not count.
        assert!(!story.run_ended(Source::V3, &passed()));
        tell(&mut story, &service, &culprit);
        assert_eq!(story.next_chapter(), Chapter::Healed);
        tell(&mut story, &passed(), &passed());
        assert_eq!(story.next_chapter(), Chapter::Over);
        let tally = story.tally(Source::V3);
        assert_eq!((tally.runs, tally.passed, tally.last), (7, 5, Some(true)));
        assert_eq!(tally.found, culprit.errors);
    }

    #[test]
    fn a_finding_that_names_another_pod_is_not_the_story() {
        let mut story = Story::new("pod shop/web-2");
        story.next_chapter();
        for _ in 0..3 {
            assert!(!story.run_ended(Source::V2, &failed("x")));
            assert!(!story.run_ended(Source::V3, &failed("pod shop/web-1: refused")));
        }
        assert_eq!(
            story.what_is_missing(),
            "expected both checks to fail while a pod of it is broken 2 times within 45 s; still waiting for \
             v3 (3 runs, its last run failed: pod shop/web-1: refused)"
        );
    }

    #[test]
    fn nothing_at_all_is_said_too() {
        assert!(
            Story::new("pod x/y")
                .what_is_missing()
                .ends_with("v2 (0 runs, no run ended) and v3 (0 runs, no run ended)")
        );
    }
}
