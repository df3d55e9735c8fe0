//! Counters and incidents, by tables of runs: one letter a run, one run an interval.
//!
//! `p` passed, `f` failed, `t` timed out, `i` infrastructure, `?` inconclusive, `.` no run.

use super::{advance, flapping};
use crate::core::decide::{decide, still_wanted};
use crate::core::guards::tests::Case;
use crate::core::{
    CheckState, Class, Decision, Incident, Inferred, Matcher, Observation, PolicySpec, PolicyState,
    Reason, Run, RunId, Time, Timing, Upstream, Verdict, upstreams_recovered,
};

const TIMING: Timing = Timing {
    interval: 600,
    timeout: 300,
};

fn at(interval: u32) -> Time {
    Time::from_unix(1_000_000).plus(interval * TIMING.interval)
}

fn spec() -> PolicySpec {
    Case::new().spec
}

fn run(letter: char, number: u32) -> Run {
    let finished = at(number).plus(30);
    Run {
        id: RunId(format!("uid/{number}")),
        started: Some(at(number)),
        finished,
        verdict: match letter {
            'p' => Verdict::Passed,
            'f' => Verdict::Failed(Class::Reported),
            't' => Verdict::Failed(Class::Timeout),
            'i' => Verdict::Failed(Class::Infrastructure),
            _ => Verdict::Inconclusive,
        },
        errors: match letter {
            'p' => vec![],
            _ => vec![format!("run {number}: 502")],
        },
    }
}

/// Goes on with these runs, the first of which is the run of this number.
fn play(mut state: PolicyState, spec: &PolicySpec, runs: &str, first: u32) -> PolicyState {
    for (number, letter) in (first..).zip(runs.chars()) {
        let told = match letter {
            '.' => vec![],
            letter => vec![Observation::New(run(letter, number))],
        };
        state = advance(state, spec, TIMING, &told, at(number).plus(31));
    }
    state
}

fn start() -> PolicyState {
    PolicyState {
        check: CheckState {
            uid: "uid".to_owned(),
            ..CheckState::default()
        },
        ..PolicyState::default()
    }
}

fn amend(state: PolicyState, spec: &PolicySpec, letter: char, number: u32) -> PolicyState {
    let told = [Observation::Amended(run(letter, number))];
    advance(state, spec, TIMING, &told, at(number).plus(40))
}

fn open(state: &PolicyState) -> Option<&Incident> {
    state
        .incident
        .as_ref()
        .filter(|incident| incident.recovered.is_none())
}

#[test]
fn runs_are_counted() {
    // Failures and passes in a row, and whether an incident is open.
    for (runs, failures, successes, incident) in [
        ("p", 0, 1, false),
        ("pp", 0, 2, false),
        ("f", 1, 0, true),
        ("fff", 3, 0, true),
        ("ffp", 0, 1, false),
        ("ffpf", 1, 0, true),
        ("fi?tf", 2, 0, true),
        ("i?t", 0, 0, false),
        ("pi?tp", 0, 2, false),
        ("fi?tp", 0, 1, false),
    ] {
        let state = play(start(), &spec(), runs, 0);
        let found = (state.failures, state.successes, open(&state).is_some());
        assert_eq!(found, (failures, successes, incident), "{runs}");
        assert_eq!(state.first_failure.is_some(), failures > 0, "{runs}");
        let healthy = successes > 0;
        assert_eq!(state.healthy_since.is_some(), healthy, "{runs}");
    }
}

#[test]
fn time_outs_and_errors_count_where_the_policy_says_so() {
    let timeouts = PolicySpec {
        count_timeouts: true,
        ..spec()
    };
    let others = PolicySpec {
        match_errors: Matcher::new(&["timeout".to_owned()]).unwrap(),
        ..spec()
    };
    for (spec, runs, failures) in [
        (&timeouts, "tft", 3),
        (&timeouts, "tit", 2),
        (&others, "fff", 0),
    ] {
        let state = play(start(), spec, runs, 0);
        assert_eq!(state.failures, failures, "{runs}");
    }
}

#[test]
fn a_check_that_is_started_again_and_again_does_not_keep_failing() {
    let spec = spec();
    for (gap, expected) in [(1, 1), (299, 1), (300, 2), (600, 2)] {
        let mut state = play(start(), &spec, "f", 0);
        let again = Run {
            finished: at(0).plus(30 + gap),
            ..run('f', 1)
        };
        let told = [Observation::New(again)];
        state = advance(state, &spec, TIMING, &told, at(2));
        assert_eq!(state.failures, expected, "after {gap} s");
    }
}

