//! What waits, what is put together and what is left out.

use std::time::{Duration, Instant};

use crate::clock;
use crate::core::{Level, ObjectKey, Reason, TargetKind, Time};
use crate::notify::alerts::{Alerts, MOST};
use crate::notify::gather::WAIT;
use crate::notify::notice::{About, Notice, Subject, Transition};
use crate::notify::outbox::{EACH, Lost, Outbox, SUBJECTS};

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey {
        namespace: "shop".into(),
        name: name.into(),
    }
}

pub(super) fn notice(policy: &str, what: Transition, root: Option<&str>) -> Notice {
    Notice {
        subject: Subject::Incident {
            policy: key(policy),
            id: "0123456789".to_owned(),
        },
        what,
        level: Level::Warning,
        reason: Reason::CheckFailing,
        message: "the check fails".to_owned(),
        time: Time::from_unix(1_700_000_000),
        id: Notice::id_of(what, [policy]),
        about: Some(About {
            policy_uid: "uid".to_owned(),
            check: key("http"),
            target: (TargetKind::Deployment, "web".into()),
            opened: Time::from_unix(1_700_000_000),
            exhausted: what == Transition::Exhausted,
            errors: Vec::new(),
            remediation: None,
            root: root.map(ToOwned::to_owned),
            under_way: false,
            notify: None,
        }),
    }
}

/// All that would be sent now, in order.
fn sent(outbox: &mut Outbox) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(next) = outbox.next().cloned() {
        let of = match &next.subject {
            Subject::Incident { policy, .. } => policy.name.to_string(),
            Subject::Cascade { root } => root.clone(),
            Subject::Storm | Subject::Source => String::new(),
        };
        sent.push(format!("{of} {}", next.what.as_str()));
        outbox.done(&next);
    }
    sent
}

const OPENED: Transition = Transition::Opened;
const HELD: Transition = Transition::Held;
const RECOVERED: Transition = Transition::Recovered;

#[test]
fn incidents_take_turns_and_each_is_told_in_order() {
    let (mut outbox, now) = (Outbox::new(3), clock::instant());
    for what in [OPENED, Transition::Applied, RECOVERED] {
        for policy in ["a", "b"] {
            outbox.take(notice(policy, what, None), now);
        }
    }
    let first = outbox.next().cloned().unwrap();
    outbox.later(&first.subject);
    assert_eq!(
        sent(&mut outbox),
        [
            "b incident.opened",
            "a incident.opened",
            "b remediation.applied",
            "a remediation.applied",
            "b incident.recovered",
            "a incident.recovered",
        ]
    );
    assert_eq!(outbox.len(), 0);
}

#[test]
fn of_too_many_notices_of_one_incident_the_oldest_that_may_is_left_out() {
    let (mut outbox, now) = (Outbox::new(3), clock::instant());
    outbox.take(notice("a", OPENED, None), now);
    let mut dropped = 0;
    for _ in 0..EACH {
        dropped += outbox
            .take(notice("a", Transition::Applied, None), now)
            .dropped;
    }
    dropped += outbox.take(notice("a", RECOVERED, None), now).dropped;
    assert_eq!(dropped, 2);
    let told = sent(&mut outbox);
    assert_eq!(told.len(), EACH);
    assert_eq!(told.first().unwrap(), "a incident.opened");
    assert_eq!(told.last().unwrap(), "a incident.recovered");
}

#[test]
fn of_too_many_incidents_the_oldest_is_left_out_that_is_not_under_way() {
    let (mut outbox, now) = (Outbox::new(3), clock::instant());
    let mut lost = 0;
    for number in 0..=SUBJECTS {
        let told = outbox.take(notice(&format!("p{number}"), OPENED, None), now);
        lost += told.dropped;
    }
    assert_eq!((lost, outbox.len()), (1, SUBJECTS));
    let told = sent(&mut outbox);
    assert_eq!(told[..2], ["p0 incident.opened", "p2 incident.opened"]);
}

