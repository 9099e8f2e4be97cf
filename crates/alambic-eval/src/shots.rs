//! Which examples stand before a question.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::EvalError;
use crate::prompting::Shot;
use crate::task_records::TaskRecord;

/// Examples before every question: records of the same task, never the question's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Shots {
    /// The records that are shown; one that has the same fields as the question is left out.
    pub records: Vec<TaskRecord>,
    /// How many stand before a question.
    pub count: usize,
    /// Which of them do.
    pub choice: ShotChoice,
}

/// Which of several records are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShotChoice {
    /// The first ones, before every question the same.
    First,
    /// Drawn without replacement, before every question others; the same seed draws the same before the same question.
    Random {
        /// Decides what is drawn.
        seed: u64,
    },
}

impl Shots {
    /// The examples before a question, `pool` being those of all records.
    pub(crate) fn before<'a>(
        &self,
        question: usize,
        record: &TaskRecord,
        pool: &'a [Shot],
    ) -> Result<Vec<&'a Shot>, EvalError> {
        let others = self.records.iter().zip(pool);
        let others = others.filter(|(other, _)| other.fields != record.fields);
        let others = others.map(|(_, shot)| shot);
        let shots: Vec<&Shot> = match self.choice {
            ShotChoice::First => others.take(self.count).collect(),
            ShotChoice::Random { seed } => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(question as u64);
                let mut others: Vec<&Shot> = others.collect();
                let (drawn, _) = others.partial_shuffle(&mut random, self.count);
                drawn.to_vec()
            }
        };
        match shots.len() < self.count {
            true => Err(EvalError::TooFewShots {
                question: record.id(),
                expected: self.count,
                found: shots.len(),
            }),
            false => Ok(shots),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(number: usize) -> TaskRecord {
        TaskRecord {
            file: "f".into(),
            record: number,
            part: None,
            fields: json!({"n": number}).as_object().unwrap().clone(),
        }
    }

    fn before(choice: ShotChoice, count: usize, question: usize) -> Result<Vec<String>, EvalError> {
        let shots = Shots {
            records: (0..6).map(record).collect(),
            count,
            choice,
        };
        let shot = |number: usize| Shot {
            prompt: number.to_string(),
            delimiter: String::new(),
            answer: String::new(),
        };
        let pool: Vec<Shot> = (0..6).map(shot).collect();
        let found = shots.before(question, &record(question), &pool)?;
        Ok(found.iter().map(|shot| shot.prompt.clone()).collect())
    }

    #[test]
    fn a_question_is_never_its_own_example() {
        assert_eq!(before(ShotChoice::First, 2, 0).unwrap(), ["1", "2"]);
        assert_eq!(before(ShotChoice::First, 2, 4).unwrap(), ["0", "1"]);
        for question in 0..6 {
            let drawn = before(ShotChoice::Random { seed: 3 }, 5, question).unwrap();
            assert!(!drawn.contains(&question.to_string()));
            let mut sorted = drawn.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), 5);
            let again = before(ShotChoice::Random { seed: 3 }, 5, question).unwrap();
            assert_eq!(drawn, again);
        }
        let error = before(ShotChoice::First, 6, 1).unwrap_err().to_string();
        assert!(
            error.contains("expected 6") && error.contains("found 5"),
            "{error}"
        );
    }

    #[test]
    fn draws_differ_between_questions_and_seeds() {
        let drawn = |seed, question| before(ShotChoice::Random { seed }, 4, question).unwrap();
        assert!((6..40).any(|question| drawn(1, question) != drawn(1, 6)));
        assert!((1..20).any(|seed| drawn(seed, 9) != drawn(0, 9)));
    }
}
