//! Finalizers that mean something to more than one part.

/// Set on an object whose dependents are to be left when it is deleted. The garbage collector takes it away once none of
/// them names the object any more.
pub(crate) const ORPHAN: &str = "orphan";
