//! Deliveries of alerts by tables, and what holds in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Alert, AlertMatch, Alerts, Delivered, DeliveredState, KEPT, Sent, Taken, receive};
use crate::core::{
    Body, CheckKey, CheckKind, CheckState, CheckStatus, Class, Observation, Run, Snapshot, Time,
    Timing, Verdict, observe, reliance,
};

const STALE: u32 = 18_000;

fn at(seconds: i64) -> Time {
    Time::from_unix(1_000_000 + seconds)
}

fn alert(name: char, starts: i64, state: DeliveredState) -> Delivered {
    Delivered {
        fingerprint: format!("{:016x}", u32::from(name)),
        starts: at(starts),
        state,
        summary: format!("{name} says {starts}"),
    }
}

fn firing(name: char, starts: i64) -> Delivered {
    alert(name, starts, DeliveredState::Firing)
}

fn resolved(name: char, starts: i64, ends: i64) -> Delivered {
    alert(name, starts, DeliveredState::Resolved(at(ends)))
}

fn none() -> Alerts {
    Alerts {
        episodes: Vec::new(),
        stale: STALE,
    }
}

fn snapshot(alerts: &Alerts) -> Snapshot {
    Snapshot {
        key: CheckKey {
            kind: CheckKind::Alert,
            namespace: "shop".into(),
            name: "web".into(),
        },
        uid: "u".to_owned(),
        resource_version: String::new(),
        deleting: false,
        timing: Timing {
            interval: 60,
            timeout: 0,
        },
        body: Body::Alerts(alerts.clone()),
    }
}

/// What a policy has received and what of it its observer has seen.
struct Desk {
    alerts: Alerts,
    state: CheckState,
    runs: Vec<Run>,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            alerts: none(),
            state: CheckState::default(),
            runs: Vec::new(),
        }
    }

    fn take(&mut self, delivered: &[Delivered], now: i64) -> Vec<Taken> {
        let taken = receive(&mut self.alerts, delivered, at(now));
        self.look(now);
        taken
    }

    fn look(&mut self, now: i64) {
        let state = std::mem::take(&mut self.state);
        let (state, told) = observe(state, &snapshot(&self.alerts), at(now));
        self.state = state;
        self.runs
            .extend(told.into_iter().map(|observation| match observation {
                Observation::New(run) => run,
                Observation::Amended(run) => panic!("{run:?}"),
            }));
    }

    fn status(&self, now: i64) -> CheckStatus {
        reliance(&snapshot(&self.alerts), &self.state, at(now))
    }
}

/// Each delivery, when it comes, what becomes of it, and the run it tells: whether it passed, and when it started.
type Step = (Delivered, i64, Taken, Option<(bool, i64)>);

