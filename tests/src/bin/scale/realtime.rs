//! Programs that nothing else on the machine keeps waiting.

use std::process::Command;

use anyhow::{Context as _, ensure};

/// Of util-linux, as `taskset` is.
const CHRT: &str = "chrt";

/// One of the priorities 1 to 99 of sched(7). Any goes before every process that is not real-time; these go after the kernel's
/// own interrupt threads, which have 50.
#[derive(Clone, Copy)]
pub(crate) enum Priority {
    RealTime = 10,
    /// Before the others.
    First = 11,
}

/// Has processes, all their threads and what these start from now on go before whatever else the machine does (`SCHED_FIFO`).
/// That takes a core for some milliseconds at a time, many times what is timed here, and meets more often who takes longer: a
/// p99 would tell of that. Stops at the first process for which it is not possible; says so, and what it means.
pub(crate) fn try_prefer(processes: &[(u32, Priority)]) -> bool {
    let preferred = processes
        .iter()
        .try_for_each(|(process, priority)| prefer(*process, *priority));
    match preferred {
        Ok(()) => true,
        Err(error) => {
            eprintln!(
                "{error:#}; expected to give what is timed real-time priority, for which {CHRT} of util-linux is needed and \
                 usually root: a p99 includes what else the machine does"
            );
            false
        }
    }
}

fn prefer(process: u32, priority: Priority) -> anyhow::Result<()> {
    let (priority, process) = ((priority as u8).to_string(), process.to_string());
    let ran = Command::new(CHRT)
        .args(["--all-tasks", "--fifo", "--pid", &priority, &process])
        .output()
        .context(CHRT)?;
    let told = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{}", told.trim());
    Ok(())
}
