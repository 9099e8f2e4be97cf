//! Documents as tokens with a loss mask.

use crate::document::DocumentSource;

/// The tokens of one view of a document.
///
/// The three vectors have the same length. `loss_mask[i]` says that token `i` is a counted label,
/// predicted from the tokens before it; `loss_mask[0]` is always false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedExample {
    /// Token ids.
    pub token_ids: Vec<u32>,
    /// Which tokens are counted labels.
    pub loss_mask: Vec<bool>,
    /// Bytes `start..end` of the text (for a conversation: of the rendered text) of each token.
    pub byte_offsets: Vec<(usize, usize)>,
    /// The document.
    pub source: DocumentSource,
}

impl TokenizedExample {
    /// The ids of the counted labels, in order.
    pub fn labels(&self) -> impl Iterator<Item = u32> {
        let tokens = self.token_ids.iter().zip(&self.loss_mask);
        tokens.filter(|(_, counts)| **counts).map(|(id, _)| *id)
    }
}

/// A document's tokens as the teacher sees them; only an
/// [`ExampleTokenizer`](crate::ExampleTokenizer) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeacherExample(pub(crate) TokenizedExample);

impl TeacherExample {
    /// The tokens.
    #[must_use]
    pub fn example(&self) -> &TokenizedExample {
        &self.0
    }
}

/// A document's tokens as the student sees them; only an
/// [`ExampleTokenizer`](crate::ExampleTokenizer) makes one, from a
/// [`StudentView`](crate::StudentView).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudentExample(pub(crate) TokenizedExample);

impl StudentExample {
    /// The tokens.
    #[must_use]
    pub fn example(&self) -> &TokenizedExample {
        &self.0
    }
}

/// Both views of one document, with the same labels in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedPair {
    pub(crate) teacher: TeacherExample,
    pub(crate) student: StudentExample,
}

impl TokenizedPair {
    /// What the teacher is asked.
    #[must_use]
    pub fn teacher(&self) -> &TeacherExample {
        &self.teacher
    }

    /// What the student is trained on.
    #[must_use]
    pub fn student(&self) -> &StudentExample {
        &self.student
    }

    /// The document.
    #[must_use]
    pub fn source(&self) -> &DocumentSource {
        &self.teacher.0.source
    }
}
