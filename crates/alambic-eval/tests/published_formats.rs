//! Every task that comes with the crate, over records in the format that the authors of the benchmark publish: some that were
//! made up for this test (`records/`), and the slices of the shared data directory.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};

use alambic_eval::{
    ChoiceQuestion, ContinuationQuestion, GenerationQuestion, Prompting, QuestionTemplates,
    Questions, ShotChoice, Shots, Task, shipped_task, shipped_tasks,
};
use alambic_text::{RecordExpression, RecordFormat, RecordTemplate};

fn records(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/records")
        .join(file)
}

fn questions(task: &str, path: &Path) -> Questions {
    let task = shipped_task(task).unwrap();
    let records = task.records_of_file(path).unwrap();
    task.questions(&records, &Prompting::default()).unwrap()
}

fn choices(task: &str, file: &str) -> Vec<ChoiceQuestion> {
    questions(task, &records(file)).choices().unwrap()
}

fn continuations(task: &str, file: &str) -> Vec<ContinuationQuestion> {
    questions(task, &records(file)).continuations().unwrap()
}

fn generations(task: &str, file: &str) -> Vec<GenerationQuestion> {
    questions(task, &records(file)).generations().unwrap()
}

fn texts(question: &ChoiceQuestion) -> Vec<&str> {
    let choices = question.choices.iter();
    choices.map(|choice| choice.text.as_str()).collect()
}

fn prompt(question: &ChoiceQuestion) -> &str {
    let [first, rest @ ..] = &question.choices[..] else {
        panic!("a question without choices")
    };
    assert!(rest.iter().all(|choice| choice.prompt == first.prompt));
    &first.prompt
}

/// What extraction and comparison of a task say of a text.
fn judged(task: &str, question: &GenerationQuestion, text: &str) -> (Option<String>, f64) {
    let task = shipped_task(task).unwrap();
    let QuestionTemplates::Generation(templates) = task.question else {
        panic!("no task of answers in the model's own words")
    };
    let extracted = templates.extraction.extract(text);
    let score = |answer: &String| templates.comparison.score(answer, &question.accepted);
    let score = extracted.as_ref().map_or(0.0, score);
    (extracted, score)
}

#[test]
fn arc_and_openbook_qa_find_the_right_choice_by_its_label() {
    let arc = choices("arc", "arc.jsonl");
    assert_eq!(
        prompt(&arc[0]),
        "Question: Which of these gives off light of its own?\nAnswer:"
    );
    assert_eq!(texts(&arc[1]), [" water", " music", " salt"]);
    let right: Vec<usize> = arc.iter().map(|question| question.right).collect();
    assert_eq!(right, [1, 0, 3]);
    let openbook = choices("openbook_qa", "openbook_qa.jsonl");
    assert_eq!(prompt(&openbook[0]), "A cat that is cold looks for");
    assert_eq!((openbook[0].right, openbook[1].right), (0, 3));
}

#[test]
fn boolq_is_answered_by_no_and_yes() {
    let boolq = choices("boolq", "boolq.jsonl");
    let expected =
        "Tom has a red ball. He plays with it all day.\nQuestion: is the ball red?\nAnswer:";
    assert_eq!(prompt(&boolq[0]), expected);
    assert_eq!(texts(&boolq[0]), [" no", " yes"]);
    assert_eq!((boolq[0].right, boolq[1].right), (1, 0));
}

#[test]
fn piqa_has_its_answers_in_a_file_of_labels() {
    let piqa = choices("piqa", "valid.jsonl");
    assert_eq!(prompt(&piqa[0]), "Question: To keep soup warm,\nAnswer:");
    assert_eq!(
        texts(&piqa[0]),
        [" leave it in the snow.", " put a lid on the pot."]
    );
    assert_eq!((piqa[0].right, piqa[1].right), (1, 0));
}

#[test]
fn hellaswag_is_cleaned_of_brackets() {
    let hellaswag = choices("hellaswag", "hellaswag.jsonl");
    let prompts: Vec<&str> = hellaswag.iter().map(prompt).collect();
    assert_eq!(
        prompts,
        [
            "Playing with a dog: A boy throws a red ball. The dog",
            "Home and Garden: How to make a kite. Take some paper. It should be big.",
            "Baking a cake: A mother has eggs and milk. She then",
        ]
    );
    assert_eq!(texts(&hellaswag[0])[2], " is a cake now.");
    assert_eq!(texts(&hellaswag[1])[0], " Eat the paper.. Sleep. Go home.");
    assert_eq!(hellaswag[1].right, 1);
}

