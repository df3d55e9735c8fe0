//! Requests that become a connection of their own, over which another protocol is spoken.

use std::time::Duration;

use reqwest::Upgraded;
use reqwest::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::error::ClusterError;
use super::read::Cluster;
use super::request::read;
use crate::describe::describe;

/// An explanation is shorter than this.
const LARGEST_REFUSAL: usize = 64 << 10;

/// The answer to a request for a WebSocket.
#[derive(Debug)]
pub(crate) enum Answered {
    /// The connection now speaks one of the protocols that were offered.
    Upgraded(Upgraded),
    /// Anything else, with what the server said about it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body, as far as it matters.
        body: String,
    },
    /// There was no connection to ask over; the reason.
    NoConnection(String),
}

impl Cluster {
    /// Asks for a WebSocket (RFC 6455) at the path of `segments`, the first of which is a group such as `api/v1`. It speaks
    /// one of `protocols`, which are offered in this order. Needs [`Cluster::connect_for_upgrades`]. The answer is waited for as long as `patience`.
    ///
    /// # Errors
    ///
    /// [`ClusterError::File`] if the token cannot be read, [`ClusterError::Unreachable`] if there is no answer, or one
    /// that breaks the rules of an upgrade.
    pub(crate) async fn web_socket(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        protocols: &[&str],
        patience: Duration,
    ) -> Result<Answered, ClusterError> {
        let mut url = self.url(segments);
        url.query_pairs_mut().extend_pairs(query);
        let key = generate_key();
        let request = self
            .ask(url)?
            .timeout(patience)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .header(SEC_WEBSOCKET_PROTOCOL, protocols.join(", "));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Ok(Answered::NoConnection(describe(&error)));
            }
            Err(error) => return Err(ClusterError::Unreachable(describe(&error))),
        };
        let status = response.status().as_u16();
        if status != 101 {
            let body = read(response, LARGEST_REFUSAL).await.unwrap_or_default();
            return Ok(Answered::Refused {
                status,
                body: String::from_utf8_lossy(&body).into_owned(),
            });
        }
        let headers = response.headers();
        let protocol = header(headers, SEC_WEBSOCKET_PROTOCOL);
        let genuine = header(headers, SEC_WEBSOCKET_ACCEPT) == derive_accept_key(key.as_bytes());
        if !genuine || !protocols.contains(&protocol) {
            let offered = protocols.join(" or ");
            return Err(ClusterError::Unreachable(format!(
                "expected a WebSocket that speaks {offered}, it offers none of these"
            )));
        }
        match response.upgrade().await {
            Ok(stream) => Ok(Answered::Upgraded(stream)),
            Err(error) => Err(ClusterError::Unreachable(describe(&error))),
        }
    }
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim()
}
