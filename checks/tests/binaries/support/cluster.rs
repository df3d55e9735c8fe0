//! The sandbox's API server, with or without roles, and what checks ask of it.

use std::sync::LazyLock;

use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions, Request, Token};
use sandbox::faults::Faults;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use super::Check;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The user of the check where roles decide.
const CHECKER: &str = "system:serviceaccount:checks:checker";

/// An API server with the namespaces `shop` and `bank` of team a, `test` of team b, and `checks` for the check itself.
pub(crate) struct Cluster {
    server: ApiServer,
    api: Api,
    /// The check's token, if the server asks for one.
    token: Option<NamedTempFile>,
}

impl Cluster {
    /// Everybody may do everything.
    pub(crate) fn new() -> Cluster {
        Cluster::with(ApiServerOptions::default(), None)
    }

    /// Roles decide what the check may do, which is nothing yet.
    pub(crate) fn guarded() -> Cluster {
        let token = |token: &str, user: &str, group: &str| Token {
            token: token.to_owned(),
            user: user.to_owned(),
            groups: vec![group.to_owned()],
        };
        let options = ApiServerOptions {
            tokens: vec![
                token("admin", "admin", "system:masters"),
                token("checker", CHECKER, "system:authenticated"),
            ],
            rbac: true,
            ..ApiServerOptions::default()
        };
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "checker").unwrap();
        Cluster {
            token: Some(file),
            ..Cluster::with(options, Some("admin"))
        }
    }

    fn with(options: ApiServerOptions, token: Option<&str>) -> Cluster {
        let server = RUNTIME.block_on(ApiServer::start(options)).unwrap();
        let api = Api::new(&server.url(), token, "test").unwrap();
        let cluster = Cluster {
            server,
            api,
            token: None,
        };
        for (name, labels) in [
            ("shop", json!({"team": "a"})),
            ("bank", json!({"team": "a"})),
            ("test", json!({"team": "b"})),
            ("checks", json!({})),
        ] {
            cluster.add(
                "/api/v1/namespaces",
                json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}),
            );
        }
        cluster
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn faults(&self) -> Faults {
        self.server.faults()
    }

    /// Creates an object, with its status if it has one.
    #[track_caller]
    pub(crate) fn add(&self, path: &str, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let created = RUNTIME.block_on(self.api.create(path, &object)).unwrap();
        if object.get("status").is_some() {
            let mut with_status = created;
            with_status["status"] = object["status"].clone();
            let path = format!("{path}/{name}/status");
            RUNTIME
                .block_on(self.api.replace(&path, &with_status))
                .unwrap();
        }
    }

    /// Deletes an object.
    #[track_caller]
    pub(crate) fn delete(&self, path: &str) {
        RUNTIME.block_on(self.api.delete(path)).unwrap();
    }

    /// Forgets the history, so that the tokens of lists run out.
    pub(crate) fn compact(&self) {
        self.server.compact();
    }

    /// Requests of the check, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let mut requests = self.server.requests();
        requests.retain(|seen| seen.agent.starts_with("kuberhealer"));
        requests
    }

    /// The run with this API server, as a pod of the check would know it.
    pub(crate) fn known_to(&self, check: Check) -> Check {
        let check = check.var("KUBE_API_URL", &self.url());
        match &self.token {
            Some(file) => check.var("KUBE_API_TOKEN_FILE", file.path().to_str().unwrap()),
            None => check,
        }
    }
}
