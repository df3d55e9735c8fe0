//! Reconciles a policy: observes its check, counts, decides, acknowledges in the status, and records the intent.

use std::sync::Arc;
use std::time::Duration;

use super::conditions::get;
use super::objects::{Entry, Policy};
use super::requests::is_denial;
use super::status::{ALLOWED, Asked, Found, refused, status};
use super::world::{Surroundings, View};
use super::{Failed, Leader, Workloads};
use crate::clock;
use crate::core::execution::{Live, Refusal};
use crate::core::{
    CheckKey, Decision, Facts, FactsNeed, Inferred, ObjectKey, PolicySpec, PolicyState, Reason,
    Snapshot, Time, advance, count, decide, resume, upstreams_recovered, wake,
};
use crate::crd::{RemediationPolicy, state_view, upstreams_view};

/// A policy is looked at this often although nothing happened, for what time alone changes; that costs no request.
const LOOK: u32 = 60;

/// And one that is held back this often, at first; one that is held by its target, which is not watched, less often the
/// longer that lasts.
const LOOK_HELD: u32 = 15;

/// What a policy's reference to its check has led to.
enum Named {
    /// The check, which may still turn out not to exist.
    One(CheckKey),
    /// No check.
    None,
    /// One of each kind.
    Both,
    /// A check that cannot be read, for this reason.
    Malformed(String),
}

/// How a policy is looked at.
pub(super) struct Look<'a> {
    pub(super) check: Option<&'a CheckKey>,
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) facts: Option<&'a Facts>,
    /// The checks that the errors lead to, if the status does not say them yet.
    pub(super) inferred: Option<&'a [Inferred]>,
    /// Whether something may be done because of what is found.
    pub(super) exactly: bool,
    pub(super) now: Time,
}

impl<W: Workloads> Leader<W> {
    /// Does what the policy needs now. Returns after how long to look again.
    pub(super) async fn policy(&self, key: &ObjectKey) -> Result<Option<Duration>, Failed> {
        let Some(policy) = self.with_objects(|objects| objects.policies.get(key).cloned()) else {
            self.shared.notify.forget(key);
            self.notify_general();
            return self.malformed(key).await;
        };
        let now = clock::now();
        let spec = match &policy.spec {
            Ok(spec) => spec,
            Err(invalid) => {
                let generation = policy.object.metadata.generation.unwrap_or_default();
                let before = policy.object.status.as_ref();
                let status = refused(before, &invalid.to_string(), generation, now);
                self.put_policy(&policy, status).await?;
                self.notify_general();
                return Ok(None);
            }
        };
        self.read_checks(spec).await?;
        let named = self.named(spec);
        let (check, wrong) = match &named {
            Named::One(check) => (Some(check), None),
            Named::None => (None, None),
            Named::Both => (None, Some(held(Reason::AmbiguousCheck))),
            Named::Malformed(why) => {
                let message = Reason::Inconclusive.message(why);
                (None, Some(hold(Reason::Inconclusive, message)))
            }
        };
        let snapshot = check.and_then(|check| self.snapshot(check));
        let look = Look {
            check,
            snapshot: snapshot.as_deref(),
            facts: None,
            inferred: None,
            exactly: false,
            now,
        };
        let mut found = self.find(&policy.object, spec, &look);
        let inferred = self.inferred(spec, check, &found.state).await?;
        if inferred != found.state.upstreams {
            let look = Look {
                inferred: Some(&inferred),
                ..look
            };
            found = self.find(&policy.object, spec, &look);
        }
        self.storm(&policy, &found);
        self.notify_general();
        if let Some(wrong) = wrong {
            found.decision = wrong;
        }
        match (&found.decision, check) {
            (Decision::NeedFacts(need), Some(check)) => {
                let need = *need;
                self.with_facts(&policy, spec, &look, found, (check, need))
                    .await
            }
            _ => self.conclude(&policy, spec, found, &Asked::Nothing).await,
        }
    }

    /// Reads what exists and was not read because no policy named it.
    async fn read_checks(&self, spec: &PolicySpec) -> Result<(), Failed> {
        let unread = self.with_objects(|objects| objects.unread(spec));
        for check in unread {
            if let Ok(Some(snapshot)) = self.read_check(&check).await? {
                self.with_objects(|objects| {
                    // What a watch has told meanwhile is newer.
                    if matches!(objects.checks.get(&check), Some(Entry::Unread)) {
                        objects.put_check(Arc::unwrap_or_clone(snapshot), clock::now());
                    }
                });
            }
        }
        Ok(())
    }

