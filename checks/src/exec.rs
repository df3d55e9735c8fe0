//! exec-check: does a command do what it should, here or in every running pod of a selector?
//!
//! ```text
//! ExecArgs --> Plan --no POD_SELECTOR--> local::run ---+--> Outcome, Seen --Expected--> failures --> findings
//!                   --POD_SELECTOR-----> remote::run --+
//! ```

mod args;
mod codes;
mod command;
mod env;
mod local;
mod log;
mod outcome;
mod output;
mod remote;
mod stable;

use std::path::Path;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use khclient::{Context, Report};
use regex::Regex;

use crate::Check;
use crate::cli::ConfigError;
use crate::cluster::{Access, ClusterError};
use crate::values::Pattern;
use args::ExecArgs;
use command::CommandLine;
use local::Job;
use log::When;
use outcome::{Expected, Outcome};
use output::{Output, Patterns, Seen};

/// The check.
pub static CHECK: Check = Check {
    name: "exec-check",
    about: "Runs a command, here or in every running pod of a selector, and checks how it ends and what it says",
    replaces: &[],
    examples: "\
# A script with arguments, which has half a minute and must say something
exec-check --timeout-duration 30s --expected-stdout . -- ls -l /tmp
# A line for a shell; exit code 1 is fine too
exec-check --exec-command 'df -P / | grep -v 100%' --expected-exit-codes 0,1
# In every running pod of a label, through kubectl proxy --reject-paths='^$'
POD_SELECTOR=app=web exec-check --pod-selector-namespace shop --kube-api-url http://localhost:8001 -- cat /tmp/healthy",
    names: args::NAMES,
    augment: ExecArgs::augment_args,
    prepare,
};

/// The options, checked against each other.
struct Plan {
    args: ExecArgs,
    command: Command,
    place: Place,
}

/// The command, and all that is the same wherever it runs.
struct Command {
    name: String,
    argv: Vec<String>,
    expected: Expected,
    timeout: Duration,
    retries: u32,
    retry_delay: Duration,
    log: When,
}

/// Where the command runs.
enum Place {
    Here(Job),
    Pods(Result<Access, ClusterError>),
}

fn prepare(
    matches: &ArgMatches,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::Job, Vec<ConfigError>> {
    let args = ExecArgs::from_arg_matches(matches)
        .map_err(|error| vec![ConfigError::of("", error.to_string())])?;
    let plan = Plan::new(args, lookup)?;
    Ok(Box::new(move |context| Box::pin(plan.run(context))))
}

impl Plan {
    fn new(
        args: ExecArgs,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Plan, Vec<ConfigError>> {
        let mut errors = misplaced(&args);
        let line = match (&args.exec_command, args.program.as_slice()) {
            (Some(line), []) => Some(line.clone()),
            (None, []) => {
                let message = "expected a command: a JSON array such as [\"/check.sh\"], or a line for the shell";
                errors.push(ConfigError::of("EXEC_COMMAND", message));
                None
            }
            (_, program) => CommandLine::program(program.to_vec())
                .map_err(|error| errors.push(ConfigError::of("EXEC_COMMAND", error.to_string())))
                .ok(),
        };
        let remote = args.pods.pod_selector.is_some();
        if let (Some(CommandLine::Shell(_)), false) = (&line, remote) {
            errors.extend(no_shell(&args.exec_shell));
        }
        let Some(line) = line.filter(|_| errors.is_empty()) else {
            return Err(errors);
        };
        let command = Command::new(&args, &line);
        let place = match remote {
            true => Place::Pods(Access::find(&args.pods.cluster, lookup)),
            false => Place::Here(Job {
                argv: command.argv.clone(),
                dir: args.child.exec_dir.clone(),
                env: env::child_env(
                    std::env::vars_os(),
                    args.child.exec_clear_env.0,
                    &args.child.exec_pass_env.clone().unwrap_or_default(),
                    &args.child.exec_env,
                ),
                timeout: command.timeout,
                grace: args.schedule.exec_kill_after.0,
            }),
        };
        Ok(Plan {
            args,
            command,
            place,
        })
    }

    async fn run(self, context: Context) -> Report {
        // A little before the harness would cut the check off, so that what was found is reported in full and a command
        // that still runs can be killed.
        let until = context.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            deadline
                .checked_sub((left / 10).min(Duration::from_secs(1)))
                .unwrap_or(deadline)
        });
        match &self.place {
            Place::Here(job) => self.run_here(job, &context, until).await,
            Place::Pods(access) => {
                remote::run(&self.command, &self.args, access.clone(), &context, until).await
            }
        }
    }

    async fn run_here(&self, job: &Job, context: &Context, until: Option<Instant>) -> Report {
        local::adopt_orphans();
        let attempt = |output| async {
            local::run(job, until, context.cancelled(), output)
                .await
                .ok_or("the check was cut short")
        };
        match self
            .command
            .attempts(&self.command.name, until, attempt)
            .await
        {
            Ok(failures) if failures.is_empty() => Report::ok(),
            Ok(failures) => Report::failed(failures),
            // The verdict was made without us.
            Err(interrupted) => Report::failed([interrupted]),
        }
    }
}

