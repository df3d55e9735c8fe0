//! The last output of containers: a node writes it, an API server reads it. Other than of a kubelet it is in lines: the last
//! one gets an end if it has none, and is there once it is whole.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::Stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// Lines kept of a container.
pub(crate) const MAX_LINES: usize = 1000;
/// Longer lines are cut.
const MAX_LINE: usize = 16 * 1024;
/// Containers whose output is kept; beyond that, the oldest that write no more are forgotten.
const MAX_CONTAINERS: usize = 512;

/// Output by container. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<All>>);

/// Reads the output that a node keeps, for as long as the node is there.
#[derive(Debug, Clone)]
pub struct LogReader(Weak<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    logs: BTreeMap<String, Kept>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Kept {
    /// Uid of the pod: another one of that name begins anew.
    uid: String,
    log: Log,
}

/// Output of one container, over its restarts. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(watch::Sender<Lines>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    /// How many there have been, forgotten ones too.
    written: u64,
    writers: usize,
}

/// Takes output for a log. The log is followed for as long as there is one of them.
#[derive(Debug)]
pub(crate) struct Writer(Log);

impl All {
    fn forget_one(&mut self) {
        let silent = |key: &String| {
            let kept = self.logs.get(key);
            kept.is_none_or(|kept| kept.log.0.borrow().writers == 0)
        };
        let at = self.order.iter().position(silent).unwrap_or(0);
        if let Some(key) = self.order.remove(at) {
            self.logs.remove(&key);
        }
    }
}

fn key(namespace: &str, pod: &str, container: &str) -> String {
    format!("{namespace}/{pod}/{container}")
}

impl Logs {
    /// The log of a container of the pod of this uid, begun if there is none.
    pub(crate) fn of(&self, namespace: &str, pod: &str, uid: &str, container: &str) -> Log {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(namespace, pod, container);
        if let Some(kept) = all.logs.get(&key) {
            if kept.uid == uid {
                return kept.log.clone();
            }
            all.order.retain(|known| *known != key);
        } else if all.order.len() >= MAX_CONTAINERS {
            all.forget_one();
        }
        let log = Log::default();
        let kept = Kept {
            uid: uid.to_owned(),
            log: log.clone(),
        };
        all.order.push_back(key.clone());
        all.logs.insert(key, kept);
        log
    }

    /// The log of a container of the pod of this uid; `None` if it is unknown.
    pub(crate) fn find(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
        container: &str,
    ) -> Option<Log> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.logs.get(&key(namespace, pod, container))?;
        (kept.uid == uid).then(|| kept.log.clone())
    }

    /// The kept lines of a container, oldest first; `None` if it is unknown.
    pub(crate) fn lines(&self, namespace: &str, pod: &str, container: &str) -> Option<Vec<String>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.logs.get(&key(namespace, pod, container))?;
        Some(kept.log.0.borrow().kept.iter().cloned().collect())
    }

    /// What reads these logs without keeping them.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader(Arc::downgrade(&self.0))
    }
}

impl LogReader {
    /// The logs; `None` if the node is gone.
    pub(crate) fn logs(&self) -> Option<Logs> {
        self.0.upgrade().map(Logs)
    }
}

impl Lines {
    /// Number of the first line of the last `count`.
    fn tail(&self, count: usize) -> u64 {
        let count = u64::try_from(count.min(self.kept.len())).unwrap_or(0);
        self.written.saturating_sub(count)
    }

