//! KuberhealthyState: one run is a write of its uuid, one of its report and one of its pod's end.

use super::super::{CheckState, Class, Observation, Pending, Run, Seen, Time, V2, Verdict};
use super::{classify, errors_hash, remember, run_id, tell};

/// How long a report waits for the write that follows when the pod ends; Kuberhealthy looks every 5 s.
const SETTLE: u32 = 15;

pub(super) fn observe(
    state: &mut CheckState,
    body: &V2,
    now: Time,
    appeared: Option<Time>,
    told: &mut Vec<Observation>,
) {
    let errors_hash = errors_hash(&body.errors);
    let before = state.seen.take();
    let own = body
        .errors
        .iter()
        .any(|error| error.starts_with(classify::V2_OWN));
    // With a uuid that was not seen before comes a result that may be of the run before it. So it gets a name of its own:
    // what the run of this uuid says later does not amend it. A failure whose pod has not ended yet does not: its run's
    // end may withdraw it, while a pass that is withdrawn only makes us wait.
    let final_or_passed = own || !body.node.is_empty() || reported(body) == Verdict::Passed;
    let unattributed = final_or_passed
        && before.as_ref().is_none_or(|seen| seen.uuid != body.uuid)
        && before
            .as_ref()
            .is_none_or(|seen| seen.last_run != body.last_run);
    let id = match body.last_run.filter(|_| unattributed) {
        Some(last_run) => run_id(state, &format!("{}@{}", body.uuid, last_run.unix())),
        None => run_id(state, &body.uuid),
    };

    match &before {
        // Seen from its first write on, so its start is known; of one that was under way already it is not.
        Some(seen) if seen.uuid != body.uuid && seen.last_run == body.last_run => {
            state.started = appeared.map(|time| (body.uuid.clone(), time));
        }
        Some(seen) if seen.uuid == body.uuid => {}
        _ => state.started = None,
    }
    let started = state
        .started
        .as_ref()
        .filter(|(uuid, _)| *uuid == body.uuid)
        .map(|(_, time)| *time);

    let changed = before
        .as_ref()
        .is_some_and(|seen| seen.ok != body.ok || seen.errors_hash != errors_hash);
    // LastRun has a resolution of a second: two results may share it, and then differ in what they say.
    let result = body.last_run.filter(|last_run| {
        before
            .as_ref()
            .is_none_or(|seen| seen.last_run != Some(*last_run))
            || changed
    });

    // Its pod's end, saying the same, tells that a report was this run's after all.
    let same = |pending: &Pending| {
        let (uuid, _) = pending.run.id.0.split_once('@').unwrap_or_default();
        result.is_some() && !changed && uuid == run_id(state, &body.uuid).0
    };
    if state.pending.as_ref().is_some_and(same) {
        state.pending = None;
    }
    // A run that another has followed does not change any more.
    if state
        .pending
        .as_ref()
        .is_some_and(|pending| result.is_some() && pending.run.id != id)
    {
        settle(state, told);
    }
    let is_last = state.last.as_ref().is_some_and(|(last, _, _)| *last == id);
    // Kuberhealthy repeats writes it could not place, with what they said at that time.
    let plain = run_id(state, &body.uuid);
    let again = before.as_ref().is_some_and(|seen| seen.uuid != body.uuid);
    let outdated = !is_last
        && state
            .recent
            .iter()
            .any(|told| match told.0.split_once('@') {
                Some((uuid, _)) => again && uuid == plain.0,
                None => *told == plain,
            });
    if let Some(finished) = result.filter(|_| !outdated) {
        let run = |verdict| Run {
            id: id.clone(),
            started,
            finished: finished.min(now),
            verdict,
            errors: if verdict == Verdict::Passed {
                Vec::new()
            } else {
                body.errors.clone()
            },
        };
        if own {
            // Kuberhealthy's own errors come without a duration. With one, it is the last run's verdict, put on an
            // aborted run.
            let verdict = if body.has_duration {
                Verdict::Inconclusive
            } else {
                Verdict::Failed(classify::v2(&body.errors))
            };
            state.pending = None;
            tell(state, run(verdict), told);
        } else if !body.node.is_empty() {
            state.pending = None;
            tell(state, run(reported(body)), told);
        } else {
            // A report, or the verdict of the last run put on an aborted one. A change tells the first from the second; if
            // writes were missed, it may be the change of a run between, which is a result all the same.
            let told_apart = changed
                || state
                    .pending
                    .as_ref()
                    .is_some_and(|p| p.run.verdict != Verdict::Inconclusive);
            let verdict = if told_apart {
                reported(body)
            } else {
                Verdict::Inconclusive
            };
            if !is_last || told_apart {
                state.pending = Some(Pending {
                    run: run(verdict),
                    until: now.plus(SETTLE),
                });
            }
        }
        if state
            .started
            .as_ref()
            .is_some_and(|(uuid, _)| *uuid == body.uuid)
        {
            state.started = None;
        }
    } else if state
        .pending
        .as_ref()
        .is_some_and(|pending| now >= pending.until)
    {
        settle(state, told);
    }
    state.last_activity = body.last_run.or(state.last_activity);
    let seen = Seen {
        last_run: body.last_run,
        uuid: body.uuid.clone(),
        ok: body.ok,
        errors_hash,
        ..Seen::default()
    };
    remember(state, seen);
}

