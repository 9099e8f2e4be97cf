//! The data loaders that burn-train asks for; the step-granular strategy draws its own windows.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use super::student::MicroBatch;

/// A loader without items.
pub(crate) struct NoItems;

struct NoItemsIterator;

impl Iterator for NoItemsIterator {
    type Item = Result<MicroBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl DataLoaderIterator<MicroBatch> for NoItemsIterator {
    fn progress(&self) -> Progress {
        Progress::new(0, 0, None)
    }
}

impl DataLoader<MicroBatch> for NoItems {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<MicroBatch> + 'a> {
        Box::new(NoItemsIterator)
    }

    fn num_items(&self) -> usize {
        0
    }

    fn to_device(&self, _device: &Device) -> Arc<dyn DataLoader<MicroBatch>> {
        Arc::new(NoItems)
    }

    fn slice(&self, _start: usize, _end: usize) -> Arc<dyn DataLoader<MicroBatch>> {
        Arc::new(NoItems)
    }
}
