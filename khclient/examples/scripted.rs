//! A check that does as its arguments say; the tests run it as a real process.
//!
//! `scripted [--shorten N] [--deadline-ms N] [--early TEXT]... pass | fail TEXT | misconfigured TEXT | panic TEXT | block |
//! hang | let-go | leave-work`
//!
//! `--shorten` divides every duration of the harness, `--deadline-ms` replaces the deadline by one that is so far from
//! now, `--early` adds a finding before anything else. "started" on standard output says that the check runs.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use khclient::{Context, Finding, Report, RunEnv, Timing, run_in_with_timing};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut env = RunEnv::from_process();
    let mut timing = Timing::default();
    let mut early = Vec::new();
    let mut action = String::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--shorten" => timing = Timing::shortened(number(args.next())),
            "--deadline-ms" => {
                let deadline =
                    SystemTime::now() + Duration::from_millis(number(args.next()).into());
                if let Ok(env) = &mut env {
                    env.deadline = Some(deadline);
                }
            }
            "--early" => early.extend(args.next().map(read)),
            _ => {
                action = arg;
                break;
            }
        }
    }
    let finding = read(args.next().unwrap_or_default());
    run_in_with_timing(env, timing, move |ctx| async move {
        println!("started");
        for finding in early {
            ctx.add_finding(finding);
        }
        act(&action, finding, ctx).await
    })
}

async fn act(action: &str, finding: Finding, ctx: Context) -> Report {
    match action {
        "pass" => Report::ok(),
        "fail" => Report::failed([finding]),
        "misconfigured" => Report::misconfigured([finding]),
        #[expect(clippy::panic, reason = "it is what a check might do")]
        "panic" => panic!("{finding}"),
        "block" => loop {
            thread::sleep(Duration::from_secs(60));
        },
        "hang" => {
            let _dropped = SaysWhenDropped;
            std::future::pending().await
        }
        "let-go" => {
            ctx.cancelled().await;
            println!("let go");
            Report::ok()
        }
        "leave-work" => {
            tokio::task::spawn_blocking(|| thread::sleep(Duration::from_secs(60)));
            tokio::spawn(std::future::pending::<()>());
            Report::ok()
        }
        other => Report::misconfigured([format!("unknown action {other:?}")]),
    }
}

struct SaysWhenDropped;

impl Drop for SaysWhenDropped {
    fn drop(&mut self) {
        println!("dropped");
    }
}

/// Unlike `Finding::new`, this takes a subject from the text, as its author is to be trusted.
fn read(text: String) -> Finding {
    let Ok(finding) = text.parse();
    finding
}

fn number(text: Option<String>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}
