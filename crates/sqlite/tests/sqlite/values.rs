//! Values keep every byte, both ways.

use proptest::prelude::*;

use moorline_sqlite::Value;

use crate::{OwnedValue, memory, run};

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        prop::num::f64::ANY
            .prop_filter("the engine takes NaN for NULL", |real| !real.is_nan())
            .prop_map(Value::Real),
        "(?s).{0,40}".prop_map(Value::Text),
        Just(Value::Text("a\0b\0".to_owned())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Blob),
    ]
}

fn owned_value(value: Value) -> OwnedValue {
    match value {
        Value::Null => OwnedValue::Null,
        Value::Integer(integer) => OwnedValue::Integer(integer),
        Value::Real(real) => OwnedValue::Real(real),
        Value::Text(text) => OwnedValue::Text(text.into_bytes()),
        Value::Blob(bytes) => OwnedValue::Blob(bytes),
    }
}

proptest! {
    #[test]
    fn any_values_come_back_as_they_were_given(values in prop::collection::vec(value(), 1..6)) {
        let mut connection = memory();
        run(&mut connection, "CREATE TABLE t (value)", &[]).unwrap();
        for value in &values {
            run(&mut connection, "INSERT INTO t VALUES (?)", std::slice::from_ref(value)).unwrap();
        }
        let rows = run(&mut connection, "SELECT value FROM t ORDER BY rowid", &[]).unwrap();
        let expected: Vec<_> = values.into_iter().map(|value| vec![owned_value(value)]).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn text_in_another_encoding_comes_back_as_utf_8(text in "(?s).{0,40}") {
        let mut connection = memory();
        run(&mut connection, "PRAGMA encoding = 'UTF-16'; CREATE TABLE t (value)", &[]).unwrap();
        let given = [Value::Text(text.clone())];
        run(&mut connection, "INSERT INTO t VALUES (?)", &given).unwrap();
        let rows = run(&mut connection, "SELECT value FROM t", &[]).unwrap();
        prop_assert_eq!(rows, [[OwnedValue::Text(text.into_bytes())]]);
    }
}

#[test]
fn text_is_lent_as_its_bytes_are_and_what_is_empty_is_no_null() {
    let mut connection = memory();
    let sql = "SELECT CAST(x'ff00fe' AS TEXT), '', x'', zeroblob(0), zeroblob(3)";
    let rows = run(&mut connection, sql, &[]).unwrap();
    let expected = [
        OwnedValue::Text(vec![0xff, 0, 0xfe]),
        OwnedValue::Text(Vec::new()),
        OwnedValue::Blob(Vec::new()),
        OwnedValue::Blob(Vec::new()),
        OwnedValue::Blob(vec![0; 3]),
    ];
    assert_eq!(rows, [expected]);
}

#[test]
fn a_megabyte_of_each_comes_back() {
    let mut connection = memory();
    let given = [
        Value::Text("é\0".repeat(400_000)),
        Value::Blob(vec![7; 1 << 20]),
    ];
    let rows = run(&mut connection, "SELECT ?, ?", &given).unwrap();
    assert_eq!(rows, [given.map(owned_value)]);
}
