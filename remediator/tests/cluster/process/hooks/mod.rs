//! Alerts that are sent to the real binary, and what it tells of the workloads they concern.

mod alertmanager;
mod answers;
mod remedy;
mod support;
