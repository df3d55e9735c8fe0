//! Leader election by a Lease, as client-go does it, with a [`Fence`](crate::fence::Fence).
//!
//! - Every write is a PUT with the resourceVersion that was read, so that a slow replica never overwrites a renewal.
//! - Another's lease is over when we have seen it unchanged for its duration by our own monotonic clock; its times,
//!   which are those of another clock, are not looked at.
//! - The fence is open for two thirds of the duration from the *start* of the last renewal that succeeded. A write
//!   takes at most four fifteenths; so the last one of a leader ends before another replica may begin. One that takes its
//!   own lease anew, and one that finds none because somebody has deleted it, begins at once: whoever led notices that
//!   with its next renewal, and until then only the preconditions of the writes keep the two apart.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error};

use crate::clock;
use crate::fence::{Keeper, Term};

/// How long another's lease may bind us, whatever it says about itself.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long things take, all of it in proportion to the duration of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    lease: Duration,
}

impl Timings {
    /// For a lease of so many seconds, at least 3. Usual are 15.
    pub fn of(seconds: u32) -> Timings {
        Timings {
            lease: Duration::from_secs(u64::from(seconds.max(3))),
        }
    }

    /// After so long without a change others take over.
    pub fn lease(self) -> Duration {
        self.lease
    }

    /// For so long from the start of a renewal this replica writes.
    pub fn renewed(self) -> Duration {
        self.lease * 10 / 15
    }

    /// The longest that any write takes.
    pub fn request(self) -> Duration {
        self.lease * 4 / 15
    }

    /// How often the lease is renewed, or looked at.
    pub fn retry(self) -> Duration {
        self.lease * 2 / 15
    }
}

/// A replica that seeks and keeps a lease.
pub struct Lease {
    api: Api<Object>,
    name: String,
    identity: String,
    timings: Timings,
    /// The greatest term this process knows of: a lease that is created anew, because somebody has deleted it, goes on
    /// from there.
    latest: AtomicI64,
}

/// What was last seen of the lease, and since when.
struct Seen {
    spec: LeaseSpec,
    since: Instant,
}

/// What a replica that does not lead does about the lease.
enum Move {
    Create(Box<Object>),
    Take(Box<Object>),
    Wait,
}

