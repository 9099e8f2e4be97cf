//! Teacher targets laid out along one packed sequence, on the host.

use alambic_cache::{
    HeadOnlyTargets, HiddenTargets, SampledTargets, TargetRecord, Targets, TemperedTail,
    TopKTargets,
};
use burn::tensor::{Device, Tensor, TensorData};

use crate::loss::{Head, HeadOnlyTargetBatch, SampledTargetBatch, TargetBatch, TopKTargetBatch};

/// The targets of every position of one packed sequence; zeros where no label is counted.
#[derive(Clone, Debug)]
pub struct SequenceTargets(Layout);

#[derive(Clone, Debug)]
enum Layout {
    TopK(TopKLayout),
    Sampled(SampledLayout),
    Hidden(HiddenLayout),
    HeadOnly(HeadLayout),
}

/// `[seq, k]` entries.
#[derive(Clone, Debug)]
struct HeadLayout {
    k: usize,
    token_ids: Vec<i32>,
    log_probs: Vec<f32>,
}

/// `[seq, k]` entries, `[seq]` tails and entropies, at further temperatures too.
#[derive(Clone, Debug)]
struct TopKLayout {
    k: usize,
    token_ids: Vec<i32>,
    log_probs: Vec<f32>,
    tail_mass: Vec<f32>,
    entropy: Vec<f32>,
    tempered: Vec<TemperedTail>,
}

/// The drawn ids and their shares at every position.
#[derive(Clone, Debug)]
struct SampledLayout {
    temperature: f32,
    rows: Vec<Vec<(i32, f32)>>,
    entropy: Vec<f32>,
}

/// `[seq, width]`
#[derive(Clone, Debug)]
struct HiddenLayout {
    width: usize,
    states: Vec<f32>,
}

impl SequenceTargets {
    /// Lays out whole records that begin at the given positions of a sequence.
    ///
    /// The target of a label stands where the label is predicted: one position before it.
    ///
    /// # Panics
    /// If the records are of different kinds; a cache has one.
    pub(crate) fn lay_out<'a>(
        placed: impl Iterator<Item = (usize, &'a TargetRecord)> + Clone,
        seq: usize,
    ) -> Self {
        let first = placed.clone().next().map(|(_, record)| &record.targets);
        let mut layout = match first {
            Some(Targets::Sampled(targets)) => {
                Layout::Sampled(SampledLayout::empty(targets.temperature, seq))
            }
            Some(Targets::HeadPlusSampledTail(targets)) => {
                Layout::Sampled(SampledLayout::empty(targets.temperature, seq))
            }
            Some(Targets::Hidden(targets)) => Layout::Hidden(HiddenLayout {
                width: targets.width,
                states: vec![0.0; seq * targets.width],
            }),
            Some(Targets::HeadOnly(targets)) => Layout::HeadOnly(HeadLayout {
                k: targets.k,
                token_ids: vec![0; seq * targets.k],
                log_probs: vec![0.0; seq * targets.k],
            }),
            first => Layout::TopK(TopKLayout::zeros(seq, first.and_then(Targets::top_k))),
        };
        for (start, record) in placed {
            let labels = (0..record.loss_mask.len()).filter(|&token| record.loss_mask[token]);
            let places = labels.map(|token| start + token - 1);
            match (&mut layout, &record.targets) {
                (Layout::TopK(layout), Targets::TopK(targets)) => layout.copy(targets, places),
                (Layout::Sampled(layout), Targets::Sampled(targets)) => {
                    layout.copy(shares(targets), &targets.entropy, places);
                }
                (Layout::Sampled(layout), Targets::HeadPlusSampledTail(targets)) => {
                    layout.copy(targets.probabilities(), &targets.head.entropy, places);
                }
                (Layout::Hidden(layout), Targets::Hidden(targets)) => layout.copy(targets, places),
                (Layout::HeadOnly(layout), Targets::HeadOnly(targets)) => {
                    layout.copy(targets, places);
                }
                (_, targets) => panic!("one kind of targets per cache, found {targets:?}"),
            }
        }
        Self(layout)
    }

