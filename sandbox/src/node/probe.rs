//! Readiness and liveness probes.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;

/// How to find out whether a container is ready, or alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    action: Action,
    initial_delay: Duration,
    period: Duration,
    timeout: Duration,
    successes: u32,
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Http {
        url: String,
        headers: Vec<(String, String)>,
    },
    Tcp {
        address: String,
    },
}

impl Probe {
    /// Reads the `readinessProbe` of a container; `None` if it has none, or none of the kinds this node knows (httpGet
    /// and tcpSocket), in which case it counts as ready.
    pub(crate) fn readiness(container: &Value, pod_ip: &str) -> Option<Probe> {
        Probe::read(container, "readinessProbe", pod_ip)
    }

    /// The same of the `livenessProbe`; without one it counts as alive.
    pub(crate) fn liveness(container: &Value, pod_ip: &str) -> Option<Probe> {
        Probe::read(container, "livenessProbe", pod_ip)
    }

    fn read(container: &Value, name: &str, pod_ip: &str) -> Option<Probe> {
        let probe = &container[name];
        let host = |of: &Value| {
            of["host"]
                .as_str()
                .filter(|host| !host.is_empty())
                .unwrap_or(pod_ip)
                .to_owned()
        };
        let action = if probe["httpGet"].is_object() {
            let get = &probe["httpGet"];
            let scheme = get["scheme"]
                .as_str()
                .unwrap_or("HTTP")
                .to_ascii_lowercase();
            let path = get["path"].as_str().unwrap_or("/").trim_start_matches('/');
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let headers = get["httpHeaders"].as_array().into_iter().flatten();
            Action::Http {
                url: format!(
                    "{scheme}://{}:{}/{path}",
                    host(get),
                    port(&get["port"], container)?
                ),
                headers: headers
                    .map(|header| (text(&header["name"]), text(&header["value"])))
                    .collect(),
            }
        } else if probe["tcpSocket"].is_object() {
            let socket = &probe["tcpSocket"];
            Action::Tcp {
                address: format!("{}:{}", host(socket), port(&socket["port"], container)?),
            }
        } else {
            return None;
        };
        let seconds =
            |key: &str, default: u64| Duration::from_secs(probe[key].as_u64().unwrap_or(default));
        let count = |key: &str, default: u32| {
            probe[key]
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(default)
                .max(1)
        };
        Some(Probe {
            action,
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            successes: count("successThreshold", 1),
            failures: count("failureThreshold", 3),
        })
    }

    /// Probes for ever; tells every change of the verdict, which begins as not ready.
    pub(crate) async fn run(self, client: reqwest::Client, mut tell: impl FnMut(bool)) {
        let tell = |ready| {
            tell(ready);
            ControlFlow::Continue(())
        };
        self.changes(client, false, tell).await;
    }

    /// Probes until it has failed as often in a row as it may not.
    pub(crate) async fn failed(self, client: reqwest::Client) {
        self.changes(client, true, |_| ControlFlow::Break(())).await;
    }

    /// Tells every change of a verdict that begins as `ready`, until that is enough.
    async fn changes(
        self,
        client: reqwest::Client,
        ready: bool,
        mut tell: impl FnMut(bool) -> ControlFlow<()>,
    ) {
        tokio::time::sleep(self.initial_delay).await;
        let mut verdict = Verdict { ready, streak: 0 };
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let passed = tokio::time::timeout(self.timeout, self.action.probe(&client))
                .await
                .unwrap_or(false);
            if verdict.observe(passed, self.successes, self.failures)
                && tell(verdict.ready).is_break()
            {
                return;
            }
        }
    }
}

struct Verdict {
    ready: bool,
    /// Probes in a row that spoke against the verdict.
    streak: u32,
}

impl Verdict {
    /// True if the verdict changed.
    fn observe(&mut self, passed: bool, successes: u32, failures: u32) -> bool {
        if passed == self.ready {
            self.streak = 0;
            return false;
        }
        self.streak += 1;
        let enough = if passed { successes } else { failures };
        let changed = self.streak >= enough;
        if changed {
            (self.ready, self.streak) = (passed, 0);
        }
        changed
    }
}

impl Action {
    async fn probe(&self, client: &reqwest::Client) -> bool {
        match self {
            Action::Tcp { address } => TcpStream::connect(address.as_str()).await.is_ok(),
            Action::Http { url, headers } => {
                let mut request = client.get(url);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let answer = request.send().await;
                answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
            }
        }
    }
}

/// A port by number, or by the name one of the container's ports has.
pub(crate) fn port(port: &Value, container: &Value) -> Option<u16> {
    match port {
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        Value::String(name) => name.parse().ok().or_else(|| {
            let ports = container["ports"].as_array()?;
            let named = ports.iter().find(|port| port["name"] == name.as_str())?;
            named["containerPort"].as_u64()?.try_into().ok()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn probes_are_read_with_the_defaults_of_kubernetes() {
        let container = json!({
            "ports": [{"name": "web", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "ready", "port": "web"}},
        });
        let probe = Probe::readiness(&container, "127.9.0.1").unwrap();
        let url = "http://127.9.0.1:8080/ready".to_owned();
        assert_eq!(
            probe.action,
            Action::Http {
                url,
                headers: vec![]
            }
        );
        assert_eq!(
            (
                probe.period.as_secs(),
                probe.timeout.as_secs(),
                probe.successes,
                probe.failures
            ),
            (10, 1, 1, 3)
        );
        let tcp = json!({"readinessProbe": {"tcpSocket": {"port": 5}}});
        let expected = Action::Tcp {
            address: "127.9.0.1:5".to_owned(),
        };
        assert_eq!(
            Probe::readiness(&tcp, "127.9.0.1").unwrap().action,
            expected
        );
        for none in [
            json!({}),
            json!({"readinessProbe": {"exec": {}}}),
            json!({"readinessProbe": {"tcpSocket": {"port": "x"}}}),
        ] {
            assert_eq!(Probe::readiness(&none, "127.9.0.1"), None, "{none}");
        }
    }

    #[test]
    fn thresholds_count_probes_in_a_row() {
        let mut verdict = Verdict {
            ready: false,
            streak: 0,
        };
        let observed: Vec<bool> = [true, false, true, true, false, true, false, false, false]
            .into_iter()
            .map(|passed| {
                verdict.observe(passed, 2, 3);
                verdict.ready
            })
            .collect();
        assert_eq!(
            observed,
            [false, false, false, true, true, true, true, true, false]
        );
    }
}
