//! The most likely tokens that a cache stores, beside those that the teacher names now.

use alambic_cache::{TopKTargets, ValueType};

use super::judgement::{LabelComparison, Measured};
use super::live_rows::LiveRows;
use super::report::Quantity;
use super::rounding::{log_prob_error, normaliser_error};
use super::tempered;
use crate::top_k::TopKSelector;

/// Compares every label of a segment, whose entropies are off by as much as `entropy_rounding` nats.
pub(super) fn compare(
    stored: &TopKTargets,
    values: ValueType,
    entropy_rounding: f64,
    live: &LiveRows,
) -> Vec<LabelComparison> {
    let alone = select(stored, live.alone());
    let together = select(stored, live.together());
    let rounded = values.level_steps().map(|_| {
        // What cannot be stored is compared as it is: no writer would have taken it.
        [&alone, &together].map(|live| live.rounded(values).unwrap_or_else(|| live.clone()))
    });
    let mut is_stored = vec![false; live.width()];
    live.alone()
        .zip(live.together())
        .enumerate()
        .map(|(label, (first, second))| {
            let row = Row::of(stored, label);
            mark(&mut is_stored, row.token_ids, true);
            let tails = [first, second].map(|row| mass_of_others(row, &is_stored));
            mark(&mut is_stored, row.token_ids, false);
            let of_label = Label {
                values,
                entropy_rounding,
                stored: row,
                live: [Row::of(&alone, label), Row::of(&together, label)],
                rounded: rounded
                    .as_ref()
                    .map(|[alone, together]| [Row::of(alone, label), Row::of(together, label)]),
                log_probs: [first, second],
                tails,
            };
            let further = tempered::compare(stored, values, [&alone, &together], label);
            of_label.measure().into_iter().chain(further).collect()
        })
        .collect()
}

/// What a capture of such targets would select now.
fn select<'a>(like: &TopKTargets, rows: impl Iterator<Item = &'a [f32]>) -> TopKTargets {
    let temperatures = like.tempered.iter().map(|tail| tail.temperature);
    let mut selector = TopKSelector::new(like.k, &temperatures.collect::<Vec<_>>());
    rows.for_each(|row| selector.push(row));
    selector.finish()
}

fn mark(is_stored: &mut [bool], ids: &[u32], value: bool) {
    ids.iter().for_each(|&id| is_stored[id as usize] = value);
}

fn mass_of_others(log_probs: &[f32], is_stored: &[bool]) -> f64 {
    let others = log_probs
        .iter()
        .zip(is_stored)
        .filter(|(_, stored)| !**stored);
    // From +0: the sum of no f64 is -0.
    others.fold(0.0, |mass, (&log_prob, _)| mass + f64::from(log_prob).exp())
}

/// One row of targets.
#[derive(Clone, Copy)]
struct Row<'a> {
    token_ids: &'a [u32],
    log_probs: &'a [f32],
    tail_mass: f32,
    entropy: f32,
}

