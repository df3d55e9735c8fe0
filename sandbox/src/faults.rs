//! Things that go wrong on purpose: the API server refuses, delays, holds, hangs up, and ends watches.

mod chance;
mod gate;
mod watches;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::status::Status;
use chance::Chance;
use watches::Watches;
pub(crate) use watches::{End, OpenWatch};

pub use chance::storm;
pub use gate::{Gate, Held};

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The request has no effect.
    BeforeCommit,
    /// The request took effect, and the client does not learn of it.
    AfterCommit,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Answers with this HTTP code.
    Refuse {
        /// 400 to 599.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// Waits this long.
    Delay(Duration),
    /// Closes the connection without an answer.
    Drop,
    /// Holds the request at a gate.
    Hold(Gate),
}

/// A fault and the requests it strikes. Without conditions it strikes every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    agent: Option<String>,
    verb: Option<String>,
    resource: Option<String>,
    name: Option<String>,
    writes: bool,
    spared: Vec<String>,
    skip: u64,
    times: u64,
    chance: Option<Chance>,
    when: When,
    effect: Effect,
}

impl Rule {
    /// A fault before the request takes effect, for every request and for good.
    pub fn new(effect: Effect) -> Rule {
        Rule {
            agent: None,
            verb: None,
            resource: None,
            name: None,
            writes: false,
            spared: Vec::new(),
            skip: 0,
            times: u64::MAX,
            chance: None,
            when: When::BeforeCommit,
            effect,
        }
    }

    /// Refuses with this HTTP code.
    pub fn refuse(code: u16) -> Rule {
        Rule::new(Effect::Refuse {
            code,
            retry_after: None,
        })
    }

    /// Closes the connection without an answer.
    pub fn hang_up() -> Rule {
        Rule::new(Effect::Drop)
    }

    /// Holds the request at this gate.
    pub fn hold(gate: &Gate) -> Rule {
        Rule::new(Effect::Hold(gate.clone()))
    }

    /// Only clients whose `User-Agent` begins with this.
    pub fn agent(mut self, prefix: &str) -> Rule {
        self.agent = Some(prefix.to_owned());
        self
    }

    /// Only this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub fn verb(mut self, verb: &str) -> Rule {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only this resource in its plural, such as `pods`, or subresource, such as `pods/eviction`.
    pub fn resource(mut self, resource: &str) -> Rule {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only objects of this name.
    pub fn name(mut self, name: &str) -> Rule {
        self.name = Some(name.to_owned());
        self
    }

    /// Only requests that write: `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub fn writes(mut self) -> Rule {
        self.writes = true;
        self
    }

    /// Not this resource; may be given several times.
    pub fn spare(mut self, resource: &str) -> Rule {
        self.spared.push(resource.to_owned());
        self
    }

    /// Strikes only the `number`th request that matches, counted from 1.
    pub fn nth(self, number: u64) -> Rule {
        self.skip(number.saturating_sub(1)).times(1)
    }

    /// Strikes a request that matches only with this probability (0 to 1). The same seed strikes the same ones of a
    /// sequence of requests.
    pub fn chance(mut self, probability: f64, seed: u64) -> Rule {
        self.chance = Some(Chance::new(probability, seed));
        self
    }

    /// Spares the first so many requests that match.
    pub fn skip(mut self, requests: u64) -> Rule {
        self.skip = requests;
        self
    }

    /// Strikes so many times, then is over.
    pub fn times(mut self, times: u64) -> Rule {
        self.times = times;
        self
    }

    /// Strikes after the request took effect.
    pub fn after_commit(mut self) -> Rule {
        self.when = When::AfterCommit;
        self
    }

    fn fits(&self, subject: &Subject<'_>) -> bool {
        let equal =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let is_write = || {
            matches!(
                subject.verb,
                "create" | "update" | "patch" | "delete" | "deletecollection"
            )
        };
        (!self.writes || is_write())
            && self
                .agent
                .as_deref()
                .is_none_or(|prefix| subject.agent.starts_with(prefix))
            && equal(&self.verb, subject.verb)
            && equal(&self.resource, subject.resource)
            && !self.spared.iter().any(|spared| spared == subject.resource)
            && equal(&self.name, subject.name)
    }
}

/// A request, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) agent: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) name: &'a str,
}

/// Names a rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

#[derive(Debug)]
struct Armed {
    id: RuleId,
    rule: Rule,
    matched: u64,
    struck: u64,
    dice: u64,
}

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    armed: Vec<Armed>,
}

/// The faults of one API server. Clones are the same.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: Arc<Mutex<Rules>>,
    watches: Watches,
}

