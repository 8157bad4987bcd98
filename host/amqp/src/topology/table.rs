//! Arguments of the plan as AMQP tables.

use hive_config::plan::{Argument, Arguments};
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString};

use crate::message::names::short;

pub(super) fn table(arguments: &Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, argument) in arguments {
        table.insert(short(name), value(argument));
    }
    table
}

fn value(argument: &Argument) -> AMQPValue {
    match argument {
        Argument::Boolean(value) => AMQPValue::Boolean(*value),
        Argument::Integer(value) => AMQPValue::LongLongInt(*value),
        Argument::Double(value) => AMQPValue::Double(*value),
        Argument::Text(value) => AMQPValue::LongString(LongString::from(value.as_str())),
        Argument::Array(values) => AMQPValue::FieldArray(FieldArray::from(
            values.iter().map(value).collect::<Vec<_>>(),
        )),
        Argument::Table(values) => AMQPValue::FieldTable(table(values)),
    }
}
