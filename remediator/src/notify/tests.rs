//! What several modules do together.

mod queue;
mod render;
