//! `pods/log`: the output of a container, as far as the pod's node keeps it.
//!
//! Follows `pkg/registry/core/pod/strategy.go` (`LogLocation`), and the kubelet's `validateContainerLogStatus` for
//! containers that have not run.

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::{kinds, respond};
use crate::logs::MAX_LINES;
use crate::status::{Cause, Status};
use crate::store::Key;

/// Flags and values of PodLogOptions that a node would need more for than it keeps.
const UNSUPPORTED: ([&str; 2], [&str; 4]) = (
    ["previous", "timestamps"],
    ["limitBytes", "sinceSeconds", "sinceTime", "stream"],
);

impl Call<'_> {
    /// GET of `pods/log`.
    pub(crate) fn log(&self) -> Result<Response, Status> {
        let tail = self.tail()?;
        self.refuse_unsupported()?;
        let pod = self.read()?;
        let container = container(&pod, self.query.get("container"))?;
        let node = text(&pod["spec"], "nodeName");
        // What the real one answers, too: nothing.
        if node.is_empty() {
            return Ok(respond::with_type(StatusCode::NO_CONTENT, "text/plain", ""));
        }
        let Some(logs) = self.shared.logs(node) else {
            return Err(self.unreachable(node, &pod, container));
        };
        let id = match started(&pod, container) {
            Ok(id) => id,
            Err(why) => return Err(Status::bad_request(why)),
        };
        let metadata = &pod["metadata"];
        let log = logs.find(
            text(metadata, "namespace"),
            text(metadata, "name"),
            text(metadata, "uid"),
            container,
        );
        let tail = tail.unwrap_or(usize::MAX);
        let body = match log {
            None => Body::from(format!("unable to retrieve container logs for {id}")),
            Some(log) if self.query.flag("follow") => {
                Body::from_stream(log.follow(tail).map(Ok::<_, std::convert::Infallible>))
            }
            Some(log) => Body::from(log.text(tail)),
        };
        Ok(respond::with_type(StatusCode::OK, "text/plain", body))
    }

    /// How many lines are wanted; `None` for all.
    fn tail(&self) -> Result<Option<usize>, Status> {
        let Some(given) = self.query.get("tailLines") else {
            return Ok(None);
        };
        let count: i64 = given.parse().map_err(|_| {
            Status::bad_request(format!(
                "strconv.ParseInt: parsing \"{given}\": invalid syntax (tailLines)"
            ))
        })?;
        usize::try_from(count).map(Some).map_err(|_| {
            let why = "must be greater than or equal to 0";
            let cause = Cause::invalid("tailLines", &json!(count), why);
            let name = self.target.name.as_deref().unwrap_or_default();
            Status::invalid("", "PodLogOptions", name, &[cause])
        })
    }

    fn refuse_unsupported(&self) -> Result<(), Status> {
        let (flags, values) = UNSUPPORTED;
        let flags = flags.iter().filter(|name| self.query.flag(name));
        let values = values.iter().filter(|name| {
            let given = self.query.get(name);
            given.is_some_and(|given| (**name, given) != ("stream", "All"))
        });
        match flags.chain(values).next() {
            None => Ok(()),
            Some(name) => Err(Status::bad_request(format!(
                "{name} is not supported by the sandbox: of each container it keeps the last {MAX_LINES} lines of \
                 both streams, over all restarts and without times; leave {name} out"
            ))),
        }
    }

    /// What a server tells that does not get through to a pod's node.
    fn unreachable(&self, node: &str, pod: &Value, container: &str) -> Status {
        let mut key: Key = kinds::namespace_key(node);
        key.collection.resource = "nodes".to_owned();
        if self.shared.store.get(&key).is_none() {
            // The real one looks for the node in the name of the request's resource, too.
            return self.not_found(node);
        }
        let metadata = &pod["metadata"];
        let message = format!(
            "Get \"https://{node}:10250/containerLogs/{}/{}/{container}\": dial tcp: lookup {node}: no such host",
            text(metadata, "namespace"),
            text(metadata, "name"),
        );
        Status::new(500, "", message)
    }
}

