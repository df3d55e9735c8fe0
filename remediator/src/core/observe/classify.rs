//! What an error text says of who failed.

use super::super::Class;

/// What v2 puts before its own errors.
pub(super) const V2_OWN: &str = "Check execution error: ";

/// The class of a failed v2 run. The texts are Kuberhealthy's, v2.7 and v2.8.
pub(super) fn v2(errors: &[String]) -> Class {
    let Some(error) = errors.iter().find(|error| error.starts_with(V2_OWN)) else {
        return Class::Reported;
    };
    if error.contains("timed out waiting for checker pod to report in") {
        Class::Timeout
    } else {
        Class::Infrastructure
    }
}

/// The class of a failed v3 run. The texts are Kuberhealthy's, v3.0.
pub(super) fn v3(errors: &[String]) -> Class {
    let own = |error: &String| {
        if error.starts_with("check run ") && error.contains(" timed out after ") {
            Some(Class::Timeout)
        } else if error.starts_with("failed to create check pod: ") {
            Some(Class::Infrastructure)
        } else {
            None
        }
    };
    match errors {
        // Its own errors always stand alone.
        [error] => own(error).unwrap_or(Class::Reported),
        _ => Class::Reported,
    }
}

#[cfg(test)]
mod tests {
    use super::{v2, v3};
    use crate::core::Class;

    #[test]
    fn kuberhealthys_own_failures_are_told_from_the_checks() {
        let own = "Check execution error: kuberhealthy/web: ";
        for (error, expected) in [
            ("pod shop/web-1: 502", Class::Reported),
            (
                &*format!("{own}timed out waiting for checker pod to report in"),
                Class::Timeout,
            ),
            (
                &*format!("{own}timed out waiting for pod to exit"),
                Class::Infrastructure,
            ),
            (
                &*format!("{own}pod deleted unexpectedly"),
                Class::Infrastructure,
            ),
            (
                &*format!("{own}failed to create pod for checker"),
                Class::Infrastructure,
            ),
            (&*format!("{own}ErrImagePull"), Class::Infrastructure),
            (&*format!("{own}context canceled"), Class::Infrastructure),
        ] {
            assert_eq!(v2(&[error.to_owned()]), expected, "{error}");
        }
        for (error, expected) in [
            ("pod shop/web-1: 502", Class::Reported),
            (
                "check run 1f3a timed out after 15s (started at 2026-11-21T02:06:20Z)",
                Class::Timeout,
            ),
            (
                "failed to create check pod: pods is forbidden",
                Class::Infrastructure,
            ),
        ] {
            assert_eq!(v3(&[error.to_owned()]), expected, "{error}");
        }
    }
}
