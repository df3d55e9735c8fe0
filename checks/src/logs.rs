//! log-check: are there as many log lines as there should be?
//!
//! ```text
//! LogArgs --> Bounds, Question, Asker          the options, checked
//! Question (elastic | loki) --Asker--> number  or Trouble
//! number --Bounds--> finding about SUBJECT     Trouble --> finding about the log backend
//! ```
//!
//! The two kinds of findings are kept apart, because a remediator acts on one of them: a backend that cannot be asked is
//! no reason to restart those whom its logs are about. Nor does it pass: a run that passes ends an incident.

mod args;
mod ask;
mod elastic;
mod judge;
mod loki;
mod plan;
mod trouble;
mod values;

use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use khclient::{Context, Finding, Report, Subject};
use url::Url;

use crate::Check;
use crate::cli::ConfigError;
use crate::describe::shown_url;
use crate::log;
use args::LogArgs;
use ask::{Answer, Ask, Asker};
use elastic::Elastic;
use judge::{Bounds, Counted};
use loki::Loki;
use trouble::Trouble;

/// The check.
pub static CHECK: Check = Check {
    name: "log-check",
    about: "Counts log lines in Elasticsearch, OpenSearch or Loki, and compares the number",
    replaces: &[],
    examples: "\
# At least one successful request in ten minutes
log-check --log-backend elasticsearch --log-url http://localhost:9200 --index 'logs-*' --query 'app:web AND status:200' --expected-min 1
# Not more than five errors in five minutes, as a finding about the application
log-check --log-backend loki --log-url http://localhost:3100 --query '{app=\"web\"} |= \"error\"' --window 5m --expected-max 5 --subject 'deployment shop/web'
# The result of a metric query
log-check --log-backend loki --log-url http://localhost:3100 --query 'sum(rate({app=\"web\"}[5m]))' --expected-min 0.5
# Query DSL; variables are as flags
INDEX=web QUERY_BODY='{\"query\":{\"term\":{\"level\":\"fatal\"}}}' log-check --log-backend opensearch --log-url http://localhost:9200 --expected-max 0",
    names: args::NAMES,
    augment: LogArgs::augment_args,
    prepare,
};

/// What findings about the backend begin with, for a policy to tell them from those about the logs.
const BACKEND: &str = "log backend: ";
/// What findings about the logs begin with if they have no subject.
const LOGS: &str = "logs: ";

/// The longest pause before asking again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

fn prepare(
    matches: &ArgMatches,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::Job, Vec<ConfigError>> {
    let args = LogArgs::from_arg_matches(matches)
        .map_err(|error| vec![ConfigError::of("", error.to_string())])?;
    let check = plan::check(&args, lookup)?;
    Ok(Box::new(move |context| Box::pin(check.run(context))))
}

/// What is asked.
enum Question {
    Elastic(Elastic),
    Loki(Loki),
}

impl Question {
    /// What an answer that is no success says, as far as it is a fixed text, and what to do about it.
    fn refusal(&self, answer: &Answer) -> Trouble {
        let status = answer.status;
        let (cause, hint) = match self {
            Question::Elastic(elastic) => {
                let (cause, trouble) = elastic.refusal(status, &answer.body);
                if let Some(trouble) = trouble {
                    return trouble;
                }
                let hint = match status {
                    400 => Some("check the query"),
                    401 => Some("check the credentials"),
                    403 => Some("the credentials need the privilege to read INDEX"),
                    404 => Some("check LOG_URL"),
                    _ => None,
                };
                (cause, hint)
            }
            Question::Loki(_) => {
                let hint = match status {
                    400 => Some("check the query"),
                    // Without a tenant, where there are several, Loki answers 401 too.
                    401 | 403 => Some("check LOKI_TENANT and the credentials"),
                    404 => Some("check LOG_URL"),
                    _ => None,
                };
                (Loki::cause(status, &answer.body), hint)
            }
        };
        Trouble::Status {
            status,
            cause,
            hint,
            retry_after: answer.retry_after(),
        }
    }
}

/// The options, checked against each other.
struct LogCheck {
    asker: Asker,
    question: Question,
    counted: Counted,
    bounds: Bounds,
    subject: Option<Subject>,
    url: Url,
    retries: u32,
    retry_delay: Duration,
    /// Days that certificates must stay valid.
    cert_days: u32,
}

impl LogCheck {
    async fn run(self, context: Context) -> Report {
        // A little before the harness would cut the check off, so that what was found is reported in full.
        let until = context.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            deadline
                .checked_sub((left / 20).min(Duration::from_millis(500)))
                .unwrap_or(deadline)
        });
        let outcome = self.with_retries(until).await;
        let mut findings = Vec::new();
        match outcome {
            Ok(number) => {
                log!("the number is {number}, expected {}", self.bounds);
                let verdict = self.bounds.judge(number, self.counted);
                findings.extend(verdict.err().map(|message| self.about_logs(&message)));
            }
            Err(trouble) => findings.push(self.about_backend(&trouble.to_string())),
        }
        let expiring = self.asker.certificates.take().into_iter();
        findings.extend(expiring.map(|it| self.about_backend(&it.reason(self.cert_days))));
        findings.into_iter().collect()
    }

    /// The number, asked for again where that may help, until `until` at the latest.
    async fn with_retries(&self, until: Option<Instant>) -> Result<f64, Trouble> {
        let mut last = Trouble::Deadline;
        let mut pause = self.retry_delay;
        let mut left = self.retries;
        loop {
            let outcome = match until {
                Some(until) => tokio::time::timeout_at(until.into(), self.number()).await,
                None => Ok(self.number().await),
            };
            match outcome {
                Ok(Ok(number)) => return Ok(number),
                Ok(Err(trouble)) => last = trouble,
                // What came before says more than that the time is up.
                Err(_) => return Err(last),
            }
            let wait = pause.max(last.retry_after());
            let at = Instant::now().checked_add(wait);
            let fits = at.is_some_and(|at| until.is_none_or(|until| at < until));
            if left == 0 || !last.may_pass() || !fits {
                return Err(last);
            }
            log!("{last}: asking again in {} ms", wait.as_millis());
            tokio::time::sleep(wait).await;
            left -= 1;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    async fn number(&self) -> Result<f64, Trouble> {
        match &self.question {
            Question::Loki(loki) => {
                let answer = self.answer(&loki.query).await?;
                loki.read(&answer.body).inspect_err(|_| answer.note())
            }
            Question::Elastic(elastic) => {
                let answer = self.answer(&elastic.count).await?;
                let count = elastic.read_count(&answer.body);
                let count = count.inspect_err(|_| answer.note())?;
                if count == 0.0 {
                    let answer = self.answer(&elastic.field_caps).await?;
                    let field = elastic.read_field_caps(&answer.body);
                    field.inspect_err(|_| answer.note())?;
                }
                Ok(count)
            }
        }
    }

    /// The answer to `ask`, which is a success.
    async fn answer(&self, ask: &Ask) -> Result<Answer, Trouble> {
        let answer = self.asker.ask(ask).await?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => {
                answer.note();
                Err(self.question.refusal(&answer))
            }
        }
    }

    fn about_logs(&self, message: &str) -> Finding {
        match &self.subject {
            Some(subject) => Finding::about(subject.clone(), message),
            None => Finding::new(format!("{LOGS}{message}")),
        }
    }

    fn about_backend(&self, message: &str) -> Finding {
        Finding::new(format!("{BACKEND}{}: {message}", shown_url(&self.url)))
    }
}
