//! Test files, `*.test.toml`: cases that `hive-host test` runs.
//!
//! They are read as hive.toml is: along a table of keys (`keys`), with every fault of a file in one run.

mod expectations;
mod given;
pub(crate) mod keys;
mod meaning;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hive_contracts::Contract;
use hive_core::message::{Envelope, Message, Publication};
use jsonschema::Validator;
use regex::Regex;
use serde_json::Value;

use super::environment::Environment;
use super::faults::Faults;
use super::plan::{Handler, Plan};
use super::problem::Problems;
use super::sources::Sources;

/// A test file.
#[derive(Debug)]
pub struct Cases {
    /// The file.
    pub path: PathBuf,
    /// The cases that call a component, in their order.
    pub components: Vec<ComponentCase>,
    /// The cases that run the whole hive.toml, in their order.
    pub flows: Vec<FlowCase>,
}

/// A case that calls a component, or the routes of a consumer.
#[derive(Debug)]
pub struct ComponentCase {
    /// What it shows.
    pub name: String,
    /// The line in the file, from 1.
    pub line: usize,
    /// What it calls: a component, which is in the plan, or routes.
    pub handler: Handler,
    /// The `schema` of the consumer, if the case names one that has it.
    pub contract: Option<Arc<Contract>>,
    /// Values of `config` that replace those of the plan.
    pub config: Vec<(String, String)>,
    /// Buckets with their entries.
    pub keyvalue: Vec<Bucket>,
    /// The objects that are there before the first call.
    pub objects: Vec<Object>,
    /// The time of day that the component reads; none for the machine's.
    pub clock: Option<SystemTime>,
    /// Answers to its requests over HTTP.
    pub http: Vec<HttpAnswer>,
    /// Replies to its requests over the broker.
    pub requests: Vec<RequestAnswer>,
    /// The calls; at least one.
    pub calls: Vec<Call>,
}

impl ComponentCase {
    /// Whether an answer of it is compared with the snapshot.
    pub fn has_snapshot(&self) -> bool {
        self.calls.iter().any(|call| call.expect.snapshot)
    }
}

/// A bucket's name and its entries.
pub type Bucket = (String, Vec<(String, String)>);

/// An object that is there before the first call.
#[derive(Debug)]
pub struct Object {
    /// A container of the component.
    pub container: String,
    /// Its name there.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// What is handed over; one at least.
    pub deliveries: Vec<(Envelope, AnswerMatch)>,
    /// Whether they are handed to the batch handler.
    pub is_batch: bool,
    /// What must hold of the call as a whole.
    pub expect: CallMatch,
}

/// What must hold of a call.
#[derive(Debug, Default)]
pub struct CallMatch {
    /// Lines that must be there.
    pub log: Vec<TextMatch>,
    /// Lines that must not.
    pub no_log: Vec<TextMatch>,
    /// The longest time.
    pub time: Option<Duration>,
    /// The most bytes of memory.
    pub memory: Option<u64>,
    /// What must be in buckets.
    pub keyvalue: Vec<Bucket>,
    /// What must be in containers.
    pub objects: Vec<ObjectMatch>,
    /// Whether the answer must be that of the snapshot.
    pub snapshot: bool,
}

/// What must come of a delivery.
#[derive(Debug, Default, Clone)]
pub struct AnswerMatch {
    /// `ack`, `publish`, `retry` or `reject`.
    pub action: Option<String>,
    /// The class of a failure.
    pub failure: Option<String>,
    /// The reason of a retry or a rejection.
    pub reason: Option<TextMatch>,
    /// The error of a failure.
    pub error: Option<TextMatch>,
    /// The delay of a retry.
    pub delay: Option<Duration>,
    /// Every publication; none where they do not matter.
    pub publications: Option<Vec<MessageMatch>>,
}

