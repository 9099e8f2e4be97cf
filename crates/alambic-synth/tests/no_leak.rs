//! No token of a strategy's prompt reaches a training batch.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alambic_synth::{
    AnswerRequest, DatasetFormat, Prompt, Sampling, Source, SyntheticConversation,
    write_conversations,
};
use alambic_text::{
    ChatTemplate, Corpus, CorpusConfig, CorpusFormat, Ending, ExampleTokenizer, Message,
    OverLength, Packer, PromptErasing, Role, Segment, SegmentConfig, SegmentCutter,
    SpecialTokensInText, StudentTokens, Tokenizer,
};
use proptest::prelude::*;

/// Strategies are written in letters that occur nowhere else.
const SECRET: &str = "[A-Z]{1,4}( [A-Z]{1,6}){0,8}";
/// All other words.
const PLAIN: &str = "[a-z0-9]{1,6}( [a-z0-9?.]{1,6}){0,12}";
/// The longest sequence of tokens.
const SEQUENCE_TOKENS: usize = 512;

fn tokenizer() -> Arc<Tokenizer> {
    let texts = [
        "THINK IN STEPS, THEN ANSWER",
        "two and two is four",
        "what is it?",
    ];
    let texts = texts.map(String::from);
    Arc::new(
        Tokenizer::train_byte_level_bpe(texts, 300, &["<|turn|>", "<|end|>", "<|pad|>"]).unwrap(),
    )
}

fn template() -> ChatTemplate {
    let source = "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}\
                  {% if add_generation_prompt %}<|turn|>assistant\n{% endif %}";
    ChatTemplate::new(source, "", "<|end|>").unwrap()
}

fn conversation(
    strategy: Option<String>,
    user: &str,
    answer: &str,
    erasing: &PromptErasing,
) -> SyntheticConversation {
    let prompt = Prompt {
        id: "p".into(),
        kind: "kind".into(),
        labels: Vec::new(),
        user: user.into(),
        accepted: None,
        source: Source {
            name: "source".into(),
            licence: "licence".into(),
        },
    };
    let system = strategy
        .as_ref()
        .map(|text| Message::new(Role::System, text.as_str()));
    let request = AnswerRequest {
        prompt: prompt.id.clone(),
        strategy: strategy.map(|_| "secret".into()),
        sample: 0,
        messages: system
            .into_iter()
            .chain([Message::new(Role::User, user)])
            .collect(),
        sampling: Sampling {
            temperature: 1.0,
            top_p: None,
            top_k: None,
            max_new_tokens: 50,
            stop: Vec::new(),
            seed: 0,
        },
    };
    SyntheticConversation::new(&prompt, &request, answer, "teacher", erasing, Vec::new())
}

/// The texts of all packed sequences of a dataset, as a student is trained on them; and what the teacher reads.
fn batches(conversations: &[SyntheticConversation], format: DatasetFormat) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = write_conversations(dir.path(), format, conversations).unwrap();
    let corpus = Corpus::open(CorpusConfig {
        files: vec![file],
        format: match format {
            DatasetFormat::Jsonl => CorpusFormat::Jsonl,
            DatasetFormat::Parquet => CorpusFormat::Parquet,
        },
        erasing: PromptErasing::Keep,
    });
    let tokenizer = tokenizer();
    let tokenise = ExampleTokenizer::new(tokenizer.clone(), Some(template()), Ending::None);
    let config = SegmentConfig {
        max_tokens: SEQUENCE_TOKENS,
        over_length: OverLength::Error,
    };
    let mut cutter = SegmentCutter::new(config).unwrap();
    let (mut segments, mut teacher) = (Vec::new(), String::new());
    let text = |ids: &[u32]| tokenizer.decode(ids, SpecialTokensInText::Show).unwrap();
    for document in corpus.unwrap().documents() {
        let pair = tokenise.tokenize(&document.unwrap()).unwrap();
        teacher += &text(&pair.teacher().example().token_ids);
        segments.extend(cutter.cut(pair).unwrap());
    }
    let students: Vec<&StudentTokens> = segments.iter().map(Segment::student).collect();
    let lengths: Vec<usize> = students.iter().map(|it| it.token_ids().len()).collect();
    let packer = Packer {
        sequence_tokens: SEQUENCE_TOKENS,
        pad_id: tokenizer.token_to_id("<|pad|>").unwrap(),
    };
    let plan = packer.plan(&lengths).unwrap();
    let sequences = plan
        .iter()
        .map(|indices| packer.pack(&students, indices).unwrap());
    (
        sequences
            .map(|sequence| text(&sequence.token_ids))
            .collect(),
        teacher,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_token_of_a_strategy_reaches_a_training_batch(
        conversations in prop::collection::vec((prop::option::of(SECRET), PLAIN, PLAIN), 1..6),
        generic in prop::option::of(PLAIN),
        parquet in any::<bool>(),
    ) {
        let erasing = match generic {
            Some(generic) => PromptErasing::ReplaceSystem(generic),
            None => PromptErasing::RemoveSystem,
        };
        let format = match parquet {
            true => DatasetFormat::Parquet,
            false => DatasetFormat::Jsonl,
        };
        let made: Vec<SyntheticConversation> = conversations
            .iter()
            .map(|(strategy, user, answer)| conversation(strategy.clone(), user, answer, &erasing))
            .collect();
        let (student, teacher) = batches(&made, format);
        prop_assert!(!student.contains(|sign: char| sign.is_ascii_uppercase()), "{student}");
        for (strategy, user, answer) in &conversations {
            // What the student must see is there, and what the teacher saw too.
            prop_assert!(student.contains(user.as_str()) && student.contains(answer.as_str()));
            if let Some(strategy) = strategy {
                prop_assert!(teacher.contains(strategy.as_str()));
            }
        }
    }
}

/// The test above can fail: where the prompt is kept, it is seen.
#[test]
fn a_prompt_that_is_kept_is_seen() {
    let kept = conversation(Some("SECRET".into()), "what?", "that", &PromptErasing::Keep);
    assert!(batches(&[kept], DatasetFormat::Jsonl).0.contains("SECRET"));
}