#[test]
fn an_incident_goes_from_the_first_failure_to_enough_passes() {
    let spec = PolicySpec {
        success_threshold: 2,
        ..spec()
    };
    for (runs, recovered) in [
        ("fff", None),
        ("fffp", None),
        ("fffpp", Some(4)),
        ("fffpfp", None),
        ("fffp?p", Some(5)),
    ] {
        let state = play(start(), &spec, runs, 0);
        let incident = state.incident.unwrap();
        assert_eq!(incident.first_run, RunId("uid/0".to_owned()), "{runs}");
        assert_eq!(incident.opened, at(0).plus(30), "{runs}");
        assert_eq!(
            incident.recovered,
            recovered.map(|number| at(number).plus(30)),
            "{runs}"
        );
    }
}

#[test]
fn a_relapse_within_the_minimum_healthy_time_is_the_same_incident() {
    // An hour is six intervals; the recovery is run 1.
    let first = play(start(), &spec(), "f", 0).incident.unwrap().id;
    for (runs, same) in [
        ("fpf", true),
        ("fp.....f", true),
        ("fp......f", false),
        ("fpppppppf", false),
    ] {
        let incident = play(start(), &spec(), runs, 0).incident.unwrap();
        assert_eq!(incident.id == first, same, "{runs}");
        assert_eq!(incident.joined, u32::from(same), "{runs}");
        assert_eq!(incident.recovered, None, "{runs}");
    }
    let twice = play(start(), &spec(), "fpfpf", 0).incident.unwrap();
    assert_eq!((twice.id, twice.joined), (first, 2));
    let failing = RunId("uid/4".to_owned());
    assert_eq!(
        (twice.failing_run, twice.errors),
        (failing, vec!["run 4: 502".to_owned()])
    );
    // Once it cannot be continued any more it is forgotten.
    assert!(play(start(), &spec(), "fp.....", 0).incident.is_some());
    assert!(play(start(), &spec(), "fp......", 0).incident.is_none());
}

#[test]
fn four_changes_in_ten_verdicts_are_flapping() {
    for (runs, expected) in [
        ("ffff", false),
        ("fpf", false),
        ("fpfpf", true),
        ("pfpf", false),
        ("pfpfp", true),
        ("pfpfpppppp", true),
        ("fpfpfpppppppppp", false),
        ("f?p?f?p?f", true),
    ] {
        let state = play(start(), &spec(), runs, 0);
        assert_eq!(flapping(state.verdicts), expected, "{runs}");
    }
}

#[test]
fn an_amended_verdict_counts_as_if_it_had_been_the_first() {
    let spec = spec();
    for (before, first, amended) in [
        ("ff", 'p', 'f'),
        ("ff", 'f', 'p'),
        ("pp", 'p', 'f'),
        ("ff", 'f', 'i'),
        ("ff", 'p', '?'),
        ("fp", 'f', 'p'),
        ("fpf", 'p', 'f'),
    ] {
        let number = u32::try_from(before.len()).unwrap();
        let state = play(start(), &spec, before, 0);
        let told = play(state.clone(), &spec, &first.to_string(), number);
        let found = amend(told, &spec, amended, number);
        let expected = play(state, &spec, &amended.to_string(), number);
        let what = format!("{before}, {first}, then {amended}");
        let core = |state: &PolicyState| {
            // That somebody was told is not undone.
            let incident = state.incident.clone().map(|incident| Incident {
                reached: true,
                ..incident
            });
            (
                (state.failures, state.successes, state.verdicts),
                (state.first_failure, state.last_counted.clone()),
                (state.healthy_since, incident),
            )
        };
        assert_eq!(core(&found), core(&expected), "{what}");
    }
}

#[test]
fn an_incident_that_was_opened_by_mistake_is_over_and_not_undone() {
    let spec = spec();
    for amended in ['p', 'i', '?'] {
        let opened = play(start(), &spec, "pf", 0);
        let id = opened.incident.clone().unwrap().id;
        let state = amend(opened, &spec, amended, 1);
        assert_eq!(state.failures, 0, "{amended}");
        let incident = state.incident.clone().unwrap();
        assert_eq!(
            (&incident.id, incident.recovered),
            (&id, Some(at(1).plus(30)))
        );
        // What may have been done because of it counts when it goes on.
        let state = play(state, &spec, "f", 2);
        assert_eq!(state.incident.unwrap().id, id, "{amended}");
    }
}

#[test]
fn an_amended_verdict_undoes_no_decision() {
    let spec = spec();
    let mut state = play(start(), &spec, "fff", 0);
    let incident = state.incident.as_mut().unwrap();
    incident.exhausted = true;
    incident.upstream_recovered = Some(at(0));
    let incident = amend(state, &spec, 'i', 2).incident.unwrap();
    assert!(incident.exhausted);
    assert_eq!(incident.upstream_recovered, Some(at(0)));
}

