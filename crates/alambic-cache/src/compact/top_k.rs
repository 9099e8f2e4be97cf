//! The most probable tokens as rows.

use super::bits::BitReader;
use super::head_plus_sampled_tail::ReadHead;
use super::leveller::Leveller;
use super::quantiser::Quantiser;
use super::row_code::{Row, RowBuffer, RowDecoder, entropy_of_number, entropy_to_number};
use super::tail_number::{number_of_tail, tail_of_number};
use crate::{TemperedTail, TopKTargets};

/// Entropy, mass of the rest, lowest level.
pub(super) const NUM_HEADER_NUMBERS: usize = 3;
/// Entropy and mass of the rest at each further temperature.
pub(super) const NUM_FURTHER_NUMBERS: usize = 2;

/// The header number of a tail without any mass; 1 more than the level stands for all others.
const NO_TAIL: u16 = 0;

/// # Panics
/// If a log-probability has no level; that was checked.
pub(super) fn to_rows(targets: &TopKTargets, quantiser: &Quantiser) -> Vec<Row> {
    let mut leveller = Leveller::new(quantiser);
    (0..targets.num_rows())
        .map(|row| {
            let range = row * targets.k..(row + 1) * targets.k;
            let tail = targets.tail_mass[row];
            let levels = leveller.levels(&targets.log_probs[range.clone()], tail);
            let (head, tail) = levels.split_at(targets.k);
            let lowest = head.iter().copied().max().unwrap_or(0);
            let ids = targets.token_ids[range].iter();
            let mut entries: Vec<(u32, u16)> = ids
                .zip(head)
                .map(|(&id, &level)| (id, lowest - level))
                .collect();
            entries.sort_unstable();
            let tail = tail.first().map_or(NO_TAIL, |level| 1 + level);
            let mut header = vec![entropy_to_number(targets.entropy[row]), tail, lowest];
            for tempered in &targets.tempered {
                header.push(entropy_to_number(tempered.entropy[row]));
                header.push(number_of_tail(tempered.tail_mass[row], quantiser));
            }
            Row {
                header,
                entries,
                fields: Vec::new(),
            }
        })
        .collect()
}

pub(super) fn from_rows(
    rows: &RowDecoder,
    bytes: &[u8],
    num_rows: usize,
    shape: (usize, &[f32]),
    quantiser: &Quantiser,
) -> Option<TopKTargets> {
    let mut reader = BitReader::new(bytes);
    let mut read = TopKReader::new(
        rows,
        shape,
        quantiser,
        rows_within(bytes, num_rows, shape.0),
    );
    for _ in 0..num_rows {
        read.row(&mut reader)?;
    }
    reader.is_at_end().then(|| read.finish())
}

/// For how many rows of `k` entries there is room to be made: no more than so many bytes can hold, each
/// entry of which takes a bit at least.
pub(super) fn rows_within(bytes: &[u8], num_rows: usize, k: usize) -> usize {
    num_rows.min(8 * bytes.len() / k.max(1))
}

/// Reads row after row.
pub(super) struct TopKReader<'a> {
    rows: &'a RowDecoder,
    levels: LevelReader<'a>,
    buffer: RowBuffer,
    targets: TopKTargets,
}

impl<'a> TopKReader<'a> {
    /// A reader of `k` entries and further temperatures, with room for `capacity` rows.
    pub(super) fn new(
        rows: &'a RowDecoder,
        shape: (usize, &[f32]),
        quantiser: &'a Quantiser,
        capacity: usize,
    ) -> Self {
        Self {
            rows,
            levels: LevelReader::new(quantiser),
            buffer: RowBuffer::default(),
            targets: with_capacity(shape, capacity),
        }
    }
}

impl ReadHead for TopKReader<'_> {
    fn row(&mut self, reader: &mut BitReader<'_>) -> Option<()> {
        let (k, buffer, targets) = (self.targets.k, &mut self.buffer, &mut self.targets);
        let header = self.rows.read(reader, |_| k, buffer)?;
        read_further(
            &buffer.further,
            &mut targets.tempered,
            self.levels.quantiser,
        )?;
        self.levels.read(&header, &buffer.entries, targets)
    }

    fn finish(self) -> TopKTargets {
        self.targets
    }
}

