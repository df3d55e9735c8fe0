//! Checks: of those that no policy names, only that they exist.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::core::{
    CheckKey, CheckKind, CheckState, CheckStatus, ObjectKey, Observation, Run, Snapshot, Time,
    Timing, Verdict, observe, reliance, resume,
};

/// Runs kept of each check.
const RUNS: usize = 8;

/// A check: its object, and what has been seen of it since this process began to watch.
#[derive(Debug)]
pub(in crate::controller) struct Check {
    pub(in crate::controller) snapshot: Arc<Snapshot>,
    pub(in crate::controller) state: CheckState,
    pub(in crate::controller) runs: VecDeque<Run>,
    pub(in crate::controller) recovered: Option<Time>,
}

impl Check {
    /// A check that is seen for the first time. `known` is what was written down of it before this process began: so a
    /// run that was under way then is not taken for one that has just begun.
    pub(super) fn new(snapshot: Snapshot, known: CheckState, now: Time) -> Check {
        let known_run = known.last.is_some();
        let (state, told) = resume(known, &snapshot, None, now);
        let mut check = Check {
            snapshot: Arc::new(snapshot),
            state,
            runs: VecDeque::new(),
            recovered: None,
        };
        check.tell(told);
        if check.runs.is_empty() && known_run {
            // The last run was told before; it is still the last run.
            let (_, told) = resume(CheckState::default(), &check.snapshot, None, now);
            check.tell(told);
        }
        check
    }

    pub(super) fn update(&mut self, snapshot: Snapshot, now: Time) {
        if self.snapshot.uid != snapshot.uid {
            *self = Check::new(snapshot, CheckState::default(), now);
            return;
        }
        self.snapshot = Arc::new(snapshot);
        self.look(now);
    }

    /// Looks at the object again: a result may have settled in the meantime.
    pub(super) fn look(&mut self, now: Time) {
        let (state, told) = observe(std::mem::take(&mut self.state), &self.snapshot, now);
        self.state = state;
        self.tell(told);
    }

    fn tell(&mut self, told: Vec<Observation>) {
        for observation in told {
            let (Observation::New(run) | Observation::Amended(run)) = observation;
            let before = self.runs.back().map(|run| run.verdict);
            if run.verdict == Verdict::Passed && matches!(before, Some(Verdict::Failed(_))) {
                self.recovered = Some(run.finished);
            }
            self.runs.retain(|known| known.id != run.id);
            self.runs.push_back(run);
            if self.runs.len() > RUNS {
                self.runs.pop_front();
            }
        }
    }

    /// When the run under way was first seen, if that was seen.
    pub(in crate::controller) fn started(&self) -> Option<(String, Time)> {
        self.state.started.clone()
    }

    /// Whether its last run failed.
    pub(in crate::controller) fn fails(&self) -> bool {
        let last = self.runs.back().map(|run| run.verdict);
        matches!(last, Some(Verdict::Failed(_)))
    }

    pub(in crate::controller) fn status(&self, now: Time) -> CheckStatus {
        reliance(&self.snapshot, &self.state, now)
    }
}

/// What is known of a check that exists.
#[derive(Debug)]
pub(in crate::controller) enum Entry {
    /// It was not read, as no policy named it when it was seen.
    Unread,
    /// It cannot be read, for this reason.
    Malformed(String),
    /// It was read.
    Read(Box<Check>),
}

/// All checks.
#[derive(Debug, Default)]
pub(in crate::controller) struct Checks {
    entries: HashMap<CheckKey, Entry>,
    failing: BTreeSet<CheckKey>,
    schedules: HashMap<ObjectKey, Timing>,
}

impl Checks {
    pub(in crate::controller) fn get(&self, key: &CheckKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The check, if it was read.
    pub(in crate::controller) fn read(&self, key: &CheckKey) -> Option<&Check> {
        match self.entries.get(key)? {
            Entry::Read(check) => Some(check),
            Entry::Unread | Entry::Malformed(_) => None,
        }
    }

    /// The check, looked at now.
    pub(in crate::controller) fn look(&mut self, key: &CheckKey, now: Time) -> Option<&Check> {
        match self.entries.get_mut(key)? {
            Entry::Read(check) => {
                let failed = check.fails();
                check.look(now);
                match (failed, check.fails()) {
                    (false, true) => drop(self.failing.insert(key.clone())),
                    (true, false) => drop(self.failing.remove(key)),
                    (false, false) | (true, true) => {}
                }
                Some(check)
            }
            Entry::Unread | Entry::Malformed(_) => None,
        }
    }

    /// Those whose last run failed.
    pub(super) fn failing(&self) -> impl Iterator<Item = &CheckKey> {
        self.failing.iter()
    }

    /// Keeps in mind whether the check fails.
    fn note(&mut self, key: &CheckKey) {
        if self.read(key).is_some_and(Check::fails) {
            self.failing.insert(key.clone());
        } else {
            self.failing.remove(key);
        }
    }

    /// Takes a check as it was read. Whether it did not exist before.
    pub(super) fn put(
        &mut self,
        snapshot: Snapshot,
        known: impl FnOnce(&Snapshot) -> CheckState,
        now: Time,
    ) -> bool {
        let key = snapshot.key.clone();
        let new = match self.entries.get_mut(&key) {
            Some(Entry::Read(check)) => {
                check.update(snapshot, now);
                false
            }
            before => {
                let new = before.is_none();
                let state = known(&snapshot);
                let check = Box::new(Check::new(snapshot, state, now));
                self.entries.insert(key.clone(), Entry::Read(check));
                new
            }
        };
        self.note(&key);
        new
    }

    /// Only that it exists. Whether it did not before.
    pub(super) fn put_unread(&mut self, key: CheckKey, entry: Entry) -> bool {
        let new = self.entries.insert(key.clone(), entry).is_none();
        self.note(&key);
        new
    }

    /// Forgets what a check that exists says.
    pub(super) fn drop_body(&mut self, key: &CheckKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Entry::Unread;
            self.failing.remove(key);
        }
    }