    /// The targets of several sequences of equal length as one batch.
    ///
    /// # Panics
    /// If they are of different kinds, or hidden states without a head.
    pub(crate) fn to_device(
        sequences: &[&Self],
        seq: usize,
        head: Option<&Head>,
        device: &Device,
    ) -> TargetBatch {
        let batch = sequences.len();
        if let Layout::Hidden(first) = &sequences[0].0 {
            let width = first.width;
            let states = sequences.iter().flat_map(|sequence| match &sequence.0 {
                Layout::Hidden(layout) => &layout.states,
                _ => panic!("one kind of targets per batch"),
            });
            let states = TensorData::new(states.copied().collect::<Vec<_>>(), [batch, seq, width]);
            return TargetBatch::Hidden {
                // No gradient goes to the teacher.
                states: Tensor::from_data(states, &device.clone().without_autodiff()),
                head: head.expect("hidden states come with their head").clone(),
            };
        }
        if let Layout::TopK(first) = &sequences[0].0 {
            let k = first.k;
            let layouts = sequences.iter().map(|sequence| match &sequence.0 {
                Layout::TopK(layout) => layout,
                _ => panic!("one kind of targets per batch"),
            });
            let floats = |pick: fn(&TopKLayout) -> &[f32]| -> Vec<f32> {
                layouts.clone().flat_map(pick).copied().collect()
            };
            let mut batch = TopKTargetBatch::from_host(
                layouts
                    .clone()
                    .flat_map(|layout| &layout.token_ids)
                    .copied()
                    .collect(),
                floats(|layout| &layout.log_probs),
                floats(|layout| &layout.tail_mass),
                floats(|layout| &layout.entropy),
                [batch, seq, k],
                device,
            );
            for (index, tempered) in first.tempered.iter().enumerate() {
                let floats = |pick: fn(&TemperedTail) -> &[f32]| -> Vec<f32> {
                    let tails = layouts.clone().map(|layout| &layout.tempered[index]);
                    tails.flat_map(pick).copied().collect()
                };
                batch = batch.with_tempered(
                    f64::from(tempered.temperature),
                    floats(|tail| &tail.tail_mass),
                    floats(|tail| &tail.entropy),
                );
            }
            return TargetBatch::TopK(batch);
        }
        if let Layout::HeadOnly(first) = &sequences[0].0 {
            let layouts = sequences.iter().map(|sequence| match &sequence.0 {
                Layout::HeadOnly(layout) => layout,
                _ => panic!("one kind of targets per batch"),
            });
            let token_ids = layouts.clone().flat_map(|layout| &layout.token_ids);
            let log_probs = layouts.clone().flat_map(|layout| &layout.log_probs);
            return TargetBatch::HeadOnly(HeadOnlyTargetBatch::from_host(
                token_ids.copied().collect(),
                log_probs.copied().collect(),
                [batch, seq, first.k],
                device,
            ));
        }
        let layouts = sequences.iter().map(|sequence| match &sequence.0 {
            Layout::Sampled(layout) => layout,
            _ => panic!("one kind of targets per batch"),
        });
        let rows = layouts.clone().flat_map(|layout| &layout.rows);
        // One entry at least: backends know no empty tensors.
        let most = rows.clone().map(Vec::len).max().unwrap_or(0).max(1);
        let filled = rows.flat_map(|row| {
            let nothing = std::iter::repeat_n((0, 0.0), most - row.len());
            row.iter().copied().chain(nothing)
        });
        let (token_ids, shares) = filled.unzip();
        let temperature = layouts
            .clone()
            .next()
            .map_or(1.0, |first| first.temperature);
        let entropy = layouts.flat_map(|layout| &layout.entropy).copied();
        let dims = [batch, seq, most];
        let drawn =
            SampledTargetBatch::from_host(token_ids, shares, entropy.collect(), dims, device);
        TargetBatch::Sampled(drawn.drawn_at(f64::from(temperature)))
    }

    /// One target row per position.
    #[cfg(test)]
    pub(crate) fn from_rows(targets: &TopKTargets, seq: usize) -> Self {
        let mut layout = TopKLayout::zeros(seq, Some(targets));
        layout.copy(targets, 0..seq);
        Self(Layout::TopK(layout))
    }
}

impl TopKLayout {
    /// Room for targets like these.
    fn zeros(seq: usize, like: Option<&TopKTargets>) -> Self {
        let k = like.map_or(0, |targets| targets.k);
        let tempered = like.map_or(&[][..], |targets| &targets.tempered);
        let zeros = |tail: &TemperedTail| TemperedTail {
            temperature: tail.temperature,
            tail_mass: vec![0.0; seq],
            entropy: vec![0.0; seq],
        };
        Self {
            k,
            token_ids: vec![0; seq * k],
            log_probs: vec![0.0; seq * k],
            tail_mass: vec![0.0; seq],
            entropy: vec![0.0; seq],
            tempered: tempered.iter().map(zeros).collect(),
        }
    }

    /// Copies the rows of `targets` to these positions.
    fn copy(&mut self, targets: &TopKTargets, places: impl Iterator<Item = usize>) {
        let k = self.k;
        for (row, at) in places.enumerate() {
            let (from, to) = (row * k, at * k);
            for offset in 0..k {
                self.token_ids[to + offset] = targets.token_ids[from + offset] as i32;
            }
            self.log_probs[to..to + k].copy_from_slice(&targets.log_probs[from..from + k]);
            self.tail_mass[at] = targets.tail_mass[row];
            self.entropy[at] = targets.entropy[row];
            for (to, from) in self.tempered.iter_mut().zip(&targets.tempered) {
                to.tail_mass[at] = from.tail_mass[row];
                to.entropy[at] = from.entropy[row];
            }
        }
    }
}

