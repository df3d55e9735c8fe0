//! Where the API server is, and how to show who we are.

use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::error::ClusterError;
use crate::values::BadValue;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Options of every check that reads the Kubernetes API. None is needed in a pod.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes API")]
pub struct ClusterArgs {
    /// URL of the API server, such as http://127.0.0.1:8001 for `kubectl proxy`; unset: the cluster the check runs in
    #[arg(long, value_name = "URL")]
    pub kube_api_url: Option<ApiUrl>,
    /// File with the token, up to 1 MiB; unset: the service account's, unless KUBE_API_URL is set
    #[arg(long, value_name = "FILE")]
    pub kube_api_token_file: Option<PathBuf>,
    /// PEM file, up to 1 MiB, with the CA certificates of the API server; unset: the service account's
    #[arg(long, value_name = "FILE")]
    pub kube_api_ca_file: Option<PathBuf>,
}

/// The URL of an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl(pub Url);

impl FromStr for ApiUrl {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<ApiUrl, BadValue> {
        match Url::parse(text.trim()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(ApiUrl(url))
            }
            _ => Err(BadValue::expected(
                "a URL that begins with http:// or https://",
            )),
        }
    }
}

/// A way to an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Its URL, without a path of its own in most cases.
    pub url: Url,
    /// Where the token is. It is read again for every request, because it is replaced while the pod runs.
    pub token_file: Option<PathBuf>,
    /// Where the CA certificates are; used for https only.
    pub ca_file: PathBuf,
}

impl Access {
    /// The API server that `args` name, else the one of the cluster the process runs in.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoCluster`] if neither is known.
    pub fn find(
        args: &ClusterArgs,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Access, ClusterError> {
        let service_account = |file: &str| PathBuf::from(format!("{SERVICE_ACCOUNT}/{file}"));
        let ca_file = args
            .kube_api_ca_file
            .clone()
            .unwrap_or_else(|| service_account("ca.crt"));
        if let Some(ApiUrl(url)) = &args.kube_api_url {
            // No token unless asked for: it belongs to the cluster, not to whatever this URL leads to.
            return Ok(Access {
                url: url.clone(),
                token_file: args.kube_api_token_file.clone(),
                ca_file,
            });
        }
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let host = set("KUBERNETES_SERVICE_HOST").ok_or(ClusterError::NoCluster)?;
        let port = set("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host
        };
        let url =
            Url::parse(&format!("https://{host}:{port}/")).map_err(|_| ClusterError::NoCluster)?;
        let token_file = args
            .kube_api_token_file
            .clone()
            .unwrap_or_else(|| service_account("token"));
        Ok(Access {
            url,
            token_file: Some(token_file),
            ca_file,
        })
    }

    /// The namespace of the pod this process runs in, if it has a service account.
    pub fn own_namespace() -> Option<String> {
        let text = std::fs::read_to_string(format!("{SERVICE_ACCOUNT}/namespace")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_around_the_pod_is_found() {
        let vars = |host: &'static str| {
            move |name: &str| match name {
                "KUBERNETES_SERVICE_HOST" => Some(host.to_owned()),
                "KUBERNETES_SERVICE_PORT" => Some("6443".to_owned()),
                _ => None,
            }
        };
        let find =
            |host| Access::find(&ClusterArgs::default(), vars(host)).map(|a| a.url.to_string());
        assert_eq!(find("10.0.0.1").unwrap(), "https://10.0.0.1:6443/");
        assert_eq!(find("fd00::1").unwrap(), "https://[fd00::1]:6443/");
        assert!(matches!(find(""), Err(ClusterError::NoCluster)));
    }

    #[test]
    fn a_given_url_gets_no_token_by_itself() {
        let args = ClusterArgs {
            kube_api_url: Some("http://127.0.0.1:8001".parse().unwrap()),
            ..Default::default()
        };
        let access = Access::find(&args, |_| Some("x".to_owned())).unwrap();
        assert_eq!(
            (access.url.as_str(), access.token_file),
            ("http://127.0.0.1:8001/", None)
        );
        assert!("ftp://x".parse::<ApiUrl>().is_err());
    }
}
