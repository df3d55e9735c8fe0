//! What a receiver may do wrong, and that nothing is lost or told twice because of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remediator::clock;
use remediator::core::{self, Level, ObjectKey, Reason, TargetKind};
use remediator::fence::{Keeper, Term};
use remediator::metrics::{Format, Metrics};
use remediator::notify::notice::{About, Notice, Subject, Transition};
use remediator::notify::{Ask, Config, Notify};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::receiver::{Fault, Receiver, Request};

const ALL: [Transition; 4] = [
    Transition::Opened,
    Transition::Applied,
    Transition::Verified,
    Transition::Recovered,
];

fn notice(policy: &str, what: Transition) -> Notice {
    let key = |name: &str| ObjectKey {
        namespace: "shop".into(),
        name: name.into(),
    };
    let now = clock::now();
    Notice {
        subject: Subject::Incident {
            policy: key(policy),
            id: "0123456789".to_owned(),
        },
        what,
        level: Level::Warning,
        reason: Reason::CheckFailing,
        message: "the check fails".to_owned(),
        time: now,
        id: Notice::id_of(what, [policy]),
        about: Some(About {
            policy_uid: policy.to_owned(),
            check: key("http"),
            target: (TargetKind::Deployment, policy.into()),
            opened: now,
            exhausted: false,
            errors: Vec::new(),
            remediation: None,
            root: None,
            under_way: false,
            notify: None,
        }),
    }
}

/// Who tells one receiver. Dropping it ends it.
pub(super) struct Teller {
    /// The policies with an open incident, as the cluster would have them.
    open: Arc<Mutex<BTreeSet<String>>>,
    notify: Notify,
    metrics: Metrics,
    keeper: Keeper,
    task: JoinHandle<()>,
}

impl Teller {
    pub(super) fn start(receiver: Value) -> Teller {
        let config = json!({"receivers": [receiver]}).to_string();
        let config = Config::parse(&config, Path::new("/")).unwrap();
        let metrics = Metrics::new();
        let notify = Notify::new(config, metrics.clone());
        let (keeper, fence) = Keeper::new();
        keeper.open(Term(1), clock::instant() + Duration::from_secs(3600));
        let open: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let known = open.clone();
        let ask: Ask = Arc::new(move || {
            let known = known.lock().unwrap();
            let opened = |policy: &String| notice(policy, Transition::Opened);
            known.iter().map(opened).collect()
        });
        let task = tokio::spawn(notify.clone().serve(fence, ask));
        Teller {
            open,
            notify,
            metrics,
            keeper,
            task,
        }
    }

    pub(super) fn tell(&self, policies: &[&str], transitions: &[Transition]) {
        for what in transitions {
            for policy in policies {
                self.notify.tell(notice(policy, *what));
            }
        }
    }

    pub(super) fn opens(&self, policy: &str) {
        self.open.lock().unwrap().insert(policy.to_owned());
    }

    pub(super) fn closes(&self, policy: &str) {
        self.open.lock().unwrap().remove(policy);
    }

