//! The processes of a command: the one that was started, its group, and those that left the group.
//!
//! A process is in the group of its parent unless it makes one of its own, as daemons do. Such a one comes back to us
//! when its parent ends, because we adopt orphans: as process 1 of a container by nature, elsewhere as a subreaper. So
//! nothing a command starts can hide, and nothing stays a zombie.

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

/// Makes this process the parent of every orphan among its descendants.
pub(in crate::exec) fn adopt_orphans() {
    // Process 1 is that anyway, and elsewhere only daemons of the command would be missed.
    let _ = set_child_subreaper(true);
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Code(i32),
    Signal(Signal),
}

/// The processes of one command. Dropping it kills those that are left.
#[derive(Debug)]
pub(super) struct Children {
    leader: Pid,
    /// Until the leader is reaped its id, which is the group's too, cannot become another process's.
    reaped: bool,
}

impl Children {
    /// The children that descend from the process `leader`, which leads a group.
    pub(super) fn of(leader: u32) -> Children {
        // The system hands out positive 32-bit ids.
        Children {
            leader: Pid::from_raw(leader.cast_signed()),
            reaped: false,
        }
    }

    /// How the leader ended, if it has. It stays a zombie. Orphans that ended are reaped on the way.
    pub(super) fn ended(&self) -> Option<End> {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let end = match waitid(Id::Pid(self.leader), look) {
            Ok(WaitStatus::Exited(_, code)) => Some(End::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(End::Signal(signal)),
            _ => None,
        };
        while let Ok(status) = waitid(Id::All, look) {
            match status.pid() {
                Some(orphan) if orphan != self.leader => {
                    let _ = waitpid(orphan, Some(WaitPidFlag::WNOHANG));
                }
                // The leader may hide others, but not for long.
                _ => break,
            }
        }
        end
    }

    /// Sends `signal` to the whole group.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // Nobody left is just as good.
            let _ = killpg(self.leader, signal);
        }
    }

    /// Kills what is left of the group and those that left it, and reaps what has ended. True once all are gone.
    pub(super) fn end(&mut self) -> bool {
        self.signal(Signal::SIGKILL);
        let reap = Some(WaitPidFlag::WNOHANG);
        loop {
            match waitpid(None, reap) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(status) => self.reaped |= status.pid() == Some(self.leader),
                Err(Errno::EINTR) => {}
                // No children at all.
                Err(_) => {
                    self.reaped = true;
                    return true;
                }
            }
        }
        for orphan in children_of(getpid()) {
            let _ = kill(orphan, Signal::SIGKILL);
        }
        false
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.end();
    }
}

/// The processes whose parent is `parent`. Without /proc none is found.
fn children_of(parent: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent.as_raw()))
        .map(Pid::from_raw)
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    parse_parent(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The fourth field; the second, the name in brackets, may hold anything (proc(5)).
fn parse_parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parse_parent("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parse_parent("12 (a) b (c) ) Z 1 12"), Some(1));
        assert_eq!(parse_parent("12 (sh"), None);
        assert_eq!(
            parent_of(std::process::id().cast_signed()),
            Some(std::os::unix::process::parent_id().cast_signed())
        );
    }
}
