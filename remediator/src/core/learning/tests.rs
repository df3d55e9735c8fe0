//! What a policy that learns does with what it has learned, and what it never does.

use proptest::prelude::*;

use super::{EVIDENCE, FAILURES, OUTCOMES, STEPS, score, step_name};
use crate::core::guards::tests::Case;
use crate::core::{
    Action, Decision, Facts, FactsNeed, Intent, KnownFailure, KnownStep, Learned, ObjectKey, Phase,
    Reason, Record, RecordStatus, Retry, Revision, RunId, Scaling, Selection, Standing, Step,
    Strategy, Time, Touched, count, decide, pattern,
};

fn ladder() -> Vec<Step> {
    let scale = Action::Scale(Scaling::By {
        step: 1,
        max: 9,
        revert: None,
    });
    let restart = Action::RestartPods {
        pods: Selection::Reported,
        max: 1,
    };
    [restart, Action::RolloutRestart, scale, Action::Rollback]
        .map(|action| Step {
            action,
            verify_seconds: None,
        })
        .into()
}

fn case(strategy: Strategy) -> Case {
    let mut case = Case::new();
    case.spec.steps = ladder();
    case.spec.strategy = strategy;
    case.facts.revision = Some(Revision {
        name: "web-1".to_owned(),
        uid: "revision".to_owned(),
        number: 1,
    });
    case
}

fn known(errors: &[String], outcomes: &[(usize, &str)]) -> Learned {
    let steps = ladder();
    let steps = outcomes.iter().map(|(step, outcomes)| KnownStep {
        step: step_name(&steps[*step].action),
        outcomes: outcomes.chars().map(|outcome| outcome == 'S').collect(),
    });
    Learned {
        failures: vec![KnownFailure {
            pattern: pattern(errors),
            last: Time::from_unix(0),
            steps: steps.collect(),
        }],
    }
}

fn errors(case: &Case) -> Vec<String> {
    case.state.incident.as_ref().unwrap().errors.clone()
}

fn decision(case: &Case, facts: Option<&Facts>) -> Decision {
    decide(Case::now(), &case.spec, &case.state, &case.world(), facts)
}

fn act(case: &Case) -> Intent {
    match decision(case, Some(&case.facts)) {
        Decision::Act(intent) => *intent,
        other => panic!("{other:?}"),
    }
}

fn ended(intent: &Intent, phase: Phase, touched: Touched) -> Record {
    let mut intent = intent.clone();
    intent.run = RunId(format!("run {}", intent.attempt));
    let completed = Time::from_unix(Case::now().unix() - 1000);
    let name = format!("{}-{}", intent.incident.id, intent.attempt);
    Record {
        name: ObjectKey {
            namespace: "shop".into(),
            name: name.into(),
        },
        uid: String::new(),
        resource_version: String::new(),
        deleting: false,
        approved: false,
        intent,
        status: RecordStatus {
            phase,
            touched,
            completed: Some(completed),
            ..RecordStatus::default()
        },
    }
}

fn learn(case: &mut Case, record: Record) {
    case.records.push(record);
    let statistics = std::mem::take(&mut case.state.statistics);
    case.state.statistics = count(statistics, &case.records);
}

