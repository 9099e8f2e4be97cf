//! Students of which only adapters are trained.

use super::*;

const LAYERS: &str = "student.teacher_layers=[1, 2, 3]";

#[test]
fn adapters_are_settings_on_layers_of_the_teacher() {
    let lora = "student.lora={ rank = 4, alpha = 8, projections = ['q_proj', 'down_proj'] }";
    let recipe = parse(STORIES, &[LAYERS, lora]).unwrap().recipe;
    let found = recipe.student.lora.as_ref().unwrap();
    let names: Vec<&str> = found.projections.iter().map(|it| it.name()).collect();
    assert_eq!(
        (found.rank, found.alpha, names),
        (4, 8.0, vec!["q_proj", "down_proj"])
    );
    let written = recipe.to_toml().unwrap();
    assert_eq!(parse(&written, &[]).unwrap().recipe, recipe);
    assert_eq!(problem(STORIES, &[lora]).key, "student.lora");
    for (change, key) in [
        ("student.lora.rank=0", "student.lora.rank"),
        ("student.lora.alpha=-1.0", "student.lora.alpha"),
        ("student.lora.projections=[]", "student.lora.projections"),
        (
            "student.lora.projections=['q_proj', 'q_proj']",
            "student.lora.projections.1",
        ),
        (
            "student.lora.projections=['query']",
            "student.lora.projections.0",
        ),
    ] {
        assert_eq!(problem(STORIES, &[LAYERS, lora, change]).key, key);
    }
}
