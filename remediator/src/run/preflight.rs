//! Before anything is watched: is the API server there, and does it know our kinds?

use std::time::Duration;

use kube::{Client, Error, Resource as _};

use super::health::{Health, Stage};
use super::logging::Repeated;
use crate::clock;
use crate::crd::{Remediation, RemediationPolicy};
use crate::explain::{code, explain};

const GROUP: &str = "kuberhealer.io/v1alpha1";

/// The longest that the question may take.
const REQUEST: Duration = Duration::from_secs(4);

/// The first pause; it doubles up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// Waits until the API server is there and our kinds are installed, and tells what it waits for.
pub(super) async fn ready(client: &Client, url: &str, health: &Health) {
    let mut repeated = Repeated::default();
    let mut pause = FIRST;
    while let Err(why) = asked(client, url).await {
        if repeated.is_due(&why, clock::instant()) {
            // Last, so that a command in it can be pasted.
            tracing::warn!("waiting: {why}");
        }
        health.set(Stage::Waiting(why));
        tokio::time::sleep(pause).await;
        pause = LONGEST.min(pause * 2);
    }
}

async fn asked(client: &Client, url: &str) -> Result<(), String> {
    let answer = tokio::time::timeout(REQUEST, client.list_api_group_resources(GROUP)).await;
    let seconds = REQUEST.as_secs();
    match answer {
        Err(_) => Err(format!(
            "the API server at {url} cannot be reached: no answer within {seconds} s"
        )),
        Ok(Ok(list)) => {
            let known: Vec<&str> = list.resources.iter().map(|one| one.name.as_str()).collect();
            installed(&known)
        }
        Ok(Err(error)) => match code(&error) {
            Some(404) => installed(&[]),
            // Who may not ask this may still be allowed all the rest; what is not allowed is told when it is tried.
            Some(403) => Ok(()),
            Some(401) => Err(format!(
                "the API server at {url} does not accept the credentials: {}",
                explain(&error)
            )),
            Some(_) => Err(format!(
                "the API server at {url} does not answer as it should: {}",
                explain(&error)
            )),
            None if matches!(error, Error::Auth(_)) => Err(explain(&error)),
            None => Err(format!(
                "the API server at {url} cannot be reached: {}",
                explain(&error)
            )),
        },
    }
}

/// Whether these are all of our kinds.
fn installed(known: &[&str]) -> Result<(), String> {
    let ours = [RemediationPolicy::plural(&()), Remediation::plural(&())];
    let missing: Vec<&str> = ours
        .iter()
        .map(AsRef::as_ref)
        .filter(|plural| !known.contains(plural))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the cluster does not know {} of {GROUP}; install them with: remediator crds | kubectl apply --server-side -f -",
        missing.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::installed;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let both = ["remediations", "remediations/status", "remediationpolicies"];
        assert_eq!(installed(&both), Ok(()));
        for (known, expected) in [
            (
                &[][..],
                "does not know remediationpolicies and remediations of",
            ),
            (
                &["remediations"][..],
                "does not know remediationpolicies of",
            ),
        ] {
            let why = installed(known).unwrap_err();
            assert!(why.contains(expected), "{why}");
            assert!(
                why.ends_with("remediator crds | kubectl apply --server-side -f -"),
                "{why}"
            );
        }
    }
}