impl HeadLayout {
    fn copy(&mut self, targets: &HeadOnlyTargets, places: impl Iterator<Item = usize>) {
        let k = self.k;
        for (row, at) in places.enumerate() {
            let from = row * k..(row + 1) * k;
            let to = at * k..(at + 1) * k;
            let ids = targets.token_ids[from.clone()].iter();
            for (place, &id) in self.token_ids[to.clone()].iter_mut().zip(ids) {
                *place = id as i32;
            }
            self.log_probs[to].copy_from_slice(&targets.log_probs[from]);
        }
    }
}

impl HiddenLayout {
    fn copy(&mut self, targets: &HiddenTargets, places: impl Iterator<Item = usize>) {
        let width = self.width;
        for (row, at) in targets.rows().zip(places) {
            self.states[at * width..(at + 1) * width].copy_from_slice(row);
        }
    }
}

impl SampledLayout {
    fn empty(temperature: f32, seq: usize) -> Self {
        Self {
            temperature,
            rows: vec![Vec::new(); seq],
            entropy: vec![0.0; seq],
        }
    }

    /// Copies rows of estimated probabilities to these positions.
    fn copy(
        &mut self,
        rows: impl Iterator<Item = Vec<(u32, f32)>>,
        entropy: &[f32],
        places: impl Iterator<Item = usize>,
    ) {
        for ((row, &entropy), at) in rows.zip(entropy).zip(places) {
            self.rows[at] = row.into_iter().map(|(id, p)| (id as i32, p)).collect();
            self.entropy[at] = entropy;
        }
    }
}

/// The shares of the drawn tokens, row by row.
fn shares(targets: &SampledTargets) -> impl Iterator<Item = Vec<(u32, f32)>> {
    let draws = f32::from(targets.draws);
    targets.drawn.rows().map(move |row| {
        let shares = row.counts.iter().map(|&count| f32::from(count) / draws);
        row.token_ids.iter().copied().zip(shares).collect()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use alambic_cache::{DrawnTokens, SegmentKey};

    use super::*;

    #[test]
    fn drawn_tokens_stand_one_position_before_their_labels() {
        let record = |first_id: u32| TargetRecord {
            key: SegmentKey::of("t", &[first_id, 2, 3], &[false, true, true]),
            token_ids: vec![first_id, 2, 3],
            loss_mask: vec![false, true, true],
            targets: SampledTargets {
                draws: 4,
                temperature: 1.0,
                drawn: DrawnTokens {
                    num_distinct: vec![1, 2],
                    token_ids: vec![first_id, 8, 9],
                    counts: vec![4, 3, 1],
                },
                entropy: vec![0.5, 0.7],
            }
            .into(),
        };
        let (first, second) = (record(5), record(6));
        let placed = [(0, &first), (3, &second)];
        let targets = SequenceTargets::lay_out(placed.into_iter(), 7);
        let TargetBatch::Sampled(batch) =
            SequenceTargets::to_device(&[&targets], 7, None, &Device::flex())
        else {
            panic!("drawn tokens");
        };
        assert_eq!(batch.dims(), [1, 7, 2]);
        let ids = batch.token_ids.into_data().convert::<i32>();
        let expected = [5, 0, 8, 9, 0, 0, 6, 0, 8, 9, 0, 0, 0, 0];
        assert_eq!(ids.as_slice::<i32>().unwrap(), expected);
        let shares = batch.shares.into_data();
        let expected = [
            1.0, 0.0, 0.75, 0.25, 0.0, 0.0, 1.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.0, 0.0,
        ];
        assert_eq!(shares.as_slice::<f32>().unwrap(), expected);
        let entropy = batch.entropy.into_data();
        let expected = [0.5, 0.7, 0.0, 0.5, 0.7, 0.0, 0.0];
        assert_eq!(entropy.as_slice::<f32>().unwrap(), expected);
    }

    #[test]
    fn hidden_states_stand_one_position_before_their_labels() {
        let record = |first: f32| TargetRecord {
            key: SegmentKey::of("t", &[1, 2, 3], &[false, true, true]),
            token_ids: vec![1, 2, 3],
            loss_mask: vec![false, true, true],
            targets: HiddenTargets {
                width: 2,
                states: vec![first, 0.5, 0.25, -1.0],
            }
            .into(),
        };
        let (first, second) = (record(5.0), record(6.0));
        let placed = [(0, &first), (3, &second)];
        let targets = SequenceTargets::lay_out(placed.into_iter(), 7);
        let device = Device::flex();
        let head = Head::new(Tensor::zeros([2, 4], &device));
        let TargetBatch::Hidden { states, .. } =
            SequenceTargets::to_device(&[&targets], 7, Some(&head), &device)
        else {
            panic!("hidden states");
        };
        assert_eq!(states.dims(), [1, 7, 2]);
        let states = states.into_data();
        let (labels, gap) = ([5.0, 0.5, 0.25, -1.0], [0.0, 0.0]);
        let expected = [labels, [0.0, 0.0, 6.0, 0.5], [0.25, -1.0, 0.0, 0.0]].concat();
        assert_eq!(
            states.as_slice::<f32>().unwrap(),
            [expected, gap.to_vec()].concat()
        );
    }
}
