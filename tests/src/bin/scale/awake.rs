//! Cores that do not sleep.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

/// The kernel's file for how late a core may wake, <https://docs.kernel.org/power/pm_qos_interface.html>. What is written
/// holds until it is closed. Usually root's alone.
const LATENCY: &str = "/dev/cpu_dma_latency";

/// Keeps the cores from sleeping as long as it is held. What is timed here takes so little that waking a core would be much
/// of it: in a virtual machine that goes through its host, takes 30 to 100 us, and now and then milliseconds.
pub(crate) struct Awake(#[expect(dead_code, reason = "held open")] File);

impl Awake {
    pub(crate) fn keep() -> io::Result<Awake> {
        let mut file = OpenOptions::new().write(true).open(LATENCY)?;
        // Microseconds.
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(Awake(file))
    }

    /// As [`Awake::keep`]; where that is not allowed, says so and what it means.
    pub(crate) fn try_keep() -> Option<Awake> {
        match Awake::keep() {
            Ok(awake) => Some(awake),
            Err(error) => {
                eprintln!(
                    "{LATENCY}: {error}; expected to write to it, as root may: the cores sleep between requests, and what \
                     is timed includes that they wake"
                );
                None
            }
        }
    }
}
