//! Takes the fields that are wanted out of a list of Kubernetes objects while its bytes arrive.
//!
//! It is a crate of its own to be optimised for speed where everything else in a check is optimised for size: it looks at
//! every byte that a large cluster's API server sends.

mod block;
mod fields;
mod passing;
mod sieve;

pub use fields::Fields;
pub use sieve::{Malformed, Part, Receiver, Sieve};
