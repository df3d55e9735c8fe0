//! Notifications, through real HTTP servers.

mod alertmanager;
mod faults;
pub(crate) mod receiver;
