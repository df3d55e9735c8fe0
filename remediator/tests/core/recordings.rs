//! What Kuberhealthy was recorded writing, and what it means: so many runs, these verdicts.
//!
//! The recordings are those the sandbox is held to as well.

use std::path::Path;

use remediator::core::{
    Body, CheckKind, CheckState, CheckStatus, Class, Observation, RunId, Snapshot, Time, Verdict,
    check_status, observe, parse_snapshot, settles_at,
};

const RECORDINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../sandbox/tests/fixtures/kuberhealthy"
);

/// Each recording and the verdicts of its runs in order: `p`assed, `f`ailed, `t`ime-out, `i`nfrastructure, `?`
/// inconclusive. Amended verdicts stand where the run stands.
const TABLE: &[(&str, &str)] = &[
    ("v2/exits-nonzero-without-report", "tttttt?tttttttt"),
    ("v2/flapping-http", "pppffpppppppppp?pppp"),
    ("v2/never-reports", "tttttt?tttttttt"),
    ("v2/ok-with-errors-then-ok", "ppppppppp"),
    ("v2/pod-creation-fails", "iiiiiiitt?"),
    ("v2/two-errors-then-ok-same-run", "pppppppp"),
    ("v3/exits-nonzero-without-report", "ttttttttttttttt"),
    (
        "v3/flapping-http",
        "ppppppppppppppppppppppffffppppppppppppp",
    ),
    ("v3/never-reports", "ttttttttttttttt"),
    ("v3/only-rejected-reports", "ttttttttt"),
    ("v3/reports-two-errors", "ffffffffff"),
];

