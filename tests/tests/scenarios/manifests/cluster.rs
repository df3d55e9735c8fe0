//! A cluster in which roles decide, with the application of the samples in it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use sandbox::api::Api;
use sandbox::apiserver::{ApiServerOptions, Request, Token};
use sandbox::kuberhealthy::Speed;
use sandbox::node::{Image, Images, PodNetwork};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::files::{documents, folder, items, kind, name, pod_spec, text};

/// Upper bound of every wait.
const DEADLINE: Duration = Duration::from_secs(60);
/// What the user of a pod is called.
const ACCOUNT: &str = "system:serviceaccount:";

pub(super) struct Cluster {
    sandbox: Sandbox,
    /// May do everything.
    pub(super) api: Api,
    /// Of the application: the sandbox has no DNS.
    service: Ipv4Addr,
    _tokens: TempDir,
}

impl Cluster {
    /// Starts it, with a token for each service account of `manifests`, and waits until the application is available.
    pub(super) async fn start(manifests: &[PathBuf]) -> Cluster {
        let objects: Vec<Value> = manifests.iter().flat_map(|file| documents(file)).collect();
        let tokens = tempfile::tempdir().unwrap();
        let token = |token: &str, user: String, group: &str| Token {
            token: token.to_owned(),
            user,
            groups: vec![group.to_owned()],
        };
        let mut options = Options {
            api_server: ApiServerOptions {
                tokens: vec![token("admin", "admin".to_owned(), "system:masters")],
                rbac: true,
                ..ApiServerOptions::default()
            },
            ..Options::default()
        };
        for account in objects
            .iter()
            .filter(|object| kind(object) == "ServiceAccount")
        {
            let (namespace, name) = (text(&account["metadata"]["namespace"]), name(account));
            let user = format!("{ACCOUNT}{namespace}:{name}");
            options
                .api_server
                .tokens
                .push(token(name, user, "system:authenticated"));
            fs::write(tokens.path().join(name), name).unwrap();
        }
        options.node.images = images(&objects, tokens.path());
        let (network, service) = addresses();
        options.node.network = network;
        options.v2.speed = Speed::times(20);
        options.v3.speed = Speed::times(20);
        let sandbox = Sandbox::start(options).await.unwrap();
        let cluster = Cluster {
            api: sandbox.api(),
            sandbox,
            service,
            _tokens: tokens,
        };
        cluster.application().await;
        cluster
    }

    /// Creates an object as `kubectl apply` would, with unknown fields refused.
    pub(super) async fn create(&self, object: Value) {
        let text = object
            .to_string()
            .replace("web.shop.svc", &self.service.to_string());
        let object: Value = serde_json::from_str(&text).unwrap();
        let path = format!("{}?fieldValidation=Strict", collection(&object));
        match self.api.create(&path, &object).await {
            Err(error) if error.is_already_exists() && kind(&object) == "Namespace" => {}
            other => drop(
                other.unwrap_or_else(|why| panic!("{} {}: {why}", kind(&object), name(&object))),
            ),
        }
    }

    /// What the users of pods asked for.
    pub(super) fn requests(&self) -> Vec<Request> {
        let mut requests = self.sandbox.api_server().requests();
        requests.retain(|request| request.user.starts_with(ACCOUNT) || request.user.is_empty());
        requests
    }

    async fn application(&self) {
        let app = folder().join("samples/shop/app");
        let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.create(namespace("kuberhealthy")).await;
        for mut object in ["namespace.yaml", "web.yaml"]
            .into_iter()
            .flat_map(|file| documents(&app.join(file)))
        {
            match kind(&object) {
                // The sandbox gives out no addresses, and its pods share one network: they have to be told theirs.
                "Service" => object["spec"]["clusterIP"] = json!(self.service),
                "Deployment" => {
                    let address = json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}});
                    object["spec"]["template"]["spec"]["containers"][0]["env"] = json!([address]);
                }
                _ => {}
            }
            self.create(object).await;
        }
        let path = "/apis/apps/v1/namespaces/shop/deployments/web";
        let until = Instant::now() + DEADLINE;
        loop {
            let deployment = self.api.get(path).await.unwrap();
            if deployment["status"]["availableReplicas"] == deployment["spec"]["replicas"] {
                return;
            }
            assert!(
                Instant::now() < until,
                "not available: {:#}",
                deployment["status"]
            );
            sleep(Duration::from_millis(30)).await;
        }
    }
}

/// The name of the program that a check runs.
pub(super) fn binary(check: &Value) -> String {
    let image = text(&pod_spec(check)["containers"][0]["image"]);
    let image = image.rsplit_once('/').map_or(image, |(_, image)| image);
    image.split(':').next().unwrap_or_default().to_owned()
}

/// The checks' images, each with the token of its pod's account if the pod has one, and the application's.
fn images(objects: &[Value], tokens: &Path) -> Images {
    let web = ["demo-web", "--ip", "$(POD_IP)"].map(str::to_owned);
    let web = Image::program([crate::program("khctl")].into_iter().chain(web));
    let mut images = Images::new().with("nginx-unprivileged", web);
    for check in objects
        .iter()
        .filter(|object| !items(&pod_spec(object)["containers"]).is_empty())
    {
        let (pod, binary) = (pod_spec(check), binary(check));
        let mut image = Image::program([crate::program(&binary)]);
        if pod["automountServiceAccountToken"] == true {
            let token = tokens.join(text(&pod["serviceAccountName"]));
            image = image.env("KUBE_API_TOKEN_FILE", token.to_str().unwrap());
        }
        images = images.with(binary, image);
    }
    images
}

/// Networks of this process' own, one for each cluster in it: for pods, and the address of the one Service.
fn addresses() -> (PodNetwork, Ipv4Addr) {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let octet = |number: u32| u8::try_from(number % 250).unwrap_or_default();
    let process = std::process::id();
    let (second, third) = (220 + octet(process / 250) % 30, octet(process));
    // Two clusters to a network of 256.
    let first = NEXT.fetch_add(1, Ordering::Relaxed) % 2 * 128;
    let network = PodNetwork::new(Ipv4Addr::new(127, second, third, first), 26).unwrap();
    (network, Ipv4Addr::new(127, second, third, first + 100))
}

/// Path of the objects of an object's kind.
pub(super) fn collection(object: &Value) -> String {
    let version = text(&object["apiVersion"]);
    let root = match version.contains('/') {
        true => format!("/apis/{version}"),
        false => format!("/api/{version}"),
    };
    let plural = match kind(object) {
        "KuberhealthyCheck" => "khchecks".to_owned(),
        kind if kind.ends_with("Policy") => {
            format!("{}ies", kind.trim_end_matches('y').to_lowercase())
        }
        kind => format!("{}s", kind.to_lowercase()),
    };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    }
}
