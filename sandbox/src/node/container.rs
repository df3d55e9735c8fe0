//! Keeps one container of a pod as its restart policy says.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::env::{Env, Resolver};
use super::expand::expand;
use super::images::POD_IP;
use super::options::Pauses;
use super::pod::{Ending, Pod, Slot};
use super::probe::Probe;
use super::process::Process;
use super::status::{Ended, State};
use super::time;
use crate::informer::AbortOnDrop;
use crate::kuberhealthy::GoDuration;

/// How long `ErrImagePull` shows before it becomes `ImagePullBackOff`.
const PULL_ERROR: Duration = Duration::from_secs(1);
/// `PATH` of containers, as most images set it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Seconds from SIGTERM to SIGKILL, unless the pod says otherwise.
const GRACE: u64 = 30;

/// Why a container has no process.
enum Trouble {
    /// Its image cannot be pulled.
    Image(String),
    /// Its environment cannot be made.
    Config(String),
    /// Its command cannot be started.
    Start(String),
}

/// Runs the container of `slot` until it has ended for good, or the pod is to end and the container has.
pub(super) async fn keep(pod: &Pod, slot: Slot) {
    let Some(spec) = pod.spec(slot).cloned() else {
        return;
    };
    let mut pauses = Pauses::new(pod.node.back_off);
    let mut pulls = Pauses::new(pod.node.back_off);
    pulls.after(Duration::ZERO);
    loop {
        let started = tokio::select! {
            _ = pod.ending() => return,
            started = start(pod, &spec) => started,
        };
        let began = (Instant::now(), time::now());
        let id = format!("sandbox://{}", uuid::Uuid::new_v4().simple());
        let ended = |exit_code: i32, reason: &str, message: String| Ended {
            exit_code,
            reason: reason.to_owned(),
            message,
            started_at: began.1.clone(),
            finished_at: time::now(),
            id: id.clone(),
        };
        let ended = match started {
            Err(Trouble::Image(message)) => {
                pod.wait(slot, "ErrImagePull", message);
                if pod.sleep(PULL_ERROR).await {
                    return;
                }
                let image = spec["image"].as_str().unwrap_or_default();
                pod.wait(
                    slot,
                    "ImagePullBackOff",
                    format!("Back-off pulling image \"{image}\""),
                );
                if pod.sleep(pulls.after(Duration::ZERO)).await {
                    return;
                }
                continue;
            }
            Err(Trouble::Config(message)) => {
                pod.wait(slot, "CreateContainerConfigError", message);
                if pod.sleep(pod.node.back_off.initial).await {
                    return;
                }
                continue;
            }
            Err(Trouble::Start(message)) => ended(128, "StartError", message),
            Ok(mut process) => {
                pod.update(slot, |container| {
                    container.push(State::Running {
                        since: began.1.clone(),
                        id: id.clone(),
                    });
                });
                let _probe = ready(pod, slot, &spec);
                tokio::select! {
                    code = process.wait() => by_code(code, ended),
                    () = unhealthy(pod, slot, &spec) => {
                        let grace = pod.object["spec"]["terminationGracePeriodSeconds"].as_u64();
                        let grace = Duration::from_secs(grace.unwrap_or(GRACE));
                        by_code(process.stop(grace).await, ended)
                    }
                    ending = pod.ending() => {
                        let code = match ending {
                            Ending::Delete { grace } => process.stop(grace).await,
                            Ending::Kill => process.stop(Duration::ZERO).await,
                        };
                        let ended = by_code(code, ended);
                        pod.update(slot, |container| container.end(ended, true));
                        return;
                    }
                }
            }
        };
        let code = ended.exit_code;
        let restart = pod.restarts(slot, code);
        pod.update(slot, |container| {
            container.end(ended, !restart);
            container.ready = matches!(slot, Slot::Init(_)) && code == 0;
        });
        if !restart {
            return;
        }
        let pause = pauses.after(began.0.elapsed());
        if !pause.is_zero() {
            let name = spec["name"].as_str().unwrap_or_default();
            let (back_off, of) = (GoDuration::from(pause), pod.full_name());
            let message =
                format!("back-off {back_off} restarting failed container={name} pod={of}");
            pod.wait(slot, "CrashLoopBackOff", message);
            if pod.sleep(pause).await {
                return;
            }
        }
        pod.update(slot, |container| container.restarts += 1);
    }
}

fn by_code(code: i32, ended: impl Fn(i32, &str, String) -> Ended) -> Ended {
    let reason = if code == 0 { "Completed" } else { "Error" };
    ended(code, reason, String::new())
}

/// Starts to probe a container for readiness; one without a probe is ready at once. Init containers are not probed.
fn ready(pod: &Pod, slot: Slot, spec: &Value) -> Option<AbortOnDrop> {
    if matches!(slot, Slot::Init(_)) {
        return None;
    }
    let Some(probe) = Probe::readiness(spec, &pod.ip) else {
        pod.update(slot, |container| container.ready = true);
        return None;
    };
    let handle = pod.handle();
    let probing = probe.run(pod.node.probe_client.clone(), move |ready| {
        handle.update(slot, |container| container.ready = ready);
    });
    Some(AbortOnDrop(tokio::spawn(probing)))
}

/// Returns once the liveness probe of a container has failed; never if it has none. Init containers are not probed.
async fn unhealthy(pod: &Pod, slot: Slot, spec: &Value) {
    match (slot, Probe::liveness(spec, &pod.ip)) {
        (Slot::Main(_), Some(probe)) => probe.failed(pod.node.probe_client.clone()).await,
        _ => std::future::pending().await,
    }
}

async fn start(pod: &Pod, spec: &Value) -> Result<Process, Trouble> {
    let texts = |key: &str| -> Vec<String> {
        spec[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    let image = spec["image"].as_str().unwrap_or_default();
    let command = pod
        .node
        .images
        .command(image, &texts("command"), &texts("args"));
    let command = command.ok_or_else(|| {
        Trouble::Image(format!(
            "failed to pull and unpack image \"{image}\": this node has no such image, and the container no command"
        ))
    })?;
    let mut env = Env::default();
    env.set("PATH", PATH);
    env.set("HOME", "/");
    env.set("HOSTNAME", &pod.name);
    for (name, value) in pod.node.env.iter().chain(command.env) {
        env.set(name, value);
    }
    let resolver = Resolver {
        api: &pod.node.api,
        pod: &pod.object,
        pod_ip: &pod.ip,
        host_ip: super::HOST_IP,
    };
    resolver
        .add(&mut env, spec)
        .await
        .map_err(Trouble::Config)?;
    let argv: Vec<String> = command
        .argv
        .iter()
        .map(|text| {
            expand(text, |name| match name {
                POD_IP => Some(&pod.ip),
                name => env.get(name),
            })
        })
        .collect();
    let directory = spec["workingDir"].as_str().unwrap_or("/");
    let log = pod.node.logs.of(
        &pod.namespace,
        &pod.name,
        &pod.uid,
        spec["name"].as_str().unwrap_or_default(),
    );
    Process::start(&argv, &env, directory, &log).map_err(|why| {
        let program = argv.first().map_or("", String::as_str);
        Trouble::Start(format!(
            "failed to create containerd task: exec: \"{program}\": {why}"
        ))
    })
}
