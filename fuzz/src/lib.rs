//! What the fuzz targets share: tiny models and caches, a directory to put files into, and the rules that
//! every reader of other people's files has to keep.
//!
//! A reader gives a value or an error with words. It does not panic, reads nothing outside its directory, and
//! takes no more memory than the size of the file explains.

mod caches;
mod mutation;
mod panics;
mod rules;
mod scratch;
mod tiny_models;

pub use caches::{TinyCache, tiny_caches};
pub use mutation::{mutate_header, mutate_json};
pub use panics::only_escaping_panics;
pub use rules::{expect_words, leaves_directory, within_memory};
pub use scratch::Scratch;
pub use tiny_models::{
    FAMILIES_OF_TENSORS, TinyModel, decoder, family_of_tensors, logits, save, tiny_model,
    tiny_models,
};
