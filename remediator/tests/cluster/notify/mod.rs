//! Notifications, through real HTTP servers.

mod faults;
pub(crate) mod receiver;
