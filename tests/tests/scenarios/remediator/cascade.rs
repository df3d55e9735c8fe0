//! Three applications, each of which needs the next one, and a check of each. No policy says what depends on what: that
//! follows from what the checks name. Whichever breaks, it alone is acted on.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use sandbox::kuberhealthy::Speed;
use sandbox::node::{Image, Images, PodNetwork};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{CHECKS, DEPLOYMENTS, PODS, POLICIES, RECORDS, Shop, rolled_out};

const PORT: u16 = 8080;
const SERVICES: &str = "/api/v1/namespaces/shop/services";

/// From the bottom to the top, with how many failures of its readiness probe a pod is taken for unready: so who is the
/// cause is seen to be down before those that need it.
const APPLICATIONS: [(&str, u32); 3] = [("db", 1), ("api", 3), ("web", 4)];

impl Shop {
    /// With the applications, their checks and their policies, and all checks pass. The policy of `cause` takes the longest
    /// to be sure, so that the others would act before it if nothing held them back.
    async fn of_three(cause: &str) -> Shop {
        let (network, services) = addresses();
        let mut options = Options::default();
        let app = ["demo-web", "--ip", "$(POD_IP)"].map(str::to_owned);
        let app = Image::program([crate::program("khctl")].into_iter().chain(app));
        options.node.images = ["tcp-check", "dependency-check"]
            .into_iter()
            .fold(Images::new().with("app", app), |images, check| {
                images.with(check, Image::program([crate::program(check)]))
            });
        options.node.network = network;
        options.v3.speed = Speed::times(20);
        let shop = Shop::of(Sandbox::start(options).await.unwrap()).await;
        let mut backend: Option<Ipv4Addr> = None;
        for ((name, failures), service) in APPLICATIONS.into_iter().zip(services) {
            let object = json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {
                    "clusterIP": service, "selector": {"app": name},
                    "ports": [{"port": PORT, "targetPort": PORT}],
                },
            });
            shop.api.create(SERVICES, &object).await.unwrap();
            let object = application(name, backend, failures);
            shop.api.create(DEPLOYMENTS, &object).await.unwrap();
            let path = format!("{DEPLOYMENTS}/{name}");
            shop.until(&path, "rolled out", rolled_out).await;
            backend = Some(service);
        }
        let send = "GET / HTTP/1.0\\r\\n\\r\\n";
        let port = PORT.to_string();
        let db = [
            ("POD_SELECTOR_NAMESPACE", "shop"),
            ("POD_SELECTOR", "app=db"),
            ("POD_TARGETPORT", &port),
            ("SEND", send),
            ("EXPECT", "^HTTP/1.[01] 200"),
        ];
        let needs = |items| [("DEPENDENCIES", items), ("WAIT_SECONDS", "0")];
        shop.real_check("db", "tcp-check", &db).await;
        let api = needs("service:shop/db\nservice:shop/api");
        shop.real_check("api", "dependency-check", &api).await;
        let web = needs("service:shop/api\nservice:shop/web");
        shop.real_check("web", "dependency-check", &web).await;
        for (name, _) in APPLICATIONS {
            shop.passes(name).await;
            let trigger = json!({
                "check": {"namespace": "kuberhealthy", "name": name},
                "failureThreshold": if name == cause { 7 } else { 2 },
            });
            let spec = json!({"trigger": trigger, "dependencyGraceSeconds": 60});
            let steps = json!([{"rolloutRestart": {}}]);
            shop.create_policy(name, steps, spec).await;
        }
        shop
    }

    async fn real_check(&self, name: &str, image: &str, env: &[(&str, &str)]) {
        let env: Vec<Value> = env
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let container = json!({"name": "main", "image": image, "env": env});
        let check = json!({
            "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck", "metadata": {"name": name},
            "spec": {
                "runInterval": "2s", "timeout": "30s",
                "podSpec": {"spec": {"restartPolicy": "Never", "containers": [container]}},
            },
        });
        self.api.create(CHECKS, &check).await.unwrap();
    }

    async fn passes(&self, check: &str) {
        let path = format!("{CHECKS}/{check}");
        let passed = |check: &Value| {
            let status = &check["status"];
            status["ok"] == true && status["lastOKUnix"].as_u64() > Some(0)
        };
        self.until(&path, "passed", passed).await;
    }

    /// All pods of the application answer 503 from now on; new ones do not.
    async fn break_down(&self, name: &str) {
        for pod in self.api.list(PODS).await.unwrap().items {
            if pod["metadata"]["labels"]["app"] != name {
                continue;
            }
            let address = pod["status"]["podIP"].as_str().unwrap();
            let mut stream = TcpStream::connect((address, PORT)).await.unwrap();
            let request = "POST /control/break HTTP/1.0\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains(" 204 "), "{answer}");
        }
    }

    /// Waits until the policy is held back with this chain at the end of what it says.
    async fn held(&self, policy: &str, chain: &str) {
        let path = format!("{POLICIES}/{policy}");
        self.until(&path, &format!("held by {chain}"), |policy| {
            let conditions = policy["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|condition| {
                let message = condition["message"].as_str().unwrap_or_default();
                condition["type"] == "RemediationAllowed" && message.ends_with(chain)
            })
        })
        .await;
    }

    /// Waits until every incident is over, and says of which policies there are records.
    async fn acted_when_all_is_well(&self) -> Vec<String> {
        for (name, _) in APPLICATIONS {
            let path = format!("{POLICIES}/{name}");
            self.until(&path, "an incident that is over", |policy| {
                let status = &policy["status"];
                status["incident"]["recoveredTime"].is_string()
                    && status["upstreams"].as_array().is_none_or(Vec::is_empty)
                    || status["incident"].is_null() && name != "web"
            })
            .await;
        }
        self.until(RECORDS, "over", |list| {
            let mut records = list["items"].as_array().into_iter().flatten();
            records.all(|record| record["status"]["completedTime"].is_string())
        })
        .await;
        let records = self.records().await;
        let policies = records.iter().map(|record| {
            assert_eq!(record["status"]["phase"], "Succeeded", "{record:#}");
            &record["metadata"]["labels"]["kuberhealer.io/policy"]
        });
        policies
            .map(|policy| policy.as_str().unwrap().to_owned())
            .collect()
    }
}

