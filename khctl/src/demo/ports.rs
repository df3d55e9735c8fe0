//! The ports that follow from `--port`.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;

/// Who listens on them, in the order of the ports.
const USERS: [&str; 4] = [
    "the API server",
    "Kuberhealthy v2",
    "Kuberhealthy v3",
    "the remediator",
];

/// Tries every port before anything is started: the remediator would not find out before the story waits for it.
pub(super) fn try_all(first: u16) -> anyhow::Result<()> {
    let mut refused = Vec::new();
    for (port, user) in (first..=u16::MAX).zip(USERS) {
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            let why = match error.kind() {
                ErrorKind::AddrInUse => "is in use".to_owned(),
                _ => format!("cannot be had: {error}"),
            };
            refused.push(format!("{port} ({user}) {why}"));
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    // The command line keeps the sum within a port's range.
    let last = first.saturating_add(3);
    bail!(
        "--port {first} needs ports {first} to {last} of 127.0.0.1, but {}; give another first port, or leave --port \
         out for free ports",
        refused.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named_and_what_it_is_for() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = taken.local_addr().unwrap().port();
        for (nth, user) in (0..).zip(USERS) {
            let first = taken - nth;
            let said = try_all(first).unwrap_err().to_string();
            for part in [
                format!("--port {first} needs ports {first} to {} of", first + 3),
                format!("{taken} ({user}) is in use"),
                "give another first port, or leave --port out".to_owned(),
            ] {
                assert!(said.contains(&part), "{part} in {said}");
            }
        }
    }
}