    async fn counts(&self, outcome: &str, count: usize) {
        let line = format!(
            "\nkuberhealer_notifications_total{{receiver=\"hook\",outcome=\"{outcome}\"}} {count}\n"
        );
        for _ in 0..600 {
            if self.text().contains(&line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never {line}: {}", self.text());
    }

    fn text(&self) -> String {
        self.metrics.text(Format::Text).unwrap()
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn hook(url: &str) -> Value {
    json!({"name": "hook", "timeoutSeconds": 1, "webhook": {"url": url}})
}

/// What was told of a policy, in order.
fn of(requests: &[Request], policy: &str) -> Vec<String> {
    let events = requests.iter().map(Request::json);
    let own = events.filter(|event| event["data"]["target"]["name"] == policy);
    own.map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

fn all() -> Vec<String> {
    let names = ALL.iter().map(|what| what.as_str());
    names.map(|name| format!("io.kuberhealer.{name}")).collect()
}

#[tokio::test]
async fn nothing_is_lost_or_out_of_order_whatever_is_answered() {
    for fault in [
        Fault::Status(500),
        Fault::Status(408),
        Fault::RetryAfter(429, 1),
        Fault::Never,
    ] {
        let receiver = Receiver::start().await;
        receiver.faults([fault, fault]);
        let teller = Teller::start(hook(&receiver.url()));
        teller.tell(&["a", "b", "c"], &ALL);
        let told = receiver.until(|told| told.len() >= 12).await;
        for policy in ["a", "b", "c"] {
            assert_eq!(of(&told, policy), all(), "{fault:?}");
        }
        assert_eq!(receiver.requests().len(), 14, "{fault:?}");
        assert_eq!(receiver.most_at_once(), 1, "{fault:?}");
        teller.counts("sent", 12).await;
        teller.counts("retried", 2).await;
        let none = "\nkuberhealer_notifications_queued{receiver=\"hook\"} 0\n";
        assert!(teller.text().contains(none), "{}", teller.text());
    }
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_made() {
    let receiver = Receiver::start().await;
    receiver.faults([Fault::RetryAfter(429, 4)]);
    let teller = Teller::start(hook(&receiver.url()));
    let began = clock::instant();
    teller.tell(&["a"], &ALL[..1]);
    receiver.until(|told| !told.is_empty()).await;
    assert!(clock::instant() - began >= Duration::from_secs(4));
    assert_eq!(receiver.requests().len(), 2);
    drop(teller);
}

#[tokio::test]
async fn what_was_told_while_a_receiver_was_down_is_told_when_it_is_back() {
    let first = Receiver::start().await;
    let url = first.url();
    let address = url.trim_start_matches("http://").to_owned();
    drop(first);
    let teller = Teller::start(hook(&url));
    teller.tell(&["a", "b"], &ALL);
    teller.counts("retried", 1).await;
    let receiver = Receiver::at(&address).await;
    let told = receiver.until(|told| told.len() >= 8).await;
    for policy in ["a", "b"] {
        assert_eq!(of(&told, policy), all());
    }
    assert_eq!(receiver.most_at_once(), 1);
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again_and_redirects_are_not_followed() {
    let receiver = Receiver::start().await;
    receiver.faults([Fault::Status(400), Fault::Status(404), Fault::Redirect]);
    let teller = Teller::start(hook(&receiver.url()));
    teller.tell(&["a"], &ALL);
    let told = receiver.until(|told| !told.is_empty()).await;
    assert_eq!(of(&told, "a"), all()[3..]);
    assert_eq!(receiver.requests().len(), 4);
    teller.counts("failed", 3).await;
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let receiver = Receiver::start().await;
    receiver.faults([Fault::Endless]);
    let teller = Teller::start(hook(&receiver.url()));
    teller.tell(&["a"], &ALL[..2]);
    receiver.until(|told| told.len() == 1).await;
    teller.counts("sent", 2).await;
}

#[tokio::test]
async fn the_same_is_told_once_and_nothing_without_the_lease() {
    let receiver = Receiver::start().await;
    let teller = Teller::start(hook(&receiver.url()));
    for _ in 0..3 {
        teller.tell(&["a"], &ALL);
    }
    receiver.until(|told| told.len() >= 4).await;
    teller.keeper.close();
    teller.tell(&["b"], &ALL);
    let queued = "\nkuberhealer_notifications_queued{receiver=\"hook\"} 4\n";
    assert!(teller.text().contains(queued), "{}", teller.text());
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test]
async fn an_alertmanager_that_was_down_is_told_the_last_word_only() {
    let receiver = Receiver::start().await;
    receiver.faults([Fault::Status(503)]);
    let teller = Teller::start(json!({
        "name": "hook", "alertmanager": {"url": format!("{}/prefix/", receiver.url()), "resendSeconds": 3600},
    }));
    teller.tell(&["a"], &ALL[..1]);
    teller.counts("retried", 1).await;
    teller.tell(&["a"], &ALL[1..3]);
    teller.tell(&["b"], &ALL);
    let told = receiver.until(|told| !told.is_empty()).await;
    assert_eq!(told[0].path, "/prefix/api/v2/alerts");
    let body = told[0].json();
    let states: Vec<&str> = body
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["annotations"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["remediation.verified", "incident.recovered"]);
}

#[tokio::test]
async fn an_alertmanager_is_told_what_is_open_although_nothing_was_told_and_nothing_fires() {
    let receiver = Receiver::start().await;
    let teller = Teller::start(json!({
        "name": "hook", "alertmanager": {"url": receiver.url(), "resendSeconds": 1},
    }));
    teller.tell(&["a"], &[Transition::Opened, Transition::Recovered]);
    receiver.until(|told| !told.is_empty()).await;
    teller.opens("b");
    let names = |request: &Request| request.json()[0]["labels"]["policy"].clone();
    receiver
        .until(|told| told.last().is_some_and(|last| names(last) == "b"))
        .await;
}

#[tokio::test]
async fn secrets_are_read_anew_for_each_request() {
    let receiver = Receiver::start().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let teller = Teller::start(json!({
        "name": "hook",
        "webhook": {"url": receiver.url(), "bearerTokenFile": token, "headers": {"X-Own": "1"}},
    }));
    teller.tell(&["a"], &ALL[..1]);
    receiver.until(|told| told.len() == 1).await;
    std::fs::remove_file(&token).unwrap();
    teller.tell(&["a"], &ALL[1..2]);
    teller.counts("retried", 1).await;
    std::fs::write(&token, "second").unwrap();
    let told = receiver.until(|told| told.len() == 2).await;
    let tokens: Vec<&str> = told
        .iter()
        .map(|request| request.header("authorization"))
        .collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second"]);
    assert_eq!(told[0].header("x-own"), "1");
}

#[tokio::test]
async fn a_receiver_that_there_is_not_is_counted() {
    let receiver = Receiver::start().await;
    let teller = Teller::start(hook(&receiver.url()));
    let policy = ObjectKey {
        namespace: "shop".into(),
        name: "web".into(),
    };
    let wanted = core::Notify {
        receivers: vec!["nobody".to_owned(), "hook".to_owned()],
        level: None,
    };
    teller.notify.check(&policy, Some(&wanted));
    let line = "\nkuberhealer_notifications_total{receiver=\"\",outcome=\"unknown_receiver\"} 1\n";
    assert!(teller.text().contains(line), "{}", teller.text());
}
