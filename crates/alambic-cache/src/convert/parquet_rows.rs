//! Rows of another format's Parquet file, column by column.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::foreign_segment::Place;
use crate::CacheError;
use crate::shard_file::guarded;
use crate::write_once_dir::io_error;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 16;

/// Some rows of a file.
pub(super) struct Rows<'a> {
    batch: RecordBatch,
    first_row: usize,
    path: &'a Path,
}

/// Visits all rows of a file, a few at a time.
pub(super) fn for_each(
    path: &Path,
    mut visit: impl FnMut(&Rows<'_>) -> Result<(), CacheError>,
) -> Result<(), CacheError> {
    let file = File::open(path).map_err(io_error(path, "open"))?;
    let mut batches = guarded(path, || {
        ParquetRecordBatchReaderBuilder::try_new(file)?
            .with_batch_size(BATCH_ROWS)
            .build()
    })?;
    let mut first_row = 0;
    while let Some(batch) = guarded(path, || Ok(batches.next().transpose()?))? {
        let rows = Rows {
            batch,
            first_row,
            path,
        };
        visit(&rows)?;
        first_row += rows.batch.num_rows();
    }
    Ok(())
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Where a row stands.
    pub(super) fn place(&self, row: usize) -> Place<'_> {
        Place {
            path: self.path,
            unit: "row",
            row: self.first_row + row,
        }
    }

    /// A column of lists, without nulls.
    pub(super) fn lists<T: ArrowPrimitiveType>(&self, name: &str) -> Result<Lists, CacheError> {
        let column = self.column(name, &list_of(T::DATA_TYPE))?;
        Ok(Lists(column))
    }

    /// A column of lists of lists; the inner ones may be null.
    pub(super) fn nested<T: ArrowPrimitiveType>(&self, name: &str) -> Result<Nested, CacheError> {
        let column = self.column(name, &list_of(list_of(T::DATA_TYPE)))?;
        Ok(Nested(column))
    }

    /// A column in one type; numbers that this type does not have are refused.
    fn column(&self, name: &str, data_type: &DataType) -> Result<ArrayRef, CacheError> {
        let place = self.place(0);
        let column = self.batch.column_by_name(name).ok_or_else(|| {
            let schema = self.batch.schema();
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            place.refuse(
                "its columns",
                format!("{name} and others"),
                names.join(", "),
            )
        })?;
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let column = cast_with_options(column, data_type, &options)
            .map_err(|error| place.refuse(name, data_type.to_string(), error.to_string()))?;
        if column.null_count() > 0 {
            return Err(place.refuse(name, "a list in every row", "null".into()));
        }
        Ok(column)
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Field::new("item", item, true).into())
}

/// A list of numbers in every row.
pub(super) struct Lists(ArrayRef);

impl Lists {
    pub(super) fn row<T: ArrowPrimitiveType>(
        &self,
        row: usize,
        place: Place<'_>,
    ) -> Result<Vec<T::Native>, CacheError> {
        values::<T>(&self.0.as_list::<i32>().value(row), place)
    }
}

/// A list of lists of numbers in every row.
pub(super) struct Nested(ArrayRef);

impl Nested {
    pub(super) fn row<T: ArrowPrimitiveType>(
        &self,
        row: usize,
        place: Place<'_>,
    ) -> Result<Vec<Option<Vec<T::Native>>>, CacheError> {
        let inner = self.0.as_list::<i32>().value(row);
        let inner = inner.as_list::<i32>();
        let list = |i| match inner.is_null(i) {
            true => Ok(None),
            false => values::<T>(&inner.value(i), place).map(Some),
        };
        (0..inner.len()).map(list).collect()
    }
}

fn values<T: ArrowPrimitiveType>(
    list: &ArrayRef,
    place: Place<'_>,
) -> Result<Vec<T::Native>, CacheError> {
    if list.null_count() > 0 {
        return Err(place.refuse("its lists", "numbers", "null in a list of numbers".into()));
    }
    Ok(list.as_primitive::<T>().values().to_vec())
}