impl Lease {
    /// A replica named `identity`, which no other process may be, past ones included.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: &str,
        timings: Timings,
    ) -> Lease {
        Lease {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            timings,
            latest: AtomicI64::new(0),
        }
    }

    /// Seeks the lease, and renews it while it is held, until `stop`; then it is given up, so that another replica
    /// need not wait. `failed` is told of every request that failed.
    pub async fn run(
        self,
        keeper: Keeper,
        stop: impl Future<Output = ()>,
        mut failed: impl FnMut(&Error),
    ) {
        let mut held = None;
        tokio::select! {
            () = stop => {}
            () = self.lead_for_ever(&keeper, &mut held, &mut failed) => {}
        }
        keeper.close();
        if let Some(object) = held
            && let Err(error) = self.release(object).await
        {
            failed(&error);
        }
    }

    async fn lead_for_ever(
        &self,
        keeper: &Keeper,
        held: &mut Option<Object>,
        failed: &mut impl FnMut(&Error),
    ) {
        loop {
            let (object, until) = self.acquire(failed).await;
            let term = Term(transitions(&object));
            self.latest.fetch_max(term.0, Ordering::Relaxed);
            *held = Some(object);
            keeper.open(term, until);
            self.keep(term, until, keeper, held, failed).await;
            keeper.close();
            *held = None;
        }
    }

    /// Waits for the lease. Returns it, and until when it is ours.
    async fn acquire(&self, failed: &mut impl FnMut(&Error)) -> (Object, Instant) {
        let mut seen = None;
        loop {
            match self.try_acquire(&mut seen).await {
                Ok(Some(acquired)) => return acquired,
                Ok(None) => {}
                Err(error) => failed(&error),
            }
            tokio::time::sleep(self.timings.retry()).await;
        }
    }

    async fn try_acquire(
        &self,
        seen: &mut Option<Seen>,
    ) -> Result<Option<(Object, Instant)>, Error> {
        let found = self.limited(self.api.get_opt(&self.name)).await?;
        let start = clock::instant();
        let taken = match self.decide(found, seen, start) {
            Move::Wait => return Ok(None),
            Move::Create(object) => {
                self.limited(self.api.create(&PostParams::default(), &object))
                    .await
            }
            Move::Take(object) => self.put(&object).await,
        };
        match taken {
            Ok(object) => Ok(Some((object, start + self.timings.renewed()))),
            // Another replica was faster.
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn decide(&self, found: Option<Object>, seen: &mut Option<Seen>, now: Instant) -> Move {
        let Some(mut object) = found else {
            return Move::Create(Box::new(Object {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(self.latest.load(Ordering::Relaxed).saturating_add(1))),
            }));
        };
        let spec = object.spec.clone().unwrap_or_default();
        self.latest
            .fetch_max(transitions(&object), Ordering::Relaxed);
        if seen.as_ref().is_none_or(|seen| seen.spec != spec) {
            *seen = Some(Seen {
                spec: spec.clone(),
                since: now,
            });
        }
        let since = seen.as_ref().map_or(now, |seen| seen.since);
        let duration = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(Duration::ZERO, Duration::from_secs)
            .clamp(self.timings.lease, LONGEST.max(self.timings.lease));
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        // Ours: an earlier write took effect, and its answer was lost.
        if holder.is_empty() || holder == self.identity || now >= since + duration {
            object.spec = Some(self.spec(transitions(&object).saturating_add(1)));
            return Move::Take(Box::new(object));
        }
        Move::Wait
    }

    fn spec(&self, transitions: i64) -> LeaseSpec {
        let now = Some(MicroTime(clock::timestamp()));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timings.lease.as_secs()).ok(),
            lease_transitions: Some(i32::try_from(transitions).unwrap_or(i32::MAX)),
            acquire_time: now.clone(),
            renew_time: now,
            ..LeaseSpec::default()
        }
    }

    /// Renews the lease until it is lost, or until nothing has been heard of it for too long. A renewal that is answered
    /// later is none: the lease is acquired anew, and with it a term that nobody had before.
    async fn keep(
        &self,
        term: Term,
        mut until: Instant,
        keeper: &Keeper,
        held: &mut Option<Object>,
        failed: &mut impl FnMut(&Error),
    ) {
        loop {
            let now = clock::instant();
            if now >= until {
                return;
            }
            tokio::time::sleep(self.timings.retry().min(until - now)).await;
            let start = clock::instant();
            let Some(object) = held.as_ref().filter(|_| start < until) else {
                return;
            };
            match self.renew(object, term).await {
                Ok(Some(object)) => {
                    *held = Some(object);
                    until = start + self.timings.renewed();
                    if !keeper.renew(term, until) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    failed(&error);
                    // Whoever finds none creates one at once.
                    if is_gone(&error) {
                        return;
                    }
                }
            }
        }
    }

    /// The renewed lease; none if it is not ours any more.
    async fn renew(&self, object: &Object, term: Term) -> Result<Option<Object>, Error> {
        let mut object = object.clone();
        if let Some(spec) = &mut object.spec {
            spec.renew_time = Some(MicroTime(clock::timestamp()));
        }
        self.put_ours(object, term).await
    }

    /// Puts what is ours; none if it is not ours any more.
    async fn put_ours(&self, mut object: Object, term: Term) -> Result<Option<Object>, Error> {
        for _ in 0..2 {
            match self.put(&object).await {
                Ok(object) => return Ok(Some(object)),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
            // An earlier renewal took effect and its answer was lost, or somebody touched the metadata, or it is lost.
            match self.limited(self.api.get_opt(&self.name)).await? {
                Some(found) if self.is_ours(&found, term) => object.metadata = found.metadata,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn is_ours(&self, object: &Object, term: Term) -> bool {
        let holder = object
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref());
        holder == Some(self.identity.as_str()) && transitions(object) == term.0
    }

    async fn release(&self, mut object: Object) -> Result<(), Error> {
        let term = Term(transitions(&object));
        if let Some(spec) = &mut object.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        self.put_ours(object, term).await.map(drop)
    }

    async fn put(&self, object: &Object) -> Result<Object, Error> {
        self.limited(self.api.replace(&self.name, &PostParams::default(), object))
            .await
    }

    async fn limited<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(self.timings.request(), request)
            .await
            .unwrap_or_else(|elapsed| Err(Error::Service(Box::new(elapsed))))
    }
}

fn transitions(object: &Object) -> i64 {
    object
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_transitions)
        .map_or(0, i64::from)
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}