#[test]
fn deliveries_become_runs() {
    use Taken::{Known, New};
    let cases: Vec<(&str, Vec<Step>)> = vec![
        (
            "fires, and is resolved",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (resolved('a', 0, 300), 330, New, Some((true, 300))),
            ],
        ),
        (
            "the same delivery twice counts once, a repetition once more",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (firing('a', 0), 61, Known, None),
                (firing('a', 0), 89, Known, None),
                (firing('a', 0), 90, New, Some((false, 90))),
                (firing('a', 0), 3600, New, Some((false, 3600))),
            ],
        ),
        (
            "late deliveries of what is over",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (resolved('a', 0, 300), 330, New, Some((true, 300))),
                (firing('a', 0), 400, Known, None),
                (firing('a', 0), 3930, Known, None),
                (resolved('a', 0, 300), 40_001, Known, None),
            ],
        ),
        (
            "resolved by mistake, and fires on",
            vec![
                (firing('a', 1000), 1060, New, Some((false, 1000))),
                (resolved('a', 1000, 1300), 1330, New, Some((true, 1300))),
                (firing('a', 1000), 2000, Known, None),
                (firing('a', 600), 4931, Known, None),
                (firing('a', 1000), 4931, New, Some((false, 1000))),
                (firing('a', 1000), 6000, New, Some((false, 6000))),
                (resolved('a', 1000, 7000), 7010, New, Some((true, 7000))),
            ],
        ),
        (
            "fires again",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (resolved('a', 0, 300), 330, New, Some((true, 300))),
                (firing('a', 900), 910, New, Some((false, 900))),
                (resolved('a', 0, 300), 920, Known, None),
                (firing('a', 0), 925, Known, None),
                (resolved('a', 900, 930), 931, New, Some((true, 930))),
            ],
        ),
        (
            "resolved before it was told to fire",
            vec![
                (resolved('a', 0, 300), 330, New, Some((true, 300))),
                (firing('a', 0), 331, Known, None),
            ],
        ),
        (
            "its end was never told",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (firing('a', 4000), 4010, New, Some((false, 4000))),
                (resolved('a', 0, 300), 4020, Known, None),
                (resolved('a', 4000, 4100), 4110, New, Some((true, 4100))),
            ],
        ),
        (
            "two senders differ on when it began",
            vec![
                (firing('a', 15), 60, New, Some((false, 15))),
                (firing('a', 5), 65, Known, None),
                (firing('a', 5), 400, New, Some((false, 400))),
                (resolved('a', 5, 500), 510, New, Some((true, 500))),
                (firing('a', 15), 520, Known, None),
            ],
        ),
        (
            "one of two is resolved",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (firing('b', 100), 120, New, Some((false, 100))),
                (resolved('b', 100, 200), 210, New, None),
                (firing('a', 0), 400, New, Some((false, 400))),
                (resolved('a', 0, 500), 510, New, Some((true, 500))),
            ],
        ),
        (
            "two at about the same time are one run",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (firing('b', 0), 70, New, None),
                (resolved('a', 0, 80), 81, New, None),
                (resolved('b', 0, 90), 91, New, Some((true, 90))),
            ],
        ),
        (
            "clocks: ahead a little, ahead by years, and no end",
            vec![
                (firing('a', 200), 60, New, Some((false, 60))),
                (resolved('a', 200, 230), 90, New, Some((true, 90))),
                (firing('b', 1_000_000), 500, New, Some((false, 500))),
                (firing('b', 1_000_500), 600, New, Some((false, 600))),
                (resolved('b', 0, 9_999_999), 700, New, Some((true, 700))),
            ],
        ),
        (
            "that one which nobody repeats is over is not told by another",
            vec![
                (firing('a', 0), 60, New, Some((false, 0))),
                (firing('b', 20_000), 20_010, New, Some((false, 20_000))),
                (resolved('b', 20_000, 20_100), 20_110, New, None),
                (firing('a', 0), 20_200, New, Some((false, 20_200))),
                (resolved('a', 0, 20_300), 20_310, New, Some((true, 20_300))),
            ],
        ),
    ];
    for (case, steps) in cases {
        let mut desk = Desk::new();
        for (delivered, now, taken, run) in steps {
            let before = desk.runs.len();
            let shown = format!("{case}: {delivered:?} at {now}");
            assert_eq!(desk.take(&[delivered], now), [taken], "{shown}");
            // Whoever looks again, or begins to look later, sees the same.
            desk.look(now + 1);
            let told = desk.runs.get(before..).unwrap();
            let told: Vec<(bool, i64)> = told
                .iter()
                .map(|run| {
                    let started = run.started.unwrap().since(at(0));
                    (run.verdict == Verdict::Passed, started)
                })
                .collect();
            assert_eq!(told, Vec::from_iter(run), "{shown}");
        }
    }
}

#[test]
fn an_alert_that_is_not_repeated_goes_stale_and_one_that_is_resolved_does_not() {
    let mut desk = Desk::new();
    desk.look(0);
    assert_eq!(desk.status(0), CheckStatus::NeverRun);
    assert_eq!(desk.state.last, None);
    desk.take(&[firing('a', 0)], 10);
    let stale = i64::from(STALE);
    assert_eq!(desk.status(10 + stale), CheckStatus::Settled);
    assert_eq!(desk.status(11 + stale), CheckStatus::Stale);
    desk.take(&[firing('a', 0)], 10 + stale);
    assert_eq!(desk.status(11 + stale), CheckStatus::Settled);
    desk.take(&[resolved('a', 0, 20 + stale)], 21 + stale);
    assert_eq!(desk.status(1_000_000), CheckStatus::Settled);
    let gone = Snapshot {
        deleting: true,
        ..snapshot(&desk.alerts)
    };
    let (state, _) = observe(desk.state, &gone, at(0));
    assert_eq!(reliance(&gone, &state, at(0)), CheckStatus::Gone);
}