#[test]
fn winogrande_asks_for_one_end_behind_two_beginnings() {
    let winogrande = choices("winogrande", "winogrande.jsonl");
    let [first, second] = &winogrande[0].choices[..] else {
        panic!("two options")
    };
    assert_eq!(first.prompt, "Tom gave the ball to Ben because Tom");
    assert_eq!(second.prompt, "Tom gave the ball to Ben because Ben");
    assert_eq!(first.text, " wanted to play with it.");
    assert_eq!(second.text, first.text);
    let right: Vec<usize> = winogrande.iter().map(|question| question.right).collect();
    assert_eq!(right, [1, 0, 1, 0]);
}

#[test]
fn lambada_asks_for_the_last_word() {
    let lambada = continuations("lambada", "lambada.jsonl");
    assert_eq!(lambada.len(), 5);
    assert!(lambada[0].prompt.ends_with("Tom was happy"));
    assert_eq!(lambada[0].continuation, " again");
}

#[test]
fn race_asks_several_questions_about_an_article() {
    let race = choices("race", "race.txt");
    let ids: Vec<&str> = race.iter().map(|question| question.id.as_str()).collect();
    assert_eq!(ids, ["race.txt:1.1", "race.txt:1.2"]);
    assert!(prompt(&race[1]).starts_with("Article: Lena walked"));
    assert!(prompt(&race[1]).ends_with("\nQuestion: In the end Lena was _ .\nAnswer:"));
    assert_eq!(texts(&race[1]), [" sad", " angry", " tired", " happy"]);
    assert_eq!((race[0].right, race[1].right), (1, 3));
}

#[test]
fn drop_accepts_numbers_spans_and_dates() {
    let drop = generations("drop", "drop.json");
    let accepted: Vec<_> = drop.iter().map(|it| &it.accepted.answers).collect();
    assert_eq!(*accepted[0], [["5"], ["5 points"]]);
    assert_eq!(*accepted[1], [["Adams", "Bell"]]);
    assert_eq!(*accepted[2], [["9 June 1890"]]);
    assert!(
        drop[2]
            .prompt
            .ends_with("\nQuestion: When was the bridge opened?\nAnswer:")
    );
    for (question, text, score) in [
        (0, " 5.0\nQuestion", 1.0),
        (0, " They had 5 points more", 0.57),
        (1, "Adams", 0.5),
        (2, "on 9 June", 0.67),
        (2, "8 June 1890", 0.67),
        (2, "in spring", 0.0),
    ] {
        assert_eq!(judged("drop", &drop[question], text).1, score, "{text}");
    }
}

#[test]
fn crass_has_three_or_four_choices_of_which_the_first_is_right() {
    let crass = choices("crass", "crass.csv");
    assert_eq!(
        prompt(&crass[0]),
        "A man waters his garden. What would have happened if he had forgotten it?\nAnswer:"
    );
    let counts: Vec<usize> = crass
        .iter()
        .map(|question| question.choices.len())
        .collect();
    assert_eq!(counts, [3, 4]);
    assert_eq!(texts(&crass[1])[0], " She would have come late.");
    assert!(crass.iter().all(|question| question.right == 0));
}

#[test]
fn gsm8k_compares_numbers_behind_the_mark_or_the_last_one() {
    let gsm8k = generations("gsm8k", "gsm8k.jsonl");
    assert_eq!(gsm8k[5].accepted.answers, [["2,000"]]);
    for (text, extracted, score) in [
        ("2 * 1000 = 2000.\n#### 2000", Some("2000"), 1.0),
        ("It sells $2,000.00 then.", Some("$2,000.00"), 1.0),
        ("It sells 2001.", Some("2001"), 0.0),
        ("Many.", None, 0.0),
    ] {
        let expected = (extracted.map(str::to_owned), score);
        assert_eq!(judged("gsm8k", &gsm8k[5], text), expected);
    }
}

#[test]
fn bbh_reads_the_answer_behind_its_steps_and_takes_published_examples() {
    let bbh = generations("bbh", "bbh.json");
    assert_eq!(
        bbh[0].prompt,
        "Q: not ( True ) and True is\nA: Let's think step by step."
    );
    for (question, text, score) in [
        (0, "not True is False. So the answer is False.", 1.0),
        (0, "So the answer is True.", 0.0),
        (1, "Blue is a colour. So the answer is (B).\n\nmore", 1.0),
        (1, "(B)", 0.0),
    ] {
        assert_eq!(judged("bbh", &bbh[question], text).1, score, "{text}");
    }
    assert_eq!(
        generations("bbh_direct", "bbh.json")[0].prompt,
        "Q: not ( True ) and True is\nA:"
    );

    let task = shipped_task("bbh").unwrap();
    let preamble = task.preamble_of_file(&records("bbh_preamble.txt")).unwrap();
    assert!(
        preamble.starts_with("Evaluate the expression.\n\nQ:"),
        "{preamble}"
    );
    assert!(
        preamble.ends_with("So the answer is False.\n\n"),
        "{preamble}"
    );
    let error = task.preamble_of_file(&records("gsm8k.jsonl")).unwrap_err();
    assert!(
        error.to_string().contains("few_shot.preamble_behind"),
        "{error}"
    );
}