#[test]
fn what_is_critical_is_left_out_last() {
    let critical = |policy: &str| Notice {
        level: Level::Critical,
        ..notice(policy, Transition::Exhausted, None)
    };
    let (mut outbox, now) = (Outbox::new(3), clock::instant());
    let told = |outbox: &mut Outbox, notice| outbox.take(notice, now).dropped;
    assert_eq!(told(&mut outbox, notice("first", OPENED, None)), 0);
    for number in 1..SUBJECTS - 1 {
        assert_eq!(told(&mut outbox, critical(&format!("p{number}"))), 0);
    }
    assert_eq!(told(&mut outbox, notice("warning", OPENED, None)), 0);
    assert_eq!(told(&mut outbox, critical("more")), 1);
    assert_eq!(told(&mut outbox, notice("late", OPENED, None)), 1);
    assert_eq!(told(&mut outbox, critical("most")), 1);
    let all = sent(&mut outbox);
    assert_eq!(all.len(), SUBJECTS);
    assert_eq!(all[..2], ["first incident.opened", "p2 incident.exhausted"]);
    let last = &all[SUBJECTS - 2..];
    assert_eq!(last, ["more incident.exhausted", "most incident.exhausted"]);
}

#[test]
fn what_is_under_way_is_not_left_out() {
    let (mut outbox, now) = (Outbox::new(3), clock::instant());
    outbox.take(notice("a", Transition::Applied, None), now);
    let under_way = outbox.next().cloned().unwrap();
    for _ in 0..EACH {
        outbox.take(notice("a", Transition::Held, None), now);
    }
    assert_eq!(outbox.next(), Some(&under_way));
}

/// Policies that the check db holds, told at one moment.
fn held(outbox: &mut Outbox, policies: &[&str], now: Instant) {
    for policy in policies {
        for what in [OPENED, HELD] {
            outbox.take(notice(policy, what, Some("db")), now);
        }
    }
}

#[test]
fn many_that_one_check_holds_are_one_and_few_are_each() {
    for (policies, expected) in [
        (
            &["a", "b"][..],
            vec![
                "a incident.opened",
                "b incident.opened",
                "a incident.held",
                "b incident.held",
            ],
        ),
        (&["a", "b", "c"], vec!["db cascade.began"]),
    ] {
        let (mut outbox, now) = (Outbox::new(2), clock::instant());
        held(&mut outbox, policies, now);
        assert_eq!(outbox.due(), Some(now + WAIT));
        assert_eq!(sent(&mut outbox), Vec::<String>::new(), "it waits");
        outbox.release(now + WAIT);
        assert_eq!(sent(&mut outbox), expected);
        assert_eq!(outbox.due(), None);
    }
}

