//! Which parts of an object a check looks at.

/// The parts of a JSON value that are read; all others are passed over without being kept.
///
/// `null` where [`Fields::Of`] looks counts as missing, as it does for the API server.
#[derive(Debug, Clone, Copy)]
pub enum Fields {
    /// All of it.
    All,
    /// Of an object these members, of an array the same of each element; text and numbers as they are.
    Of(&'static [(&'static str, Fields)]),
}

impl Fields {
    /// What is read of the member `key`, and its name; `None` if nothing is.
    pub(crate) fn member(
        members: &'static [(&'static str, Fields)],
        key: &[u8],
    ) -> Option<(&'static str, Fields)> {
        let found = members.iter().find(|(name, _)| name.as_bytes() == key);
        found.copied()
    }
}