/// The steps of an incident in which nothing helps, with what each choice was made from.
fn nothing_helps(case: &mut Case) -> Vec<Intent> {
    let mut taken = Vec::new();
    loop {
        match decision(case, Some(&case.facts)) {
            Decision::Act(intent) => {
                learn(case, ended(&intent, Phase::Failed, Touched::Yes));
                taken.push(*intent);
                assert!(taken.len() <= 100, "it goes on for ever");
            }
            Decision::Exhausted { .. } => return taken,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_step_that_helps_goes_first_and_the_one_that_never_does_last() {
    for (outcomes, expected) in [
        // Nothing is known: as written.
        (&[][..], 0),
        // Too little is known of the harsher one, whatever of the gentler.
        (&[(1, "SS")], 0),
        (&[(0, "FFFFFFFFFF"), (3, "SS")], 0),
        (&[(0, "FFFF"), (1, "SSSFSS")], 1),
        (&[(0, "FFF"), (1, "FFF"), (2, "FFF"), (3, "SSS")], 3),
        // The gentler one is good enough for its price.
        (&[(0, "SSF"), (1, "SSS")], 0),
        (&[(3, "SSSSSSSSSS")], 0),
        // A gentler one that nobody has tried yet is worth more than this.
        (&[(0, "FFF"), (3, "SFF")], 0),
        (&[(0, "FFF"), (1, "FFF"), (2, "FFF"), (3, "FFF")], 0),
    ] {
        let mut case = case(Strategy::Adaptive);
        case.state.statistics.learned = known(&errors(&case), outcomes);
        let intent = act(&case);
        assert_eq!(intent.step, expected, "{outcomes:?}");
        assert_eq!(intent.action, case.spec.steps[expected as usize].action);
        let choice = intent.choice.unwrap();
        let chosen = &choice.steps[expected as usize];
        assert_eq!(chosen.standing, Standing::Chosen);
        assert_eq!(choice.failure, pattern(&errors(&case)));
        assert_eq!(choice.sentence().is_some(), expected > 0, "{choice:?}");
        case.spec.strategy = Strategy::Ordered;
        let ordered = act(&case);
        assert_eq!((ordered.step, ordered.choice), (0, None));
    }
}

#[test]
fn other_failures_teach_nothing() {
    let mut case = case(Strategy::Adaptive);
    let other = vec!["service shop/db: no endpoints".to_owned()];
    case.state.statistics.learned = known(&other, &[(0, "FFFF"), (1, "SSSS")]);
    assert_eq!(act(&case).step, 0);
}

#[test]
fn the_choice_says_why() {
    let mut case = case(Strategy::Adaptive);
    case.state.statistics.learned = known(&errors(&case), &[(0, "FFFF"), (1, "SSSFSS")]);
    let choice = act(&case).choice.unwrap();
    assert_eq!(
        choice.sentence().unwrap(),
        "rolloutRestart first: it helped 5 of 6 times with this failure, restartPods(Reported, 1) 0 of 4"
    );
    let numbers: Vec<(u32, u32, u32, Standing)> = choice
        .steps
        .iter()
        .map(|step| (step.successes, step.tries, step.score, step.standing))
        .collect();
    assert_eq!(
        numbers,
        [
            (0, 4, 166, Standing::Waiting),
            (5, 6, 500, Standing::Chosen),
            (0, 0, 250, Standing::Waiting),
            (0, 0, 200, Standing::Waiting),
        ]
    );
}

#[test]
fn the_order_of_the_policy_can_be_edited_and_what_was_learned_stays() {
    let mut case = case(Strategy::Adaptive);
    case.state.statistics.learned = known(&errors(&case), &[(0, "FFFF"), (2, "SSSS")]);
    assert_eq!(act(&case).step, 2);
    case.spec.steps.swap(1, 2);
    let intent = act(&case);
    assert_eq!((intent.step, intent.action.name().as_str()), (1, "scale"));
}

#[test]
fn after_an_early_step_the_gentler_ones_have_their_turn() {
    let mut case = case(Strategy::Adaptive);
    case.state.statistics.learned = known(&errors(&case), &[(0, "FFFF"), (3, "SSSSS")]);
    let taken: Vec<u32> = nothing_helps(&mut case)
        .iter()
        .map(|intent| intent.step)
        .collect();
    assert_eq!(taken, [3, 0, 1, 2]);
}

#[test]
fn an_early_step_that_the_target_does_not_allow_keeps_no_gentler_one_waiting() {
    let mut case = case(Strategy::Adaptive);
    case.state.statistics.learned = known(&errors(&case), &[(0, "FFFF"), (2, "SSSS")]);
    assert_eq!(decision(&case, None), Decision::NeedFacts(FactsNeed::All));
    case.facts.replicas = 9;
    (case.facts.updated, case.facts.ready) = (9, 8);
    let intent = act(&case);
    assert_eq!(intent.step, 0);
    let standing = intent.choice.unwrap().steps[2].standing;
    assert_eq!(standing, Standing::Held);
    // But what holds the gentlest holds the policy, as if nothing had been learned.
    case.facts.paused = true;
    match decision(&case, Some(&case.facts)) {
        Decision::Hold { reason, .. } => assert_eq!(reason, Reason::TargetPaused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_for_named_pods_is_left_out_where_none_is_named() {
    let mut case = case(Strategy::Adaptive);
    case.state.incident.as_mut().unwrap().errors = vec!["slow".to_owned()];
    let intent = act(&case);
    assert_eq!(intent.step, 1);
    let choice = intent.choice.unwrap();
    assert_eq!(choice.steps[0].standing, Standing::NoPodNamed);
    assert_eq!(choice.sentence(), None, "nothing was passed over");
}

#[test]
fn only_what_was_done_and_verified_teaches_and_once() {
    for (phase, touched, expected) in [
        (Phase::Succeeded, Touched::Yes, Some(true)),
        (Phase::Failed, Touched::Yes, Some(false)),
        (Phase::Succeeded, Touched::Maybe, None),
        (Phase::Failed, Touched::No, None),
        (Phase::Inconclusive, Touched::Yes, None),
        (Phase::Blocked, Touched::No, None),
        (Phase::DryRun, Touched::No, None),
    ] {
        let mut case = case(Strategy::Ordered);
        let record = ended(&act(&case), phase, touched);
        learn(&mut case, record);
        // As a process does that starts anew with what is written.
        let json = serde_json::to_string(&case.state.statistics).unwrap();
        let statistics = count(serde_json::from_str(&json).unwrap(), &case.records);
        assert_eq!(statistics, case.state.statistics);
        let outcomes = statistics.learned.of(&pattern(&errors(&case)).id);
        let outcomes = outcomes.map(|known| known.steps[0].outcomes.clone());
        assert_eq!(
            outcomes,
            expected.map(|helped| vec![helped]),
            "{phase:?} {touched:?}"
        );
    }
}

#[test]
fn a_success_that_did_not_last_is_none() {
    for (other, expected) in [(false, "FS"), (true, "SS")] {
        let mut case = case(Strategy::Ordered);
        case.spec.steps.truncate(1);
        case.spec.retry.max_retry = 1;
        let failure = pattern(&errors(&case)).id;
        let first = ended(&act(&case), Phase::Succeeded, Touched::Yes);
        learn(&mut case, first);
        // It relapses: the same, or with another error.
        let mut again = act(&case);
        if other {
            again.errors = vec!["service shop/db: no endpoints".to_owned()];
        }
        let second = ended(&again, Phase::Succeeded, Touched::Yes);
        let mut both = vec![second.clone(), case.records[0].clone()];
        learn(&mut case, second);
        let learned = &case.state.statistics.learned;
        let outcomes: String = learned
            .failures
            .iter()
            .flat_map(|known| &known.steps[0].outcomes)
            .map(|helped| if *helped { 'S' } else { 'F' })
            .collect();
        assert_eq!(outcomes, expected);
        assert!(learned.of(&failure).is_some());
        // All at once, in whatever order they are read, teaches the same.
        both[0].status.completed = Some(Time::from_unix(Case::now().unix() - 900));
        let at_once = count(crate::core::Statistics::default(), &both).learned;
        let steps = |learned: &Learned| -> Vec<Vec<KnownStep>> {
            let failures = learned.failures.iter();
            failures.map(|known| known.steps.clone()).collect()
        };
        assert_eq!(steps(&at_once), steps(learned));
    }
}

#[test]
fn a_success_that_did_not_last_says_nothing_of_another_failure() {
    let mut case = case(Strategy::Ordered);
    case.spec.steps.truncate(1);
    let intent = act(&case);
    let mut other = intent.clone();
    other.errors = vec!["service shop/db: no endpoints".to_owned()];
    let mut before = ended(&other, Phase::Succeeded, Touched::Yes);
    before.intent.incident.id = "ffffffffff".to_owned();
    before.status.completed = Some(Time::from_unix(Case::now().unix() - 9000));
    let mut first = ended(&intent, Phase::Succeeded, Touched::Yes);
    first.status.completed = Some(Time::from_unix(Case::now().unix() - 900));
    let mut second = ended(&other, Phase::Succeeded, Touched::Yes);
    second.intent.attempt = first.intent.attempt + 1;
    let learned = count(crate::core::Statistics::default(), &[before, first, second]).learned;
    let known = learned.of(&pattern(&other.errors).id).unwrap();
    assert_eq!(known.steps[0].outcomes, [true, true]);
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_is_forgotten() {
    let case = case(Strategy::Ordered);
    let mut statistics = crate::core::Statistics::default();
    let mut intent = act(&case);
    let mut attempt = 0;
    let word = |number: usize| "abcdefghijklmnopqrstuvwxyz".chars().nth(number).unwrap();
    let mut teach = |statistics, failure: usize, replicas: i32| {
        attempt += 1;
        intent.attempt = attempt;
        intent.errors = vec![format!("failure of kind {}", word(failure))];
        intent.action = Action::Scale(Scaling::Absolute {
            replicas,
            revert: None,
        });
        count(
            statistics,
            &[ended(&intent, Phase::Succeeded, Touched::Yes)],
        )
    };
    for failure in 0..20 {
        for replicas in 0..7 {
            for _ in 0..12 {
                statistics = teach(statistics, failure, replicas);
            }
        }
    }
    statistics = teach(statistics, 4, 5);
    let learned = &statistics.learned.failures;
    assert_eq!(learned.len(), FAILURES);
    for known in learned {
        assert_eq!(known.steps.len(), STEPS);
        assert!(
            known
                .steps
                .iter()
                .all(|step| step.outcomes.len() == OUTCOMES)
        );
    }
    assert_eq!(learned[0].pattern.text, "failure of kind f");
    assert_eq!(learned.last().unwrap().pattern.text, "failure of kind e");
    assert_eq!(learned.last().unwrap().steps[STEPS - 1].step, "scale(to 5)");
}

#[test]
fn without_outcomes_the_score_falls_from_step_to_step() {
    let scores: Vec<u32> = (0..5).map(|position| score(0, 0, position)).collect();
    assert_eq!(scores, [500, 333, 250, 200, 166]);
    assert_eq!(score(u32::MAX, u32::MAX, usize::MAX), 1);
}

proptest! {
    /// A failure that is new is answered as if there were no learning at all.
    #[test]
    fn without_evidence_it_is_the_order_of_the_policy(max_retry in 0..4_u32, most in 1..=4_usize) {
        let walk = |strategy| {
            let mut case = case(strategy);
            case.spec.steps.truncate(most);
            case.spec.retry = Retry { max_retry, ..Retry::default() };
            let taken = nothing_helps(&mut case);
            taken.into_iter().map(|intent| Intent { choice: None, ..intent }).collect::<Vec<_>>()
        };
        prop_assert_eq!(walk(Strategy::Adaptive), walk(Strategy::Ordered));
    }

    /// Whatever was learned: only steps of the policy, none more often than it allows, and in the end all of them.
    #[test]
    fn never_outside_the_policys_steps_and_limits(
        max_retry in 0..3_u32,
        outcomes in proptest::collection::vec((0..4_usize, "[SF]{0,10}"), 0..=5),
        own in any::<bool>(),
    ) {
        let mut case = case(Strategy::Adaptive);
        case.spec.retry = Retry { max_retry, ..Retry::default() };
        let failure = if own { errors(&case) } else { vec!["another".to_owned()] };
        let outcomes: Vec<(usize, &str)> = outcomes.iter().map(|(step, text)| (*step, text.as_str())).collect();
        case.state.statistics.learned = known(&failure, &outcomes);
        let taken = nothing_helps(&mut case);
        let each = max_retry as usize + 1;
        for (index, step) in (0_u32..).zip(&case.spec.steps) {
            let tries = taken.iter().filter(|intent| intent.step == index);
            prop_assert_eq!(tries.clone().count(), each);
            prop_assert!(tries.into_iter().all(|intent| intent.action == step.action));
        }
        for (at, intent) in taken.iter().enumerate() {
            let choice = intent.choice.as_ref().unwrap();
            let early = (0..intent.step).any(|gentler| {
                taken[..at].iter().filter(|before| before.step == gentler).count() < each
            });
            let chosen = &choice.steps[intent.step as usize];
            prop_assert!(!early || chosen.tries as usize >= EVIDENCE, "{choice:?}");
            prop_assert!(chosen.successes <= chosen.tries && chosen.tries as usize <= OUTCOMES);
            prop_assert_eq!(choice.sentence().is_some(), early);
            let chosen = choice.steps.iter().filter(|step| step.standing == Standing::Chosen);
            prop_assert_eq!(chosen.count(), 1);
        }
    }
}
