//! A large cluster's pods, for pod-restarts-check: 20,000 of two containers each, some 196 MB of JSON in pages of 500.
//!
//! A page is made once; for each request only the names and the token in it are overwritten, so that serving costs
//! little more than writing to the socket. curl asks for the same pages.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::measure;
use crate::print_row;
use crate::serve::{self, Server};

/// More are not needed: a run takes some tenths of a second.
const MOST_RUNS: u32 = 20;
const PODS: usize = 20_000;
const PAGE: usize = 500;
/// What stands for the number of a pod, and has as many digits.
const NUMBER: &str = "@@@@@";
const DIGITS: usize = NUMBER.len();

/// Starts the serving process.
fn start() -> anyhow::Result<(Server, SocketAddr)> {
    let (server, line) = serve::process("--serve-pods")?;
    let address = line
        .parse()
        .with_context(|| format!("expected an address, the server said {line:?}"))?;
    Ok((server, address))
}

/// Measures pod-restarts-check beside curl.
pub(crate) fn compare(folder: &Path, runs: u32) -> anyhow::Result<()> {
    let runs = runs.min(MOST_RUNS);
    let (server, address) = start()?;
    let check = folder.join("pod-restarts-check");
    let environment = [("KUBE_API_URL", format!("http://{address}"))];
    eprintln!("{runs} runs of each over {PODS} pods ...");
    let usage = measure::start(&check, &[] as &[&OsStr], &environment, runs)?;
    let size = check.metadata()?.len();
    print_row("pod-restarts-check", Some(size), &usage);
    if let Some(program) = curl() {
        let curl = measure::start(&program, &all_pages(address), &[], runs)?;
        print_row("curl, one connection", None, &curl);
        println!(
            "pod-restarts-check / curl  {:>9} {:>11.2}x",
            "",
            usage.wall_median_ms / curl.wall_median_ms
        );
        let shell = ["-c".into(), one_by_one(&program, address)];
        let each = measure::start(Path::new("/bin/sh"), &shell, &[], runs)?;
        print_row("curl, once for each page", None, &each);
    }
    drop(server);
    Ok(())
}

fn curl() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join("curl"))
        .find(|program| program.is_file())
}

fn urls(address: SocketAddr) -> impl Iterator<Item = String> {
    (0..PODS / PAGE).map(move |page| {
        let token = match page {
            0 => String::new(),
            page => format!("&continue={:0DIGITS$}", page * PAGE),
        };
        format!("http://{address}/api/v1/pods?limit={PAGE}{token}")
    })
}

/// Every page over one connection, which only works because the tokens are known in advance.
fn all_pages(address: SocketAddr) -> Vec<OsString> {
    let pages = urls(address).flat_map(|url| ["-o".to_owned(), "/dev/null".to_owned(), url]);
    ["-s", "-S", "-f"]
        .into_iter()
        .map(str::to_owned)
        .chain(pages)
        .map(Into::into)
        .collect()
}

/// As a script does that takes the token of each page from the one before.
fn one_by_one(curl: &Path, address: SocketAddr) -> OsString {
    let lines: Vec<String> = urls(address)
        .map(|url| format!("'{}' -sSf -o /dev/null '{url}'", curl.display()))
        .collect();
    lines.join(" && ").into()
}

/// The serving process itself: prints its address and serves until it is killed.
pub(crate) fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    let page = Page::new();
    for stream in listener.incoming().flatten() {
        let page = page.clone();
        thread::spawn(move || answer(stream, page));
    }
    Ok(())
}

/// Answers every request of a connection with the page that its `continue` asks for.
fn answer(stream: TcpStream, mut page: Page) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let mut first = None;
        loop {
            match lines.next().transpose()? {
                None => return Ok(()),
                Some(line) if line.is_empty() => break,
                Some(line) => {
                    first.get_or_insert(line);
                }
            }
        }
        let first = first.unwrap_or_default();
        let token = first
            .split(['?', '&', ' '])
            .find_map(|part| part.strip_prefix("continue="));
        let first = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        page.number_from(first);
        let next = match first + PAGE {
            next if next < PODS => format!("{next:0DIGITS$}"),
            _ => String::new(),
        };
        let head = format!(
            r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"48151623","continue":"{next}"}},"items":["#
        );
        let length = head.len() + page.bytes.len();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{head}"
        )?;
        writer.write_all(&page.bytes)?;
    }
}

/// The pods of a page, the end of the list after them, and where in it their numbers are.
#[derive(Clone)]
struct Page {
    bytes: Vec<u8>,
    /// Bytes of a pod, with the comma after it.
    pod: usize,
    /// In each pod.
    places: Vec<usize>,
}

