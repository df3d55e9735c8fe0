//! `khctl demo`: a web application goes bad in three ways, both lines of Kuberhealthy find out, and the remediator acts
//! or holds back, on one machine.
//!
//! Nothing is acted: the sandbox's node starts the applications, the checks and the remediator as processes, the two
//! Kuberhealthys and the remediator decide, and what is shown is what the API server tells any client.

mod door;
mod healer;
mod ports;
mod remedies;
mod scene;
mod show;
mod story;
mod summary;
mod timeline;
pub(crate) mod web;

use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::time::Duration;

use sandbox::node::Images;

use crate::cluster::{self, Cluster, own_image};
use crate::signals::{INTERRUPTED, Signals};
use crate::style::{complain, has_no_reader};
use show::Show;

/// How many times as fast as in production Kuberhealthy's own polls go: 5 s become 250 ms.
const SPEED: u32 = 20;

/// `khctl demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything listens on loopback, and nothing is left behind. The story takes about a minute.

Examples:
  khctl demo
  khctl demo --keep            then, in another terminal, the kubectl and curl commands it prints
")]
pub(crate) struct DemoArgs {
    /// Leave everything running after the story, until Ctrl-C, and say how to look around
    #[arg(long)]
    keep: bool,
    /// Port of the API server; Kuberhealthy v2, v3 and the remediator take the next three [default: free ports]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65532))]
    port: Option<u16>,
}

/// The remediator as its own binary runs it, from its variables alone.
#[derive(Debug, clap::Parser)]
struct Remediator {
    #[command(flatten)]
    options: remediator::run::Options,
}

/// `khctl demo-remediator`: runs the remediator in a pod of the demo.
pub(crate) fn remediator() -> ExitCode {
    // Nobody else could end it if the demo is killed.
    let parent = parent_id();
    std::thread::spawn(move || {
        while parent_id() == parent {
            std::thread::sleep(Duration::from_secs(1));
        }
        std::process::exit(1);
    });
    let words = std::iter::once("remediator".into());
    match remediator::run::parse::<Remediator>(words, |name| std::env::var_os(name)) {
        Ok(parsed) => remediator::run::run(&parsed.options),
        Err(error) => error.exit(),
    }
}

/// How the story, or the time after it, came to its end.
enum Ended {
    Told,
    Interrupted,
}

/// Runs the command.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    if let Some(first) = args.port {
        ports::try_all(first)?;
    }
    let mut signals = Signals::listen()?;
    let cluster = Cluster::start(cluster::Options {
        images: Images::new()
            .with(scene::CHECK_IMAGE, own_image(&["check", "http"])?)
            .with(scene::APP_IMAGE, own_image(&["demo-web"])?)
            .with(scene::REMEDIATOR_IMAGE, own_image(&["demo-remediator"])?),
        api_for_pods: true,
        speed: SPEED,
        port: args.port,
    })
    .await?;
    let ended = perform(&cluster, args.keep, &mut signals).await;
    if let Err(error) = &ended
        && !has_no_reader(error)
    {
        for line in healer::last_lines(&cluster).await {
            complain(&format!("khctl demo: the remediator wrote: {line}"));
        }
    }
    cluster.stop().await;
    match ended? {
        Ended::Told => Ok(ExitCode::SUCCESS),
        Ended::Interrupted => Ok(ExitCode::from(INTERRUPTED)),
    }
}

async fn perform(cluster: &Cluster, keep: bool, signals: &mut Signals) -> anyhow::Result<Ended> {
    let mut show = Show::new(cluster)?;
    tokio::select! {
        told = show.tell() => told?,
        () = signals.received() => {
            show.interrupted();
            return Ok(Ended::Interrupted);
        }
    }
    show.summary().await?;
    if keep {
        let door = show.invite().await?;
        tokio::select! {
            lost = show.go_on() => lost?,
            () = signals.received() => show.interrupted(),
        }
        drop(door);
    }
    Ok(Ended::Told)
}