fn application(name: &str, backend: Option<Ipv4Addr>, failures: u32) -> Value {
    let backend = backend.map(|address| format!("http://{address}:{PORT}/"));
    let args: Vec<String> = backend
        .into_iter()
        .flat_map(|url| ["--backend".to_owned(), url])
        .collect();
    let labels = json!({"app": name});
    let address =
        json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}});
    let probe = json!({
        "httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5,
        "failureThreshold": failures,
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "main", "image": "app", "args": args, "env": [address],
                        "ports": [{"containerPort": PORT}], "readinessProbe": probe,
                    }],
                },
            },
        },
    })
}

/// A network of this process' own for pods, and addresses beside it for the Services.
fn addresses() -> (PodNetwork, [Ipv4Addr; 3]) {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let octet = |number: u32| u8::try_from(number % 250).unwrap();
    let process = std::process::id();
    let (second, third) = (250 + octet(process / 250) % 5, octet(process));
    // Two clusters to a network of 256.
    let first = NEXT.fetch_add(1, Ordering::Relaxed) % 2 * 128;
    let network = PodNetwork::new(Ipv4Addr::new(127, second, third, first), 26).unwrap();
    let service = |number: u8| Ipv4Addr::new(127, second, third, first + 100 + number);
    (network, [0, 1, 2].map(service))
}

#[tokio::test]
async fn of_three_that_fail_one_because_of_the_other_only_the_cause_is_acted_on() {
    let shop = Shop::of_three("db").await;
    let _replica = shop.replica("one", &[]);
    shop.wait_for_leader("one").await;
    shop.break_down("db").await;
    shop.held("web", ": web <- api <- db").await;
    assert_eq!(shop.acted_when_all_is_well().await, ["db"]);
    shop.stop().await;
}

#[tokio::test]
async fn if_the_one_in_the_middle_breaks_it_alone_is_acted_on() {
    let shop = Shop::of_three("api").await;
    let _replica = shop.replica("one", &[]);
    shop.wait_for_leader("one").await;
    shop.break_down("api").await;
    shop.held("web", ": web <- api").await;
    assert_eq!(shop.acted_when_all_is_well().await, ["api"]);
    shop.stop().await;
}
