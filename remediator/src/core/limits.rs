//! Limits of the whole remediator: when too much fails at once, the cause is not one workload.

use super::{Limits, StormState, Time, World};

/// Whether so many of the checks fail that this is a storm.
pub fn too_many(failing: u32, mapped: u32, limits: &Limits) -> bool {
    failing >= limits.storm_minimum.max(1)
        && u64::from(failing) * 100 > u64::from(mapped) * u64::from(limits.storm_percent)
}

/// The storm's next state. A storm is followed by a time in which nothing is begun.
pub fn storm(
    state: StormState,
    failing: u32,
    mapped: u32,
    limits: &Limits,
    now: Time,
) -> StormState {
    match (state, too_many(failing, mapped, limits)) {
        (StormState::Active { since }, true) => StormState::Active { since },
        (_, true) => StormState::Active { since: now },
        (StormState::Active { .. }, false) => StormState::Cooling {
            until: now.plus(limits.storm_cooldown),
        },
        (StormState::Cooling { until }, false) if now < until => StormState::Cooling { until },
        (StormState::Cooling { .. } | StormState::Calm, false) => StormState::Calm,
    }
}

/// Whether so many of the checks are stale that Kuberhealthy itself seems to be down.
pub(super) fn source_stale(world: &World<'_>) -> bool {
    all_stale(world.stale, world.checks, &world.limits)
}

/// The same of so many checks.
pub(crate) fn all_stale(stale: u32, checks: u32, limits: &Limits) -> bool {
    stale > 0 && (stale == checks || too_many(stale, checks, limits))
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, StormState, Time};
    use super::{storm, too_many};

    #[test]
    fn a_storm_is_a_share_and_a_number_of_checks() {
        for (failing, mapped, expected) in [
            (0, 0, false),
            (3, 3, false),
            (4, 4, true),
            (4, 8, true),
            (4, 9, false),
            (49, 100, false),
            (50, 100, true),
        ] {
            assert_eq!(
                too_many(failing, mapped, &Limits::default()),
                expected,
                "{failing} of {mapped}"
            );
        }
    }

    #[test]
    fn storm_stops_everything_once() {
        let limits = Limits::default();
        let at = Time::from_unix;
        let mut state = StormState::Calm;
        for (now, failing, expected) in [
            (0, 1, StormState::Calm),
            (10, 5, StormState::Active { since: at(10) }),
            (20, 8, StormState::Active { since: at(10) }),
            (30, 1, StormState::Cooling { until: at(330) }),
            (40, 1, StormState::Cooling { until: at(330) }),
            (50, 5, StormState::Active { since: at(50) }),
            (60, 1, StormState::Cooling { until: at(360) }),
            (360, 1, StormState::Calm),
        ] {
            state = storm(state, failing, 8, &limits, at(now));
            assert_eq!(state, expected, "at {now}");
        }
    }
}
