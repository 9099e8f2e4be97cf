//! One table of single values that a good recipe must not take.

use super::*;

/// Overrides of the stories recipe, the key that must be blamed, and a part of what is expected.
const REFUSED: &[(&str, &str, &str)] = &[
    ("seed=-1", "seed", "a whole number"),
    ("seed=unset", "seed", "a whole number"),
    ("seed=1.5", "seed", "a whole number"),
    ("seed=9223372036854775808", "seed", "a whole number"),
    ("data.files=[]", "data.files", "at least one file"),
    ("data.files=a.txt", "data.files", "an array"),
    ("data.files=['']", "data.files.0", "a path"),
    ("data.files=['a', 'a']", "data.files.1", "each file once"),
    ("data.format=csv", "data.format", "\"parquet\""),
    (
        "data.format=jsonl",
        "data.separator",
        "nothing, because data.format is \"jsonl\"",
    ),
    (
        "data.separator=''",
        "data.separator",
        "at least one character",
    ),
    (
        "data.validation_fraction=1.0",
        "data.validation_fraction",
        "below 1",
    ),
    (
        "data.validation_fraction=nan",
        "data.validation_fraction",
        "below 1",
    ),
    (
        "data.validation_fraction=0.9",
        "data.test_fraction",
        "data.validation_fraction",
    ),
    (
        "data.test_fraction=-0.1",
        "data.test_fraction",
        "at least 0",
    ),
    (
        "data.validation_fraction=0",
        "experiment.learning_rates",
        "data.validation_fraction is 0",
    ),
    (
        "data.chat_template=teacher",
        "data.chat_template",
        "data.format is \"text\"",
    ),
    (
        "data.erase=remove_system",
        "data.erase",
        "no data.chat_template",
    ),
    (
        "data.max_train_documents=0",
        "data.max_train_documents",
        "at least 1",
    ),
    ("teacher.path=", "teacher.path", "a path"),
    ("teacher.path=7", "teacher.path", "a string"),
    (
        "teacher.batch_segments=0",
        "teacher.batch_segments",
        "at least 1",
    ),
    ("cache.top_k=0", "cache.top_k", "at least 1"),
    ("cache.top_k=unset", "cache", "cache.top_k and cache.values"),
    ("cache.values=f8", "cache.values", "\"f16\""),
    (
        "cache.values=unset",
        "cache",
        "cache.top_k and cache.values",
    ),
    ("cache.draws=0", "cache.draws", "1 to 4095"),
    ("cache.draws=4096", "cache.draws", "1 to 4095"),
    ("cache.draws=65536", "cache.draws", "0 to 65535"),
    (
        "cache.draws=50",
        "cache",
        "or cache.draws and cache.draw_seed",
    ),
    ("cache.draw_seed=-1", "cache.draw_seed", "a whole number"),
    (
        "cache.temperatures=[]",
        "cache.temperatures",
        "1.0 and then at most 15 others",
    ),
    (
        "cache.temperatures=[2.0, 1.0]",
        "cache.temperatures",
        "1.0 and then",
    ),
    (
        "cache.temperatures=[1.0, 2.0, 2.0]",
        "cache.temperatures",
        "distinct",
    ),
    (
        "cache.temperatures=[1.0, -2.0]",
        "cache.temperatures",
        "above 0",
    ),
    (
        "cache.temperatures=[1.0, 1e99]",
        "cache.temperatures",
        "finite",
    ),
    ("cache.temperatures=2.0", "cache.temperatures", "an array"),
    (
        "cache.segments_per_shard=0",
        "cache.segments_per_shard",
        "at least 1",
    ),
    (
        "student.hidden_size=50",
        "student.num_attention_heads",
        "a divisor of student.hidden_size (50)",
    ),
    (
        "student.num_key_value_heads=4",
        "student.num_key_value_heads",
        "a divisor of student.num_attention_heads (6)",
    ),
    ("student.head_dim=7", "student.head_dim", "an even number"),
    (
        "student.rope_theta=inf",
        "student.rope_theta",
        "a finite number above 0",
    ),
    (
        "student.rms_norm_eps=0",
        "student.rms_norm_eps",
        "a finite number above 0",
    ),
    (
        "student.tie_word_embeddings=yes",
        "student.tie_word_embeddings",
        "true or false",
    ),
    (
        "student.max_position_embeddings=256",
        "training.sequence_tokens",
        "student.max_position_embeddings (256)",
    ),
    (
        "objective.temperature=2.0",
        "objective.temperature",
        "one of cache.temperatures ([1.0])",
    ),
    (
        "objective.temperature=0",
        "objective.temperature",
        "above 0",
    ),
    (
        "objective.temperature=1e999",
        "objective.temperature",
        "a number",
    ),
    ("objective.terms=[]", "objective.terms", "at least one term"),
    (
        "objective.terms.0.weight=-1",
        "objective.terms.0.weight",
        "at least 0",
    ),
    (
        "objective.terms.1.weight=nan",
        "objective.terms.1.weight",
        "a finite number",
    ),
    (
        "objective.terms.1.kind=forward_kl",
        "objective.terms.1.kind",
        "objective.terms.0",
    ),
    (
        "objective.terms.1.kind=kl",
        "objective.terms.1.kind",
        "\"cross_entropy\"",
    ),
    (
        "objective.terms=[{ kind = 'jensen_shannon', weight = 1 }]",
        "objective.terms.0.beta",
        "jensen_shannon reads",
    ),
    (
        "objective.terms=[{ kind = 'jensen_shannon', weight = 1, beta = 1.5 }]",
        "objective.terms.0.beta",
        "0 to 1",
    ),
    (
        "objective.terms=[{ kind = 'forward_kl', weight = 1, alpha = 0.1 }]",
        "objective.terms.0.alpha",
        "forward_kl does not read it",
    ),
    (
        "objective.tail=nothing",
        "objective.tail",
        "\"tail_bucket\"",
    ),
    (
        "objective.temperature_factor=cubed",
        "objective.temperature_factor",
        "\"squared\", \"one\"",
    ),
    (
        "objective.terms=[{ kind = 'logit_mse', weight = 1 }]",
        "objective.terms.0.kind",
        "a cache can serve",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [] }]",
        "objective.layer_terms.0.layers",
        "at least one pair",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_cosine', weight = -1, layers = [{ student = 3, teacher = 5 }] }]",
        "objective.layer_terms.0.weight",
        "at least 0",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_mean_squared', weight = 1, layers = [{ student = 4, teacher = 5 }] }]",
        "objective.layer_terms.0.layers.0.student",
        "0 to student.num_hidden_layers (3)",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_mean_squared', weight = 1, layers = [{ student = 3 }] }]",
        "objective.layer_terms.0.layers.0.teacher",
        "a whole number",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 3, teacher = 5 }], relation_heads = 2 }]",
        "objective.layer_terms.0.relation_heads",
        "hidden_cosine does not read it",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 3, teacher = 5 }], relation_heads = 2 }]",
        "objective.layer_terms.0.relations",
        "which attention_relations reads",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 3, teacher = 5 }], relation_heads = 5, relations = ['value_value'] }]",
        "objective.layer_terms.0.relation_heads",
        "a divisor of 24 (student.num_key_value_heads times student.head_dim)",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 3, teacher = 5 }], relation_heads = 0, relations = ['value_value'] }]",
        "objective.layer_terms.0.relation_heads",
        "at least 1",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 3, teacher = 5 }], relation_heads = 2, relations = [] }]",
        "objective.layer_terms.0.relations",
        "at least one relation",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 0, teacher = 5 }], relation_heads = 2, relations = ['query_key'] }]",
        "objective.layer_terms.0.layers.0.student",
        "a layer from 1",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 3, teacher = 5 }] }, { kind = 'hidden_cosine', weight = 1, layers = [{ student = 3, teacher = 5 }] }]",
        "objective.layer_terms.1.kind",
        "a kind other than that of objective.layer_terms.0",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 3, teacher = 5 }], ramp = { kind = 'linear', to = 1, first_step = 1, last_step = 501 } }]",
        "objective.layer_terms.0.ramp.last_step",
        "at most training.total_steps (500)",
    ),
    (
        "objective.layer_terms=[]",
        "objective.layer_terms",
        "at least one term",
    ),
    (
        "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 0, layers = [{ student = 3, teacher = 5 }] }]",
        "objective.layer_terms.0.weight",
        "a weight above 0 at some step",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 1, teacher = 0 }], relation_heads = 2, relations = ['query_key'] }]",
        "objective.layer_terms.0.layers.0.teacher",
        "a layer from 1 on",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relation', weight = 1, layers = [{ student = 0, teacher = 0 }], relation_heads = 2, relations = ['query_key'] }]",
        "objective.layer_terms.0.kind",
        "\"attention_relations\"",
    ),
    (
        "objective.layer_terms=[{ kind = 'attention_relations', weight = 1, layers = [{ student = 1, teacher = 1 }], relation_heads = 2, relations = ['query_key', 'query_key'] }]",
        "objective.layer_terms.0.relations.1",
        "each relation once",
    ),
    (
        "objective.terms.0.ramp={ kind = 'linear', to = -1, first_step = 1, last_step = 9 }",
        "objective.terms.0.ramp.to",
        "at least 0",
    ),
    (
        "objective.terms.0.ramp={ kind = 'linear', to = 1, first_step = 9, last_step = 9 }",
        "objective.terms.0.ramp.last_step",
        "a step after objective.terms.0.ramp.first_step (9)",
    ),
    (
        "objective.terms.0.ramp={ kind = 'cosine', to = 1, first_step = 9, last_step = 501 }",
        "objective.terms.0.ramp.last_step",
        "at most training.total_steps (500)",
    ),
    (
        "objective.terms.0.ramp={ kind = 'cubic', to = 1, first_step = 1, last_step = 9 }",
        "objective.terms.0.ramp.kind",
        "\"linear\", \"cosine\"",
    ),
    (
        "objective.terms.0.ramp={ kind = 'linear', to = 1, first_step = 1 }",
        "objective.terms.0.ramp.last_step",
        "a whole number",
    ),
    (
        "objective.terms=[{ kind = 'forward_kl', weight = 1, ramp = { kind = 'linear', to = 0, first_step = 1, last_step = 9 } }]",
        "objective.terms",
        "at least one weight above 0 at every step",
    ),
    (
        "objective.terms=[{ kind = 'forward_kl', weight = 0 }]",
        "objective.terms",
        "above 0",
    ),
    ("optimizer.kind=sgd", "optimizer.kind", "\"adamw\""),
    (
        "optimizer.learning_rate=0",
        "optimizer.learning_rate",
        "above 0",
    ),
    ("optimizer.betas.1=1.0", "optimizer.betas.1", "below 1"),
    (
        "optimizer.betas=[0.9]",
        "optimizer.betas",
        "an array of 2 values",
    ),
    ("optimizer.epsilon=0.0", "optimizer.epsilon", "above 0"),
    (
        "optimizer.weight_decay=-1",
        "optimizer.weight_decay",
        "at least 0",
    ),
    (
        "optimizer.max_gradient_norm=inf",
        "optimizer.max_gradient_norm",
        "a finite number",
    ),
    (
        "schedule.kind=wsd",
        "schedule.decay_steps",
        "schedule.kind is \"wsd\"",
    ),
    (
        "schedule.decay_steps=10",
        "schedule.decay_steps",
        "schedule.kind is \"cosine\"",
    ),
    (
        "schedule.warmup_steps=500",
        "schedule.warmup_steps",
        "training.total_steps (500)",
    ),
    (
        "schedule.warmup_steps=200",
        "experiment.search_steps",
        "schedule.warmup_steps",
    ),
    (
        "schedule.min_learning_rate_ratio=1.1",
        "schedule.min_learning_rate_ratio",
        "from 0 to 1",
    ),
    (
        "training.sequence_tokens=1",
        "training.sequence_tokens",
        "at least 2",
    ),
    (
        "training.micro_batch_sequences=3",
        "training.micro_batch_sequences",
        "training.sequences_per_step (8)",
    ),
    ("training.head_pass=half", "training.head_pass", "\"whole\""),
    (
        "training.chunk_bytes=0",
        "training.chunk_bytes",
        "at least 1",
    ),
    (
        "training.shuffle_shards=0",
        "training.shuffle_shards",
        "at least 1",
    ),
    (
        "training.keep_checkpoints=0",
        "training.keep_checkpoints",
        "at least 1",
    ),
    (
        "training.early_stopping_patience=0",
        "training.early_stopping_patience",
        "at least 1",
    ),
    (
        "baseline.enabled=false",
        "experiment.equal_time",
        "baseline.enabled is false",
    ),
    (
        "evaluation.prompts=['']",
        "evaluation.prompts.0",
        "at least one character",
    ),
    (
        "evaluation.sample_tokens=512",
        "evaluation.sample_tokens",
        "student.max_position_embeddings (512)",
    ),
    (
        "experiment.seeds=[]",
        "experiment.seeds",
        "at least one value",
    ),
    (
        "experiment.seeds=[1, 1]",
        "experiment.seeds.1",
        "each value once",
    ),
    (
        "experiment.learning_rates=[0.0]",
        "experiment.learning_rates.0",
        "above 0",
    ),
    (
        "experiment.search_steps=501",
        "experiment.search_steps",
        "training.total_steps (500)",
    ),
];

#[test]
fn each_contradiction_blames_its_key_says_what_is_expected_and_names_the_key_that_was_set() {
    for (assignment, key, expected) in REFUSED {
        let problems = problems(STORIES, &[assignment]);
        let blamed = problems.iter().find(|problem| problem.key == *key);
        let problem = blamed.unwrap_or_else(|| panic!("{assignment}: {problems:#?}"));
        assert!(
            problem.expected.contains(expected),
            "{assignment}: {problem}"
        );
        assert!(problem.location.is_some(), "{assignment}: {problem}");
        let set = assignment.split_once('=').unwrap().0;
        assert!(
            problems
                .iter()
                .any(|problem| problem.to_string().contains(set)),
            "{assignment}: {problem}"
        );
    }
}
