//! How DistillKit approximates the log-probabilities of one position.

use serde::Deserialize;

use super::super::foreign_segment::Entries;
use super::float_type::FloatType;
use super::packed_bits::{packed_bytes, unpack};

/// The settings of `compression_config.yaml`.
///
/// A row holds `exact_k` log-probabilities, the coefficients of a curve through the others by rank,
/// and for some of these what the curve misses, in bins of a scale and small integers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compression {
    /// Ids take `⌈log2 d⌉` bits.
    pub(super) d: u32,
    pub(super) k: usize,
    pub(super) exact_k: usize,
    #[serde(default = "float32")]
    pub(super) exact_dtype: FloatType,
    #[serde(default)]
    pub(super) polynomial_terms: Option<Vec<Term>>,
    #[serde(default = "float32")]
    pub(super) term_dtype: FloatType,
    pub(super) residual_bins: Vec<Bin>,
    /// Numbers are differences to those before. DistillKit's default is `true`.
    #[serde(default = "yes")]
    pub(super) delta_encoding: bool,
    /// Only the writer asks.
    #[serde(default, rename = "error_diffusion")]
    _error_diffusion: bool,
    /// Ranks go from 0 to 1.
    #[serde(default)]
    pub(super) normalize_t: bool,
}

fn float32() -> FloatType {
    FloatType::Float32
}

fn yes() -> bool {
    true
}

/// A term of the curve, a function of the rank.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Term {
    Power(i32),
    Special(Special),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Special {
    Sqrt,
    Exp,
}

/// What the curve misses of some ranks.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bin {
    pub(super) scale_dtype: FloatType,
    pub(super) element_bits: u32,
    pub(super) num_elements: usize,
}

impl Compression {
    /// The first rule that the settings break: field, expected, found.
    pub(super) fn broken(&self) -> Option<(&'static str, String, String)> {
        let approximated = self.k.saturating_sub(self.exact_k);
        let in_bins: usize = self
            .residual_bins
            .iter()
            .fold(0, |sum, bin| sum.saturating_add(bin.num_elements));
        let widths = self.residual_bins.iter().map(|bin| bin.element_bits);
        let mut wrong_widths = widths.filter(|bits| !(1..=64).contains(bits));
        if self.d == 0 || self.k == 0 || self.k > self.d as usize {
            let found = format!("k {} and d {}", self.k, self.d);
            return Some(("k", "at least 1 and at most d".into(), found));
        }
        if self.exact_k > self.k {
            let expected = format!("at most k ({})", self.k);
            return Some(("exact_k", expected, self.exact_k.to_string()));
        }
        if in_bins > approximated {
            let expected = format!("at most k - exact_k ({approximated}) elements");
            return Some(("residual_bins", expected, in_bins.to_string()));
        }
        wrong_widths
            .next()
            .map(|bits| ("element_bits", "in 1..=64".into(), bits.to_string()))
    }

    /// Bytes of the log-probabilities and of the ids of a row.
    pub(super) fn row_bytes(&self) -> (usize, usize) {
        let terms = self.terms().len() * self.term_dtype.bytes();
        let bins = self
            .residual_bins
            .iter()
            .map(|bin| bin.scale_dtype.bytes() + packed_bytes(bin.num_elements, bin.element_bits));
        (
            self.exact_k * self.exact_dtype.bytes() + terms + bins.sum::<usize>(),
            packed_bytes(self.k, self.id_bits()),
        )
    }

    /// The entries of a row, as many as `k`; `None` if the bytes are not as many as they should be.
    pub(super) fn entries(&self, log_probs: &[u8], ids: &[u8]) -> Option<Entries> {
        if (log_probs.len(), ids.len()) != self.row_bytes() {
            return None;
        }
        let ids = unpack(ids, self.k, self.id_bits()).into_iter();
        let log_probs = self.log_probs(log_probs)?.into_iter();
        let entry = |(id, log_prob): (u64, f64)| (id as u32, log_prob as f32);
        Some(ids.zip(log_probs).map(entry).collect())
    }

