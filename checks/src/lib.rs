//! Checks for Kuberhealthy: probes and one small binary for each.
