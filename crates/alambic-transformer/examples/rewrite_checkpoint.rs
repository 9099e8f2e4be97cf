//! Reads a checkpoint and writes it again.
//!
//! `cargo run -p alambic-transformer --example rewrite_checkpoint -- IN OUT [MAX_SHARD_BYTES]`
//!
//! `tools/compare_with_transformers.py` loads what this writes in `transformers`.

use std::error::Error;
use std::path::PathBuf;

use alambic_transformer::{
    DeviceChoice, SaveOptions, WeightType, load_checkpoint, save_checkpoint,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: rewrite_checkpoint IN OUT [MAX_SHARD_BYTES]";
    let [from, to] = [arguments.next(), arguments.next()].map(|path| path.map(PathBuf::from));
    let max_shard_bytes = arguments.next().map(|text| text.parse()).transpose()?;
    let checkpoint = load_checkpoint(&from.ok_or(usage)?, &DeviceChoice::Cpu.open()?)?;
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: checkpoint.bos_token_id,
        eos_token_ids: checkpoint.eos_token_ids,
        pad_token_id: checkpoint.pad_token_id,
        max_shard_bytes,
    };
    save_checkpoint(&checkpoint.decoder, &to.ok_or(usage)?, &options)?;
    Ok(())
}