    /// As PyTorch computes them: every step rounds to the type of its numbers.
    fn log_probs(&self, mut bytes: &[u8]) -> Option<Vec<f64>> {
        let mut values = self.exact_dtype.take(&mut bytes, self.exact_k)?;
        let coefficients = self.term_dtype.take(&mut bytes, self.terms().len())?;
        let mut residuals = Vec::with_capacity(self.k - self.exact_k);
        for bin in &self.residual_bins {
            let scale = bin.scale_dtype.take(&mut bytes, 1)?[0];
            let packed = packed_bytes(bin.num_elements, bin.element_bits);
            let (packed, rest) = bytes.split_at_checked(packed)?;
            bytes = rest;
            let elements = unpack(packed, bin.num_elements, bin.element_bits).into_iter();
            residuals.extend(elements.map(|element| bin.residual(element, scale)));
        }
        residuals.resize(self.k - self.exact_k, 0.0);
        for (rank, residual) in residuals.into_iter().enumerate() {
            let residual = self.exact_dtype.round(residual);
            values.push(match coefficients.is_empty() {
                true => residual,
                false => {
                    let sum_type = self.term_dtype.promoted(self.exact_dtype);
                    sum_type.round(self.curve(rank, &coefficients) + residual)
                }
            });
        }
        if self.delta_encoding {
            let mut sum = 0f32;
            for value in &mut values {
                sum += *value as f32;
                *value = self.exact_dtype.round(f64::from(sum));
            }
        }
        Some(values)
    }

    /// The curve at a rank behind the exact ones.
    fn curve(&self, rank: usize, coefficients: &[f64]) -> f64 {
        let round = |value| self.term_dtype.round(value);
        let last = (self.k - self.exact_k).saturating_sub(1).max(1);
        let t = round(match self.normalize_t {
            true => rank as f64 / last as f64,
            false => rank as f64,
        });
        let terms = self.terms().iter().zip(coefficients);
        let products = terms.map(|(term, coefficient)| round(round(term.at(t)) * coefficient));
        self.sum(&products.collect::<Vec<_>>())
    }

    /// The sum in PyTorch's order: four sums of every fourth number, then their sum. Of terms that
    /// cancel one another the order tells at the fifth decimal.
    fn sum(&self, products: &[f64]) -> f64 {
        // Half-precision numbers are summed in f32, which is rounded once.
        let wide = match self.term_dtype {
            FloatType::Float64 => FloatType::Float64,
            _ => FloatType::Float32,
        };
        let whole = products.len() - products.len() % 4;
        let mut partial = [0.0; 4];
        for (i, &product) in products.iter().enumerate() {
            // What is left of fours goes to the first sum.
            let sum = &mut partial[if i < whole { i % 4 } else { 0 }];
            *sum = wide.round(*sum + product);
        }
        let total = partial[1..]
            .iter()
            .fold(partial[0], |total, part| wide.round(total + part));
        self.term_dtype.round(total)
    }

    fn terms(&self) -> &[Term] {
        self.polynomial_terms.as_deref().unwrap_or_default()
    }

    /// `⌈log2 d⌉`
    fn id_bits(&self) -> u32 {
        (self.d as f32).log2().ceil() as u32
    }
}

impl Term {
    fn at(self, t: f64) -> f64 {
        match self {
            Self::Power(power) => t.powi(power),
            Self::Special(Special::Sqrt) => t.sqrt(),
            Self::Special(Special::Exp) => t.exp(),
        }
    }
}

impl Bin {
    /// What an element stands for; a single bit is one scale more or less.
    fn residual(&self, element: u64, scale: f64) -> f64 {
        let number = match self.element_bits {
            1 => 2.0 * element as f64 - 1.0,
            bits => (i128::from(element) - (1i128 << (bits - 1))) as f64,
        };
        FloatType::Float32.round(FloatType::Float32.round(number) * scale)
    }
}