impl<'a> Row<'a> {
    fn of(targets: &'a TopKTargets, row: usize) -> Self {
        let range = row * targets.k..(row + 1) * targets.k;
        Self {
            token_ids: &targets.token_ids[range.clone()],
            log_probs: &targets.log_probs[range],
            tail_mass: targets.tail_mass[row],
            entropy: targets.entropy[row],
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u32, f32)> {
        let ids = self.token_ids.iter().copied();
        ids.zip(self.log_probs.iter().copied())
    }
}

/// One label: what is stored, and what the two live runs say.
struct Label<'a> {
    values: ValueType,
    entropy_rounding: f64,
    stored: Row<'a>,
    live: [Row<'a>; 2],
    /// What a reader would get of these; `None` where no levels are stored.
    rounded: Option<[Row<'a>; 2]>,
    /// The whole rows of the live runs, `[vocab]`.
    log_probs: [&'a [f32]; 2],
    /// The live mass of all tokens that are not stored.
    tails: [f64; 2],
}

impl Label<'_> {
    fn measure(&self) -> LabelComparison {
        let [tail, second_tail] = self.tails;
        let head = self
            .stored
            .token_ids
            .iter()
            .map(|&id| self.live_log_prob(id));
        let with_tail = head.chain((tail > 0.0).then(|| tail.ln()));
        let normaliser = normaliser_error(self.values, with_tail);
        let [first, second] = self.live.map(|row| f64::from(row.entropy));
        let tail_error = log_prob_error(self.values, tail.ln()) + normaliser;
        let log_probs = self.measure_log_probs(normaliser);
        let levels = self.measure_levels(log_probs.rounding);
        let others = [
            (Quantity::TokenIds, self.measure_token_ids()),
            (
                Quantity::TailMass,
                Measured {
                    difference: distance(f64::from(self.stored.tail_mass), tail),
                    rounding: if tail > 0.0 {
                        tail * tail_error.exp_m1()
                    } else {
                        0.0
                    },
                    control: distance(second_tail, tail),
                },
            ),
            (
                Quantity::Entropy,
                Measured {
                    difference: distance(f64::from(self.stored.entropy), first),
                    rounding: self.entropy_rounding,
                    control: distance(second, first),
                },
            ),
        ];
        let levels = levels.map(|levels| (Quantity::Levels, levels));
        let first = (Quantity::LogProbs, log_probs);
        [first].into_iter().chain(levels).chain(others).collect()
    }

    fn live_log_prob(&self, id: u32) -> f64 {
        f64::from(self.log_probs[0][id as usize])
    }

    fn measure_log_probs(&self, normaliser: f64) -> Measured {
        let [mut difference, mut rounding, mut control] = [0.0; 3];
        for (&id, &stored) in self.stored.token_ids.iter().zip(self.stored.log_probs) {
            let (stored, live) = (f64::from(stored), self.live_log_prob(id));
            let second = f64::from(self.log_probs[1][id as usize]);
            let weight = stored.max(live).exp();
            difference += weight * distance(stored, live);
            rounding += weight * (log_prob_error(self.values, live) + normaliser);
            control += second.max(live).exp() * distance(second, live);
        }
        Measured {
            difference,
            rounding,
            control,
        }
    }

    /// Both sides of a difference of levels are rounded.
    fn measure_levels(&self, rounding: f64) -> Option<Measured> {
        let [alone, together] = self.rounded?;
        Some(Measured {
            difference: self.distance_of_levels(&self.stored, &alone),
            rounding: 2.0 * rounding,
            control: self.distance_of_levels(&together, &alone),
        })
    }

    /// `Σ p |Δ ln p|` over the tokens of the first row; one that the second does not have is compared
    /// with what the teacher says.
    fn distance_of_levels(&self, row: &Row<'_>, expected: &Row<'_>) -> f64 {
        let mut by_id: Vec<(u32, f32)> = expected.entries().collect();
        by_id.sort_unstable_by_key(|&(id, _)| id);
        let differences = row.entries().map(|(id, found)| {
            let found = f64::from(found);
            let expected = match by_id.binary_search_by_key(&id, |&(id, _)| id) {
                Ok(at) => f64::from(by_id[at].1),
                Err(_) => self.live_log_prob(id),
            };
            found.max(expected).exp() * distance(found, expected)
        });
        differences.sum()
    }

    fn measure_token_ids(&self) -> Measured {
        let [first, second] = self.log_probs;
        let stored = self.stored.token_ids.iter();
        let least_stored = stored
            .map(|&id| self.live_log_prob(id))
            .fold(f64::INFINITY, f64::min);
        let ids = self.live[0].token_ids;
        let least_live = ids.last().map_or(0.0, |&id| self.live_log_prob(id));
        let moved = ids.iter().map(|&id| {
            let id = id as usize;
            distance(f64::from(second[id]), f64::from(first[id]))
        });
        Measured {
            // Above 0 only where a token is missing that is more likely than a stored one.
            difference: if least_stored < least_live {
                least_live - least_stored
            } else {
                0.0
            },
            rounding: 0.0,
            control: moved.fold(0.0, f64::max),
        }
    }
}

/// `|a − b|`, 0 for two equal infinities.
pub(super) fn distance(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() }
}
