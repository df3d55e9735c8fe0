//! Objects in the cluster.

use std::sync::PoisonError;

use khclient::{Finding, Subject};
use serde::de::DeserializeOwned;

use super::{About, Looker, Trouble, network};
use crate::cluster::{ClusterError, Resource};
use crate::dependency::item::{Minimum, Place, Port, Target, Workload};
use crate::dependency::judge::{self, Backing, NotReady, PodTally, Tally};
use crate::dependency::objects::{
    Any, ApiResource, Claim, EndpointSlice, Job, Pod, Replicated, ResourceList, Service,
};
use crate::dependency::rounds::Standing;
use crate::values::Selector;

const SERVICES: Resource<'_> = Resource {
    group: "api/v1",
    plural: "services",
};
const SLICES: Resource<'_> = Resource {
    group: "apis/discovery.k8s.io/v1",
    plural: "endpointslices",
};
const JOBS: Resource<'_> = Resource {
    group: "apis/batch/v1",
    plural: "jobs",
};
const CLAIMS: Resource<'_> = Resource {
    group: "api/v1",
    plural: "persistentvolumeclaims",
};

/// A slice holds up to 1000 endpoints and a pod takes 10 KiB of JSON or more: small pages keep memory small.
const SLICES_AT_A_TIME: u32 = 10;
const PODS_AT_A_TIME: u32 = 50;

impl Looker {
    async fn get<T: DeserializeOwned>(
        &self,
        kind: &str,
        resource: Resource<'_>,
        place: &Place,
    ) -> Result<T, Trouble> {
        let namespace = place.namespace.as_deref().unwrap_or(&self.namespace);
        let object = self.cluster()?.get(resource, namespace, &place.name).await;
        object.map_err(|error| found_or(error, kind))
    }

    pub(super) async fn service(
        &self,
        place: &Place,
        port: Option<&Port>,
        minimum: Minimum,
    ) -> Result<(), Trouble> {
        let service: Service = self.get("service", SERVICES, place).await?;
        let wanted = match judge::backing(&service.spec, port, minimum)? {
            Backing::Endpoints(wanted) => wanted,
            Backing::Name(name) => return Ok(network::external(&name).await?),
        };
        let namespace = place.namespace.as_deref().unwrap_or(&self.namespace);
        let selector = format!("kubernetes.io/service-name={}", place.name);
        let slices: Vec<EndpointSlice> = self
            .cluster()?
            .list_by(SLICES_AT_A_TIME, SLICES, Some(namespace), Some(&selector))
            .await?;
        let mut tally = Tally::default();
        for slice in slices {
            tally.add(slice, &wanted);
        }
        Ok(judge::service(&tally, port, minimum)?)
    }

    pub(super) async fn workload(
        &self,
        kind: Workload,
        place: &Place,
        minimum: Minimum,
    ) -> Result<(), Trouble> {
        let resource = Resource {
            group: "apis/apps/v1",
            plural: kind.resource(),
        };
        let object: Replicated = self.get(kind.kind(), resource, place).await?;
        Ok(judge::workload(kind, &object, minimum)?)
    }

    pub(super) async fn job(&self, place: &Place) -> Result<(), Trouble> {
        let job: Job = self.get("job", JOBS, place).await?;
        Ok(judge::job(&job)?)
    }

    pub(super) async fn claim(&self, place: &Place) -> Result<(), Trouble> {
        let claim: Claim = self.get("persistentvolumeclaim", CLAIMS, place).await?;
        Ok(judge::claim(&claim)?)
    }