    /// Whether there was such a check.
    pub(super) fn remove(&mut self, key: &CheckKey) -> bool {
        self.failing.remove(key);
        self.entries.remove(key).is_some()
    }

    pub(super) fn keys(&self, kind: CheckKind) -> impl Iterator<Item = &CheckKey> {
        self.entries.keys().filter(move |key| key.kind == kind)
    }

    /// How often a check of v2 runs, if its KuberhealthyCheck says so.
    pub(in crate::controller) fn schedule(&self, key: &ObjectKey) -> Option<Timing> {
        self.schedules.get(key).copied()
    }

    pub(super) fn put_schedule(&mut self, key: &ObjectKey, timing: Timing) {
        self.schedules.insert(key.clone(), timing);
        self.time(key, timing);
    }

    pub(super) fn remove_schedule(&mut self, key: &ObjectKey) {
        self.schedules.remove(key);
        self.time(key, Timing::UNKNOWN);
    }

    /// What is known of a check of v2 always has the timing that its khcheck says now: it is not read anew when only that
    /// has changed.
    fn time(&mut self, key: &ObjectKey, timing: Timing) {
        let check = check_key(CheckKind::KuberhealthyState, key);
        if let Some(Entry::Read(check)) = self.entries.get_mut(&check) {
            Arc::make_mut(&mut check.snapshot).timing = timing;
        }
    }

    pub(super) fn schedules(&self) -> impl Iterator<Item = &ObjectKey> {
        self.schedules.keys()
    }
}

/// The check of this kind and name.
pub(in crate::controller) fn check_key(kind: CheckKind, key: &ObjectKey) -> CheckKey {
    CheckKey {
        kind,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Check, Checks, Entry, check_key};
    use crate::core::{
        CheckKind, CheckState, ObjectKey, Snapshot, Time, Timing, Verdict, observe, parse_snapshot,
    };

    /// A KuberhealthyState after the run `uuid` ended at `ended`, in 2026.
    fn v2(uuid: &str, ok: bool, ended: &str) -> Snapshot {
        let errors = if ok { json!([]) } else { json!(["broken"]) };
        let object = json!({
            "metadata": {"namespace": "n", "name": "c", "uid": "u"},
            "spec": {
                "OK": ok, "Errors": errors, "RunDuration": "1s", "Node": "node", "uuid": uuid,
                "LastRun": format!("2026-01-01T{ended}Z"),
            },
        });
        parse_snapshot(CheckKind::KuberhealthyState, &object, None).unwrap()
    }

    fn at(time: &str) -> Time {
        format!("2026-01-01T{time}Z").parse().unwrap()
    }

    #[test]
    fn what_was_written_down_tells_when_a_run_began() {
        let (known, _) = observe(
            CheckState::default(),
            &v2("a", false, "10:00:00"),
            at("10:00:01"),
        );
        // The run b is seen to begin, and then this process ends.
        let (known, _) = observe(known, &v2("b", false, "10:00:00"), at("10:10:00"));
        let check = Check::new(v2("b", true, "10:10:30"), known, at("10:11:00"));
        let runs: Vec<_> = check
            .runs
            .iter()
            .map(|run| (run.verdict, run.started))
            .collect();
        assert_eq!(runs, [(Verdict::Passed, Some(at("10:10:00")))]);
        // Without it nobody knows.
        let check = Check::new(
            v2("b", true, "10:10:30"),
            CheckState::default(),
            at("10:11:00"),
        );
        assert_eq!(check.runs[0].started, None);
    }

    #[test]
    fn the_last_run_is_known_although_it_was_told_before() {
        let snapshot = v2("a", false, "10:00:00");
        let (known, told) = observe(CheckState::default(), &snapshot, at("10:00:01"));
        assert_eq!(told.len(), 1);
        let check = Check::new(snapshot, known, at("10:05:00"));
        assert!(check.fails());
    }

    #[test]
    fn the_timing_is_what_the_khcheck_says() {
        let mut checks = Checks::default();
        let known = |_: &Snapshot| CheckState::default();
        let snapshot = v2("a", false, "10:00:00");
        let check = snapshot.key.clone();
        checks.put(snapshot, known, at("10:00:01"));
        let key = ObjectKey {
            namespace: "n".into(),
            name: "c".into(),
        };
        let timing = Timing {
            interval: 10,
            timeout: 5,
        };
        let of = |checks: &Checks| checks.read(&check).map(|check| check.snapshot.timing);
        checks.put_schedule(&key, timing);
        assert_eq!(of(&checks), Some(timing));
        checks.remove_schedule(&key);
        assert_eq!(of(&checks), Some(Timing::UNKNOWN));
    }

    #[test]
    fn of_a_check_that_nobody_names_only_the_name_is_kept() {
        let mut checks = Checks::default();
        let key = check_key(
            CheckKind::KuberhealthyState,
            &ObjectKey {
                namespace: "n".into(),
                name: "c".into(),
            },
        );
        assert!(checks.put_unread(key.clone(), Entry::Unread));
        let (known, now) = (|_: &Snapshot| CheckState::default(), at("10:00:01"));
        let existed = !checks.put(v2("a", false, "10:00:00"), known, now);
        assert!(existed && checks.read(&key).is_some_and(Check::fails));
        checks.drop_body(&key);
        assert!(matches!(checks.get(&key), Some(Entry::Unread)));
        assert!(checks.remove(&key) && checks.get(&key).is_none());
    }
}