/// Targets without rows, and room for some.
pub(super) fn with_capacity(
    (k, further_temperatures): (usize, &[f32]),
    num_rows: usize,
) -> TopKTargets {
    TopKTargets {
        k,
        token_ids: Vec::with_capacity(num_rows.saturating_mul(k)),
        log_probs: Vec::with_capacity(num_rows.saturating_mul(k)),
        tail_mass: Vec::with_capacity(num_rows),
        entropy: Vec::with_capacity(num_rows),
        tempered: TemperedTail::empty(further_temperatures),
    }
}

/// What a reader gets of these targets.
///
/// # Panics
/// If a log-probability has no level.
pub(crate) fn rounded(targets: &TopKTargets, quantiser: &Quantiser) -> TopKTargets {
    let temperatures: Vec<f32> = targets.tempered.iter().map(|t| t.temperature).collect();
    let mut read = with_capacity((targets.k, &temperatures), targets.num_rows());
    let mut levels = LevelReader::new(quantiser);
    for row in to_rows(targets, quantiser) {
        let (header, further) = row.header.split_first_chunk().expect("as written above");
        levels
            .read(header, &row.entries, &mut read)
            .and_then(|()| read_further(further, &mut read.tempered, quantiser))
            .expect("levels that were just made");
    }
    read
}

/// Adds one row to the targets at the further temperatures; `None` if a number is none of a tail.
fn read_further(
    numbers: &[u16],
    tempered: &mut [TemperedTail],
    quantiser: &Quantiser,
) -> Option<()> {
    let (numbers, _) = numbers.as_chunks::<NUM_FURTHER_NUMBERS>();
    for (&[entropy, tail], tempered) in numbers.iter().zip(tempered) {
        tempered.entropy.push(entropy_of_number(entropy));
        tempered.tail_mass.push(tail_of_number(tail, quantiser)?);
    }
    Some(())
}

/// Makes targets of levels.
struct LevelReader<'a> {
    quantiser: &'a Quantiser,
    ordered: LevelOrder,
}

impl<'a> LevelReader<'a> {
    fn new(quantiser: &'a Quantiser) -> Self {
        Self {
            quantiser,
            ordered: LevelOrder::default(),
        }
    }

    /// Adds one row to `targets`; `None` if a level is out of range.
    fn read(
        &mut self,
        &[entropy, tail, lowest]: &[u16; NUM_HEADER_NUMBERS],
        entries: &[(u32, u16)],
        targets: &mut TopKTargets,
    ) -> Option<()> {
        let (quantiser, ordered) = (self.quantiser, &mut self.ordered);
        let tail = match tail {
            NO_TAIL => 0.0,
            level => *quantiser.masses().get(usize::from(level - 1))?,
        };
        ordered.sort(entries, lowest)?;
        let head: f64 = entries
            .iter()
            .map(|&(_, above)| quantiser.mass(lowest - above))
            .sum();
        let log_total = (head + tail).ln();
        targets.token_ids.extend(&ordered.ids);
        let log_probs = ordered.levels.iter();
        let log_probs = log_probs.map(|&level| (-quantiser.nats(level) - log_total) as f32);
        targets.log_probs.extend(log_probs);
        targets.tail_mass.push((tail / (head + tail)) as f32);
        targets.entropy.push(entropy_of_number(entropy));
        Some(())
    }
}

/// Entries by level, those of equal level by id.
#[derive(Debug, Default)]
struct LevelOrder {
    ids: Vec<u32>,
    levels: Vec<u16>,
    /// Where the next entry of each level above the lowest goes.
    next: Vec<usize>,
}

impl LevelOrder {
    /// A counting sort; `None` if a level is out of range.
    fn sort(&mut self, entries: &[(u32, u16)], lowest: u16) -> Option<()> {
        if lowest > super::quantiser::MAX_LEVEL {
            return None;
        }
        self.next.clear();
        self.next.resize(usize::from(lowest) + 2, 0);
        for &(_, above) in entries {
            let level = lowest.checked_sub(above)?;
            self.next[usize::from(level) + 1] += 1;
        }
        let mut before = 0;
        for count in &mut self.next {
            before += *count;
            *count = before;
        }
        self.ids.resize(entries.len(), 0);
        self.levels.resize(entries.len(), 0);
        for &(id, above) in entries {
            let level = lowest - above;
            let place = &mut self.next[usize::from(level)];
            self.ids[*place] = id;
            self.levels[*place] = level;
            *place += 1;
        }
        Some(())
    }
}
