//! Black-box scenarios: the real binaries against the sandbox.
