//! The picture of the study that the README shows is drawn from the figures that are kept beside it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use alambic::pipeline::Study;

/// Draws it anew: `ALAMBIC_REDRAW=1 cargo test --test study_picture`.
#[test]
fn the_picture_in_the_documentation_is_that_of_the_kept_figures() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let figures = std::fs::read(docs.join("experiments/target_study.json")).unwrap();
    let study: Study = serde_json::from_slice(&figures).unwrap();
    let picture = docs.join("images/targets.svg");
    if std::env::var_os("ALAMBIC_REDRAW").is_some() {
        std::fs::write(&picture, study.plot().unwrap()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(picture).unwrap(),
        study.plot().unwrap()
    );
}