    /// Each kept line from the one of this number on, with its end.
    fn text(&self, from: u64) -> String {
        let new = usize::try_from(self.written.saturating_sub(from)).unwrap_or(usize::MAX);
        let known = self.kept.len().saturating_sub(new);
        let mut text = String::new();
        for line in self.kept.iter().skip(known) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl Log {
    fn push(&self, line: &[u8]) {
        self.0.send_modify(|lines| {
            if lines.kept.len() >= MAX_LINES {
                lines.kept.pop_front();
            }
            lines
                .kept
                .push_back(String::from_utf8_lossy(line).into_owned());
            lines.written += 1;
        });
    }

    /// Announces somebody who writes.
    pub(crate) fn writer(&self) -> Writer {
        self.0.send_modify(|lines| lines.writers += 1);
        Writer(self.clone())
    }

    /// The last `tail` kept lines, each with its end.
    pub(crate) fn text(&self, tail: usize) -> String {
        let lines = self.0.borrow();
        lines.text(lines.tail(tail))
    }

    /// The last `tail` kept lines, and those that follow until nobody writes any more. A reader that is slower than the
    /// container misses what is not kept.
    pub(crate) fn follow(&self, tail: usize) -> impl Stream<Item = String> + Send + use<> {
        let lines = self.0.subscribe();
        let from = lines.borrow().tail(tail);
        futures::stream::unfold((lines, from), |(mut lines, from)| async move {
            let (text, next) = {
                let news = lines
                    .wait_for(|lines| lines.written > from || lines.writers == 0)
                    .await
                    .ok()?;
                (news.text(from), news.written)
            };
            (!text.is_empty()).then_some((text, (lines, next)))
        })
    }
}

impl Writer {
    /// Takes everything from `source` until it ends or fails.
    pub(crate) async fn read(self, mut source: impl AsyncRead + Unpin) {
        let mut line = Vec::new();
        let mut chunk = vec![0; 8192];
        while let Ok(count @ 1..) = source.read(&mut chunk).await {
            for &byte in &chunk[..count] {
                if byte == b'\n' {
                    self.0.push(&line);
                    line.clear();
                } else if line.len() < MAX_LINE {
                    line.push(byte);
                }
            }
        }
        if !line.is_empty() {
            self.0.push(&line);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0
            .0
            .send_modify(|lines| lines.writers = lines.writers.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn output_is_kept_by_line_and_bounded() {
        let logs = Logs::default();
        let log = logs.of("a", "b", "1", "c");
        log.writer().read(&b"one\ntwo\r\n\nlast"[..]).await;
        assert_eq!(
            logs.lines("a", "b", "c").unwrap(),
            ["one", "two\r", "", "last"]
        );
        assert_eq!(log.text(2), "\nlast\n");
        assert_eq!(log.text(0), "");
        log.writer()
            .read("x\n".repeat(2 * MAX_LINES).as_bytes())
            .await;
        log.writer().read("y".repeat(2 * MAX_LINE).as_bytes()).await;
        let lines = logs.lines("a", "b", "c").unwrap();
        assert_eq!(
            (lines.len(), lines[MAX_LINES - 1].len()),
            (MAX_LINES, MAX_LINE)
        );
        assert_eq!(log.text(usize::MAX).lines().count(), MAX_LINES);
        let talking = logs.of("a", "talks", "1", "c");
        let writer = talking.writer();
        for n in 0..MAX_CONTAINERS {
            logs.of("a", "b", "1", &n.to_string());
        }
        assert_eq!(logs.lines("a", "b", "c"), None);
        assert!(logs.find("a", "talks", "1", "c").is_some());
        drop(writer);
        logs.of("a", "b", "1", "more");
        assert!(logs.find("a", "talks", "1", "c").is_none());
    }

    #[tokio::test]
    async fn another_pod_of_the_name_begins_anew() {
        let logs = Logs::default();
        logs.of("a", "b", "1", "c").writer().read(&b"old"[..]).await;
        assert_eq!(logs.of("a", "b", "1", "c").text(9), "old\n");
        assert!(logs.find("a", "b", "2", "c").is_none());
        assert_eq!(logs.of("a", "b", "2", "c").text(9), "");
        let reader = logs.reader();
        assert!(reader.logs().is_some());
        drop(logs);
        assert!(reader.logs().is_none());
    }

    #[tokio::test]
    async fn a_log_is_followed_until_nobody_writes() {
        let log = Log::default();
        let writer = log.writer();
        log.push(b"one");
        log.push(b"two");
        let mut followed = Box::pin(log.follow(1));
        assert_eq!(followed.next().await.unwrap(), "two\n");
        assert_eq!(followed.next().now_or_never(), None, "there may be more");
        for _ in 0..=MAX_LINES {
            log.push(b"more");
        }
        drop(writer);
        assert_eq!(
            followed.next().await.unwrap(),
            "more\n".repeat(MAX_LINES),
            "one is forgotten"
        );
        assert_eq!(followed.next().await, None);
    }
}