    /// A finding for each pod that is not ready, so that something can be done about that pod alone, if too few are.
    pub(super) async fn pods(
        &self,
        namespace: &str,
        selector: &Selector,
        minimum: Minimum,
    ) -> Result<Standing, Trouble> {
        let pods: Vec<Pod> = self
            .cluster()?
            .list_by(
                PODS_AT_A_TIME,
                Resource::PODS,
                Some(namespace),
                Some(selector.as_str()),
            )
            .await?;
        let mut tally = PodTally::default();
        for pod in pods {
            tally.add(pod);
        }
        let Err(wrong) = judge::pods(tally, minimum) else {
            return Ok(Standing::new());
        };
        let label = format!("pod:{namespace}/{selector}");
        let too_few = wrong
            .too_few
            .iter()
            .map(|why| Finding::new(format!("{label}: {why}")));
        let named = wrong.pods.iter().map(|(name, why)| {
            let about = About {
                subject: Subject::namespaced("pod", namespace, name),
                label: format!("{label}: {name}"),
            };
            about.finding(&why.to_string())
        });
        Ok(too_few.chain(named).collect())
    }

    /// The subject is known only after discovery: it has a namespace or has none.
    pub(super) async fn condition(&self, target: &Target) -> Standing {
        let Target::Condition {
            api_version,
            kind,
            place,
            condition,
            status,
        } = target
        else {
            return Standing::new();
        };
        let resource = match self.discover(api_version, kind).await {
            Ok(resource) => resource,
            Err(trouble) => return vec![self.about(target).finding(&trouble.to_string())],
        };
        let lower = kind.to_ascii_lowercase();
        let namespace = place.namespace.as_deref().unwrap_or(&self.namespace);
        let about = match resource.namespaced {
            true => About {
                subject: Subject::namespaced(&lower, namespace, &place.name),
                label: format!("{lower} {namespace}/{}", place.name),
            },
            false => About {
                subject: Subject::cluster(&lower, &place.name),
                label: format!("{lower} {}", place.name),
            },
        };
        let outcome = async {
            let address = Resource {
                group: &group_path(api_version),
                plural: &resource.name,
            };
            let object: Any = match (resource.namespaced, &place.namespace) {
                (false, Some(namespace)) => {
                    let seen = format!("namespace \"{namespace}\"");
                    let expected = format!("no namespace, as kind {kind} has none");
                    return Err(NotReady::new(expected, seen).into());
                }
                (false, None) => {
                    let object = self.cluster()?.get_global(address, &place.name).await;
                    object.map_err(|error| found_or(error, &lower))?
                }
                (true, None) if self.namespace.is_empty() => {
                    let seen = "none, and that of the check's pod is not known";
                    return Err(NotReady::new("a namespace", seen).into());
                }
                (true, _) => self.get(&lower, address, place).await?,
            };
            Ok(judge::condition(&object, condition, status)?)
        };
        let outcome: Result<(), Trouble> = outcome.await;
        outcome
            .err()
            .map(|trouble| about.finding(&trouble.to_string()))
            .into_iter()
            .collect()
    }

    /// The resource of a kind. Only what was found is remembered: kinds appear while a cluster is set up.
    async fn discover(&self, api_version: &str, kind: &str) -> Result<ApiResource, Trouble> {
        let key = (api_version.to_owned(), kind.to_owned());
        let served = || self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = served().get(&key) {
            return Ok(known.clone());
        }
        let list = self
            .cluster()?
            .discover::<ResourceList>(&group_path(api_version))
            .await;
        let list = match list {
            // An API group that is not there has no kinds.
            Err(ClusterError::NotFound(_)) => ResourceList { resources: None },
            list => list?,
        };
        let found = judge::resource(&list, api_version, kind)?.clone();
        served().insert(key, found.clone());
        Ok(found)
    }
}

/// `api/v1`, `apis/apps/v1`.
fn group_path(api_version: &str) -> String {
    match api_version.contains('/') {
        true => format!("apis/{api_version}"),
        false => format!("api/{api_version}"),
    }
}

fn found_or(error: ClusterError, kind: &str) -> Trouble {
    match error {
        ClusterError::NotFound(_) => Trouble::Missing(kind.to_owned()),
        error => error.into(),
    }
}