#[test]
fn a_cascade_names_some_is_told_again_when_it_has_doubled_and_ends_once() {
    let (mut outbox, now) = (Outbox::new(2), clock::instant());
    let names: Vec<String> = (0..12).map(|number| format!("p{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    held(&mut outbox, &names[..6], now);
    let lost = outbox.release(now + WAIT);
    assert_eq!(lost.grouped, 12);
    let told = outbox.next().cloned().unwrap();
    assert_eq!(
        told.message,
        "6 policies wait for the check db: shop/p00, shop/p01, shop/p02, shop/p03, shop/p04 and 1 more"
    );
    outbox.done(&told);

    held(&mut outbox, &names[6..7], now + WAIT);
    outbox.release(now + 2 * WAIT);
    assert_eq!(sent(&mut outbox), Vec::<String>::new(), "little more");
    held(&mut outbox, &names[7..], now + 2 * WAIT);
    outbox.release(now + 3 * WAIT);
    assert_eq!(sent(&mut outbox), ["db cascade.began"]);

    outbox.take(notice("p03", Transition::Applied, None), now + 3 * WAIT);
    assert_eq!(sent(&mut outbox), ["p03 remediation.applied"]);
    for name in &names {
        assert_eq!(sent(&mut outbox), Vec::<String>::new());
        outbox.take(notice(name, RECOVERED, None), now + 3 * WAIT);
    }
    assert_eq!(sent(&mut outbox), ["db cascade.ended"]);
    outbox.take(notice("p00", RECOVERED, None), now + 3 * WAIT);
    assert_eq!(sent(&mut outbox), ["p00 incident.recovered"]);
}

fn of_incident(id: &str, policy: &str, what: Transition, root: Option<&str>) -> Notice {
    let mut notice = notice(policy, what, root);
    notice.subject = Subject::Incident {
        policy: key(policy),
        id: id.to_owned(),
    };
    notice
}

#[test]
fn a_second_cascade_behind_one_who_has_stayed_is_told() {
    let (mut outbox, now) = (Outbox::new(2), clock::instant());
    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    held(&mut outbox, &names, now);
    outbox.release(now + WAIT);
    for name in &names[1..] {
        outbox.take(notice(name, RECOVERED, None), now + WAIT);
    }
    assert_eq!(sent(&mut outbox), ["db cascade.began"]);
    for name in &names[1..] {
        let again = of_incident("1", name, OPENED, Some("db"));
        outbox.take(again, now + WAIT);
    }
    outbox.release(now + 2 * WAIT);
    assert_eq!(sent(&mut outbox), ["db cascade.began"]);
}

#[test]
fn a_policy_that_is_deleted_leaves_its_cascade() {
    let (mut outbox, now) = (Outbox::new(2), clock::instant());
    held(&mut outbox, &["a", "b", "c"], now);
    outbox.release(now + WAIT);
    held(&mut outbox, &["d"], now + WAIT);
    outbox.take(notice("a", RECOVERED, None), now + WAIT);
    // The end of the second was told by another leader, and its next beginning is told here.
    outbox.take(of_incident("1", "b", OPENED, None), now + WAIT);
    assert_eq!(sent(&mut outbox), ["db cascade.began", "b incident.opened"]);
    for policy in ["c", "d"] {
        outbox.forget(&key(policy), clock::now());
    }
    assert_eq!(sent(&mut outbox), ["db cascade.ended"]);
    outbox.release(now + 2 * WAIT);
    assert_eq!(outbox.len(), 0);
}

#[test]
fn what_waits_survives_a_time_without_the_lease() {
    let (mut outbox, now) = (Outbox::new(1), clock::instant());
    held(&mut outbox, &["a", "b", "c"], now);
    outbox.release(now + WAIT);
    let mut ends = notice("b", RECOVERED, None);
    ends.about.as_mut().unwrap().under_way = true;
    outbox.take(ends, now + WAIT);
    outbox.take(notice("d", OPENED, None), now + WAIT);
    let subjects = |policies: &[&str]| {
        let subject = |policy: &&str| notice(policy, OPENED, None).subject;
        policies.iter().map(subject).collect()
    };
    outbox.resume(&subjects(&["c", "d"]), clock::now());
    assert_eq!(sent(&mut outbox), ["db cascade.began", "d incident.opened"]);
    // The end of a was told by another leader; those of b and c end the cascade.
    outbox.release(now + 2 * WAIT);
    assert_eq!(sent(&mut outbox), Vec::<String>::new());
    outbox.take(notice("c", RECOVERED, None), now + 2 * WAIT);
    assert_eq!(sent(&mut outbox), ["db cascade.ended"]);
}

#[test]
fn whose_beginning_was_told_by_itself_is_told_to_be_over() {
    let (mut outbox, now) = (Outbox::new(1), clock::instant());
    outbox.take(notice("a", OPENED, None), now);
    for policy in ["a", "b", "c"] {
        outbox.take(notice(policy, HELD, Some("db")), now);
    }
    outbox.release(now + WAIT);
    assert_eq!(sent(&mut outbox), ["a incident.opened", "db cascade.began"]);
    outbox.take(notice("a", RECOVERED, None), now + WAIT);
    assert_eq!(sent(&mut outbox), ["a incident.recovered"]);

    // And who comes and goes while others are waited for.
    outbox.take(of_incident("1", "a", OPENED, None), now + WAIT);
    outbox.take(of_incident("1", "a", HELD, Some("db")), now + WAIT);
    outbox.take(of_incident("1", "a", RECOVERED, None), now + WAIT);
    outbox.release(now + 2 * WAIT);
    assert_eq!(
        sent(&mut outbox),
        [
            "a incident.opened",
            "a incident.held",
            "a incident.recovered"
        ]
    );
}

#[test]
fn what_comes_while_others_are_waited_for_keeps_its_place() {
    let (mut outbox, now) = (Outbox::new(2), clock::instant());
    held(&mut outbox, &["a"], now);
    outbox.take(notice("a", RECOVERED, None), now);
    outbox.take(notice("b", OPENED, None), now);
    assert_eq!(sent(&mut outbox), ["b incident.opened"]);
    outbox.release(now + WAIT);
    assert_eq!(
        sent(&mut outbox),
        [
            "a incident.opened",
            "a incident.held",
            "a incident.recovered"
        ]
    );
}

#[test]
fn the_end_of_an_incident_waits_for_the_end_of_its_remediation() {
    let under_way = || {
        let mut notice = notice("a", RECOVERED, None);
        notice.about.as_mut().unwrap().under_way = true;
        notice
    };
    for (next, after, expected) in [
        (
            Some(Transition::Verified),
            Duration::ZERO,
            vec!["a remediation.verified", "a incident.recovered"],
        ),
        (
            Some(OPENED),
            Duration::ZERO,
            vec!["a incident.recovered", "a incident.opened"],
        ),
        (None, WAIT, vec!["a incident.recovered"]),
        (None, WAIT / 2, vec![]),
    ] {
        let (mut outbox, now) = (Outbox::new(2), clock::instant());
        outbox.take(under_way(), now);
        if let Some(next) = next {
            outbox.take(notice("a", next, None), now);
        }
        assert_eq!(outbox.release(now + after), Lost::default());
        assert_eq!(sent(&mut outbox), expected, "{next:?}");
    }
}

/// The policies that fire and those that are over, of what is to be sent.
fn states(alerts: &Alerts) -> Vec<(String, bool)> {
    let next = alerts.next().map_or_else(Vec::new, |next| next.0);
    let state = |alert: &crate::notify::alerts::Alert| match &alert.notice.subject {
        Subject::Incident { policy, .. } => (policy.name.to_string(), alert.over.is_none()),
        _ => (String::new(), alert.over.is_none()),
    };
    next.iter().map(state).collect()
}

fn firing(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn over(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

fn taken(alerts: &mut Alerts) {
    while let Some((_, sent)) = alerts.next() {
        alerts.done(&sent);
    }
}

#[test]
fn an_alertmanager_is_told_the_last_word_and_again_what_fires() {
    let mut alerts = Alerts::default();
    for what in [OPENED, Transition::Applied] {
        alerts.take(notice("a", what, None), Level::Warning);
    }
    alerts.take(notice("b", OPENED, None), Level::Warning);
    assert_eq!(states(&alerts), [firing("a"), firing("b")]);
    // What changes while a request is under way is sent after it.
    let (_, sent) = alerts.next().unwrap();
    alerts.take(notice("a", RECOVERED, None), Level::Warning);
    alerts.done(&sent);
    assert_eq!(states(&alerts), [over("a")]);
    taken(&mut alerts);
    assert_eq!(states(&alerts), []);
    alerts.take(notice("a", Transition::Verified, None), Level::Warning);
    assert_eq!(states(&alerts), [], "what is over is not opened again");
    alerts.repeat();
    assert_eq!(states(&alerts), [firing("b")]);
}

#[test]
fn an_alertmanager_is_brought_in_line_with_what_is_open() {
    let mut alerts = Alerts::default();
    for policy in ["a", "b"] {
        alerts.take(notice(policy, OPENED, None), Level::Warning);
    }
    taken(&mut alerts);
    let open = |policy| (notice(policy, OPENED, None), Level::Warning);
    let (asked, later) = (alerts.revision(), Time::from_unix(1_700_000_100));
    let lost = alerts.align(vec![open("b"), open("c")], asked, later);
    assert_eq!(lost, 0);
    assert_eq!(states(&alerts), [over("a"), firing("c")]);
    taken(&mut alerts);
    assert!(alerts.fires());
    // It was exhausted, and nobody has told that.
    let mut exhausted = open("b");
    exhausted.0.about.as_mut().unwrap().exhausted = true;
    alerts.align(vec![exhausted, open("c")], alerts.revision(), later);
    assert_eq!(states(&alerts), [firing("b")]);
    assert!(alerts.next().unwrap().0[0].exhausted);
    taken(&mut alerts);
    alerts.align(Vec::new(), alerts.revision(), later);
    taken(&mut alerts);
    assert!(!alerts.fires());
}

#[test]
fn what_is_told_while_it_is_asked_what_is_open_is_left_alone() {
    let mut alerts = Alerts::default();
    alerts.take(notice("a", OPENED, None), Level::Warning);
    let asked = alerts.revision();
    alerts.take(notice("a", RECOVERED, None), Level::Warning);
    alerts.take(notice("b", OPENED, None), Level::Warning);
    let open = vec![(notice("a", OPENED, None), Level::Warning)];
    alerts.align(open, asked, Time::from_unix(1_700_000_100));
    assert_eq!(states(&alerts), [over("a"), firing("b")]);
}

#[test]
fn alerts_are_bounded() {
    let mut alerts = Alerts::default();
    for number in 0..MOST {
        assert!(!alerts.take(notice(&format!("p{number}"), OPENED, None), Level::Warning));
    }
    assert!(alerts.take(notice("more", OPENED, None), Level::Warning));
    assert!(!alerts.take(notice("p1", RECOVERED, None), Level::Warning));
}
