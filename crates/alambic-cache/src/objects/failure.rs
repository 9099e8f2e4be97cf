//! What a store answers, without what it must not repeat.

use std::env;
use std::error::Error;
use std::io;

use parquet::errors::ParquetError;

/// Starts of the environment variables that the services' settings are read from.
const SETTINGS: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
/// Words in the names of those that hold a secret.
const SECRETS: [&str; 6] = ["KEY", "SECRET", "TOKEN", "SAS", "PASSWORD", "CREDENTIAL"];
/// Values shorter than this are no secrets, and occur in any text.
const LEAST_SECRET_BYTES: usize = 6;

/// An answer, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ObjectFailure(String);

/// An error of a store with all its causes, as text without credentials.
pub(super) fn of(error: &object_store::Error) -> io::Error {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    let kind = match error {
        NotFound { .. } => io::ErrorKind::NotFound,
        PermissionDenied { .. } | Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    let text = without_secrets(&with_causes(error), &secrets());
    io::Error::new(kind, ObjectFailure(text))
}

/// Takes an answer of a store out of what the Parquet library made of it.
pub(crate) fn failure_in(error: ParquetError) -> Result<io::Error, ParquetError> {
    let ParquetError::External(cause) = error else {
        return Err(error);
    };
    let is_failure = |cause: &io::Error| {
        let inner = cause.get_ref();
        inner.is_some_and(|inner| inner.is::<ObjectFailure>())
    };
    match cause.downcast::<io::Error>() {
        Ok(cause) if is_failure(&cause) => Ok(*cause),
        Ok(cause) => Err(ParquetError::External(cause)),
        Err(cause) => Err(ParquetError::External(cause)),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// The values of the environment that no message may contain.
fn secrets() -> Vec<String> {
    let is_secret = |name: &str| {
        SETTINGS.iter().any(|start| name.starts_with(start))
            && SECRETS.iter().any(|word| name.contains(word))
    };
    let variables = env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_secret(&name).then_some(value)
    });
    variables
        .filter(|value| value.len() >= LEAST_SECRET_BYTES)
        .collect()
}

/// The text without these values, and its URLs without users and queries, which may be signed.
fn without_secrets(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "[secret]");
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start + 3);
        let end = |c: char| c.is_whitespace() || "\"'<>)".contains(c);
        let (url, after) = url.split_at(url.find(end).unwrap_or(url.len()));
        let (path, query) = match url.split_once('?') {
            Some((path, _)) => (path, "?[query]"),
            None => (url, ""),
        };
        let authority = path.find('/').unwrap_or(path.len());
        let host = path[..authority].rfind('@').map_or(0, |at| at + 1);
        kept.push_str(before);
        kept.push_str(&path[host..]);
        kept.push_str(query);
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_users_and_queries_and_values_of_the_environment_are_left_out() {
        let secrets = ["hunter22".to_owned()];
        for (text, expected) in [
            (
                "error performing GET https://a.blob.core.windows.net/c/x?sv=1&sig=abc%3D in 2s",
                "error performing GET https://a.blob.core.windows.net/c/x?[query] in 2s",
            ),
            (
                "for url (http://me:word@host:9000/b/?list-type=2): refused",
                "for url (http://host:9000/b/?[query]): refused",
            ),
            ("<Key>hunter22</Key> ://", "<Key>[secret]</Key> ://"),
            ("why? because", "why? because"),
        ] {
            assert_eq!(without_secrets(text, &secrets), expected);
        }
    }

    #[test]
    fn an_answer_is_found_in_an_error_of_the_parquet_library_and_others_are_left() {
        let answer = of(&object_store::Error::Generic {
            store: "test",
            source: "no connection".into(),
        });
        let found = failure_in(ParquetError::from(answer));
        assert!(matches!(&found, Ok(error) if error.to_string().contains("no connection")));
        let file = ParquetError::from(io::Error::from(io::ErrorKind::NotFound));
        assert!(matches!(failure_in(file), Err(ParquetError::External(_))));
        let damaged = ParquetError::EOF("the end".into());
        assert!(matches!(failure_in(damaged), Err(ParquetError::EOF(_))));
    }
}