impl Page {
    fn new() -> Page {
        let pod = pod().to_string();
        Page {
            pod: pod.len() + 1,
            places: pod.match_indices(NUMBER).map(|(at, _)| at).collect(),
            bytes: format!("{}]}}", vec![pod; PAGE].join(",")).into_bytes(),
        }
    }

    fn number_from(&mut self, first: usize) {
        for (n, pod) in self.bytes.chunks_mut(self.pod).enumerate() {
            let number = format!("{:0DIGITS$}", first + n);
            for place in &self.places {
                if let Some(digits) = pod.get_mut(*place..*place + DIGITS) {
                    digits.copy_from_slice(number.as_bytes());
                }
            }
        }
    }
}

/// A pod of a Deployment, as the API server lists it: a web server, and a proxy beside it.
fn pod() -> Value {
    let ready = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    .map(|kind| {
        json!({"type": kind, "status": "True", "observedGeneration": 1, "lastProbeTime": null,
               "lastTransitionTime": "2026-11-20T08:15:30Z"})
    });
    let spec = json!({
        "containers": [container("web", "frontend", 8080), container("proxy", "mesh-proxy", 15001)],
        "volumes": [
            {"name": "config", "configMap": {"name": "frontend-config", "defaultMode": 420}},
            {"name": "kube-api-access-x7k2p", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            ]}},
        ],
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "frontend", "nodeName": "worker-17", "schedulerName": "default-scheduler",
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        ],
        "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
    });
    let status = json!({
        "observedGeneration": 1, "phase": "Running", "conditions": ready,
        "hostIP": "10.0.17.4", "hostIPs": [{"ip": "10.0.17.4"}], "podIP": "10.244.17.33", "podIPs": [{"ip": "10.244.17.33"}],
        "startTime": "2026-11-20T08:15:28Z", "qosClass": "Burstable",
        "containerStatuses": [running("web", "frontend"), running("proxy", "mesh-proxy")],
    });
    let managed = |manager: &str, part: &str, of: &Value| {
        json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-11-20T08:15:30Z",
               "fieldsType": "FieldsV1", "fieldsV1": {part: owned(of)}})
    };
    json!({
        "metadata": {
            "name": format!("frontend-7d9c5b8f6d-{NUMBER}"), "generateName": "frontend-7d9c5b8f6d-", "namespace": "shop",
            "uid": format!("5e2b6f0a-1c34-4b77-9d21-0000000{NUMBER}"), "resourceVersion": "48151600", "generation": 1,
            "creationTimestamp": "2026-11-20T08:15:28Z",
            "labels": {"app.kubernetes.io/name": "frontend", "pod-template-hash": "7d9c5b8f6d"},
            "annotations": {"prometheus.io/scrape": "true"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "frontend-7d9c5b8f6d",
                                 "uid": "0d8f3f5c-93f0-4a5e-8a3e-6a1f2f6f8b11", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [managed("kube-controller-manager", "f:spec", &spec), managed("kubelet", "f:status", &status)],
        },
        "spec": spec,
        "status": status,
    })
}

fn container(name: &str, image: &str, port: u16) -> Value {
    let probe = |path: &str| {
        json!({"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
               "successThreshold": 1, "failureThreshold": 3})
    };
    json!({
        "name": name, "image": format!("registry.example.com/{image}:1.42.0"), "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": [{"name": "LOG_LEVEL", "value": "info"},
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"},
                         {"name": "kube-api-access-x7k2p", "readOnly": true,
                          "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        "readinessProbe": probe("/ready"),
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "securityContext": {"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true},
    })
}

fn running(name: &str, image: &str) -> Value {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    json!({
        "name": name, "state": {"running": {"startedAt": "2026-11-21T01:02:03Z"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-11-20T08:15:29Z",
                                     "finishedAt": "2026-11-21T01:02:01Z", "containerID": format!("containerd://{digest}")}},
        "ready": true, "restartCount": 1, "image": format!("registry.example.com/{image}:1.42.0"),
        "imageID": format!("registry.example.com/{image}@sha256:{digest}"),
        "containerID": format!("containerd://{digest}"), "started": true,
        "allocatedResources": {"cpu": "100m", "memory": "128Mi"},
    })
}

/// What `managedFields` says of a value: its keys once more.
fn owned(value: &Value) -> Value {
    let keys: Vec<(String, Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (format!("f:{key}"), owned(value)))
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .filter(|element| element.is_object())
            .map(|element| {
                let id = ["name", "type", "ip"]
                    .iter()
                    .find_map(|key| Some((key, element.get(*key)?)));
                let id =
                    id.map_or_else(String::new, |(key, value)| json!({*key: value}).to_string());
                (format!("k:{id}"), owned(element))
            })
            .collect(),
        _ => Vec::new(),
    };
    keys.into_iter().collect::<Map<_, _>>().into()
}