#[test]
fn agieval_and_mmlu_are_answered_by_letters() {
    let agieval = choices("agieval", "agieval.jsonl");
    assert_eq!(
        prompt(&agieval[0]),
        "Q: Which number is even? Answer Choices: (A)1 (B)2 (C)3\nA: Among A through C, the answer is"
    );
    assert_eq!(texts(&agieval[1]).len(), 5);
    assert_eq!((agieval[0].right, agieval[1].right), (1, 1));
    let mmlu = choices("mmlu", "mmlu.csv");
    assert_eq!(
        prompt(&mmlu[0]),
        "Which is even?\nA. 1\nB. 2, of course\nC. 3\nD. 5\nAnswer:"
    );
    assert_eq!((mmlu[0].right, mmlu[1].right), (1, 2));

    for (task, file) in [
        ("agieval_answers", "agieval.jsonl"),
        ("mmlu_answers", "mmlu.csv"),
    ] {
        let questions = generations(task, file);
        for (text, score) in [
            ("It is 2, so it is B.\nFinal answer: (B)", 1.0),
            ("Final Answer: B", 1.0),
            ("Final answer: A. Final answer:\n**B**", 1.0),
            ("Final answer: C", 0.0),
            ("B", 0.0),
        ] {
            assert_eq!(judged(task, &questions[0], text).1, score, "{task}: {text}");
        }
    }
}

#[test]
fn dolly_and_self_instruct_compare_words_in_the_same_order() {
    let dolly = generations("dolly", "dolly.jsonl");
    assert_eq!(dolly[0].prompt, "Name two colours.\n\nResponse:");
    assert_eq!(
        dolly[1].prompt,
        "Who rode to school?\n\nA girl rode to school on a red wheel.\n\nResponse:"
    );
    assert_eq!(judged("dolly", &dolly[0], "Red and green.\n").1, 2.0 / 3.0);
    let instructions = generations("self_instruct", "self_instruct.jsonl");
    let prompts: Vec<&str> = instructions.iter().map(|it| it.prompt.as_str()).collect();
    assert_eq!(
        prompts,
        [
            "Turn the word around.\n\ntea\n\nResponse:",
            "Turn the word around.\n\nsun\n\nResponse:",
            "Greet a friend.\n\nResponse:"
        ]
    );
    assert_eq!(judged("self_instruct", &instructions[1], " nus").1, 1.0);
}

#[test]
fn examples_end_with_the_tasks_own_answers() {
    for (task, file, expected) in [
        (
            "gsm8k",
            "gsm8k.jsonl",
            "Answer: Tom has 5 + 3 = <<5+3=8>>8 apples.\n#### 8\n\nQuestion: Anna",
        ),
        (
            "bbh",
            "bbh.json",
            "step by step.\nSo the answer is False.\n\nQ: Which",
        ),
        ("arc", "arc.jsonl", "\nAnswer: the sun\n\nQuestion: What"),
        (
            "winogrande",
            "winogrande.jsonl",
            "because Ben wanted to play with it.\n\nThe cat",
        ),
        (
            "lambada",
            "lambada.jsonl",
            "Tom was happy again\n\nStory: Anna",
        ),
        (
            "mmlu_answers",
            "mmlu.csv",
            "your answer.\nFinal answer: B\n\nWhich is a fruit?",
        ),
        ("drop", "drop.json", "have more?\nAnswer: 5\n\nPassage:"),
    ] {
        let task = shipped_task(task).unwrap();
        let records = task.records_of_file(&records(file)).unwrap();
        let prompting = Prompting {
            shots: Some(Shots {
                records: records.clone(),
                count: 1,
                choice: ShotChoice::First,
            }),
            ..Prompting::default()
        };
        let prompt = match task.questions(&records, &prompting).unwrap() {
            Questions::Choice(questions) => questions[1].choices[0].prompt.clone(),
            Questions::Continuation(questions) => questions[1].prompt.clone(),
            Questions::Generation(questions) => questions[1].prompt.clone(),
        };
        assert!(prompt.contains(expected), "{}: {prompt}", task.name);
    }
}