/// Takes a pending result as it is.
fn settle(state: &mut CheckState, told: &mut Vec<Observation>) {
    if let Some(pending) = state.pending.take() {
        tell(state, pending.run, told);
    }
}

/// A report's verdict: as Kuberhealthy, by the errors.
fn reported(body: &V2) -> Verdict {
    match (body.errors.is_empty(), body.ok) {
        (true, true) => Verdict::Passed,
        (false, _) => Verdict::Failed(Class::Reported),
        // Kuberhealthy accepts no such report.
        (true, false) => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{
        Body, CheckKey, CheckKind, CheckState, Class, Observation, Snapshot, Time, Timing, V2,
        Verdict,
    };
    use super::super::{observe, resume};

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds)
    }

    fn snapshot(uuid: &str, last_run: i64, node: &str) -> Snapshot {
        Snapshot {
            key: CheckKey {
                kind: CheckKind::KuberhealthyState,
                namespace: "kuberhealthy".into(),
                name: "web".into(),
            },
            uid: "uid".to_owned(),
            resource_version: String::new(),
            deleting: false,
            timing: Timing {
                interval: 600,
                timeout: 300,
            },
            body: Body::V2(V2 {
                errors: vec!["pod shop/web-0: 502".to_owned()],
                last_run: Some(at(last_run)),
                uuid: uuid.to_owned(),
                node: node.to_owned(),
                has_duration: true,
                ..V2::default()
            }),
        }
    }

    /// The start of run `b`, which ends at 1100, when its first write is looked at with `look`.
    fn start(
        look: impl Fn(CheckState, &Snapshot) -> (CheckState, Vec<Observation>),
    ) -> Option<Time> {
        let (before, _) = observe(CheckState::default(), &snapshot("a", 500, "n1"), at(500));
        let json = serde_json::to_string(&before).unwrap();
        let kept: CheckState = serde_json::from_str(&json).unwrap();
        let (state, told) = look(kept, &snapshot("b", 500, "n1"));
        assert!(told.is_empty(), "a new uuid is not a result: {told:?}");
        let (_, told) = observe(state, &snapshot("b", 1100, "n1"), at(1101));
        match told.as_slice() {
            [Observation::New(run)] => run.started,
            other => panic!("expected one run, got {other:?}"),
        }
    }

    #[test]
    fn a_run_first_seen_after_a_restart_did_not_start_then() {
        let known = |uuid: &str| (uuid.to_owned(), at(1020));
        for (started, expected) in [
            (None, None),
            (Some(known("b")), Some(at(1020))),
            (Some(known("a")), None),
        ] {
            let look = |kept, snapshot: &_| resume(kept, snapshot, started.as_ref(), at(1090));
            assert_eq!(start(look), expected, "{started:?}");
        }
        let watched = start(|kept, snapshot| observe(kept, snapshot, at(1010)));
        assert_eq!(watched, Some(at(1010)));
    }

    #[test]
    fn a_result_that_was_missed_is_not_amended_by_the_next() {
        let look = |state, uuid: &str, last_run, ok: bool| {
            let mut snapshot = snapshot(uuid, last_run, "n1");
            if let (Body::V2(body), true) = (&mut snapshot.body, ok) {
                (body.ok, body.errors) = (true, vec![]);
            }
            let (state, told) = observe(state, &snapshot, at(last_run));
            let told: Vec<_> = told
                .into_iter()
                .map(|observation| match observation {
                    Observation::New(run) => (run.id.0, run.verdict),
                    Observation::Amended(run) => panic!("{run:?} amends another run"),
                })
                .collect();
            (state, told)
        };
        let passed = (String::from("uid/b@1100"), Verdict::Passed);
        // Run `a` is under way when it is seen first; the next write that is seen has its result and the next uuid.
        for before in [Some(("a", 500)), None] {
            let mut state = CheckState::default();
            if let Some((uuid, last_run)) = before {
                state = look(state, uuid, last_run, false).0;
            }
            let (state, told) = look(state, "b", 1100, true);
            assert_eq!(told, std::slice::from_ref(&passed), "{before:?}");
            let (_, told) = look(state, "b", 1700, false);
            let failed = Verdict::Failed(Class::Reported);
            assert_eq!(told, [(String::from("uid/b"), failed)], "{before:?}");
        }
    }

    #[test]
    fn a_start_that_was_seen_is_known_after_a_restart_too() {
        let look = |kept, snapshot: &_| {
            let (state, _) = observe(kept, snapshot, at(1010));
            resume(state, snapshot, None, at(1090))
        };
        assert_eq!(start(look), Some(at(1010)));
    }
}
