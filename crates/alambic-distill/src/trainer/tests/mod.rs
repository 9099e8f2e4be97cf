//! The ladder for training: recorded steps, order of the data, resume, and what stops a run.

#![allow(clippy::unwrap_used)]

mod aligned_teacher;
mod gradient_fidelity;
mod head_only;
mod head_pass;
mod hidden_states;
mod live_teacher;
mod lora;
mod precision;
mod recorded_run;
mod small_run;
mod tempered_targets;
mod weight_ramp;