/// The container that is asked for; the only one may be left out.
fn container<'a>(pod: &'a Value, asked: Option<&str>) -> Result<&'a str, Status> {
    let of = |kind: &str| {
        let all = pod["spec"][kind].as_array().into_iter().flatten();
        all.map(|container| text(container, "name"))
            .collect::<Vec<_>>()
    };
    let (mut all, main) = (of("initContainers"), of("containers"));
    all.extend(&main);
    let name = text(&pod["metadata"], "name");
    let refusal = match (asked, main.as_slice()) {
        (Some(asked), _) => match all.iter().find(|known| **known == asked) {
            Some(found) => return Ok(found),
            None => format!("container {asked} is not valid for pod {name}"),
        },
        (None, [only]) => return Ok(only),
        (None, []) => format!("a container name must be specified for pod {name}"),
        (None, _) => format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all.join(" ")
        ),
    };
    Err(Status::bad_request(refusal))
}

/// Id of the container's last run; why there is none, if it has not run.
fn started<'a>(pod: &'a Value, container: &str) -> Result<&'a str, String> {
    let name = text(&pod["metadata"], "name");
    let mut statuses = ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|kind| pod["status"][kind].as_array().into_iter().flatten());
    let Some(status) = statuses.find(|status| status["name"] == container) else {
        return Err(format!(
            "container \"{container}\" in pod \"{name}\" is not available"
        ));
    };
    let (state, last) = (&status["state"], &status["lastState"]);
    if state["running"].is_object() || state["terminated"].is_object() {
        return Ok(text(status, "containerID"));
    }
    if last["terminated"].is_object() {
        return Ok(text(&last["terminated"], "containerID"));
    }
    let why = match text(&state["waiting"], "reason") {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    Err(format!(
        "container \"{container}\" in pod \"{name}\" is waiting to start: {why}"
    ))
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p"},
            "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]},
        })
    }

    #[test]
    fn a_container_has_to_be_named_unless_it_is_the_only_one() {
        let mut pod = pod();
        let refused = container(&pod, None).unwrap_err();
        assert_eq!(
            refused.message,
            "a container name must be specified for pod p, choose one of: [i a b]"
        );
        assert_eq!(container(&pod, Some("i")).unwrap(), "i");
        let refused = container(&pod, Some("x")).unwrap_err();
        assert_eq!(refused.message, "container x is not valid for pod p");
        pod["spec"]["containers"] = json!([{"name": "a"}]);
        assert_eq!(container(&pod, None).unwrap(), "a");
        pod["spec"]["containers"].take();
        assert_eq!(container(&pod, None).unwrap_err().code, 400);
    }

    #[test]
    fn a_container_that_has_not_run_has_no_log() {
        let terminated = json!({"terminated": {"containerID": "2"}});
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        for (state, last, expected) in [
            (json!({"running": {}}), &terminated, Ok("1")),
            (terminated.clone(), &terminated, Ok("1")),
            (waiting("CrashLoopBackOff"), &terminated, Ok("2")),
            (
                waiting("ContainerCreating"),
                &Value::Null,
                Err("ContainerCreating"),
            ),
            (
                waiting("ErrImagePull"),
                &Value::Null,
                Err("image can't be pulled"),
            ),
        ] {
            let mut pod = pod();
            pod["status"]["containerStatuses"] =
                json!([{"name": "a", "containerID": "1", "state": state, "lastState": last}]);
            let expected = expected
                .map_err(|why| format!("container \"a\" in pod \"p\" is waiting to start: {why}"));
            assert_eq!(started(&pod, "a"), expected);
            assert!(
                started(&pod, "b")
                    .unwrap_err()
                    .ends_with("is not available")
            );
        }
    }
}
