//! The printed form of a call.

use std::time::Duration;

use hive_core::answer::Answer;
use serde_json::{Map, Value};

use super::answer;
use super::log::Line;
use super::measure;

/// A call, as it is printed.
pub(super) struct Called {
    pub(super) answers: Vec<Answer>,
    pub(super) log: Vec<Line>,
    pub(super) took: Duration,
    pub(super) memory: Option<u64>,
}

impl Called {
    /// An object for each delivery of a call. Facts about the call as a whole are in the first one.
    pub(super) fn objects(&self) -> impl Iterator<Item = Value> {
        let objects = self.answers.iter().map(Answer::object).enumerate();
        objects.map(|(index, mut object)| {
            if index == 0 {
                self.add_itself(&mut object);
            }
            Value::Object(object)
        })
    }

    fn add_itself(&self, object: &mut Map<String, Value>) {
        object.insert("time-ms".into(), measure::number(self.took));
        if let Some(memory) = self.memory {
            object.insert("memory-bytes".into(), Value::from(memory));
        }
        object.insert("log".into(), self.log.iter().map(Line::object).collect());
    }

    /// A call for people; its deliveries are numbered on where there are many.
    pub(super) fn text(&self, many: bool, number: &mut usize) -> String {
        let Self {
            answers,
            log,
            took,
            memory,
        } = self;
        let mut text = String::new();
        for answer in answers {
            *number += 1;
            if many {
                text.push_str(&format!("message {number}: "));
            }
            answer::write(answer, &mut text);
        }
        if !log.is_empty() {
            text.push_str("log\n");
            log.iter().for_each(|line| line.write(&mut text));
        }
        let took = measure::milliseconds(*took);
        let memory = memory.map_or(String::new(), |bytes| {
            format!(", {} KiB of memory", bytes.div_ceil(1024))
        });
        text.push_str(&format!("{took}{memory}\n"));
        text
    }
}
