//! The pure part: from observation to decision. It names neither kube nor tokio, and `now` is always a parameter.

pub mod matching;
pub mod reason;
pub mod record;
pub mod spec;
pub mod statistics;
pub mod time;
pub mod vocabulary;

pub use matching::Matcher;
pub use reason::Reason;
pub use record::*;
pub use spec::*;
pub use statistics::{ActionName, Statistics, Tally};
pub use time::Time;
pub use vocabulary::*;
