//! Why an attempt failed, and what follows from it.

use std::time::Duration;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may pass. The server may say how long to wait.
    Passing {
        reason: String,
        wait: Option<Duration>,
    },
    /// This request will always fail.
    OfRequest(String),
    /// Every request will fail: a wrong key, a wrong address.
    OfEndpoint(String),
    /// The budget does not allow the attempt.
    NoBudget,
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing {
            reason: reason.into(),
            wait: None,
        }
    }

    /// Whether another attempt may end otherwise.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Passing { .. })
    }

    /// How long the server wants to be left alone.
    pub(super) fn wait(&self) -> Duration {
        match self {
            Self::Passing { wait, .. } => wait.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// What a status other than success means; `body` is the server's explanation.
    pub(super) fn of_status(status: u16, wait: Option<Duration>, body: &str) -> Self {
        let reason = match explanation(body) {
            explanation if explanation.is_empty() => format!("status {status}"),
            explanation => format!("status {status}: {explanation}"),
        };
        match status {
            408 | 425 | 429 | 500.. => Self::Passing { reason, wait },
            300..400 | 401 | 403..=405 => Self::OfEndpoint(reason),
            _ => Self::OfRequest(reason),
        }
    }
}

/// The longest explanation that is kept, in characters.
const LONGEST_EXPLANATION: usize = 300;

/// The message in a server's error, or the beginning of whatever it sent.
fn explanation(body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let message = [
        &json["error"]["message"],
        &json["message"],
        &json["detail"],
        &json["error"],
    ];
    let message = message.into_iter().find_map(|message| message.as_str());
    let words = message.unwrap_or(body).split_whitespace();
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(LONGEST_EXPLANATION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_means() {
        let failure =
            |status| Failure::of_status(status, None, r#"{"error": {"message": "no\n more"}}"#);
        for passing in [408, 429, 500, 502, 503, 529] {
            let expected = Failure::passing(format!("status {passing}: no more"));
            assert_eq!(failure(passing), expected);
        }
        for of_endpoint in [301, 401, 403, 404] {
            assert!(matches!(failure(of_endpoint), Failure::OfEndpoint(_)));
        }
        for of_request in [400, 413, 422] {
            assert!(matches!(failure(of_request), Failure::OfRequest(_)));
        }
    }

    #[test]
    fn an_explanation_is_short_whatever_the_server_sends() {
        for (body, expected) in [
            ("", "status 500"),
            ("oh\n\nno", "status 500: oh no"),
            (r#"{"detail": "Not Found"}"#, "status 500: Not Found"),
            (r#"{"error": "busy"}"#, "status 500: busy"),
        ] {
            assert_eq!(
                Failure::of_status(500, None, body),
                Failure::passing(expected)
            );
        }
        let Failure::Passing { reason, .. } = Failure::of_status(500, None, &"x".repeat(1 << 20))
        else {
            unreachable!("a server's error passes")
        };
        assert!(reason.len() < 400);
    }
}
