//! Access rules: whether roles and their bindings let a user do something. Pure, over the objects as stored.

use std::sync::Arc;

use serde_json::Value;

use super::{Shared, Token};
use crate::status::Status;
use crate::store::Collection;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    /// With its subresource, such as `pods/eviction`.
    pub(crate) resource: &'a str,
    /// Empty for an action at the cluster scope.
    pub(crate) namespace: &'a str,
    /// Empty for an action on no particular object.
    pub(crate) name: &'a str,
}

/// All roles and bindings.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    cluster_roles: Vec<Arc<Value>>,
    roles: Vec<Arc<Value>>,
    cluster_role_bindings: Vec<Arc<Value>>,
    role_bindings: Vec<Arc<Value>>,
}

impl Policies {
    /// What is stored now.
    pub(crate) fn of(shared: &Shared) -> Policies {
        let list = |resource: &str| {
            let collection = Collection {
                group: "rbac.authorization.k8s.io".to_owned(),
                resource: resource.to_owned(),
            };
            let found = shared.store.list(&collection, None);
            found.0.into_iter().map(|(_, object)| object).collect()
        };
        Policies {
            cluster_roles: list("clusterroles"),
            roles: list("roles"),
            cluster_role_bindings: list("clusterrolebindings"),
            role_bindings: list("rolebindings"),
        }
    }

    /// Whether `who` may do `action`.
    pub(crate) fn permit(&self, who: &Token, action: &Action<'_>) -> bool {
        if who.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        let cluster_wide = self
            .cluster_role_bindings
            .iter()
            .filter(|binding| names(binding, who))
            .any(|binding| self.role_permits(binding, action));
        cluster_wide
            || self
                .role_bindings
                .iter()
                .filter(|binding| {
                    !action.namespace.is_empty()
                        && binding["metadata"]["namespace"] == action.namespace
                })
                .filter(|binding| names(binding, who))
                .any(|binding| self.role_permits(binding, action))
    }

    fn role_permits(&self, binding: &Value, action: &Action<'_>) -> bool {
        let name = &binding["roleRef"]["name"];
        let role = match binding["roleRef"]["kind"].as_str() {
            Some("ClusterRole") => self
                .cluster_roles
                .iter()
                .find(|role| role["metadata"]["name"] == *name),
            Some("Role") => self.roles.iter().find(|role| {
                role["metadata"]["name"] == *name
                    && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            }),
            _ => None,
        };
        role.is_some_and(|role| {
            list(&role["rules"])
                .iter()
                .any(|rule| rule_permits(rule, action))
        })
    }
}

fn rule_permits(rule: &Value, action: &Action<'_>) -> bool {
    let has = |key: &str, wanted: &str| {
        list(&rule[key])
            .iter()
            .any(|value| value == "*" || value == wanted)
    };
    let any_of = action.resource.split_once('/').is_some_and(|(_, part)| {
        list(&rule["resources"])
            .iter()
            .any(|value| *value == format!("*/{part}"))
    });
    let named = list(&rule["resourceNames"]);
    has("verbs", action.verb)
        && has("apiGroups", action.group)
        && (has("resources", action.resource) || any_of)
        && (named.is_empty() || named.iter().any(|name| name == action.name))
}

/// Whether a binding is for `who`.
fn names(binding: &Value, who: &Token) -> bool {
    list(&binding["subjects"]).iter().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => name == who.user,
            Some("Group") => in_group(who, name),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().unwrap_or_default();
                who.user == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        }
    })
}

/// Groups of the token, and those that everyone or every service account is in.
fn in_group(who: &Token, group: &str) -> bool {
    let account = who.user.strip_prefix("system:serviceaccount:");
    let namespace = account
        .and_then(|account| account.split_once(':'))
        .map(|(namespace, _)| namespace);
    who.groups.iter().any(|own| own == group)
        || group == "system:authenticated"
        || (namespace.is_some() && group == "system:serviceaccounts")
        || namespace.is_some_and(|namespace| group == format!("system:serviceaccounts:{namespace}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The refusal of an action.
pub(crate) fn forbidden(user: &str, action: &Action<'_>) -> Status {
    let place = match action.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let what = format!(
        "User \"{user}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
        action.verb, action.resource, action.group
    );
    let plural = action.resource.split('/').next().unwrap_or_default();
    Status::forbidden(action.group, plural, action.name, &what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(user: &str, groups: &[&str]) -> Token {
        Token {
            token: "t".to_owned(),
            user: user.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }

    fn policies() -> Policies {
        let all = |values: Vec<Value>| values.into_iter().map(Arc::new).collect();
        Policies {
            cluster_roles: all(vec![
                json!({"metadata": {"name": "view"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}),
                json!({"metadata": {"name": "any"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
            ]),
            roles: all(vec![
                json!({"metadata": {"name": "r", "namespace": "a"}, "rules": [
                    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["update"], "resourceNames": ["c"]},
                    {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["patch"]},
                ]}),
            ]),
            cluster_role_bindings: all(vec![
                json!({"roleRef": {"kind": "ClusterRole", "name": "any"}, "subjects": [{"kind": "Group", "name": "ops"}]}),
                json!({"roleRef": {"kind": "ClusterRole", "name": "missing"}, "subjects": [{"kind": "Group", "name": "system:authenticated"}]}),
            ]),
            role_bindings: all(vec![
                json!({"metadata": {"namespace": "a"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
                       "subjects": [{"kind": "ServiceAccount", "namespace": "x", "name": "sa"}]}),
                json!({"metadata": {"namespace": "a"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]}),
                json!({"metadata": {"namespace": "b"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
                       "subjects": [{"kind": "Group", "name": "system:serviceaccounts:x"}]}),
            ]),
        }
    }

    #[test]
    fn rules_and_bindings_decide() {
        let account = token("system:serviceaccount:x:sa", &[]);
        let other = token("system:serviceaccount:x:other", &[]);
        let user = token("u", &[]);
        for (who, verb, group, resource, namespace, name, permitted) in [
            (&account, "list", "", "pods", "a", "", true),
            (&account, "delete", "", "pods", "a", "p", false),
            (&account, "list", "", "pods", "b", "", true),
            (&account, "list", "", "pods", "", "", false),
            (&account, "list", "", "pods", "c", "", false),
            (&account, "create", "", "pods/eviction", "a", "p", false),
            (&other, "list", "", "pods", "a", "", false),
            (&other, "get", "", "pods", "b", "p", true),
            (&user, "update", "", "configmaps", "a", "c", true),
            (&user, "update", "", "configmaps", "a", "d", false),
            (&user, "update", "", "configmaps", "b", "c", false),
            (&user, "patch", "apps", "deployments/scale", "a", "d", true),
            (&user, "patch", "apps", "deployments", "a", "d", false),
            (
                &token("x", &["ops"]),
                "delete",
                "apps",
                "deployments",
                "z",
                "d",
                true,
            ),
            (
                &token("x", &["system:masters"]),
                "delete",
                "",
                "nodes",
                "",
                "n",
                true,
            ),
            (&token("x", &[]), "get", "", "nodes", "", "n", false),
        ] {
            let action = Action {
                verb,
                group,
                resource,
                namespace,
                name,
            };
            assert_eq!(
                policies().permit(who, &action),
                permitted,
                "{} {action:?}",
                who.user
            );
        }
    }

    #[test]
    fn a_refusal_names_verb_and_resource() {
        let action = Action {
            verb: "list",
            group: "",
            resource: "nodes",
            namespace: "",
            name: "",
        };
        assert_eq!(
            forbidden("u", &action).message,
            "nodes is forbidden: User \"u\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
        );
    }
}