/// How a message must be.
#[derive(Debug, Default, Clone)]
pub struct MessageMatch {
    /// Keys of the JSON form of a message whose values are strings.
    pub texts: Vec<(&'static str, TextMatch)>,
    /// Keys with other values.
    pub values: Vec<(&'static str, Value)>,
    /// Headers by name.
    pub headers: Vec<(String, HeaderMatch)>,
    /// The body.
    pub body: Option<BodyMatch>,
}

/// How a header must be.
#[derive(Debug, Clone)]
pub enum HeaderMatch {
    /// Equal to this, in the JSON form of headers.
    Is(Value),
    /// A text.
    Text(TextMatch),
    /// The field must be absent.
    Absent,
}

/// How a text must be.
#[derive(Debug, Clone)]
pub enum TextMatch {
    /// Equal to this.
    Is(String),
    /// The value contains this text.
    Contains(String),
    /// The value has a part that matches this expression.
    Matches(Regex),
}

/// How a body must be.
#[derive(Debug, Clone)]
pub enum BodyMatch {
    /// These bytes.
    Is(Vec<u8>),
    /// JSON equal to this.
    Json(Value),
    /// JSON that has at least this.
    Subset(Value),
    /// Text in which this matches.
    Matches(Regex),
    /// JSON that conforms.
    Schema(Arc<Validator>),
}

/// An object that must be in a container, or must not.
#[derive(Debug, Clone)]
pub struct ObjectMatch {
    /// A container of the component.
    pub container: String,
    /// The name of the object.
    pub name: TextMatch,
    /// What must be in it.
    pub content: ContentMatch,
}

/// How the content of an object must be.
#[derive(Debug, Clone)]
pub enum ContentMatch {
    /// There must be no such object.
    Absent,
    /// Anything.
    Any,
    /// The bytes as they are.
    Raw(BodyMatch),
    /// The bytes, unpacked if the name ends in `.gz`.
    Unpacked(BodyMatch),
}

/// An answer to HTTP requests.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The URL that it is for.
    pub url: TextMatch,
    /// The method; none for any.
    pub method: Option<String>,
    /// Headers that the request has, among others.
    pub request_headers: Vec<(String, String)>,
    /// The body of the request.
    pub request_body: Option<BodyMatch>,
    /// What is answered.
    pub reply: HttpReply,
    /// How often it is asked for; none for at least once.
    pub times: Option<u64>,
}

/// What a component gets for its request.
#[derive(Debug, Clone)]
pub enum HttpReply {
    /// A response.
    Response {
        /// The status of the response.
        status: u16,
        /// The headers of the response.
        headers: Vec<(String, String)>,
        /// The body of the response.
        body: Vec<u8>,
    },
    /// `refused`, `timeout` or `closed`.
    Fails(String),
}

/// A reply to requests over the broker.
#[derive(Debug, Clone)]
pub struct RequestAnswer {
    /// How the request must be.
    pub request: MessageMatch,
    /// What the component gets.
    pub reply: RequestReply,
    /// How often it is asked for; none for at least once.
    pub times: Option<u64>,
}

/// What a component gets for its request over the broker.
#[derive(Debug, Clone)]
pub enum RequestReply {
    /// A reply.
    Message(Box<Message>),
    /// One of the failures of the contract, as in `timed-out`.
    Fails(String),
}

/// A case that runs the whole hive.toml on a broker in the process.
#[derive(Debug)]
pub struct FlowCase {
    /// What it shows.
    pub name: String,
    /// The line in the file, from 1.
    pub line: usize,
    /// Answers to the components' requests.
    pub http: Vec<HttpAnswer>,
    /// The steps; at least one.
    pub steps: Vec<Step>,
}

/// One step of a flow case.
#[derive(Debug)]
pub struct Step {
    /// The line in the file, from 1.
    pub line: usize,
    /// What happens in it.
    pub act: Act,
}

/// What happens in a step.
#[derive(Debug)]
pub enum Act {
    /// Publishes a message this many times.
    Publish(Box<Publication>, u32),
    /// Waits until a queue has the expected messages.
    Expect(QueueMatch),
    /// Turns the clock.
    Turn(Duration),
}

/// What a queue must have, and when.
#[derive(Debug)]
pub struct QueueMatch {
    /// The queue.
    pub queue: String,
    /// How many messages wait in it.
    pub count: usize,
    /// How they must be; none where they do not matter.
    pub messages: Option<Vec<MessageMatch>>,
    /// Whether they may be in any order.
    pub any_order: bool,
    /// The longest time to wait for them.
    pub within: Duration,
    /// How long they must not be there.
    pub not_before: Duration,
}

/// Reads the test file at `path` for the hive.toml of `plan`.
///
/// # Errors
///
/// Every fault of the file.
pub fn load(path: &Path, plan: &Plan) -> Result<Cases, Problems> {
    let text = std::fs::read_to_string(path).map_err(|error| super::unreadable(path, &error))?;
    load_text(path, &text, plan)
}

fn load_text(path: &Path, text: &str, plan: &Plan) -> Result<Cases, Problems> {
    let sources = Sources::new(path, text);
    let mut faults = Faults::new();
    // Nothing of a test file is filled from the environment: a test is the same everywhere.
    let environment = Environment::default();
    let written = super::read(sources.main(), keys::ROOT, &environment, &mut faults);
    let cases = meaning::cases(&written, plan, &sources, &mut faults);
    match faults.any_error() {
        false => Ok(cases),
        true => Err(Problems::new(faults.finish(&sources))),
    }
}

#[cfg(test)]
mod tests;