impl Faults {
    pub(crate) fn new() -> Faults {
        Faults {
            rules: Arc::default(),
            watches: Watches::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule. Of several that match a request, the oldest that still strikes counts.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut rules = self.lock();
        rules.next += 1;
        let id = RuleId(rules.next);
        rules.armed.push(Armed {
            id,
            dice: rule.chance.map_or(0, |chance| chance.seed),
            rule,
            matched: 0,
            struck: 0,
        });
        id
    }

    /// How often a rule has struck; 0 once it was removed.
    pub fn strikes(&self, id: RuleId) -> u64 {
        self.lock()
            .armed
            .iter()
            .find(|armed| armed.id == id)
            .map_or(0, |armed| armed.struck)
    }

    /// Removes a rule.
    pub fn remove(&self, id: RuleId) {
        self.lock().armed.retain(|armed| armed.id != id);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.lock().armed.clear();
    }

    /// Ends every open watch by closing its connection.
    pub fn cut_watches(&self) {
        self.watches.end("", End::Cut);
    }

    /// Ends the open watches of clients whose `User-Agent` begins with `agent` by closing their connections.
    pub fn cut_watches_of(&self, agent: &str) {
        self.watches.end(agent, End::Cut);
    }

    /// Ends the open watches of clients whose `User-Agent` begins with `agent` with an event `ERROR` 410, as a server does
    /// that has lost track of them. With [`ApiServer::compact`](crate::apiserver::ApiServer::compact) before it, a
    /// new watch from where they were gets 410 too.
    pub fn expire_watches_of(&self, agent: &str) {
        self.watches.end(agent, End::Expire);
    }

    /// Waits until clients whose `User-Agent` begins with `agent` have at least so many watches open.
    pub async fn watches_opened(&self, agent: &str, number: usize) {
        self.watches.opened(agent, number).await;
    }

    /// Notes a watch as open.
    pub(crate) fn open_watch(&self, agent: &str) -> OpenWatch {
        self.watches.open(agent)
    }

    /// The fault that strikes a request, if any.
    pub(crate) fn strike(&self, subject: &Subject<'_>) -> Option<(When, Effect)> {
        for armed in &mut self.lock().armed {
            if !armed.rule.fits(subject) {
                continue;
            }
            armed.matched += 1;
            let counts = armed.matched > armed.rule.skip && armed.struck < armed.rule.times;
            let chance = armed.rule.chance;
            if counts && chance.is_none_or(|chance| chance.strikes(&mut armed.dice)) {
                armed.struck += 1;
                return Some((armed.rule.when, armed.rule.effect.clone()));
            }
        }
        None
    }
}

/// What is answered for [`Effect::Refuse`].
pub(crate) fn refusal(code: u16, retry_after: Option<u64>) -> Status {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden"),
        404 => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        409 => ("Conflict", "the server reported a conflict"),
        410 => (
            "Expired",
            "The resourceVersion for the provided list is too old.",
        ),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        500 => ("InternalError", "Internal error occurred: injected fault"),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        504 => (
            "Timeout",
            "Timeout: request did not complete within the allotted timeout",
        ),
        _ => ("", "injected fault"),
    };
    let mut status = Status::new(code, reason, message);
    if let Some(seconds) = retry_after {
        status.details = serde_json::json!({"retryAfterSeconds": seconds});
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: Subject<'static> = Subject {
        agent: "kuberhealthy/2",
        verb: "update",
        resource: "pods/status",
        name: "p",
    };

    #[test]
    fn a_rule_strikes_only_what_it_names() {
        for (rule, strikes) in [
            (Rule::hang_up(), true),
            (Rule::hang_up().agent("kuberhealthy"), true),
            (Rule::hang_up().agent("node"), false),
            (
                Rule::hang_up()
                    .verb("update")
                    .resource("pods/status")
                    .name("p"),
                true,
            ),
            (Rule::hang_up().resource("pods"), false),
            (Rule::hang_up().name("q"), false),
            (Rule::hang_up().verb("get"), false),
            (Rule::hang_up().writes(), true),
            (Rule::hang_up().chance(1.0, 3), true),
            (Rule::hang_up().chance(0.0, 3), false),
            (Rule::hang_up().nth(1), true),
            (Rule::hang_up().nth(2), false),
            (Rule::hang_up().spare("pods"), true),
            (Rule::hang_up().spare("pods/status"), false),
        ] {
            let faults = Faults::new();
            faults.add(rule.clone());
            assert_eq!(faults.strike(&PUT).is_some(), strikes, "{rule:?}");
        }
    }

    #[test]
    fn a_rule_for_writes_spares_reads() {
        let faults = Faults::new();
        faults.add(Rule::hang_up().writes());
        for verb in ["get", "list", "watch"] {
            assert_eq!(faults.strike(&Subject { verb, ..PUT }), None, "{verb}");
        }
    }

    #[test]
    fn a_rule_strikes_the_nth_request_and_then_the_next_rule_counts() {
        let faults = Faults::new();
        let id = faults.add(Rule::refuse(503).skip(1).times(2).after_commit());
        faults.add(Rule::hang_up().skip(4));
        let seen: Vec<bool> = (0..5).map(|_| faults.strike(&PUT).is_some()).collect();
        assert_eq!(seen, [false, true, true, false, false]);
        assert_eq!(faults.strikes(id), 2);
        faults.remove(id);
        assert_eq!(faults.strikes(id), 0);
        let next: Vec<bool> = (0..2).map(|_| faults.strike(&PUT).is_some()).collect();
        assert_eq!(next, [false, true]);
    }
}
