//! `khctl`: run, try and watch checks from a terminal.

mod args;
mod check;
mod cluster;
mod demo;
mod follow;
mod run;
mod signals;
mod style;
mod table;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::read();
    let ended = match cli.command {
        // A check has its own harness with its own runtime.
        Command::Check(args) => return check::check(args),
        // So has the remediator.
        Command::DemoRemediator => return demo::remediator(),
        Command::Completions(args) => std::io::stdout()
            .write_all(&args.script(check::commands()))
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::new),
        Command::Run(args) => block_on(run::run(args)),
        Command::Demo(args) => block_on(demo::demo(args)),
        Command::DemoWeb(args) => {
            block_on(async move { demo::web::serve(&args).await.map(|()| ExitCode::SUCCESS) })
        }
    };
    ended.unwrap_or_else(|error| {
        if !style::has_no_reader(&error) {
            style::complain(&format!("khctl: {error:#}"));
        }
        ExitCode::FAILURE
    })
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(command);
    // A blocking read (standard input, a name look-up) must not hold the exit.
    runtime.shutdown_background();
    ended
}
