//! Of records that come and go each is counted once, and a policy's status never grows beyond what may be written.

use std::collections::BTreeSet;

use proptest::prelude::*;
use remediator::core::{
    Action, Claim, Incident, Incident0, Intent, MOST_COUNTED, Mode, ObjectKey, Phase, Reason,
    Record, RecordStatus, RunId, Statistics, TargetKind, TargetRef, Time, Touched, Verify, count,
    next_attempt, prunable, record_name,
};

/// How a remediation ended.
#[derive(Clone, Copy, Debug)]
struct End {
    phase: Phase,
    reason: Reason,
    touched: Touched,
    mode: Mode,
}

const NOTHING: End = End {
    phase: Phase::Inconclusive,
    reason: Reason::Recovered,
    touched: Touched::No,
    mode: Mode::Enforce,
};

fn key(name: String) -> ObjectKey {
    ObjectKey {
        namespace: "shop".into(),
        name: name.into(),
    }
}

fn ended(incident: &Incident, attempt: u32, now: Time, end: End) -> Record {
    Record {
        name: key(record_name("web", &incident.id, attempt)),
        uid: String::new(),
        resource_version: String::new(),
        deleting: false,
        approved: false,
        intent: Intent {
            policy: key("web".to_owned()),
            policy_uid: String::new(),
            incident: Incident0 {
                id: incident.id.clone(),
                opened: incident.opened,
                first_run: incident.first_run.clone(),
            },
            attempt,
            step: 0,
            mode: end.mode,
            run: RunId(String::new()),
            errors: Vec::new(),
            time: now,
            action: Action::RolloutRestart,
            target: TargetRef {
                kind: TargetKind::Deployment,
                name: "web".to_owned(),
                uid: String::new(),
            },
            claim: Claim {
                resource_version: String::new(),
                generation: 1,
            },
            pods: Vec::new(),
            replicas: None,
            autoscaler: None,
            revision: None,
            verify: Verify {
                seconds: 0,
                success_threshold: 1,
                failure_threshold: 1,
                count_timeouts: false,
            },
            revert_after: None,
            choice: None,
            begun: None,
        },
        status: RecordStatus {
            phase: end.phase,
            reason: end.reason,
            touched: end.touched,
            completed: Some(now),
            ..RecordStatus::default()
        },
    }
}

fn incident(number: usize) -> Incident {
    Incident {
        id: format!("{number:010}"),
        opened: Time::from_unix(0),
        first_run: RunId(String::new()),
        failing_run: RunId(String::new()),
        failing_started: None,
        errors: Vec::new(),
        recovered: None,
        exhausted: false,
        joined: 0,
        upstream_recovered: None,
        reached: true,
    }
}

/// A policy's records, as one remediation after the other ends.
struct History {
    now: Time,
    incidents: usize,
    records: Vec<Record>,
    statistics: Statistics,
    names: BTreeSet<ObjectKey>,
}

impl History {
    fn new() -> History {
        History {
            now: Time::from_unix(1_800_000_000),
            incidents: 0,
            records: Vec::new(),
            statistics: Statistics::default(),
            names: BTreeSet::new(),
        }
    }

    fn of_incident(&self, incident: &Incident) -> impl Iterator<Item = &Record> {
        let id = incident.id.clone();
        let mut records = self.records.iter();
        std::iter::from_fn(move || records.find(|record| record.intent.incident.id == id))
    }

    fn end(&mut self, seconds: u32, another: bool, limit: u32, end: End) {
        self.now = self.now.plus(seconds);
        self.incidents += usize::from(another);
        let open = incident(self.incidents);
        let attempt = next_attempt(self.of_incident(&open));
        let record = ended(&open, attempt, self.now, end);
        assert!(
            self.names.insert(record.name.clone()),
            "{:?} is given twice",
            record.name
        );
        self.records.push(record);
        let tries = self.tries(&open);
        self.statistics = count(std::mem::take(&mut self.statistics), &self.records);
        let counted = self.statistics.counted.len();
        assert!(counted <= MOST_COUNTED, "{counted} are counted");
        let gone = prunable(
            &self.statistics,
            &self.records,
            Some(&open),
            limit,
            self.now,
        );
        self.records.retain(|record| !gone.contains(&record.name));
        assert_eq!(self.tries(&open), tries, "a try was forgotten");
    }

    fn tries(&self, open: &Incident) -> usize {
        self.of_incident(open)
            .filter(|record| record.is_try())
            .count()
    }

    fn told(&self) -> usize {
        let tallies = self.statistics.by_action.values();
        let all = tallies.map(|tally| {
            tally.succeeded + tally.failed + tally.inconclusive + tally.blocked + tally.dry_run
        });
        usize::try_from(all.sum::<u64>()).unwrap()
    }
}

fn end() -> impl Strategy<Value = End> {
    let touched = |touched, phase| End {
        phase,
        touched,
        ..NOTHING
    };
    prop::sample::select(vec![
        NOTHING,
        End {
            phase: Phase::DryRun,
            reason: Reason::DryRun,
            mode: Mode::DryRun,
            ..NOTHING
        },
        End {
            phase: Phase::Blocked,
            reason: Reason::DisruptionBudget,
            ..NOTHING
        },
        End {
            reason: Reason::Refused,
            ..NOTHING
        },
        touched(Touched::Maybe, Phase::Inconclusive),
        touched(Touched::Yes, Phase::Failed),
        touched(Touched::Yes, Phase::Succeeded),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_ends_is_counted_once_and_no_name_is_given_twice(
        limit in 1_u32..=100,
        pause in prop::sample::select(vec![1_u32, 60, 900]),
        ends in prop::collection::vec((end(), prop::bool::weighted(0.02)), 1..700),
    ) {
        let mut history = History::new();
        for (end, another) in &ends {
            history.end(pause, *another, limit, *end);
        }
        // What there was no room for is counted later.
        let left = ends.len() - history.told();
        prop_assert!(left == 0 || history.statistics.counted.len() == MOST_COUNTED);
    }
}

#[test]
fn an_incident_that_stays_open_and_is_never_acted_on_keeps_few_records() {
    let mut history = History::new();
    for _ in 0..3000 {
        history.end(1, false, 20, NOTHING);
        assert!(history.records.len() <= 202, "{}", history.records.len());
    }
    assert_eq!(history.told(), 3000);
    // And fewer once an hour is over.
    history.end(3601, false, 20, NOTHING);
    assert!(history.records.len() <= 21, "{}", history.records.len());
}
