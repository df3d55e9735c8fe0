//! How many times are late ones, without going through them.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use crate::core::Time;

/// Times, each as often as it was added. Counting those after a moment goes through the ones between that moment and the
/// last one that was asked for.
#[derive(Debug)]
pub(super) struct Window {
    times: BTreeMap<Time, u32>,
    after: Time,
    /// How many there are after that.
    late: u32,
}

impl Default for Window {
    fn default() -> Window {
        Window {
            times: BTreeMap::new(),
            after: Time::from_unix(0),
            late: 0,
        }
    }
}

impl Window {
    pub(super) fn add(&mut self, at: Time) {
        *self.times.entry(at).or_default() += 1;
        if at > self.after {
            self.late += 1;
        }
    }

    /// Takes away one that was added.
    pub(super) fn remove(&mut self, at: Time) {
        let Some(times) = self.times.get_mut(&at) else {
            return;
        };
        *times -= 1;
        if *times == 0 {
            self.times.remove(&at);
        }
        if at > self.after {
            self.late -= 1;
        }
    }

    /// How many are later than this.
    pub(super) fn count(&mut self, after: Time) -> u32 {
        let between = |from: Time, to: Time| -> u32 {
            let times = self.times.range((Excluded(from), Included(to)));
            times.map(|(_, times)| times).sum()
        };
        if after > self.after {
            self.late -= between(self.after, after);
        } else if after < self.after {
            // A clock that was set back.
            self.late += between(after, self.after);
        }
        self.after = after;
        self.late
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Time, Window};

    proptest! {
        #[test]
        fn as_many_as_going_through_them(steps in proptest::collection::vec((0_u8..3, -20_i64..20), 1..60)) {
            let (mut window, mut times) = (Window::default(), Vec::new());
            for (step, at) in steps {
                let at = Time::from_unix(at);
                match step {
                    0 => {
                        window.add(at);
                        times.push(at);
                    }
                    1 => {
                        window.remove(at);
                        if let Some(found) = times.iter().position(|time| *time == at) {
                            times.remove(found);
                        }
                    }
                    _ => {
                        let late = times.iter().filter(|time| **time > at).count();
                        prop_assert_eq!(window.count(at) as usize, late);
                    }
                }
            }
        }
    }
}
