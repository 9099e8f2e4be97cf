//! The key of a server.

use std::env;
use std::fmt;

use crate::SynthError;

/// What stands where a key stood.
const HIDDEN: &str = "[key]";

/// A secret from the environment. It appears in no message and in no file.
#[derive(Clone)]
pub(super) struct ApiKey(String);

impl ApiKey {
    /// Reads an environment variable.
    pub(super) fn from_variable(variable: &str, url: &str) -> Result<Self, SynthError> {
        match env::var(variable) {
            Ok(key) if !key.trim().is_empty() => Ok(Self(key.trim().to_owned())),
            _ => Err(SynthError::Endpoint {
                url: url.to_owned(),
                problem: format!(
                    "the environment variable {variable} is not set, expected the server's key in it"
                ),
            }),
        }
    }

    /// What the header `Authorization` says.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A text without the key.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.0, HIDDEN)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_nowhere() {
        let key = ApiKey("sk-1234".into());
        assert_eq!(format!("{key:?}"), HIDDEN);
        assert_eq!(
            key.hide("wrong key sk-1234, sk-1234"),
            "wrong key [key], [key]"
        );
    }
}
