//! Plain JavaScript values.

use std::{any::Any, fmt, sync::Arc};

use super::Excess;

/// An object of native code among the values: an option takes it back by its type. Equal to itself alone.
#[derive(Clone)]
pub struct NativeObject(Arc<dyn Any + Send + Sync>);

impl NativeObject {
    /// Takes an object over.
    pub fn new(object: impl Any + Send + Sync) -> Self {
        Self(Arc::new(object))
    }

    /// The object, if it is a `T`.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl PartialEq for NativeObject {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for NativeObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeObject(…)")
    }
}

/// A plain JavaScript value, copied. `undefined` members are absent.
#[derive(Clone, Debug, PartialEq)]
pub enum PlainValue {
    /// `undefined` at the top level; inside maps it means absent.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A bigint that fits 64 bits.
    Integer(i64),
    /// A bigint that does not, as decimal text.
    BigInteger(String),
    /// A string.
    Text(String),
    /// The bytes of an ArrayBuffer, a typed array or a Buffer.
    Bytes(Vec<u8>),
    /// A `Date`, milliseconds since the epoch (`NaN` when invalid).
    Date(f64),
    /// An array.
    List(Vec<PlainValue>),
    /// An object's own enumerable members.
    Map(Vec<(String, PlainValue)>),
    /// An object of native code, which JavaScript passes on.
    Native(NativeObject),
    /// A value that cannot be copied, by its type name (`function`, `symbol`).
    Other(&'static str),
    /// A value with a part that is too large to be copied.
    Excess(Box<Excess>),
}

impl PlainValue {
    /// The name of this value's type in a message, as in Node.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Integer(_) | Self::BigInteger(_) => "a bigint",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "a Date",
            Self::List(_) => "an array",
            Self::Map(_) => "an object",
            Self::Native(_) => "a native object",
            Self::Other(name) => name,
            Self::Excess(_) => "a value that is too large",
        }
    }
}
