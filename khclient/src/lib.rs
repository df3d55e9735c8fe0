//! Report the verdict of a Kuberhealthy check, once, in time, whatever happens.
