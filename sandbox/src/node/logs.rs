//! The last output of containers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Lines kept of a container.
const MAX_LINES: usize = 1000;
/// Longer lines are cut.
const MAX_LINE: usize = 16 * 1024;
/// Containers whose output is kept; beyond that, the oldest are forgotten.
const MAX_CONTAINERS: usize = 512;

/// Output by container. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    logs: BTreeMap<String, Log>,
    order: VecDeque<String>,
}

/// Output of one container, over its restarts. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<VecDeque<String>>>);

impl Logs {
    /// The log of a container, begun if there is none.
    pub(crate) fn of(&self, namespace: &str, pod: &str, container: &str) -> Log {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{namespace}/{pod}/{container}");
        if let Some(log) = all.logs.get(&key) {
            return log.clone();
        }
        if all.order.len() >= MAX_CONTAINERS
            && let Some(oldest) = all.order.pop_front()
        {
            all.logs.remove(&oldest);
        }
        all.order.push_back(key.clone());
        all.logs.entry(key).or_default().clone()
    }

    /// The kept lines of a container, oldest first; `None` if it is unknown.
    pub(crate) fn lines(&self, namespace: &str, pod: &str, container: &str) -> Option<Vec<String>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.logs
            .get(&format!("{namespace}/{pod}/{container}"))
            .map(Log::lines)
    }
}

impl Log {
    fn push(&self, line: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(line).into_owned());
    }

    fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Takes everything from `source` until it ends or fails.
    pub(crate) async fn read(&self, mut source: impl AsyncRead + Unpin) {
        let mut line = Vec::new();
        let mut chunk = vec![0; 8192];
        while let Ok(count @ 1..) = source.read(&mut chunk).await {
            for &byte in &chunk[..count] {
                if byte == b'\n' {
                    self.push(&line);
                    line.clear();
                } else if line.len() < MAX_LINE {
                    line.push(byte);
                }
            }
        }
        if !line.is_empty() {
            self.push(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_kept_by_line_and_bounded() {
        let logs = Logs::default();
        let log = logs.of("a", "b", "c");
        log.read(&b"one\ntwo\r\n\nlast"[..]).await;
        assert_eq!(
            logs.lines("a", "b", "c").unwrap(),
            ["one", "two\r", "", "last"]
        );
        log.read("x\n".repeat(2 * MAX_LINES).as_bytes()).await;
        log.read("y".repeat(2 * MAX_LINE).as_bytes()).await;
        let lines = logs.lines("a", "b", "c").unwrap();
        assert_eq!(
            (lines.len(), lines[MAX_LINES - 1].len()),
            (MAX_LINES, MAX_LINE)
        );
        for n in 0..MAX_CONTAINERS {
            logs.of("a", "b", &n.to_string());
        }
        assert_eq!(logs.lines("a", "b", "c"), None);
    }
}
