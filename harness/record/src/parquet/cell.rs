//! Cells: how one value of a row becomes a column's element and back.
//!
//! In: fields of rows, Arrow arrays. Out: Arrow arrays, fields. Elsewhere: which fields a row has (`row`).
//!
//! Writing has one form per type. Reading takes every form that other tools give the same column back in (DuckDB and pandas widen
//! integers, turn ids to text and nullable integers to floats), as long as no value is changed by it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, StringArray, UInt32Array,
    UInt64Array,
};
use arrow_schema::DataType;

/// Bytes of an id.
const ID_BYTES: i32 = 16;

/// Reads the element at an index that is not null.
pub(super) type Access<T> = Box<dyn Fn(usize) -> Result<T, String> + Send>;

/// A value that a column can hold.
pub(super) trait Cell: Sized + 'static {
    /// The form it is written in.
    fn data_type() -> DataType;
    /// A column of them.
    fn build<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef;
    /// How to read a column; `None` when its type cannot hold such values.
    fn access(array: &ArrayRef) -> Option<Access<Self>>;
}

/// A field of a row: a cell, or an optional one.
pub(super) trait Field: Sized {
    type Cell: Cell;
    const NULLABLE: bool;
    fn as_cell(&self) -> Option<&Self::Cell>;
    /// The field; `None` when it must not be null and is.
    fn from_cell(cell: Option<Self::Cell>) -> Option<Self>;
}

impl<T: Cell> Field for T {
    type Cell = T;
    const NULLABLE: bool = false;

    fn as_cell(&self) -> Option<&T> {
        Some(self)
    }

    fn from_cell(cell: Option<T>) -> Option<Self> {
        cell
    }
}

impl<T: Cell> Field for Option<T> {
    type Cell = T;
    const NULLABLE: bool = true;

    fn as_cell(&self) -> Option<&T> {
        self.as_ref()
    }

    fn from_cell(cell: Option<T>) -> Option<Self> {
        Some(cell)
    }
}

macro_rules! integer_cell {
    ($($native:ty: $data_type:ident, $array:ident;)*) => {
        $(impl Cell for $native {
            fn data_type() -> DataType {
                DataType::$data_type
            }

            fn build<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
                Arc::new(cells.map(Option::<&Self>::copied).collect::<$array>())
            }

            fn access(array: &ArrayRef) -> Option<Access<Self>> {
                integer_access(array)
            }
        })*
    };
}

integer_cell! {
    i32: Int32, Int32Array;
    i64: Int64, Int64Array;
    u32: UInt32, UInt32Array;
    u64: UInt64, UInt64Array;
}

fn integer_access<T: TryFrom<i128> + 'static>(array: &ArrayRef) -> Option<Access<T>> {
    fn of<P: ArrowPrimitiveType, T: TryFrom<i128> + 'static>(array: &ArrayRef) -> Option<Access<T>>
    where
        P::Native: Into<i128>,
    {
        let array = array.as_primitive_opt::<P>()?.clone();
        Some(Box::new(move |index| {
            let value: i128 = array.value(index).into();
            T::try_from(value).map_err(|_| format!("{value} is out of range"))
        }))
    }
    match array.data_type() {
        DataType::Int8 => of::<Int8Type, T>(array),
        DataType::Int16 => of::<Int16Type, T>(array),
        DataType::Int32 => of::<Int32Type, T>(array),
        DataType::Int64 => of::<Int64Type, T>(array),
        DataType::UInt8 => of::<UInt8Type, T>(array),
        DataType::UInt16 => of::<UInt16Type, T>(array),
        DataType::UInt32 => of::<UInt32Type, T>(array),
        DataType::UInt64 => of::<UInt64Type, T>(array),
        DataType::Float64 => whole_float_access(array),
        _ => None,
    }
}

/// Floats are taken where they are whole numbers that a float holds exactly.
fn whole_float_access<T: TryFrom<i128> + 'static>(array: &ArrayRef) -> Option<Access<T>> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let array = array.as_primitive_opt::<Float64Type>()?.clone();
    Some(Box::new(move |index| {
        let value = array.value(index);
        let whole = (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i128);
        whole.and_then(|whole| T::try_from(whole).ok()).ok_or_else(|| format!("{value} is not an exact whole number"))
    }))
}

impl Cell for bool {
    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn build<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
        Arc::new(cells.map(Option::<&Self>::copied).collect::<BooleanArray>())
    }

    fn access(array: &ArrayRef) -> Option<Access<Self>> {
        let array = array.as_boolean_opt()?.clone();
        Some(Box::new(move |index| Ok(array.value(index))))
    }
}

impl Cell for String {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn build<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
        Arc::new(cells.map(|cell| cell.map(String::as_str)).collect::<StringArray>())
    }

    fn access(array: &ArrayRef) -> Option<Access<Self>> {
        match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string_opt::<i32>()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_owned())))
            }
            DataType::LargeUtf8 => {
                let array = array.as_string_opt::<i64>()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_owned())))
            }
            DataType::Utf8View => {
                let array = array.as_string_view_opt()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_owned())))
            }
            DataType::Dictionary(_, _) => {
                let array = array.as_any_dictionary_opt()?;
                let keys = array.normalized_keys();
                let word = Self::access(array.values())?;
                Some(Box::new(move |index| word(keys[index])))
            }
            _ => None,
        }
    }
}

impl Cell for Vec<u8> {
    fn data_type() -> DataType {
        DataType::Binary
    }

    fn build<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
        Arc::new(cells.map(|cell| cell.map(Vec::as_slice)).collect::<BinaryArray>())
    }

    fn access(array: &ArrayRef) -> Option<Access<Self>> {
        match array.data_type() {
            DataType::Binary => {
                let array = array.as_binary_opt::<i32>()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_vec())))
            }
            DataType::LargeBinary => {
                let array = array.as_binary_opt::<i64>()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_vec())))
            }
            DataType::BinaryView => {
                let array = array.as_binary_view_opt()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_vec())))
            }
            DataType::FixedSizeBinary(_) => {
                let array = array.as_fixed_size_binary_opt()?.clone();
                Some(Box::new(move |index| Ok(array.value(index).to_vec())))
            }
            _ => None,
        }
    }
}

impl Cell for u128 {
    fn data_type() -> DataType {
        DataType::FixedSizeBinary(ID_BYTES)
    }

    fn build<'a>(cells: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
        let bytes = cells.map(|cell| cell.map(|id| id.to_be_bytes()));
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, ID_BYTES).expect("every id has sixteen bytes"),
        )
    }

    fn access(array: &ArrayRef) -> Option<Access<Self>> {
        if let DataType::FixedSizeBinary(ID_BYTES) = array.data_type() {
            let array = array.as_fixed_size_binary_opt()?.clone();
            return Some(Box::new(move |index| id_of_bytes(array.value(index))));
        }
        if let Some(bytes) = Vec::<u8>::access(array) {
            return Some(Box::new(move |index| id_of_bytes(&bytes(index)?)));
        }
        let text = String::access(array)?;
        Some(Box::new(move |index| id_of_text(&text(index)?)))
    }
}

fn id_of_bytes(bytes: &[u8]) -> Result<u128, String> {
    let bytes = bytes.try_into().map_err(|_| format!("an id has 16 bytes, not {}", bytes.len()))?;
    Ok(u128::from_be_bytes(bytes))
}

fn id_of_text(text: &str) -> Result<u128, String> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let id = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
    id.ok_or_else(|| format!("{text:?} is not a UUID"))
}
