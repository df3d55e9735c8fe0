//! How far the process has come, for `/readyz`.

use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Metrics;

/// How far the process has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Something outside is missing, which is waited for.
    Waiting(String),
    /// The controller runs.
    Running,
    /// It was asked to end.
    Stopping,
}

/// Told by the one who runs things, asked by the one who serves HTTP. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Health {
    stage: Arc<Mutex<Stage>>,
    metrics: Metrics,
}

impl Health {
    pub(super) fn new(metrics: Metrics) -> Health {
        let first = Stage::Waiting("the API server was not asked yet".to_owned());
        Health {
            stage: Arc::new(Mutex::new(first)),
            metrics,
        }
    }

    pub(super) fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Ready, or why not. Who leads does not matter: a replica that waits for the lease is as ready as it gets.
    pub(super) fn ready(&self) -> Result<(), String> {
        let stage = self
            .stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match stage {
            Stage::Waiting(why) => Err(why),
            Stage::Stopping => Err("shutting down".to_owned()),
            Stage::Running => listed(&self.metrics),
        }
    }
}

fn listed(metrics: &Metrics) -> Result<(), String> {
    let Some(gauges) = metrics.gauges() else {
        return Err("the controller has not begun to watch".to_owned());
    };
    let missing: Vec<&str> = gauges
        .watches
        .iter()
        .filter(|watch| !watch.listed)
        .map(|watch| watch.kind.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not listed yet: {}; the log says why if this lasts",
        missing.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::{Health, Stage};
    use crate::metrics::{Gauges, Metrics, WatchGauges};

    #[test]
    fn a_process_is_ready_once_everything_was_listed() {
        let metrics = Metrics::new();
        let health = Health::new(metrics.clone());
        assert!(health.ready().is_err());
        health.set(Stage::Waiting("no API server".to_owned()));
        assert_eq!(health.ready(), Err("no API server".to_owned()));
        health.set(Stage::Running);
        assert!(health.ready().is_err(), "nobody watches");
        for (listed, expected) in [(false, "not listed yet: khstates;"), (true, "")] {
            metrics.observe(move || Gauges {
                watches: [("healthchecks", true), ("khstates", listed)]
                    .map(|(kind, listed)| WatchGauges {
                        kind: kind.to_owned(),
                        listed,
                    })
                    .into(),
                ..Gauges::default()
            });
            let why = health.ready().err().unwrap_or_default();
            assert!(
                why.starts_with(expected) && why.is_empty() == listed,
                "{why}"
            );
        }
        health.set(Stage::Stopping);
        assert_eq!(health.ready(), Err("shutting down".to_owned()));
    }
}
