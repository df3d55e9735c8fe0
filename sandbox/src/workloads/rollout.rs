//! How many replicas each ReplicaSet of a Deployment is to have next. Pure.

use serde_json::Value;

use super::values::{count, share};

/// A ReplicaSet as far as a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Replicas asked for.
    pub(super) asked: i64,
    /// Of those the ones that serve.
    pub(super) available: i64,
}

/// How far a rollout may go from what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) replicas: i64,
    pub(super) surge: i64,
    pub(super) unavailable: i64,
}

impl Bounds {
    /// Of a Deployment. Recreate has neither surge nor, by itself, anything that must stay.
    pub(super) fn of(deployment: &Value) -> Bounds {
        let spec = &deployment["spec"];
        let replicas = count(&spec["replicas"]);
        let rolling = &spec["strategy"]["rollingUpdate"];
        if spec["strategy"]["type"] == "Recreate" {
            return Bounds {
                replicas,
                surge: 0,
                unavailable: 0,
            };
        }
        let surge = share(&rolling["maxSurge"], replicas, true);
        let unavailable = share(&rolling["maxUnavailable"], replicas, false).min(replicas);
        // Nothing could move otherwise.
        let unavailable = if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        };
        Bounds {
            replicas,
            surge,
            unavailable,
        }
    }
}

/// The next number of replicas of the new set.
pub(super) fn grown(bounds: Bounds, new: Size, old: &[Size]) -> i64 {
    let all = new.asked + old.iter().map(|size| size.asked).sum::<i64>();
    let room = (bounds.replicas + bounds.surge - all).max(0);
    match new.asked < bounds.replicas {
        true => (new.asked + room).min(bounds.replicas),
        false => bounds.replicas,
    }
}

/// The next numbers of replicas of the old sets, oldest first: those that do not serve go first, and of the others only
/// as many as the new ones have taken the place of.
pub(super) fn shrunk(bounds: Bounds, new: Size, old: &[Size]) -> Vec<i64> {
    let all = new.asked + old.iter().map(|size| size.asked).sum::<i64>();
    let needed = bounds.replicas - bounds.unavailable;
    let mut sizes: Vec<i64> = old.iter().map(|size| size.asked).collect();
    let mut spare = (all - needed - (new.asked - new.available)).max(0);
    for (size, next) in old.iter().zip(&mut sizes) {
        let idle = (size.asked - size.available).clamp(0, spare);
        *next -= idle;
        spare -= idle;
    }
    let serving = new.available + old.iter().map(|size| size.available).sum::<i64>();
    let mut spare = (serving - needed).max(0).min(spare);
    for next in &mut sizes {
        let going = (*next).min(spare);
        *next -= going;
        spare -= going;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn size(asked: i64, available: i64) -> Size {
        Size { asked, available }
    }

    #[test]
    fn bounds_are_rounded_so_that_something_can_move() {
        let bounds = |replicas: i64, surge: Value, unavailable: Value| {
            let bounds = Bounds::of(&json!({"spec": {"replicas": replicas, "strategy": {
                "type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            }}}));
            (bounds.surge, bounds.unavailable)
        };
        assert_eq!(bounds(3, json!("25%"), json!("25%")), (1, 0));
        assert_eq!(bounds(10, json!("25%"), json!("25%")), (3, 2));
        assert_eq!(bounds(2, json!(0), json!("10%")), (0, 1));
        assert_eq!(bounds(2, json!(1), json!(0)), (1, 0));
    }

    #[test]
    fn a_rollout_goes_step_by_step_and_never_below_what_must_serve() {
        let bounds = Bounds {
            replicas: 3,
            surge: 1,
            unavailable: 0,
        };
        let (mut new, mut old) = (size(0, 0), [size(3, 3)]);
        let mut seen = Vec::new();
        while old[0].asked > 0 || new.available < 3 {
            new.asked = grown(bounds, new, &old);
            assert_eq!(
                shrunk(bounds, new, &old),
                [old[0].asked],
                "nothing goes before its place is taken"
            );
            new.available = new.asked;
            old[0].asked = shrunk(bounds, new, &old)[0];
            old[0].available = old[0].asked;
            assert!(new.available + old[0].available >= 3);
            seen.push((new.asked, old[0].asked));
        }
        assert_eq!(seen, [(1, 2), (2, 1), (3, 0)]);
    }

    #[test]
    fn what_does_not_serve_goes_first_even_if_nothing_new_does() {
        let bounds = Bounds {
            replicas: 3,
            surge: 1,
            unavailable: 0,
        };
        // Three that serve, and one of a rollout that failed.
        assert_eq!(
            shrunk(bounds, size(0, 0), &[size(3, 3), size(1, 0)]),
            [3, 0]
        );
        assert_eq!(grown(bounds, size(5, 5), &[]), 3);
    }
}
