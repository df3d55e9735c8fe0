//! The events of a watch, read from its body.

use bytes::BytesMut;
use futures::stream::{BoxStream, StreamExt};
use serde_json::Value;

use super::{ApiError, broken, chain};
use crate::status::Status;

/// Longest line of a watch that is accepted; an object in etcd is at most 1.5 MiB.
const MAX_LINE: usize = 8 << 20;

/// A change seen by a watch.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// New, or newly matching the selector.
    Added(Value),
    /// Changed.
    Modified(Value),
    /// Gone, or no longer matching the selector; the last state.
    Deleted(Value),
    /// Nothing happened up to this object's resourceVersion.
    Bookmark(Value),
}

impl WatchEvent {
    /// The object of the event; of a bookmark it has only a resourceVersion.
    pub fn object(&self) -> &Value {
        match self {
            WatchEvent::Added(object)
            | WatchEvent::Modified(object)
            | WatchEvent::Deleted(object)
            | WatchEvent::Bookmark(object) => object,
        }
    }

    /// The resourceVersion from which a new watch continues after this event.
    pub fn resource_version(&self) -> &str {
        self.object()["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
    }
}

/// Events of one watch request. It ends when the server ends the request; an `Err` is the last item.
pub type Watch = BoxStream<'static, Result<WatchEvent, ApiError>>;

/// Splits the body of a watch into its lines.
pub(super) fn events(response: reqwest::Response, path: String) -> Watch {
    let start = (Some(response), BytesMut::new(), path);
    futures::stream::unfold(start, |(response, mut buffer, path)| async move {
        let mut response = response?;
        let mut searched = 0;
        loop {
            if let Some(at) = buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(searched + at + 1);
                let event = parse(&line, &path);
                // Nothing sensible can follow an error.
                let rest = event.is_ok().then_some(response);
                return Some((event, (rest, buffer, path)));
            }
            searched = buffer.len();
            if searched > MAX_LINE {
                let why = format!("a watch event is longer than {MAX_LINE} bytes");
                return Some((Err(broken("GET", &path, why)), (None, buffer, path)));
            }
            match response.chunk().await {
                Ok(Some(chunk)) => buffer.extend_from_slice(&chunk),
                Ok(None) => return None,
                Err(why) => {
                    let error = broken("GET", &path, chain(&why));
                    return Some((Err(error), (None, buffer, path)));
                }
            }
        }
    })
    .boxed()
}

fn parse(line: &[u8], path: &str) -> Result<WatchEvent, ApiError> {
    let mut event: Value = serde_json::from_slice(line)
        .map_err(|why| broken("GET", path, format!("a watch event is not JSON: {why}")))?;
    let object = event["object"].take();
    match event["type"].as_str() {
        Some("ADDED") => Ok(WatchEvent::Added(object)),
        Some("MODIFIED") => Ok(WatchEvent::Modified(object)),
        Some("DELETED") => Ok(WatchEvent::Deleted(object)),
        Some("BOOKMARK") => Ok(WatchEvent::Bookmark(object)),
        Some("ERROR") => Err(match Status::from_value(&object) {
            Some(status) => ApiError::Refused {
                method: "GET",
                path: path.to_owned(),
                status: Box::new(status),
            },
            None => broken("GET", path, "the watch reports an error that is no Status"),
        }),
        other => Err(broken(
            "GET",
            path,
            format!("unknown kind of watch event {other:?}"),
        )),
    }
}
