//! Conversations as lines of JSON.

use std::path::Path;

use crate::SynthError;
use crate::journal;
use crate::synthetic_conversation::SyntheticConversation;

pub(super) fn bytes(conversations: &[SyntheticConversation]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for conversation in conversations {
        let line = serde_json::to_vec(conversation);
        bytes.extend(line.expect("texts and numbers can be written as JSON"));
        bytes.push(b'\n');
    }
    bytes
}

pub(super) fn read(path: &Path) -> Result<Vec<SyntheticConversation>, SynthError> {
    journal::lines(path)?.collect()
}
