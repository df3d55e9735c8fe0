//! A small reader of the Kubernetes API: get and paged list, typed, read page by page.
//!
//! A full client makes a check larger than the target it probes; checks only read, so this is enough.
//!
//! ```text
//! ClusterArgs + variables --Access::find--> Access --Cluster::connect--> Cluster --list::<Pod>--> Vec<Pod>
//! ```

mod access;
mod error;
mod objects;
mod read;
mod upgrade;

pub use access::{Access, ClusterArgs};
pub use error::ClusterError;
pub use objects::{Annotations, Container, ContainerPort, Meta, Pod, PodIp, PodSpec, PodStatus};
pub use read::{Cluster, Resource};
pub(crate) use upgrade::Answered;