    fn named(&self, spec: &PolicySpec) -> Named {
        self.with_objects(|objects| {
            let meant = objects.meant(spec.source, &spec.check);
            match meant.as_slice() {
                [] => Named::None,
                [one] => match objects.checks.get(one) {
                    Some(Entry::Malformed(why)) => Named::Malformed(why.clone()),
                    _ => Named::One(one.clone()),
                },
                _ => Named::Both,
            }
        })
    }

    pub(super) fn snapshot(&self, check: &CheckKey) -> Option<Arc<Snapshot>> {
        self.with_objects(|objects| Some(objects.checks.read(check)?.snapshot.clone()))
    }

    /// Looks at a policy and decides.
    pub(super) fn find(
        &self,
        object: &RemediationPolicy,
        spec: &PolicySpec,
        look: &Look<'_>,
    ) -> Found {
        let now = look.now;
        let known = match look.inferred {
            Some(inferred) => inferred.to_vec(),
            None => upstreams_view(object),
        };
        let around = self.around(&View {
            spec,
            check: look.check,
            inferred: if spec.infer_dependencies { &known } else { &[] },
            limits: self.shared.limits,
            exactly: look.exactly,
            now,
        });
        let mut state = self.observed(object, spec, look.snapshot, &around, now);
        if look.inferred.is_some() {
            state.upstreams = known;
        }
        state.statistics = count(std::mem::take(&mut state.statistics), around.records());
        let decision = decide(now, spec, &state, &around.world(), look.facts);
        Found {
            state,
            decision,
            around,
        }
    }

    /// What the status says, and what the check has told since it was written.
    pub(super) fn observed(
        &self,
        object: &RemediationPolicy,
        spec: &PolicySpec,
        snapshot: Option<&Snapshot>,
        around: &Surroundings,
        now: Time,
    ) -> PolicyState {
        let mut state = state_view(object);
        let Some(snapshot) = snapshot else {
            return state;
        };
        let started = self.with_objects(|objects| objects.checks.read(&snapshot.key)?.started());
        let known = std::mem::take(&mut state.check);
        let (seen, told) = resume(known, snapshot, started.as_ref(), now);
        state.check = seen;
        let state = advance(state, spec, snapshot.timing, &told, now);
        upstreams_recovered(state, spec, around.world().upstreams)
    }

    pub(super) async fn facts(&self, spec: &PolicySpec, need: FactsNeed) -> Result<Live, Failed> {
        let (kind, name) = &spec.target;
        let read = self
            .workloads
            .facts(&spec.key.namespace, (*kind, name), need);
        self.limited(read).await
    }

    /// Reads the target, and meanwhile writes down what was seen if that is an incident which is not written down yet: it
    /// has to be before anything is recorded for it. What follows rests on what the API server holds now: the target is
    /// read anew, and so are policy and check, or they are known in the version that it has.
    async fn with_facts(
        &self,
        policy: &Arc<Policy>,
        spec: &PolicySpec,
        before: &Look<'_>,
        found: Found,
        (check, need): (&CheckKey, FactsNeed),
    ) -> Result<Option<Duration>, Failed> {
        let known = async {
            if is_open(policy, &found.state) {
                self.get_policy(&spec.key).await
            } else {
                let seen = status(policy, spec, &found, &Asked::Nothing, clock::now());
                self.put_policy(policy, seen).await.map(Some)
            }
        };
        let began = clock::instant();
        let (read, live, snapshot) =
            tokio::try_join!(known, self.facts(spec, need), self.read_check(check))?;
        let Some(read) = read else {
            return Ok(None);
        };
        let generation = spec.generation;
        let Some(spec) = read.spec.as_ref().ok() else {
            return Ok(Some(Duration::ZERO));
        };
        if spec.generation != generation {
            return Ok(Some(Duration::ZERO));
        }
        let mut found = found;
        let mut asked = Asked::Granted;
        match (&live, snapshot) {
            (Live::Target(facts), Ok(Some(snapshot))) => {
                let look = Look {
                    check: Some(check),
                    snapshot: Some(&*snapshot),
                    facts: Some(facts),
                    inferred: None,
                    exactly: false,
                    now: clock::now(),
                };
                // Where all is as it was, it would only be found once more.
                let same = before.snapshot == look.snapshot && read.version() == policy.version();
                let admitted = if same
                    && self.inferred(spec, Some(check), &found.state).await?
                        == upstreams_view(&read.object)
                {
                    self.try_admit(&read, spec, &look, began).await?
                } else {
                    None
                };
                if let Some((found, asked)) = admitted {
                    return self.conclude(&read, spec, found, &asked).await;
                }
                found = self.find(&read.object, spec, &look);
                let inferred = self.inferred(spec, Some(check), &found.state).await?;
                if inferred != found.state.upstreams {
                    // A newer run names something else. That is written down first, like the run itself.
                    found.state.upstreams = inferred;
                    found.decision = Decision::NeedFacts(need);
                    let status = status(&read, spec, &found, &asked, clock::now());
                    self.put_policy(&read, status).await?;
                    return Ok(Some(Duration::from_secs(1)));
                }
                if matches!(found.decision, Decision::Act(_)) {
                    (found, asked) = self.admit(&read, spec, &look, began).await?;
                }
            }
            (Live::Target(_), Ok(None)) => {
                let message = Reason::CheckNotFound.message(spec.named_check());
                found.decision = hold(Reason::CheckNotFound, message);
            }
            (Live::Unreadable(Refusal { message, code, .. }), _) if is_denial(*code) => {
                asked = Asked::Refused(message.clone());
                found.decision = unread(&live);
            }
            (Live::Unreadable(_) | Live::Gone, _) => found.decision = unread(&live),
            (Live::Target(_), Err(message)) => {
                let why = Reason::Forbidden.message(&message);
                found.decision = hold(Reason::Forbidden, why);
                asked = Asked::Refused(message);
            }
        }
        self.conclude(&read, spec, found, &asked).await
    }

