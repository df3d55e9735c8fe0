//! What the tests stand on: a server that follows a script, and checks run as processes.

pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod tls;

use std::time::{Duration, Instant};

use khclient::{Delivery, Endpoint, Line, Report, Reporter, Timing, Undelivered};

pub(crate) const UUID: &str = "6f1c9b34-5a0e-4f0e-9a53-3f0d2f1f7c11";

/// Long enough for a loaded machine; a test that gets here has failed.
pub(crate) const PLENTY: Duration = Duration::from_secs(30);

/// The report path of a line.
pub(crate) fn path(line: Line) -> &'static str {
    match line {
        Line::V2 => "/externalCheckStatus",
        Line::V3 => "/check",
    }
}

/// Pauses of milliseconds, and patience that no loaded machine exhausts.
pub(crate) fn quick() -> Timing {
    Timing {
        patience_v2: PLENTY,
        patience_v3: PLENTY,
        connect: PLENTY,
        ..Timing::shortened(20)
    }
}

/// As [`quick`], but giving up on an attempt after a moment.
pub(crate) fn impatient() -> Timing {
    Timing {
        patience_v2: Duration::from_millis(400),
        patience_v3: Duration::from_millis(200),
        ..quick()
    }
}

/// Sends a failure to `url` and tells how it went.
pub(crate) async fn send(url: &str, timing: Timing) -> Result<Delivery, Undelivered> {
    send_for(url, timing, PLENTY).await
}

/// [`send`] with a deadline.
pub(crate) async fn send_for(
    url: &str,
    timing: Timing,
    limit: Duration,
) -> Result<Delivery, Undelivered> {
    let mut reporter = Reporter::with_timing(endpoint(url), None, timing)?;
    reporter.send(&report(), Instant::now() + limit).await
}

pub(crate) fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url.parse().unwrap(), Some(UUID.to_owned()))
}

pub(crate) fn report() -> Report {
    Report::failed(["expected status 200, got 503"])
}

/// The body of [`report`].
pub(crate) const BODY: &str = r#"{"OK":false,"Errors":["expected status 200, got 503"]}"#;

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PLENTY;
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}