#[test]
fn an_incident_is_reached_once_it_has_failed_often_and_long_enough() {
    let spec = spec();
    assert_eq!(spec.failure_threshold, 3);
    let reached = |state: &PolicyState| state.incident.as_ref().unwrap().reached;
    let state = play(start(), &spec, "ff", 0);
    assert!(!reached(&state));
    let state = play(state, &spec, "f", 2);
    assert!(reached(&state));
    for amended in ['p', 'i', 'f'] {
        let state = amend(state.clone(), &spec, amended, 2);
        assert!(reached(&state), "told is told: {amended}");
    }
    let state = play(state, &spec, "p", 3);
    assert!(reached(&state), "what has ended was one");
    let state = play(state, &spec, "f", 4);
    assert_eq!(state.incident.as_ref().unwrap().joined, 1);
    assert!(!reached(&state), "a relapse counts anew");
    assert!(reached(&play(state, &spec, "ff", 5)));

    let long = PolicySpec {
        failure_seconds: 3600,
        ..spec
    };
    let state = play(start(), &long, "fff", 0);
    assert!(!reached(&state));
    let later = state.first_failure.unwrap().plus(3600);
    assert!(reached(&advance(state, &long, TIMING, &[], later)));
}

#[test]
fn another_check_of_the_same_name_starts_anew() {
    let state = play(start(), &spec(), "fff", 0);
    let other = Run {
        id: RunId("other/3".to_owned()),
        ..run('f', 3)
    };
    let told = [Observation::New(other)];
    let state = advance(state, &spec(), TIMING, &told, at(4));
    assert_eq!(state.failures, 1);
}

fn upstream(recovered: Option<Time>) -> Upstream {
    let mut upstream = Case::upstream();
    upstream.recovered = recovered;
    upstream
}

#[test]
fn failures_are_counted_anew_after_an_upstream_check_has_recovered() {
    let spec = PolicySpec {
        dependency_grace: 700,
        ..spec()
    };
    // Three failures; then the upstream check recovers at run 3. The grace ends between runs 4 and 5.
    let held = play(start(), &spec, "fff", 0);
    let state = upstreams_recovered(held.clone(), &spec, &[upstream(Some(at(3)))]);
    assert_eq!((state.failures, state.first_failure), (0, None));
    assert_eq!(
        state.incident.as_ref().unwrap().upstream_recovered,
        Some(at(3))
    );
    assert_eq!(
        upstreams_recovered(state.clone(), &spec, &[upstream(Some(at(3)))]),
        state,
        "once for each recovery"
    );
    for (runs, failures) in [("f", 0), ("ff", 0), ("fff", 1), ("fffff", 3), ("ffpff", 2)] {
        let state = play(state.clone(), &spec, runs, 3);
        assert_eq!(state.failures, failures, "{runs}");
        assert!(open(&state).is_some(), "{runs}: it does fail");
    }
    // A late amendment does not bring the old count back.
    let amended = amend(state.clone(), &spec, 'i', 2);
    assert_eq!(amended.failures, 0);
    // Nothing to do for one that recovered long before, or never.
    for recovered in [None, Some(Time::from_unix(0))] {
        let state = upstreams_recovered(held.clone(), &spec, &[upstream(recovered)]);
        assert_eq!(state.failures, 3, "{recovered:?}");
    }
}

#[test]
fn what_waits_out_the_grace_says_so() {
    let mut case = Case::new();
    let now = Case::now();
    case.upstreams = vec![upstream(Some(now))];
    case.state = upstreams_recovered(case.state, &case.spec, &case.upstreams);
    let decided = decide(
        now,
        &case.spec,
        &case.state,
        &case.world(),
        Some(&case.facts),
    );
    let until = Some(now.plus(case.spec.dependency_grace));
    assert!(
        matches!(&decided, Decision::Hold { reason: Reason::UpstreamGrace, until: found, .. } if *found == until),
        "{decided:?}"
    );
    let wanted = still_wanted(now, &case.spec, &case.state, &case.world());
    assert_eq!(wanted, Err(Reason::UpstreamGrace));
}

#[test]
fn what_errors_lead_to_is_known_as_long_as_the_incident_is_open() {
    let inferred = Inferred {
        check: Case::upstream().key,
        via: "service shop/db".to_owned(),
    };
    let held = PolicyState {
        upstreams: vec![inferred.clone()],
        ..play(start(), &spec(), "ff", 0)
    };
    for (runs, known) in [("f", true), ("?ti", true), ("p", false), ("pf", false)] {
        let state = play(held.clone(), &spec(), runs, 2);
        assert_eq!(state.upstreams.contains(&inferred), known, "{runs}");
    }
    let off = PolicySpec {
        infer_dependencies: false,
        ..spec()
    };
    assert_eq!(play(held, &off, "f", 2).upstreams, []);
}
