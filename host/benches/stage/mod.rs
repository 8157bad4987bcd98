//! What a delivery meets between the socket and the ack, without a broker: the parts of the host whose
//! cost is measured, by time (`benches/delivery.rs`), by allocations (`tests/allocations.rs`) and by instructions
//! (`tests/instructions.rs`).

pub(crate) mod routing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Original, receive};
use hive_config::Environment;
use hive_config::plan::{Plan, StorePlan};
use hive_core::message::{Attempt, Envelope, FieldValue, Message, Properties};
use hive_core::policy::{Disposition, Outcome, RetryPolicy, decide};
use hive_host::ledger::{Claim, Ledger, Ledgers};
use hive_lifecycle::Tasks;
use hive_sandbox::{Call, Compiling, Engine, EngineLimits, Generation, Source};
use hive_store::{OnDemand, Store};
use hive_telemetry::Telemetry;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use tokio::runtime::{Builder, Runtime};

/// Where whatever is measured happens.
pub(crate) struct Stage {
    runtime: Runtime,
    tasks: Tasks,
    telemetry: Telemetry,
    folder: PathBuf,
}

impl Stage {
    /// A stage of one thread, since what is counted is counted by thread.
    pub(crate) fn new() -> Self {
        Self {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be had"),
            tasks: Tasks::new(),
            telemetry: Telemetry::new().expect("its metrics have names of their own"),
            folder: hive_tests::scratch("stage"),
        }
    }

    /// For what waits.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A hive.toml with one consumer of the guest `ack`.
    pub(crate) fn hive_toml(&self, component_keys: &str, consumer_keys: &str) -> PathBuf {
        let path = self.folder.join("hive.toml");
        let guest = hive_tests::guest("ack");
        let text = format!(
            "[host]\nname = \"stage\"\n\
             [connections.main]\nurl = \"amqp://guest:guest@localhost\"\n\
             [queues.orders]\n\
             [components.ack]\npath = \"{}\"\n{component_keys}\n\
             [consumers.orders]\nqueue = \"orders\"\ncomponent = \"ack\"\n{consumer_keys}\n",
            guest.display()
        );
        std::fs::write(&path, text).expect("the scratch folder takes files");
        path
    }

    fn plan(&self, component_keys: &str, consumer_keys: &str) -> Plan {
        plan(&self.hive_toml(component_keys, consumer_keys))
    }

    /// A component at work whose instances are used as `component_keys` say.
    pub(crate) fn generation(&self, component_keys: &str) -> Generation {
        let plan = self.plan(component_keys, "");
        let store = self.store(StorePlan::Memory);
        // The places of a host are swept by a task.
        let _in_the_runtime = self.runtime.enter();
        // Few, so that the pool fits into the addresses that valgrind has for a program.
        let limits = EngineLimits { instances: 4 };
        let engine = Engine::new(
            limits,
            Compiling::Alone,
            &self.tasks,
            &self.telemetry,
            &store,
        );
        let engine = engine.expect("an engine can be had");
        let consumers: Vec<_> = plan.consumers.values().collect();
        let loading = engine.load(&plan.components["ack"], &consumers, Source::File, 1);
        self.runtime
            .block_on(loading)
            .expect("the guest fits the contract")
    }

    fn store(&self, plan: StorePlan) -> Arc<dyn Store> {
        Arc::new(OnDemand::new(plan, &self.tasks))
    }

    /// What a consumer with `dedup` remembers, in memory.
    pub(crate) fn ledger_in_memory(&self) -> Arc<Ledger> {
        self.ledger(StorePlan::Memory)
    }

    /// What a consumer with `dedup` remembers, in a file.
    pub(crate) fn ledger_in_a_file(&self) -> Arc<Ledger> {
        let path = self.folder.join("store.redb");
        self.ledger(StorePlan::Embedded { path })
    }

    fn ledger(&self, store: StorePlan) -> Arc<Ledger> {
        let plan = self.plan("", "[consumers.orders.dedup]\nkey = \"message-id\"");
        let _in_the_runtime = self.runtime.enter();
        let ledgers = Ledgers::of(
            &plan.consumers["orders"],
            "/",
            &self.store(store),
            &self.tasks,
            |of| self.telemetry.ledger("orders", of),
        );
        ledgers.deliveries.expect("the consumer has dedup")
    }
}

/// Reads a hive.toml that has no fault.
pub(crate) fn plan(path: &Path) -> Plan {
    let environment = Environment {
        hostname: "stage".to_owned(),
        ..Environment::default()
    };
    hive_config::load(path, &environment)
        .expect("it has no fault")
        .plan
}

/// A message as many publishers send one: some properties, some headers, a body.
pub(crate) fn delivery(body: usize) -> Delivery {
    let mut headers = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    headers.insert("tenant".into(), text("north"));
    headers.insert(
        "traceparent".into(),
        text("00-4bf92f3577b34da6a3ce929d0e0e4736-00"),
    );
    headers.insert("schema".into(), AMQPValue::LongInt(3));
    let mut delivery = Delivery::mock(
        1,
        "shop".into(),
        "order.created".into(),
        false,
        vec![b'x'; body],
    );
    delivery.properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id("2f1f0d0e-5f4c-4c44-9f0c-6a8a1f2b3c4d".into())
        .with_timestamp(1_700_000_000)
        .with_headers(headers);
    delivery
}

/// The same as the core has it.
pub(crate) fn envelope(body: usize) -> Envelope {
    received(delivery(body)).0
}

/// Takes a delivery off the wire.
pub(crate) fn received(delivery: Delivery) -> (Envelope, Original) {
    receive("orders".into(), delivery)
}

/// A small message of this number.
pub(crate) fn numbered(number: u64) -> Envelope {
    Envelope {
        message: Message {
            properties: Properties {
                headers: vec![("number".to_owned(), FieldValue::Integer(0))],
                message_id: Some(number.to_string()),
                ..Properties::default()
            },
            body: b"{}".as_slice().into(),
        },
        queue: "orders".into(),
        exchange: String::new(),
        routing_key: "orders".to_owned(),
        redelivered: false,
        attempt: Attempt::FIRST,
        stream_offset: None,
    }
}

/// Has a component handle a delivery.
pub(crate) async fn handled(generation: &Generation, envelope: &Envelope) {
    let call = Call {
        consumer: "orders",
        delivery: &"tag 1",
        trace: None,
        requester: None,
        heard: None,
        notes: None,
    };
    let outcome = generation.handle(&call, envelope).await;
    assert_eq!(outcome, Outcome::Handled(Vec::new()));
}

/// A policy with three delays.
pub(crate) fn retry_policy() -> RetryPolicy {
    RetryPolicy {
        limit: 3,
        delays: [1, 10, 60].map(Duration::from_secs).into(),
        schedule: None,
    }
}

/// Has the policy decide on the first attempt.
pub(crate) fn decided(outcome: Outcome, retry: &RetryPolicy) -> Disposition {
    decide(outcome, Attempt::FIRST, retry)
}

/// Claims the key of a message and remembers it.
pub(crate) async fn remembered(ledger: &Arc<Ledger>, envelope: &Envelope) {
    let known = ledger.known(envelope).expect("it has a message-id");
    match ledger.claim(known).await.expect("the store answers") {
        Claim::Fresh(lease) => lease.commit().await.expect("the store takes it"),
        Claim::Done | Claim::Busy(_) => panic!("each message comes once"),
    }
}