#[test]
fn too_many_alerts_are_cut_and_those_that_fire_go_last() {
    let name = |number: usize| char::from_u32(0x4e00 + u32::try_from(number).unwrap()).unwrap();
    let mut alerts = none();
    let old: Vec<Delivered> = (0..10).map(|one| resolved(name(one), 0, 10)).collect();
    receive(&mut alerts, &old, at(20));
    let many: Vec<Delivered> = (10..10 + KEPT).map(|one| firing(name(one), 100)).collect();
    let taken = receive(&mut alerts, &many, at(110));
    assert!(taken.iter().all(|taken| *taken == Taken::New), "{taken:?}");
    assert!(alerts.episodes.len() == KEPT && alerts.episodes.iter().all(Alert::fires));
    let taken = receive(&mut alerts, &[firing('z', 200)], at(210));
    assert_eq!(taken, [Taken::Truncated]);
    assert_eq!(alerts.episodes.len(), KEPT);
    // One that ends makes room.
    receive(&mut alerts, &[resolved(name(10), 100, 300)], at(310));
    assert_eq!(
        receive(&mut alerts, &[firing('z', 200)], at(320)),
        [Taken::New]
    );
    assert!(alerts.episodes.len() == KEPT && alerts.episodes.iter().all(Alert::fires));
}

#[test]
fn what_nobody_repeats_goes_first_for_want_of_room_and_says_nothing() {
    let name = |number: usize| char::from_u32(0x4e00 + u32::try_from(number).unwrap()).unwrap();
    let stale = i64::from(STALE);
    let mut desk = Desk::new();
    desk.take(&[firing('a', 0)], 10);
    desk.take(&[resolved('b', 0, 15)], 20);
    let later = 11 + stale;
    desk.take(&[firing('c', later)], later);
    assert_eq!(desk.status(later), CheckStatus::Settled);
    let errors = &desk.runs.last().unwrap().errors;
    assert!(
        errors.len() == 1 && errors[0].starts_with("c says"),
        "{errors:?}"
    );
    desk.take(&[resolved('c', later, later + 10)], later + 20);
    assert_eq!(desk.status(later + 20), CheckStatus::Stale);
    let last = desk.runs.last().unwrap().verdict;
    assert_eq!(last, Verdict::Failed(Class::Reported));
    // Who begins to look now does not take it for one that has never fired.
    let (state, told) = observe(
        CheckState::default(),
        &snapshot(&desk.alerts),
        at(later + 20),
    );
    assert!(told.is_empty());
    let status = reliance(&snapshot(&desk.alerts), &state, at(later + 20));
    assert_eq!(status, CheckStatus::Stale);

    let has = |desk: &Desk, name: char| {
        let fingerprint = format!("{:016x}", u32::from(name));
        let mut kept = desk.alerts.episodes.iter();
        kept.any(|kept| kept.fingerprint == fingerprint)
    };
    let more: Vec<Delivered> = (0..KEPT - 2).map(|one| firing(name(one), later)).collect();
    desk.take(&more, later + 30);
    assert!(desk.alerts.episodes.len() == KEPT && !has(&desk, 'a'));
    assert!(has(&desk, 'b') && has(&desk, 'c'));
}

fn sent(labels: &[(&str, &str)], text: &str) -> Sent {
    Sent {
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        text: text.to_owned(),
        starts: at(0),
        state: DeliveredState::Firing,
    }
}

#[test]
fn what_an_alert_says_names_a_pod_of_the_policys_namespace_only_by_its_labels() {
    for (labels, text, expected) in [
        (
            &[("alertname", "A"), ("namespace", "shop"), ("pod", "web-1")][..],
            "too slow",
            "pod shop/web-1: too slow",
        ),
        (
            &[("alertname", "A"), ("namespace", "db"), ("pod", "web-1")],
            "too slow",
            "too slow",
        ),
        (
            &[("alertname", "A"), ("namespace", "shop"), ("pod", "../x")],
            "too slow",
            "too slow",
        ),
        (
            &[("alertname", "A")],
            "pod shop/web-1: too slow",
            "error: pod shop/web-1: too slow",
        ),
        (
            &[("zone", "b"), ("alertname", "A")],
            " ",
            "alertname=A, zone=b",
        ),
    ] {
        assert_eq!(sent(labels, text).to("shop").summary, expected);
    }
    let long = sent(&[("alertname", "A")], &"é\u{7}".repeat(10_000)).to("shop");
    assert_eq!(long.summary.chars().count(), 256);
    let (one, other) = (
        sent(&[("a", "bc")], "").to("shop").fingerprint,
        sent(&[("ab", "c")], "").to("shop").fingerprint,
    );
    assert!(one != other && one.len() == 16);
}

