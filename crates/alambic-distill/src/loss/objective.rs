//! The weighted sum of losses that a run minimises.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::layer_objective::check_terms;
use super::{
    CrossEntropy, DistributionPair, LabelMask, LayerTerm, LogProbs, LogitMse, Logits, LossError,
    LossKind, ObjectiveTerm, SampledForwardKl, SampledTargetBatch, TailTreatment, TargetBatch,
    Temperature, TokenLoss,
};

/// A weighted list of losses; every term is normalised by its own count of labels.
///
/// Losses are given as they are, in nats where they are divergences; what a term's loss counts for in
/// the total is [its factor](Self::factors).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Losses at the labels.
    terms: Vec<ObjectiveTerm>,
    tail: TailTreatment,
    temperature: Temperature,
    /// Losses between two vocabularies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aligned_terms: Vec<ObjectiveTerm>,
    /// Losses between layers, beside those of the head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layer_terms: Vec<LayerTerm>,
}

impl Objective {
    /// An objective of at least one term with a positive weight at every step; `tail` says what the
    /// entries mean that a truncated teacher does not store.
    ///
    /// # Errors
    /// [`LossError::EmptyObjective`], [`LossError::BadWeight`], [`LossError::EmptyRamp`], the errors
    /// of [`ObjectiveTerm::divergence`], and [`LossError::NoTeacherMass`] for a divergence that is
    /// infinite under this treatment.
    pub fn try_new(terms: Vec<ObjectiveTerm>, tail: TailTreatment) -> Result<Self, LossError> {
        for (index, term) in terms.iter().enumerate() {
            let weights = [Some(term.weight), term.ramp.map(|ramp| ramp.to)];
            for weight in weights.into_iter().flatten() {
                if !weight.is_finite() || weight < 0.0 {
                    return Err(LossError::BadWeight { index, weight });
                }
            }
            term.ramp.map_or(Ok(()), |ramp| ramp.check())?;
            if let Some(divergence) = term.divergence()? {
                tail.check(&*divergence)?;
            }
        }
        if let Some(step) = step_without_weight(&terms) {
            return Err(LossError::EmptyObjective { step });
        }
        let (aligned_terms, terms) = terms
            .into_iter()
            .partition(|term| term.kind.compares_vocabularies());
        Ok(Self {
            terms,
            tail,
            temperature: Temperature::ONE,
            aligned_terms,
            layer_terms: Vec::new(),
        })
    }

    /// The same objective with distributions compared at a temperature.
    pub fn with_temperature(mut self, temperature: Temperature) -> Self {
        self.temperature = temperature;
        self
    }

    /// The same objective with losses between layers of the student and of a live teacher.
    ///
    /// The trainer computes them, by a [`LayerObjective`](super::LayerObjective): nothing in this type
    /// that goes from logits to losses does.
    ///
    /// # Errors
    /// [`LossError::LayerTerm`] with what is wrong with a term, whatever the models, and
    /// [`LossError::NamedTwice`] for two terms of one kind.
    pub fn with_layer_terms(mut self, terms: Vec<LayerTerm>) -> Result<Self, LossError> {
        check_terms(&terms)?;
        self.layer_terms = terms;
        Ok(self)
    }

    /// Cross-entropy alone: training without a teacher.
    pub fn hard_labels() -> Self {
        Self::only(LossKind::CrossEntropy)
    }

    /// Forward KL to the teacher alone.
    pub fn soft_labels() -> Self {
        Self::only(LossKind::ForwardKl)
    }

    fn only(kind: LossKind) -> Self {
        Self {
            terms: vec![ObjectiveTerm::new(kind, 1.0)],
            tail: TailTreatment::TailBucket,
            temperature: Temperature::ONE,
            aligned_terms: Vec::new(),
            layer_terms: Vec::new(),
        }
    }

    /// The losses at the labels, in order; empty if all terms are [between vocabularies](Self::aligned_terms).
    pub fn terms(&self) -> &[ObjectiveTerm] {
        &self.terms
    }

    /// The losses between the vocabularies of student and teacher in order, beside [`terms`](Self::terms).
    ///
    /// The trainer computes them where both texts are aligned, by an
    /// [`AlignedObjective`](super::AlignedObjective): nothing in this type that goes from logits to losses does.
    pub fn aligned_terms(&self) -> &[ObjectiveTerm] {
        &self.aligned_terms
    }

    /// The losses between layers in order, beside [`terms`](Self::terms), which the head makes.
    pub fn layer_terms(&self) -> &[LayerTerm] {
        &self.layer_terms
    }

    /// What the entries mean that a truncated teacher does not store.
    pub fn tail(&self) -> TailTreatment {
        self.tail
    }

    /// The temperature of the terms that compare distributions.
    pub fn temperature(&self) -> Temperature {
        self.temperature
    }

    /// Whether any term reads the teacher's targets at the labels.
    pub fn needs_targets(&self) -> bool {
        self.terms.iter().any(|term| term.kind.needs_targets())
    }

    /// Whether any term reads the teacher's raw logits.
    pub fn needs_logits(&self) -> bool {
        self.terms.iter().any(|term| term.kind.needs_logits())
    }

