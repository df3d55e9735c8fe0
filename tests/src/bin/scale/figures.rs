//! What is printed.

use std::path::Path;
use std::time::Duration;

/// How long the same thing took, many times.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
        self.0.sort_unstable();
    }

    /// The duration that so many percent are not longer than, in milliseconds; 0 if there is none at all.
    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0
            .get(index)
            .map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }

    pub(crate) fn print(&self, label: &str) {
        println!(
            "{label:<52} {:>7.2} ms median {:>8.2} ms p99",
            self.percentile(50),
            self.percentile(99)
        );
    }

    pub(crate) fn print_ratio(&self, other: &Latencies) {
        println!(
            "{:<52} {:>7.2}x {:>17.2}x",
            "  / bare",
            self.percentile(50) / other.percentile(50),
            self.percentile(99) / other.percentile(99)
        );
    }
}

/// The size of a file.
pub(crate) fn megabytes(path: &Path) -> anyhow::Result<String> {
    Ok(format!("{:.2} MB", path.metadata()?.len() as f64 / 1e6))
}
