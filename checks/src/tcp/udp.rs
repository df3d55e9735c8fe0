//! UDP: nothing is known of a target until it answers something that was sent.

use tokio::net::UdpSocket;

use super::bytes::{Look, excerpt};
use super::connect::NoConnection;
use super::dialogue::Step;
use super::limit::{Failure, Limit};
use crate::describe::describe;

/// What came of a conversation in datagrams.
pub(super) enum Heard {
    /// Nobody answered.
    Nobody(NoConnection),
    /// Somebody did, as expected or not.
    Answer(Result<(), Failure>),
}

/// Goes through `steps`. Each expectation looks at one datagram, after what is left of the one before.
pub(super) async fn follow(socket: &UdpSocket, steps: &[Step], limit: Limit) -> Heard {
    let mut sent = Vec::new();
    let mut left: Vec<u8> = Vec::new();
    let mut heard = false;
    // The largest datagram there is; what is longer than the buffer would be cut without notice.
    let mut buffer = vec![0; 1 << 16];
    for step in steps {
        let expected = match step {
            Step::Send(payload) => {
                left.clear();
                sent.extend_from_slice(&payload.0);
                if let Err(error) = socket.send(&payload.0).await {
                    return silence(&error, "to send", heard);
                }
                continue;
            }
            Step::Expect(expected) => expected,
            Step::StartTls => continue,
        };
        if let Look::Found(end) = expected.look(&left) {
            left.drain(..end);
            continue;
        }
        let length = match limit.run(socket.recv(&mut buffer)).await {
            Some(Ok(length)) => length,
            Some(Err(error)) => return silence(&error, &expected.to_string(), heard),
            None if heard => {
                return Heard::Answer(Err(Failure::new(
                    expected,
                    format!("no further answer {limit}"),
                )));
            }
            None => return Heard::Nobody(NoConnection::Unreachable(format!("no answer {limit}"))),
        };
        heard = true;
        match expected.look(&buffer[..length]) {
            Look::Found(end) => left = buffer[end..length].to_vec(),
            Look::NotYet | Look::Never if length == 0 => {
                return Heard::Answer(Err(Failure::new(expected, "an empty datagram")));
            }
            Look::NotYet | Look::Never => {
                return Heard::Answer(Err(Failure::new(
                    expected,
                    excerpt(&buffer[..length], &sent),
                )));
            }
        }
    }
    Heard::Answer(Ok(()))
}

/// An error of the socket: what a router or the target's kernel said of a datagram (ICMP), unless somebody has already
/// answered.
fn silence(error: &std::io::Error, expected: &str, heard: bool) -> Heard {
    match heard {
        true => Heard::Answer(Err(Failure::new(expected, describe(error)))),
        false => Heard::Nobody(NoConnection::from_io(error)),
    }
}