#[test]
fn all_labels_asked_for_must_be_there() {
    let wanted = |labels: &[(&str, &str)]| AlertMatch {
        labels: sent(labels, "").labels,
        stale: STALE,
    };
    let labels: BTreeMap<String, String> = sent(&[("a", "1"), ("b", "2")], "").labels;
    for (asked, expected) in [
        (&[("a", "1")][..], true),
        (&[("a", "1"), ("b", "2")], true),
        (&[("a", "2")], false),
        (&[("a", "1"), ("c", "")], false),
    ] {
        assert_eq!(wanted(asked).matches(&labels), expected, "{asked:?}");
    }
}

/// Episodes of two alerts that do not overlap: a firing and a resolved delivery of each.
fn deliveries() -> impl Strategy<Value = Vec<Delivered>> {
    let lengths = prop::collection::vec((400_i64..2000, 400_i64..2000), 1..5);
    (lengths.clone(), lengths).prop_map(|(one, other)| {
        let episodes = |name: char, lengths: Vec<(i64, i64)>| {
            let mut now = 0;
            let mut all = Vec::new();
            for (firing_for, calm_for) in lengths {
                all.push(firing(name, now));
                all.push(resolved(name, now, now + firing_for));
                now += firing_for + calm_for;
            }
            all
        };
        let mut all = episodes('a', one);
        all.extend(episodes('b', other));
        all
    })
}

proptest! {
    #[test]
    fn no_order_and_no_duplicate_makes_more_of_the_episodes_there_are(
        (all, order) in deliveries().prop_flat_map(|all| {
            let indices: Vec<usize> = (0..all.len()).chain(0..all.len()).collect();
            (Just(all), Just(indices).prop_shuffle())
        }),
        pauses in prop::collection::vec(0_i64..100, 64),
    ) {
        let episodes: BTreeSet<(String, Time)> = all
            .iter()
            .map(|one| (one.fingerprint.clone(), one.starts))
            .collect();
        let mut desk = Desk::new();
        let (mut now, mut began) = (20_000, 0);
        for (index, pause) in order.iter().zip(pauses) {
            now += pause;
            let one = &all[*index];
            let before = desk.alerts.clone();
            let taken = desk.take(std::slice::from_ref(one), now);
            let known = |alerts: &Alerts| {
                let found = alerts.episodes.iter().find(|kept| kept.fingerprint == one.fingerprint);
                found.map(|kept| (kept.starts, kept.fires()))
            };
            let (was, is) = (known(&before), known(&desk.alerts));
            if taken == [Taken::Known] {
                prop_assert_eq!(&before, &desk.alerts);
            }
            // What is known only moves on: to a later episode, or to the end of this one.
            prop_assert!(was.map(|(starts, fires)| (starts, !fires)) <= is.map(|(starts, fires)| (starts, !fires)));
            if was.is_none_or(|(starts, _)| is.is_some_and(|(now, _)| now > starts)) {
                began += usize::from(is.is_some_and(|(_, fires)| fires));
            }
        }
        prop_assert!(began <= episodes.len());
        // Everything was delivered, so everything is over.
        let last = desk.runs.last().unwrap();
        prop_assert_eq!(last.verdict, Verdict::Passed);
        let failed = Verdict::Failed(Class::Reported);
        let begins = desk
            .runs
            .iter()
            .zip(std::iter::once(None).chain(desk.runs.iter().map(Some)))
            .filter(|(run, before)| {
                run.verdict == failed && before.is_none_or(|before| before.verdict == Verdict::Passed)
            });
        prop_assert!(begins.count() <= episodes.len());
    }
}