    /// Whether any term compares distributions.
    pub fn compares_distributions(&self) -> bool {
        let mut terms = self.terms.iter();
        terms.any(|term| term.kind.compares_distributions())
    }

    /// What the loss of each of [`Self::terms`] is multiplied with at the 1-based optimizer step `step`: its weight,
    /// and where it compares distributions the [temperature's factor](Temperature::factor).
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::{
    ///     LossKind, Objective, ObjectiveTerm, TailTreatment, Temperature, TemperatureFactor,
    /// };
    ///
    /// let terms = [LossKind::ForwardKl, LossKind::CrossEntropy]
    ///     .map(|kind| ObjectiveTerm::new(kind, 0.5));
    /// let temperature = Temperature::try_new(2.0, TemperatureFactor::Squared).unwrap();
    /// let objective = Objective::try_new(terms.to_vec(), TailTreatment::TailBucket)
    ///     .unwrap()
    ///     .with_temperature(temperature);
    /// assert_eq!(objective.factors(1), [2.0, 0.5]);
    /// ```
    pub fn factors(&self, step: u64) -> Vec<f64> {
        let softened = self.temperature.factor();
        let factor = |term: &ObjectiveTerm| {
            let compares = term.kind.compares_distributions();
            term.weight_at(step) * if compares { softened } else { 1.0 }
        };
        self.terms.iter().map(factor).collect()
    }

    /// The loss of each of [`Self::terms`], in their order.
    ///
    /// # Errors
    /// [`LossError::Shape`] if the mask covers other positions, and those of [`Self::per_token`].
    pub fn losses(
        &self,
        student: Logits,
        labels: &Tensor<2, Int>,
        targets: Option<&TargetBatch>,
        mask: &LabelMask,
    ) -> Result<Vec<TokenLoss>, LossError> {
        let terms = self.per_token(student, labels, targets)?;
        terms
            .into_iter()
            .map(|per_token| TokenLoss::masked(per_token, mask))
            .collect()
    }

    /// Every term's value at every position, counted or not: `[batch, seq]` each.
    ///
    /// # Errors
    /// [`LossError::MissingTargets`] when a term needs targets and the batch has none,
    /// [`LossError::TemperatureNotKept`] and [`LossError::LogitsNotKept`] when the targets cannot
    /// answer, and the errors of the terms.
    pub fn per_token(
        &self,
        student: Logits,
        labels: &Tensor<2, Int>,
        targets: Option<&TargetBatch>,
    ) -> Result<Vec<Tensor<2>>, LossError> {
        let logits = self.needs_logits().then(|| student.clone());
        let student = student.into_log_probs();
        let pair = targets
            .filter(|_| self.compares_distributions())
            .map(|targets| self.compared(&student, targets))
            .transpose()?;
        let value = |term: &ObjectiveTerm| {
            let term_name = term.kind.name();
            let missing = LossError::MissingTargets { term: term_name };
            match (term.divergence()?, &logits) {
                (Some(divergence), _) => match pair.as_ref().ok_or(missing)? {
                    Compared::Pair(pair) => Ok(divergence.per_token(pair)),
                    Compared::Drawn(targets, student) => {
                        term.kind.check_linear()?;
                        SampledForwardKl.per_token(targets, student)
                    }
                },
                (None, Some(logits)) if term.kind.needs_logits() => {
                    let teacher = targets.ok_or(missing)?.logits(term_name)?;
                    LogitMse.per_token(&teacher, logits)
                }
                (None, _) => CrossEntropy.per_token(&student, labels),
            }
        };
        self.terms.iter().map(value).collect()
    }

    /// Teacher and student, both at the temperature.
    fn compared(&self, student: &LogProbs, targets: &TargetBatch) -> Result<Compared, LossError> {
        let temperature = self.temperature.value();
        let student = student.at_temperature(temperature)?;
        match targets.at_temperature(temperature)? {
            TargetBatch::Sampled(targets) => Ok(Compared::Drawn(targets, student)),
            targets => targets.pair(&student, self.tail).map(Compared::Pair),
        }
    }
}

/// What a term that compares distributions reads.
#[allow(
    clippy::large_enum_variant,
    reason = "one exists at a time, and what it holds are handles"
)]
enum Compared {
    /// Teacher and student over the same outcomes.
    Pair(DistributionPair),
    /// Tokens that were drawn from the teacher, and the student.
    Drawn(SampledTargetBatch, LogProbs),
}

/// The first step at which no term has a weight, if there is one.
///
/// A weight is zero at one step between two ends of ramps only if it is zero at both.
fn step_without_weight(terms: &[ObjectiveTerm]) -> Option<u64> {
    let ramps = terms.iter().filter_map(|term| term.ramp);
    let ends = ramps.flat_map(|ramp| [ramp.first_step.max(1), ramp.last_step]);
    let mut steps: Vec<u64> = std::iter::once(1).chain(ends).collect();
    steps.sort_unstable();
    let mut empty = steps.into_iter();
    empty.find(|&step| terms.iter().all(|term| term.weight_at(step) == 0.0))
}