/// Slices of published files, how many questions they make, and with which task.
const SLICES: [(&str, &str, usize); 14] = [
    ("self_instruct", "self-instruct/data/seed_tasks.jsonl", 175),
    ("bbh", "bbh-dev/bbh/boolean_expressions.json", 250),
    ("bbh_direct", "bbh-dev/bbh/date_understanding.json", 250),
    ("bbh", "bbh-dev/bbh/word_sorting.json", 250),
    ("agieval", "agieval-dev/lsat-ar.jsonl", 230),
    ("agieval", "agieval-dev/sat-math.jsonl", 220),
    ("agieval_answers", "agieval-dev/lsat-ar.jsonl", 230),
    ("agieval_answers", "agieval-dev/sat-math.jsonl", 220),
    ("gsm8k", "gsm8k-train/train.jsonl", 7473),
    (
        "arc_easy_foundry",
        "evals-foundry-dev/world_knowledge/arc_easy.jsonl",
        2376,
    ),
    (
        "openbook_qa_foundry",
        "evals-foundry-dev/commonsense_reasoning/openbook_qa.jsonl",
        500,
    ),
    (
        "copa_foundry",
        "evals-foundry-dev/commonsense_reasoning/copa.jsonl",
        100,
    ),
    (
        "piqa_foundry",
        "evals-foundry-dev/tests/eval/local_data/piqa_small.jsonl",
        4,
    ),
    (
        "hellaswag_foundry",
        "evals-foundry-dev/tests/eval/local_data/hellaswag_small.jsonl",
        4,
    ),
];

#[test]
fn whole_slices_of_published_files_make_questions() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let data = std::env::var_os("ALAMBIC_SHARED").map_or(default, PathBuf::from);
    let data = data.join("data");
    if !data.join("bbh-dev").exists() {
        eprintln!("skipped: published files need the shared data directory (set ALAMBIC_SHARED)");
        return;
    }
    for (task, file, expected) in SLICES {
        let count = match questions(task, &data.join(file)) {
            Questions::Choice(questions) => questions.len(),
            Questions::Continuation(questions) => questions.len(),
            Questions::Generation(questions) => questions.len(),
        };
        assert_eq!(count, expected, "{task} of {file}");
    }
    // Of MMLU a slice is at hand whose columns have names, and whose answers are places.
    let mut mmlu = shipped_task("mmlu").unwrap();
    mmlu.records = RecordFormat::Csv {
        columns: None,
        delimiter: ',',
    };
    let QuestionTemplates::Choice(templates) = &mut mmlu.question else {
        panic!("MMLU has choices")
    };
    let source = templates.prompt.source();
    let source = ["a", "b", "c", "d"].iter().enumerate().fold(
        source.to_owned(),
        |source, (place, letter)| {
            let (from, to) = (
                format!("{{{{ {letter} }}}}"),
                format!("{{{{ choice{place} }}}}"),
            );
            source.replace(&from, &to)
        },
    );
    templates.prompt = RecordTemplate::new(source).unwrap();
    templates.answer = RecordExpression::new("answer | int").unwrap();
    let mut asked = 0;
    for file in std::fs::read_dir(data.join("mmlu-dev/dev")).unwrap() {
        let records = mmlu.records_of_file(&file.unwrap().path()).unwrap();
        let questions = mmlu.questions(&records, &Prompting::default()).unwrap();
        asked += questions.choices().unwrap().len();
    }
    assert_eq!(asked, 57 * 5);
    for file in ["boolean_expressions", "date_understanding", "word_sorting"] {
        let path = data.join(format!("bbh-dev/cot-prompts/{file}.txt"));
        let preamble = shipped_task("bbh").unwrap().preamble_of_file(&path);
        let preamble = preamble.unwrap();
        assert!(!preamble.contains("canary") && preamble.contains("So the answer is"));
    }
    // The answers of the published examples are found in their own solutions.
    let gsm8k = questions("gsm8k", &data.join("gsm8k-train/train.jsonl"));
    let gsm8k = gsm8k.generations().unwrap();
    let task: Task = shipped_task("gsm8k").unwrap();
    let records = task.records_of_file(&data.join("gsm8k-train/train.jsonl"));
    for (question, record) in gsm8k.iter().zip(records.unwrap()) {
        let solution = record.fields["answer"].as_str().unwrap();
        assert_eq!(
            judged("gsm8k", question, solution).1,
            1.0,
            "{}",
            question.id
        );
    }
}

#[test]
fn every_benchmark_has_a_task() {
    let names: Vec<&str> = shipped_tasks().collect();
    for name in [
        "agieval",
        "arc",
        "bbh",
        "boolq",
        "crass",
        "drop",
        "gsm8k",
        "hellaswag",
        "lambada",
        "mmlu",
        "openbook_qa",
        "piqa",
        "race",
        "winogrande",
    ] {
        assert!(names.contains(&name), "{name}");
    }
}
