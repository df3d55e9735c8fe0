//! The two messages of `grpc.health.v1`, as protocol buffers put them on the wire, in gRPC's frame of five bytes.

use std::fmt;

/// What a server says of a service (`HealthCheckResponse.ServingStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Serving(u64);

impl Serving {
    /// Whether the service is up.
    pub(super) fn is_up(self) -> bool {
        self.0 == 1
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "UNKNOWN",
            1 => "SERVING",
            2 => "NOT_SERVING",
            3 => "SERVICE_UNKNOWN",
            _ => "a status that grpc.health.v1 does not have",
        })
    }
}

/// `HealthCheckRequest{service}` in its frame.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // A field that holds its default is left out.
    if !service.is_empty() {
        message.push(1 << 3 | LENGTH as u8);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.append(&mut message);
    frame
}

/// Reads the frame of one `HealthCheckResponse`; `None` if it is anything else.
pub(super) fn response(frame: &[u8]) -> Option<Serving> {
    let (head, message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    // Nothing was said about compression, so none may be used.
    if head[0] != 0 || length as usize != message.len() {
        return None;
    }
    let mut rest = message;
    let mut status = 0;
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, VARINT) => status = take_varint(&mut rest)?,
            // Fields that a later version may have.
            (1.., VARINT) => drop(take_varint(&mut rest)?),
            (1.., FIXED64) => rest = rest.get(8..)?,
            (1.., LENGTH) => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (1.., FIXED32) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(Serving(status))
}

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(first & 0x7f);
        value |= bits << shift;
        if first & 0x80 == 0 {
            // The tenth byte has room for one bit.
            return (shift < 63 || bits < 2).then_some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_what_protoc_makes() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("db"), [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 2]);
        assert_eq!(long.len(), 308);
    }

    #[test]
    fn responses_are_read_whatever_else_they_hold() {
        for (message, shown) in [
            (&[][..], "UNKNOWN"),
            (&[8, 1], "SERVING"),
            (&[8, 2], "NOT_SERVING"),
            (&[8, 3], "SERVICE_UNKNOWN"),
            (&[8, 9], "a status that grpc.health.v1 does not have"),
            (&[8, 2, 8, 1], "SERVING"),
            (
                &[
                    0x12, 1, b'x', 8, 1, 0x18, 0x96, 1, 0x25, 0, 0, 0, 0, 0x29, 0, 0, 0, 0, 0, 0,
                    0, 0,
                ],
                "SERVING",
            ),
        ] {
            let mut frame = vec![0, 0, 0, 0, message.len() as u8];
            frame.extend_from_slice(message);
            assert_eq!(response(&frame).unwrap().to_string(), shown, "{message:?}");
        }
    }

    #[test]
    fn what_is_no_response_is_none() {
        for frame in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 8, 0x80],
            &[0, 0, 0, 0, 2, 0, 1],
            &[0, 0, 0, 0, 2, 0x0b, 1],
            &[0, 0, 0, 0, 3, 0x12, 9, 1],
            &[
                0, 0, 0, 0, 12, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1,
            ],
        ] {
            assert!(response(frame).is_none(), "{frame:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = response(&bytes);
        }

        #[test]
        fn varints_read_back(value in any::<u64>()) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_varint(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }
    }
}
