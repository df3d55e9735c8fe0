//! What the controller is run with.

use crate::core::Limits;
use crate::metrics::Metrics;
use crate::notify::Notify;

/// What the controller is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Limits of all policies together.
    pub limits: Limits,
    /// Namespaces whose policies and remediations are worked on; none: all.
    pub namespaces: Vec<String>,
    /// Namespaces whose checks are read; none: all.
    pub check_namespaces: Vec<String>,
    /// This process's name, as events show it: 1 to 128 bytes.
    pub instance: String,
    /// Counts what happens, and is given what to ask for what is the case.
    pub metrics: Metrics,
    /// Who is told what happens; by default nobody.
    pub notify: Notify,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: Limits::default(),
            namespaces: Vec::new(),
            check_namespaces: Vec::new(),
            instance: "remediator".to_owned(),
            metrics: Metrics::new(),
            notify: Notify::default(),
        }
    }
}
