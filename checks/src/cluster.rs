//! A small reader of the Kubernetes API: get and paged list, typed, read page by page.
//!
//! A full client makes a check larger than the target it probes; checks only read, so this is enough.
//!
//! ```text
//! ClusterArgs + variables --Access::find--> Access --Cluster::connect--> Cluster --list::<Pod>--> Vec<Pod>
//!                                                                               --pages--> Page, Page, ...
//! ```

mod access;
mod error;
mod objects;
mod pages;
mod read;
mod request;
mod upgrade;

pub use access::{Access, ClusterArgs};
pub use error::ClusterError;
pub use objects::{Annotations, Container, ContainerPort, Meta, Pod, PodIp, PodSpec, PodStatus};
pub use pages::{Page, Pages, Query};
pub use read::{Cluster, Resource};
pub use sieve::Fields;
pub(crate) use upgrade::Answered;
