//! Values that are in files.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use super::BadValue;

/// The text of a file, read while the options are parsed. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct FileText(pub String);

/// Larger than any token, password or request body that makes sense for a probe, smaller than what would hurt.
const LARGEST_FILE: u64 = 1 << 20;

impl FromStr for FileText {
    type Err = BadValue;

    fn from_str(path: &str) -> Result<FileText, BadValue> {
        let bytes = read_file(path)?;
        String::from_utf8(bytes)
            .map(FileText)
            .map_err(|_| BadValue::expected("a file with UTF-8 text"))
    }
}

impl FileText {
    /// The text without the line end that editors and `kubectl create secret --from-file` leave behind.
    pub fn trimmed(&self) -> &str {
        self.0.trim_end_matches(['\r', '\n'])
    }
}

impl fmt::Debug for FileText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileText({} bytes)", self.0.len())
    }
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// What the system says.
    #[error("{0}")]
    System(String),
    /// A directory, a device, a pipe.
    #[error("it is no regular file")]
    Irregular,
    /// More than any that makes sense.
    #[error("it is larger than 1MiB")]
    TooLarge,
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        Unreadable::System(match error.kind() {
            io::ErrorKind::NotFound => "no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        })
    }
}

/// A regular file of at most [`LARGEST_FILE`].
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, Unreadable> {
    // A device never ends, and a FIFO blocks while it is opened, so this cannot wait until it is open.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Unreadable::Irregular);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Unreadable::TooLarge);
    }
    Ok(bytes)
}

/// The same for the value of an option.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, BadValue> {
    read_bounded(Path::new(path.trim())).map_err(|error| match error {
        Unreadable::System(reason) => {
            BadValue(format!("expected a file that can be read: {reason}"))
        }
        Unreadable::Irregular => BadValue::expected("a regular file"),
        Unreadable::TooLarge => BadValue::expected("a file of at most 1MiB"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "secret\n").unwrap();
        let text: FileText = path.to_str().unwrap().parse().unwrap();
        assert_eq!(text.trimmed(), "secret");
        assert!(!format!("{text:?}").contains("secret"));
        let missing = "/nowhere/at-all".parse::<FileText>().unwrap_err();
        assert_eq!(missing.0, "expected a file that can be read: no such file");
        assert!(dir.path().to_str().unwrap().parse::<FileText>().is_err());
        std::fs::write(&path, vec![b'x'; (LARGEST_FILE + 1) as usize]).unwrap();
        assert!(path.to_str().unwrap().parse::<FileText>().is_err());
    }
}
