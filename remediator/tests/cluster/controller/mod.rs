//! The controller on the sandbox's API server.

mod cascade;
mod created;
mod events;
mod history;
mod hostile;
mod learning;
mod limits;
mod notices;
mod permissions;
mod remediation;
mod robust;
mod status;
mod support;
