//! Records: what files of tables and of JSON hold, and texts that are made of them.

mod environment;
mod record_expression;
mod record_format;
mod record_template;

use serde_json::{Map, Value};

pub use record_expression::RecordExpression;
pub use record_format::{RecordFormat, read_records};
pub use record_template::RecordTemplate;

use crate::error::TextError;

/// A record: its fields by their names, in the order of the file.
pub type Record = Map<String, Value>;

fn refuse(problem: impl ToString) -> TextError {
    TextError::RecordTemplate {
        problem: problem.to_string(),
    }
}