/// A recording: when each write was seen, and what it said. A deletion is left out: it carries the last write.
fn recording(name: &str) -> Vec<(Time, Snapshot)> {
    let path = Path::new(RECORDINGS).join(format!("{name}.watch.ndjson"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kind = if name.starts_with("v2") {
        CheckKind::KuberhealthyState
    } else {
        CheckKind::HealthCheck
    };
    let mut now = Time::from_unix(0);
    let mut writes = Vec::new();
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["type"] == "DELETED" {
            continue;
        }
        let snapshot = parse_snapshot(kind, &event["object"], None).unwrap();
        let times = match &snapshot.body {
            Body::V2(body) => vec![body.last_run],
            Body::V3(body) => vec![body.last_run, body.last_ok, body.last_failure],
            Body::Alerts(_) => Vec::new(),
        };
        now = times.into_iter().flatten().fold(now, Time::max);
        writes.push((now, snapshot));
    }
    writes
}

#[derive(Default)]
struct Replay {
    state: CheckState,
    runs: Vec<(RunId, Verdict)>,
}

impl Replay {
    fn see(&mut self, now: Time, snapshot: &Snapshot) -> usize {
        let (state, told) = observe(std::mem::take(&mut self.state), snapshot, now);
        self.state = state;
        let count = told.len();
        for observation in told {
            match observation {
                Observation::New(run) => {
                    assert!(
                        self.runs.iter().all(|(id, _)| *id != run.id),
                        "{:?} is told twice",
                        run.id
                    );
                    assert!(
                        run.started.is_none_or(|started| started <= run.finished),
                        "{run:?}"
                    );
                    assert!(run.finished <= now, "{run:?}");
                    self.runs.push((run.id, run.verdict));
                }
                Observation::Amended(run) => {
                    let last = self.runs.last_mut().unwrap();
                    assert_eq!(last.0, run.id, "only the last run is amended");
                    assert_ne!(last.1, run.verdict);
                    last.1 = run.verdict;
                }
            }
        }
        count
    }

    /// Every write, each seen `times` times, and the timer between them.
    fn all(writes: &[(Time, Snapshot)], times: usize) -> Replay {
        let mut replay = Replay::default();
        for (index, (now, snapshot)) in writes.iter().enumerate() {
            for _ in 0..times {
                replay.see(*now, snapshot);
            }
            let next = writes
                .get(index + 1)
                .map_or(Time::from_unix(i64::MAX), |(next, _)| *next);
            while let Some(until) = settles_at(&replay.state).filter(|until| *until <= next) {
                replay.see(until, snapshot);
            }
        }
        replay
    }

    fn verdicts(&self) -> String {
        let letter = |verdict: &Verdict| match verdict {
            Verdict::Passed => 'p',
            Verdict::Failed(Class::Reported) => 'f',
            Verdict::Failed(Class::Timeout) => 't',
            Verdict::Failed(Class::Infrastructure) => 'i',
            Verdict::Inconclusive => '?',
        };
        self.runs
            .iter()
            .map(|(_, verdict)| letter(verdict))
            .collect()
    }
}

#[test]
fn every_recording_has_so_many_runs_with_these_verdicts() {
    let mut wrong = Vec::new();
    for (name, expected) in TABLE {
        let verdicts = Replay::all(&recording(name), 1).verdicts();
        if verdicts != *expected {
            wrong.push(format!("{name}: expected {expected:?}, read {verdicts:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_recording_is_left_out() {
    let mut files = Vec::new();
    for line in ["v2", "v3"] {
        for entry in std::fs::read_dir(Path::new(RECORDINGS).join(line)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            files.extend(
                file.strip_suffix(".watch.ndjson")
                    .map(|name| format!("{line}/{name}")),
            );
        }
    }
    files.sort();
    assert_eq!(
        files,
        TABLE.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
}

#[test]
fn replaying_a_recording_twice_gives_no_more_runs() {
    for (name, _) in TABLE {
        let writes = recording(name);
        let once = Replay::all(&writes, 1);
        assert_eq!(Replay::all(&writes, 3).runs, once.runs, "{name}");
        // A restart: the state comes back from the policy's status, and the last write is listed again.
        let json = serde_json::to_string(&once.state).unwrap();
        let mut restarted = Replay {
            state: serde_json::from_str(&json).unwrap(),
            runs: once.runs,
        };
        let (now, last) = writes.last().unwrap();
        assert_eq!(restarted.see(now.plus(3600), last), 0, "{name}");
        assert!(json.len() < 2048, "{name}: {} bytes are kept", json.len());
    }
}

#[test]
fn starting_in_the_middle_counts_at_most_one() {
    for (name, _) in TABLE {
        let writes = recording(name);
        let all = Replay::all(&writes, 1).runs.len();
        for start in 0..writes.len() {
            let before = Replay::all(&writes[..start], 1).runs.len();
            let mut replay = Replay::default();
            let (now, snapshot) = &writes[start];
            assert!(
                replay.see(*now, snapshot) <= 1,
                "{name}, from write {start}"
            );
            let rest = Replay::all(&writes[start..], 1).runs.len();
            assert!(
                rest <= all - before + 1,
                "{name}, from write {start}: {rest} of {all} runs, {before} before"
            );
        }
    }
}

#[test]
fn a_new_uuid_is_not_a_result() {
    for (name, _) in TABLE {
        let mut replay = Replay::default();
        let (now, first) = &recording(name)[0];
        assert_eq!(replay.see(*now, first), 0, "{name}");
        assert_eq!(
            check_status(&replay.state, first.timing, *now),
            CheckStatus::NeverRun,
            "{name}"
        );
    }
}

#[test]
fn an_object_that_is_deleted_or_replaced_is_forgotten() {
    for (name, _) in TABLE {
        let writes = recording(name);
        let mut replay = Replay::all(&writes, 1);
        let (now, last) = writes.last().unwrap();
        let replaced = Snapshot {
            uid: format!("9{}", last.uid),
            ..last.clone()
        };
        let told = replay.see(*now, &replaced);
        assert!(
            told <= 1 && replay.state.recent.len() == told,
            "{name}: its last result is a baseline"
        );
        assert_eq!(
            replay.see(
                *now,
                &Snapshot {
                    deleting: true,
                    ..replaced
                }
            ),
            0
        );
        assert_eq!(
            check_status(&replay.state, last.timing, *now),
            CheckStatus::Gone,
            "{name}"
        );
    }
}
