//! The pure part: from observation to decision. It names neither kube nor tokio, and `now` is always a parameter.

pub mod alerts;
pub mod cascade;
pub mod decide;
pub mod depends;
pub mod execution;
pub mod guards;
pub mod incident;
pub mod learning;
pub mod limits;
pub mod matching;
pub mod observe;
pub mod pattern;
pub mod reason;
pub mod record;
pub mod spec;
pub mod statistics;
mod target;
pub mod time;
pub mod vocabulary;
pub mod windows;

pub use alerts::{Alert, AlertMatch, Alerts};
pub use cascade::{Inferred, Subject};
pub use decide::{decide, held_beyond, standing_hold, still_wanted, target_allows, wake};
pub use depends::upstreams_recovered;
pub use incident::{advance, incident_id};
pub use learning::{Candidate, Choice, KnownFailure, KnownStep, Learned, Standing};
pub use matching::Matcher;
pub use observe::{Malformed, check_status, observe, parse_snapshot, reliance, resume, settles_at};
pub use pattern::{Pattern, pattern};
pub use reason::Reason;
pub use record::*;
pub use spec::*;
pub use statistics::{ActionName, MOST_COUNTED, Statistics, Tally, count, prunable};
pub use time::Time;
pub use vocabulary::*;
