//! The real binary against the sandbox's API server.

mod command_line;
mod hooks;
mod notifications;
mod notify_test;
mod permissions;
mod remedy;
mod replica;
mod startup;
mod takeover;
