//! Continue tokens of paged lists, in the form a kube-apiserver gives them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD};
use serde_json::{Value, json};

use crate::status::Status;

/// As Go's decoder, this one does not mind bits left over in the last character.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Continue {
    /// The version that all pages show; `None` for a list that goes on with whatever is there now.
    pub(crate) version: Option<u64>,
    /// Namespace (empty in a list of one namespace) and name of the last object shown.
    pub(crate) after: (String, String),
}

impl Continue {
    pub(crate) fn token(&self) -> String {
        let (namespace, name) = &self.after;
        let start = match namespace.as_str() {
            "" => format!("/{name}\0"),
            namespace => format!("/{namespace}/{name}\0"),
        };
        let version = self
            .version
            .map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start});
        BASE64.encode(token.to_string())
    }

    pub(crate) fn parse(token: &str) -> Result<Continue, Status> {
        let invalid = |why: String| Status::bad_request(format!("invalid continue token: {why}"));
        let not_valid = |why: String| invalid(format!("continue key is not valid: {why}"));
        let json = BASE64
            .decode(token)
            .map_err(|why| not_valid(why.to_string()))?;
        let token: Value = serde_json::from_slice(&json).map_err(|why| {
            not_valid(match json.first() {
                // In the words of Go, which reads the byte as a character.
                Some(byte) if !b"{[\"-tfn0123456789".contains(byte) => {
                    format!(
                        "invalid character '{}' looking for beginning of value",
                        char::from(*byte)
                    )
                }
                None => "unexpected end of JSON input".to_owned(),
                Some(_) => why.to_string(),
            })
        })?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(not_valid(
                "server does not recognize this encoded version".to_owned(),
            ));
        }
        let version = match token["rv"].as_i64() {
            Some(version) if version > 0 => u64::try_from(version).ok(),
            Some(-1) => None,
            _ => {
                return Err(not_valid(
                    "incorrect encoded start resourceVersion".to_owned(),
                ));
            }
        };
        let start = token["start"].as_str().unwrap_or_default();
        let start = start
            .strip_prefix('/')
            .ok_or_else(|| not_valid("start is not a path".to_owned()))?;
        let start = start.trim_end_matches('\0');
        let (namespace, name) = start.split_once('/').unwrap_or(("", start));
        Ok(Continue {
            version,
            after: (namespace.to_owned(), name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recorded_token_is_understood() {
        let recorded = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIxNiwic3RhcnQiOiIvY3Jhc2hcdTAwMDAifQ";
        let expected = Continue {
            version: Some(1216),
            after: (String::new(), "crash".to_owned()),
        };
        assert_eq!(Continue::parse(recorded).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn tokens_are_read_back(version in proptest::option::of(1_u64..1 << 50), namespace in "[a-z]{0,5}", name in "[a-z.-]{1,9}") {
            let place = Continue { version, after: (namespace, name) };
            prop_assert_eq!(Continue::parse(&place.token()).unwrap(), place);
        }

        #[test]
        fn garbage_is_refused(token in "\\PC{0,40}") {
            prop_assume!(!token.starts_with("eyJ"));
            prop_assert_eq!(Continue::parse(&token).unwrap_err().code, 400);
        }
    }
}
