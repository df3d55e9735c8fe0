//! ConfigMaps and Secrets that stand in the given files: where a container's variables may come from.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Fault, Field};

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl Kind {
    /// The kind of a document; `None` if it holds no values.
    fn of(document: &str) -> Option<Kind> {
        let kinds = [Kind::ConfigMap, Kind::Secret];
        kinds.into_iter().find(|kind| kind.noun() == document)
    }

    /// What a message calls it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
        }
    }
}

/// The data of every ConfigMap and Secret read, by kind, namespace and name. Not `Debug`-printable by field:
/// it holds secrets.
#[derive(Default)]
pub(crate) struct Values {
    objects: BTreeMap<(Kind, String, String), BTreeMap<String, String>>,
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.objects.keys()).finish()
    }
}

impl Values {
    /// Whether documents of this kind hold values.
    pub(crate) fn takes(kind: &str) -> bool {
        Kind::of(kind).is_some()
    }

    /// Takes the document if it is a ConfigMap or a Secret.
    pub(crate) fn add(&mut self, kind: &str, root: &Field<'_>) -> Result<(), Fault> {
        let Some(kind) = Kind::of(kind) else {
            return Ok(());
        };
        let metadata = root.required("metadata", "a mapping with the name")?;
        let name = metadata.required("name", "the name")?.name()?;
        let namespace = metadata
            .optional("namespace")
            .map(|field| field.label())
            .transpose()?
            .unwrap_or("default");
        let mut data = BTreeMap::new();
        for (source, encoded) in [("data", kind == Kind::Secret), ("stringData", false)] {
            let Some(field) = root.optional(source) else {
                continue;
            };
            for (key, _) in field.mapping("a mapping of texts")? {
                let Some(entry) = field.optional(key) else {
                    continue;
                };
                let text = entry
                    .node()
                    .text()
                    .ok_or_else(|| entry.secret_fault("a text (put it in quotes)"))?;
                let value = if encoded {
                    decode(text).ok_or_else(|| entry.secret_fault("text in base64"))?
                } else {
                    text.to_owned()
                };
                data.insert(key.clone(), value);
            }
        }
        let id = (kind, namespace.to_owned(), name.to_owned());
        self.objects.insert(id, data);
        Ok(())
    }

    /// All data of one object.
    pub(crate) fn object(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Option<&BTreeMap<String, String>> {
        self.objects
            .get(&(kind, namespace.to_owned(), name.to_owned()))
    }
}

fn decode(text: &str) -> Option<String> {
    let packed: String = text.split_whitespace().collect();
    String::from_utf8(STANDARD.decode(packed).ok()?).ok()
}
