//! Things that go wrong on purpose: the API server refuses, delays, hangs up, and cuts watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::status::Status;

/// The verbs that change something.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

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
}

/// A fault and the requests it strikes. Without conditions it strikes every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    agent: Option<String>,
    verb: Option<String>,
    resource: Option<String>,
    spared: Vec<String>,
    writes: bool,
    name: Option<String>,
    skip: u64,
    times: u64,
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
            spared: Vec::new(),
            writes: false,
            name: None,
            skip: 0,
            times: u64::MAX,
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

    /// Only verbs that change something.
    pub fn writes(mut self) -> Rule {
        self.writes = true;
        self
    }

    /// Not this resource.
    pub fn spare(mut self, resource: &str) -> Rule {
        self.spared.push(resource.to_owned());
        self
    }

    /// Only objects of this name.
    pub fn name(mut self, name: &str) -> Rule {
        self.name = Some(name.to_owned());
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
        self.agent
            .as_deref()
            .is_none_or(|prefix| subject.agent.starts_with(prefix))
            && equal(&self.verb, subject.verb)
            && (!self.writes || WRITES.contains(&subject.verb))
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
    cuts: Arc<watch::Sender<u64>>,
}

impl Faults {
    pub(crate) fn new() -> Faults {
        Faults {
            rules: Arc::default(),
            cuts: Arc::new(watch::Sender::new(0)),
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
        self.cuts.send_modify(|count| *count += 1);
    }

    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    /// The fault that strikes a request, if any.
    pub(crate) fn strike(&self, subject: &Subject<'_>) -> Option<(When, Effect)> {
        for armed in &mut self.lock().armed {
            if !armed.rule.fits(subject) {
                continue;
            }
            armed.matched += 1;
            if armed.matched > armed.rule.skip && armed.struck < armed.rule.times {
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
            (Rule::hang_up().writes().spare("pods"), true),
            (Rule::hang_up().writes().spare("pods/status"), false),
        ] {
            let faults = Faults::new();
            faults.add(rule.clone());
            assert_eq!(faults.strike(&PUT).is_some(), strikes, "{rule:?}");
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
