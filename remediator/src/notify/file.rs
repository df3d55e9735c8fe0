//! The file of receivers as it is written: nothing in it is known to make sense.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) external_url: Option<String>,
    #[serde(default)]
    pub(super) cascade_threshold: Option<Value>,
    pub(super) receivers: Vec<RawReceiver>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawReceiver {
    pub(super) name: String,
    #[serde(default)]
    pub(super) severity: Option<String>,
    #[serde(default)]
    pub(super) default: Option<bool>,
    #[serde(default)]
    pub(super) timeout_seconds: Option<Value>,
    #[serde(default)]
    pub(super) tls: RawTls,
    #[serde(default)]
    pub(super) alertmanager: Option<RawAlertmanager>,
    #[serde(default)]
    pub(super) slack: Option<RawSlack>,
    #[serde(default)]
    pub(super) webhook: Option<RawWebhook>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawTls {
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) insecure_skip_verify: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawAlertmanager {
    pub(super) url: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) bearer_token_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) resend_seconds: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawSlack {
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) url_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) channel: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) url: String,
    #[serde(default)]
    pub(super) secret_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) bearer_token_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}
