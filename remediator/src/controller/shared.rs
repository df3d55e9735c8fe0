//! What watches and workers share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::watch as told;

use super::kinds::Kind;
use super::notices::General;
use super::objects::{Concerns, Objects, Owner};
use super::queue::Queue;
use super::settings::Settings;
use super::watch::{Change, Source};
use super::{Key, lock};
use crate::clock;
use crate::core::{Limits, ObjectKey, StormState};
use crate::events::Events;
use crate::metrics::{Gauges, Metrics, PolicyGauges, WatchGauges};
use crate::notify::Notify;

/// What watches and workers share.
pub(super) struct Shared {
    objects: Mutex<Objects>,
    queue: Mutex<Arc<Queue<Key>>>,
    policies: told::Sender<bool>,
    namespaces: Vec<String>,
    check_namespaces: Vec<String>,
    pub(super) storm: Mutex<StormState>,
    pub(super) limits: Limits,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
    pub(super) notify: Notify,
    pub(super) general: Mutex<General>,
}

impl Shared {
    pub(super) fn new(settings: Settings, events: Events) -> Shared {
        let Settings {
            limits,
            namespaces,
            check_namespaces,
            instance: _,
            metrics,
            notify,
        } = settings;
        Shared {
            objects: Mutex::default(),
            queue: Mutex::new(Arc::new(Queue::new())),
            policies: told::Sender::new(false),
            namespaces,
            check_namespaces,
            storm: Mutex::default(),
            limits,
            events,
            metrics,
            notify,
            general: Mutex::default(),
        }
    }

    /// What is watched.
    pub(super) fn sources(&self) -> Vec<Source> {
        let each = |kind: Kind| {
            let namespaces = if kind.is_kuberhealthys() {
                &self.check_namespaces
            } else {
                &self.namespaces
            };
            let mut sources: Vec<Source> = namespaces
                .iter()
                .map(|namespace| Source {
                    kind,
                    namespace: Some(namespace.as_str().into()),
                })
                .collect();
            if sources.is_empty() {
                sources.push(Source {
                    kind,
                    namespace: None,
                });
            }
            sources
        };
        Kind::ALL.into_iter().flat_map(each).collect()
    }

    pub(super) fn objects<T>(&self, look: impl FnOnce(&mut Objects) -> T) -> T {
        look(&mut lock(&self.objects))
    }

    pub(super) fn queue(&self) -> Arc<Queue<Key>> {
        lock(&self.queue).clone()
    }

    /// A new queue with everything in it.
    pub(super) fn restart(&self) -> Arc<Queue<Key>> {
        let queue = Arc::new(Queue::new());
        *lock(&self.queue) = queue.clone();
        let now = clock::instant();
        self.objects(|objects| {
            for key in objects.records.keys() {
                queue.add(Key::Record(key.clone()), now);
            }
            let policies: BTreeSet<&ObjectKey> = objects.policies.keys().collect();
            for key in policies {
                queue.add(Key::Policy(key.clone()), now);
            }
        });
        queue
    }

    /// Whether everything has been listed.
    pub(super) fn complete(&self) -> bool {
        let sources = self.sources();
        self.objects(|objects| sources.iter().all(|source| objects.listed(source)))
    }

    /// Whether all policies have been listed.
    pub(super) fn policies_known(&self) -> bool {
        *self.policies.borrow()
    }

    /// Waits until the policies are known.
    pub(super) async fn policies_listed(&self) {
        // An error would mean that the sender is gone, and it is ours.
        let _ = self.policies.subscribe().wait_for(|listed| *listed).await;
    }

    /// Takes in what a watch told.
    pub(super) fn changed(&self, source: &Source, change: Change) {
        if matches!(change, Change::Failed) {
            self.metrics.watch_error(source.kind.plural());
            return;
        }
        let listed = matches!(change, Change::Complete(..)) && source.kind == Kind::Policy;
        let keys = self.objects(|objects| {
            let concerns = objects.take(source, change, clock::now());
            concerns
                .into_iter()
                .flat_map(|concerns| keys(objects, concerns))
                .collect::<Vec<Key>>()
        });
        let (queue, now) = (self.queue(), clock::instant());
        for key in keys {
            queue.add(key, now);
        }
        if listed {
            let mut sources = self.sources();
            sources.retain(|source| source.kind == Kind::Policy);
            let all = self.objects(|objects| sources.iter().all(|source| objects.listed(source)));
            self.policies.send_if_modified(|known| {
                let news = all && !*known;
                *known |= all;
                news
            });
        }
    }

    /// What is the case now.
    pub(super) fn gauges(&self) -> Gauges {
        let sources = self.sources();
        let storm = *lock(&self.storm);
        self.objects(|objects| Gauges {
            in_flight: objects.records.count_in_flight(),
            storm,
            watches: Kind::ALL
                .into_iter()
                .map(|kind| WatchGauges {
                    kind: kind.plural().to_owned(),
                    listed: sources
                        .iter()
                        .all(|source| source.kind != kind || objects.listed(source)),
                })
                .collect(),
            policies: objects
                .policies
                .sorted()
                .into_iter()
                .map(|policy| PolicyGauges::of(&policy.object))
                .collect(),
        })
    }
}

/// What has to be looked at.
pub(super) fn keys(objects: &Objects, concerns: Concerns) -> Vec<Key> {
    let of_policy = |policy: &ObjectKey| {
        let known = objects.policies.get(policy);
        let uid = known.and_then(|known| known.object.metadata.uid.clone());
        let owner = uid.map(|uid| Owner {
            policy: policy.clone(),
            uid,
        });
        let records = owner.map(|owner| objects.records.of(&owner));
        let records = records.unwrap_or_default();
        let unfinished = records.iter().filter(|record| !record.finished());
        let mut keys: Vec<Key> = unfinished
            .map(|record| Key::Record(record.name.clone()))
            .collect();
        keys.push(Key::Policy(policy.clone()));
        keys
    };
    match concerns {
        Concerns::Policy(policy) => of_policy(&policy),
        Concerns::Record(record) => of_record(objects, record),
        Concerns::Check(check) => {
            let policies = objects.policies.of_check(&check);
            policies.iter().flat_map(of_policy).collect()
        }
    }
}

/// The record and its policy; and if its place among those in flight is free, who waits for one.
fn of_record(objects: &Objects, key: ObjectKey) -> Vec<Key> {
    let record = objects.records.get(&key);
    let policy = record.map(|record| Key::Policy(record.intent.policy.clone()));
    let mut keys: Vec<Key> = policy.into_iter().collect();
    if record.is_none_or(|record| record.finished()) {
        keys.extend(objects.policies.waiting().cloned().map(Key::Policy));
    }
    keys.push(Key::Record(key));
    keys
}
