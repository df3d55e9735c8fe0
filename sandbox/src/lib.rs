//! A cluster in one process: API server, node, Kuberhealthy v2 and v3.
