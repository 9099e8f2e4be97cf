//! What a judge is asked about an answer, and how its points are read.

use std::path::Path;
use std::str::FromStr;

use alambic_text::{AnswerExtraction, Message, Record, RecordTemplate, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer_check::finished;
use super::verdict::{CheckKind, Verdict};
use crate::SynthError;
use crate::answer::Outcome;
use crate::prompt::Prompt;
use crate::request::{AnswerRequest, Sampling};

/// What a judge is asked about an answer, and how many points pass. A TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rubric {
    /// A short name, as in records.
    pub name: String,
    /// What is judged, in a sentence.
    pub description: String,
    /// What the judge is told before.
    pub system_prompt: String,
    /// What the judge is asked: a Jinja template over `question`, `answer` and `reference`, which is empty where none is known.
    pub user: RecordTemplate,
    /// Where the points stand in what the judge writes.
    pub points: AnswerExtraction,
    /// The fewest points.
    pub lowest: u32,
    /// The most points.
    pub highest: u32,
    /// So many pass.
    pub passing: u32,
}

impl FromStr for Rubric {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        let wrong = |problem| SynthError::Strategy {
            origin: "the rubric".into(),
            problem,
        };
        let rubric: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let (lowest, passing, highest) = (rubric.lowest, rubric.passing, rubric.highest);
        if !(lowest < passing && passing <= highest) {
            return Err(wrong(format!(
                "`passing` is {passing}, expected more than `lowest` ({lowest}) and at most `highest` ({highest})"
            )));
        }
        Ok(rubric)
    }
}

impl Rubric {
    /// Reads a rubric's TOML file.
    ///
    /// # Errors
    /// [`SynthError::File`] and [`SynthError::Strategy`], which name the file.
    pub fn from_file(path: &Path) -> Result<Self, SynthError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| SynthError::file("read", path, source))?;
        text.parse()
            .map_err(|error: SynthError| error.of_strategy(path))
    }

    /// What the judge is asked about an answer. The request's prompt is named after the answer's.
    ///
    /// # Errors
    /// [`SynthError::Text`] if the template takes a field that there is not.
    pub fn request(
        &self,
        prompt: &Prompt,
        answered: &AnswerRequest,
        answer: &str,
        sampling: &Sampling,
    ) -> Result<AnswerRequest, SynthError> {
        let accepted = prompt
            .accepted
            .iter()
            .flat_map(|accepted| &accepted.answers);
        let reference = accepted.map(|spans| spans.join(", "));
        let reference = reference.collect::<Vec<_>>().join(" or ");
        let fields = [
            ("question", prompt.user.as_str()),
            ("answer", answer),
            ("reference", &reference),
        ];
        let fields = fields.map(|(name, text)| (name.to_owned(), Value::from(text)));
        let user = self.user.render(&Record::from_iter(fields))?;
        let strategy = answered.strategy.as_deref().unwrap_or("none");
        Ok(AnswerRequest {
            prompt: format!(
                "{} of {} by {strategy}, sample {}",
                self.name, prompt.id, answered.sample
            ),
            strategy: None,
            sample: 0,
            messages: vec![
                Message::new(Role::System, self.system_prompt.as_str()),
                Message::new(Role::User, user),
            ],
            sampling: sampling.clone(),
        })
    }

    /// The points that a judge gives.
    #[must_use]
    pub fn points_in(&self, judgement: &str) -> Option<u32> {
        let points = self.points.extract(judgement)?.parse().ok()?;
        (self.lowest..=self.highest)
            .contains(&points)
            .then_some(points)
    }

    /// The verdict that follows from what the judge said. Without points the answer does not pass.
    #[must_use]
    pub fn verdict(&self, judgement: &Outcome) -> Verdict {
        let (lowest, highest, passing) = (self.lowest, self.highest, self.passing);
        let expected = format!(
            "{passing} of {lowest} to {highest} points for {}",
            self.name
        );
        let verdict = match judgement {
            Outcome::Answer(answer) if finished(judgement).iter().all(|it| it.passed) => {
                match self.points_in(&answer.text) {
                    Some(points) => {
                        Verdict::new(CheckKind::Judge, points >= passing, points.to_string())
                    }
                    None => Verdict::new(CheckKind::Judge, false, "a judgement without points"),
                }
            }
            Outcome::Answer(_) => Verdict::new(CheckKind::Judge, false, "a judgement that was cut"),
            Outcome::Failure(reason) => {
                Verdict::new(CheckKind::Judge, false, format!("no judgement: {reason}"))
            }
        };
        verdict.expecting(expected)
    }
}

/// Names and contents of `rubrics/`.
const RUBRICS: [(&str, &str); 2] = [
    (
        "right_reasons",
        include_str!("../../rubrics/right_reasons.toml"),
    ),
    (
        "textbook_quality",
        include_str!("../../rubrics/textbook_quality.toml"),
    ),
];

/// The names of all rubrics that come with the crate.
pub fn shipped_rubrics() -> impl Iterator<Item = &'static str> {
    RUBRICS.iter().map(|(name, _)| *name)
}

/// A rubric by its name.
///
/// # Errors
/// [`SynthError::Strategy`] naming all of them, if there is none of the name.
///
/// ```
/// let rubric = alambic_synth::shipped_rubric("textbook_quality")?;
/// assert_eq!(rubric.points_in("It is clear.\nPoints: 4"), Some(4));
/// assert_eq!(rubric.points_in("Points: 40"), None);
/// # Ok::<(), alambic_synth::SynthError>(())
/// ```
pub fn shipped_rubric(name: &str) -> Result<Rubric, SynthError> {
    let found = RUBRICS.iter().find(|(known, _)| *known == name);
    let Some((_, text)) = found else {
        let names: Vec<&str> = shipped_rubrics().collect();
        return Err(SynthError::Strategy {
            origin: name.to_owned(),
            problem: format!(
                "no rubric of this name, expected one of {}",
                names.join(", ")
            ),
        });
    };
    text.parse()
}
