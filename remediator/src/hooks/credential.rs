//! Who may send alerts: whoever knows the token or the password, which are read from their files at each use, so that
//! they can be changed.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use subtle::ConstantTimeEq as _;

/// The longest credential, in bytes.
const LONGEST: usize = 4096;

/// Where the credentials are; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// A file with a token: `Authorization: Bearer TOKEN`.
    pub(crate) token: Option<PathBuf>,
    /// A file with `user:password`: `Authorization: Basic ...`.
    pub(crate) basic: Option<PathBuf>,
}

/// A credential that cannot be used. It never holds the credential itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCredential {
    #[error(
        "alerts are taken in only from who knows a credential: give --webhook-token-file or --webhook-basic-file"
    )]
    None,
    #[error("{option}: {path} cannot be read: {source}", path = path.display())]
    Unreadable {
        option: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{option}: {path} {wrong}", path = path.display())]
    Unusable {
        option: &'static str,
        path: PathBuf,
        wrong: &'static str,
    },
}

const TOKEN: &str = "--webhook-token-file";
const BASIC: &str = "--webhook-basic-file";

impl Credentials {
    /// Whether each can be read now and there is one.
    pub(crate) async fn check(&self) -> Result<(), NoCredential> {
        match (self.read_token().await?, self.read_basic().await?) {
            (None, None) => Err(NoCredential::None),
            _ => Ok(()),
        }
    }

    /// Whether this header holds one of them.
    pub(super) async fn allow(&self, header: Option<&HeaderValue>) -> Result<bool, NoCredential> {
        let header = header.and_then(|header| header.to_str().ok());
        let (scheme, given) = header
            .and_then(|header| header.split_once(' '))
            .unwrap_or_default();
        let expected = if scheme.eq_ignore_ascii_case("bearer") {
            self.read_token().await?
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = self.read_basic().await?;
            pair.map(|pair| STANDARD.encode(pair))
        } else {
            None
        };
        let given = given.trim().as_bytes();
        Ok(expected.is_some_and(|expected| expected.as_bytes().ct_eq(given).into()))
    }

    async fn read_token(&self) -> Result<Option<String>, NoCredential> {
        match &self.token {
            Some(path) => read(TOKEN, path).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read_basic(&self) -> Result<Option<String>, NoCredential> {
        let Some(path) = &self.basic else {
            return Ok(None);
        };
        let pair = read(BASIC, path).await?;
        match pair.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => Ok(Some(pair)),
            _ => Err(unusable(BASIC, path, "does not hold user:password")),
        }
    }
}

async fn read(option: &'static str, path: &Path) -> Result<String, NoCredential> {
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|source| NoCredential::Unreadable {
        option,
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() > LONGEST {
        return Err(unusable(option, path, "is longer than 4096 bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unusable(option, path, "is not a text"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(unusable(option, path, "is empty")),
        text => Ok(text.to_owned()),
    }
}

fn unusable(option: &'static str, path: &Path, wrong: &'static str) -> NoCredential {
    NoCredential::Unusable {
        option,
        path: path.to_owned(),
        wrong,
    }
}