    /// Writes down what was found. Returns after how long to look again.
    async fn conclude(
        &self,
        policy: &Arc<Policy>,
        spec: &PolicySpec,
        mut found: Found,
        asked: &Asked,
    ) -> Result<Option<Duration>, Failed> {
        if let (Decision::Exhausted { .. }, Some(incident)) =
            (&found.decision, found.state.incident.as_mut())
        {
            incident.exhausted = true;
        }
        let now = clock::now();
        let status = status(policy, spec, &found, asked, now);
        let policy = self.put_policy(policy, status).await?;
        let more = self.prune(spec, &found, now).await?;
        let wake = wake(now, spec, &found.state, &found.decision);
        let look = match found.decision {
            _ if more => LOOK_HELD,
            Decision::Hold { .. } if *asked != Asked::Nothing => patience(&policy, now),
            Decision::Hold { .. } => LOOK_HELD,
            // Recorded, and then its record has it looked at; or not yet known well enough.
            Decision::Act(_) => 1,
            _ => LOOK,
        };
        let at = wake.map_or(now.plus(look), |wake| wake.min(now.plus(look)));
        let seconds = u64::try_from(at.since(now)).unwrap_or(0).max(1);
        Ok(Some(Duration::from_secs(seconds)))
    }
}

/// Whether the policy's status says already that this incident is open.
fn is_open(policy: &Policy, state: &PolicyState) -> bool {
    let (known, found) = (policy.incident(), state.incident.as_ref());
    let known = known.filter(|known| known.recovered_time.is_none());
    let found = found.filter(|found| found.recovered.is_none());
    known.is_some() && known.map(|known| &known.id) == found.map(|found| &found.id)
}

/// How long to wait before the target is read again: a quarter of the time that it has held the policy back.
fn patience(policy: &Policy, now: Time) -> u32 {
    let status = policy.object.status.as_ref();
    let held = status.and_then(|status| get(&status.conditions, ALLOWED));
    let since = held.map_or(0, |held| now.since(held.last_transition_time));
    u32::try_from(since / 4)
        .unwrap_or(0)
        .clamp(LOOK_HELD, 2 * LOOK)
}

pub(super) fn hold(reason: Reason, message: String) -> Decision {
    Decision::Hold {
        reason,
        message,
        until: None,
    }
}

fn held(reason: Reason) -> Decision {
    hold(reason, reason.sentence().to_owned())
}

fn unread(live: &Live) -> Decision {
    match live {
        Live::Unreadable(refusal) => {
            let reason = if is_denial(refusal.code) {
                Reason::Forbidden
            } else {
                Reason::Refused
            };
            hold(reason, reason.message(&refusal.message))
        }
        Live::Gone | Live::Target(_) => held(Reason::TargetNotFound),
    }
}
