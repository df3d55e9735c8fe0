//! What `run` needs of a pod's spec before it can start it: the rest is as good here as in a cluster.

use super::fields::{Fault, Field};

/// Checks the spec of a checker pod.
pub(crate) fn check(spec: &Field<'_>) -> Result<(), Fault> {
    const LIST: &str = "a list of at least one container";
    let containers = spec.required("containers", LIST)?;
    if containers.items(LIST)?.is_empty() {
        return Err(containers.fault(LIST));
    }
    for list in [Some(containers.clone()), spec.optional("initContainers")]
        .into_iter()
        .flatten()
    {
        for one in list.items("a list of containers")? {
            container(&one)?;
        }
    }
    if let Some(policy) = spec.optional("restartPolicy") {
        const POLICIES: &str = "Always, OnFailure or Never";
        if !matches!(policy.text(POLICIES)?, "Always" | "OnFailure" | "Never") {
            return Err(policy.fault(POLICIES));
        }
    }
    Ok(())
}

fn container(container: &Field<'_>) -> Result<(), Fault> {
    container.mapping("a container: a mapping with name and image")?;
    container
        .required("name", "the container's name")?
        .label()?;
    container
        .required("image", "the container's image")?
        .text("the container's image")?;
    for list in ["command", "args"] {
        if let Some(list) = container.optional(list) {
            list.texts("a list of texts")?;
        }
    }
    let Some(env) = container.optional("env") else {
        return Ok(());
    };
    for variable in env.items("a list of variables with name and value")? {
        variable
            .required("name", "the variable's name")?
            .text("the variable's name")?;
        if let Some(value) = variable.optional("value")
            && value.node().text().is_none()
        {
            return Err(value.secret_fault("a text (put it in quotes)"));
        }
        if let Some(from) = variable.optional("valueFrom") {
            source(&from)?;
        }
    }
    Ok(())
}

/// Where a variable's value comes from: exactly the four ways of `EnvVarSource` that stand in the API.
fn source(from: &Field<'_>) -> Result<(), Fault> {
    const SOURCES: &str = "fieldRef, configMapKeyRef, secretKeyRef or resourceFieldRef";
    match from.mapping(SOURCES)? {
        [(kind, _)] => match kind.as_str() {
            "fieldRef" => from
                .required(kind, SOURCES)?
                .required("fieldPath", "a field of the pod")?
                .text("a field of the pod")
                .map(drop),
            "configMapKeyRef" | "secretKeyRef" => {
                let reference = from.required(kind, SOURCES)?;
                reference.required("name", "the object's name")?.name()?;
                reference
                    .required("key", "a key of the object")?
                    .text("a key of the object")
                    .map(drop)
            }
            "resourceFieldRef" => Ok(()),
            _ => Err(from.fault(SOURCES)),
        },
        _ => Err(from.fault(format!("one of {SOURCES}"))),
    }
}
