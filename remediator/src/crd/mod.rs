//! The custom resources `RemediationPolicy` and `Remediation`, and the ways between them and [`crate::core`].
//!
//! The types here are the definitions: descriptions, limits, defaults and rules are derived from them, so that
//! `kubectl explain` and the API server's refusals say what the code means.
//!
//! ```text
//!   RemediationPolicy.spec ----policy_view----> core::PolicySpec
//!   RemediationPolicy.status <--write_state---- core::PolicyState
//!                            ----state_view--->
//!   Remediation.spec   <----remediation-------- core::Intent
//!   Remediation.status <----record_status------ core::RecordStatus
//!   Remediation        ----record_view--------> core::Record
//! ```

#![expect(
    unreachable_pub,
    reason = "KubeSchema copies each struct, with its `pub`, into a function"
)]

mod alerts;
mod common;
mod learned;
mod persist;
mod policy;
pub mod policy_status;
mod record;
mod record_view;
pub mod remediation;
mod view;
mod yaml;

pub use alerts::{AlertTrigger, ReceivedAlert, alert_snapshot, received, write_received};
pub use common::*;
pub use persist::{state_view, upstreams_view, write_state};
pub use policy::*;
pub use policy_status::RemediationPolicyStatus;
pub use record::*;
pub use record_view::record_view;
pub use remediation::{Remediation, RemediationSpec, RemediationStatus};
pub use view::{Invalid, policy_view};
pub use yaml::{Definition, Error, definitions};
