//! The rules that are checked around every call.

use std::alloc::System;
use std::error::Error;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What a file may cost whatever its size: buffers, tables, a list of everything that is missing.
const CONSTANT_BYTES: usize = 64 << 20;
/// What every byte of a file may cost.
const BYTES_PER_FILE_BYTE: usize = 256;

/// Runs a reader with as much memory as a file of this size explains.
///
/// An allocation beyond that ends the process where it is made, so that the report shows who asked for it. Set
/// `RUST_BACKTRACE=0`: printing a backtrace needs memory as well.
pub fn within_memory<T>(file_bytes: usize, read: impl FnOnce() -> T) -> T {
    let allowance = CONSTANT_BYTES + BYTES_PER_FILE_BYTE * file_bytes;
    let limit = |bytes| ALLOCATOR.set_limit(bytes).expect("more than is in use");
    limit(ALLOCATOR.allocated() + allowance);
    let outcome = read();
    limit(usize::MAX);
    outcome
}

/// Checks that an error and each of its causes say something.
pub fn expect_words(error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        assert!(
            !message.trim().is_empty(),
            "an error without words: {error:?}"
        );
        next = error.source();
    }
}

/// Whether a name could lead out of a directory, on any operating system.
pub fn leaves_directory(name: &str) -> bool {
    name == "." || name == ".." || name.contains(['/', '\\', ':', '\0'])
}