impl Command {
    fn new(args: &ExecArgs, line: &CommandLine) -> Command {
        let compiled = |patterns: &[Pattern]| {
            patterns
                .iter()
                .map(|pattern| pattern.0.clone())
                .collect::<Vec<Regex>>()
        };
        let expected = &args.expected;
        Command {
            name: line.name(),
            argv: line.argv(&args.exec_shell),
            expected: Expected {
                codes: expected.expected_exit_codes.clone(),
                stdout: Patterns {
                    wanted: compiled(&expected.expected_stdout),
                    unwanted: compiled(&expected.forbidden_stdout),
                },
                stderr: Patterns {
                    wanted: compiled(&expected.expected_stderr),
                    unwanted: compiled(&expected.forbidden_stderr),
                },
                quote: args.log.exec_quote.0,
            },
            timeout: args.schedule.timeout_duration.0,
            retries: args.schedule.retries.0,
            retry_delay: args.schedule.retry_delay.0,
            log: args.log.exec_log,
        }
    }

    /// Runs `attempt` until one has nothing wrong with it, the tries are used up, or the next would begin after `until`.
    /// What was wrong with the last one.
    ///
    /// # Errors
    ///
    /// Why an attempt says nothing of the command, which ends them all.
    async fn attempts<'a, F, E>(
        &'a self,
        title: &str,
        until: Option<Instant>,
        attempt: impl Fn(Output<'a>) -> F,
    ) -> Result<Vec<String>, E>
    where
        F: Future<Output = Result<(Outcome, Seen), E>>,
    {
        let mut tries = 0;
        loop {
            let (outcome, seen) =
                attempt(Output::new(&self.expected.stdout, &self.expected.stderr)).await?;
            let failures = self.expected.failures(&self.name, &outcome, &seen);
            self.log.write(
                &format!("{title}: {outcome}"),
                &seen.log,
                !failures.is_empty(),
            );
            let next = Instant::now() + self.retry_delay;
            if failures.is_empty()
                || tries == self.retries
                || until.is_some_and(|until| next >= until)
            {
                return Ok(failures);
            }
            crate::log!("{title}: {}, trying again", failures.join("; "));
            tries += 1;
            tokio::time::sleep_until(next.into()).await;
        }
    }
}

/// Options that mean nothing where the command runs.
fn misplaced(args: &ExecArgs) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut wrong = |given: bool, env: &str, message: &str| {
        if given {
            errors.push(ConfigError::of(env, message));
        }
    };
    let child = &args.child;
    if args.pods.pod_selector.is_some() {
        wrong(
            child.exec_dir.is_some(),
            "EXEC_DIR",
            "cannot be set in pods: write `cd DIR && ...` in the command",
        );
        wrong(
            !child.exec_env.is_empty(),
            "EXEC_ENV",
            "cannot be set in pods: write `env NAME=value ...` in the command",
        );
        let only_here = "has no meaning in pods, which have variables of their own";
        wrong(child.exec_pass_env.is_some(), "EXEC_PASS_ENV", only_here);
        wrong(child.exec_clear_env.0, "EXEC_CLEAR_ENV", only_here);
    } else {
        let only_pods = "expected a label selector, such as app=web";
        let given = args.pod_container.is_some() || args.pods.pod_selector_namespace.is_some();
        wrong(given, "POD_SELECTOR", only_pods);
    }
    errors
}

/// A container made from scratch has no shell.
fn no_shell(shell: &str) -> Option<ConfigError> {
    let missing = shell.contains('/') && !Path::new(shell).exists();
    missing.then(|| {
        ConfigError::value("EXEC_SHELL", shell, "expected a shell for the line in EXEC_COMMAND, there is no such file: write the command as a JSON array, or use an image with a shell")
    })
}
