//! What a client may ask of a broker.

/// A step of a conversation. Names of queues and exchanges are without the prefix of the conversation.
#[derive(Debug, Clone)]
pub enum Step {
    /// `queue.declare`
    Queue {
        /// The queue.
        name: &'static str,
        /// `passive`, `durable`, `exclusive`, `auto-delete`
        flags: [bool; 4],
        /// Its arguments.
        arguments: Vec<(&'static str, Argument)>,
    },
    /// `exchange.declare`
    Exchange {
        /// The exchange.
        name: &'static str,
        /// Its type.
        kind: &'static str,
        /// `passive`, `durable`, `auto-delete`, `internal`
        flags: [bool; 4],
        /// The argument `alternate-exchange`.
        alternate: Option<&'static str>,
    },
    /// `queue.bind` or `queue.unbind`
    Bind(Is, &'static str, Route),
    /// `exchange.bind` or `exchange.unbind`
    Join(Is, &'static str, Route),
    /// `basic.publish`
    Publish {
        /// The exchange; empty for the default one.
        exchange: &'static str,
        /// The routing key. On the default exchange, a queue.
        key: &'static str,
        /// Whether it comes back where it reaches no queue.
        mandatory: bool,
        /// Its properties.
        sent: Sent,
    },
    /// `basic.get`
    Get {
        /// The queue; empty for the one that the channel declared last.
        queue: &'static str,
        /// Whether it is acknowledged at once.
        no_ack: bool,
    },
    /// `basic.consume`
    Consume {
        /// The queue.
        queue: &'static str,
        /// The consumer's tag.
        tag: &'static str,
        /// Whether deliveries are acknowledged at once, whether it is the only consumer.
        flags: [bool; 2],
        /// The argument `x-priority`.
        priority: Option<Argument>,
        /// `basic.qos` in front of it.
        prefetch: u16,
    },
    /// `basic.cancel`
    Cancel(&'static str),
    /// Settles one of the deliveries that are not settled yet, by its place among them.
    Settle(usize, Settle),
    /// Settles a delivery that there is none of.
    SettleUnknown(Settle),
    /// `basic.recover`
    Recover {
        /// To any consumer.
        requeue: bool,
    },
    /// `queue.purge`
    Purge(&'static str),
    /// `queue.delete`
    DeleteQueue {
        /// The queue.
        name: &'static str,
        /// `if-unused`, `if-empty`
        flags: [bool; 2],
    },
    /// `exchange.delete`
    DeleteExchange {
        /// The exchange.
        name: &'static str,
        /// `if-unused`
        if_unused: bool,
    },
    /// Closes the channel and opens it again.
    Leave,
    /// Opens the channel that is open.
    OpenAgain,
    /// `tx.commit` on a channel without transactions.
    Commit,
}

/// A binding that is made or taken away.
#[derive(Debug, Clone, Copy)]
pub enum Is {
    /// Made.
    There,
    /// Taken away.
    Gone,
}

/// Where a binding comes from.
#[derive(Debug, Clone)]
pub struct Route {
    /// The exchange.
    pub from: &'static str,
    /// The routing key.
    pub key: &'static str,
    /// The arguments, for exchanges of the type `headers`.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// The properties of a publication.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// `priority`
    pub priority: Option<u8>,
    /// `expiration`: later than the end of the conversation, or wrong.
    pub expiration: Option<&'static str>,
    /// `user-id`
    pub user: Option<&'static str>,
    /// Headers.
    pub headers: Vec<(&'static str, Argument)>,
}

/// A value of a table.
#[derive(Debug, Clone)]
pub enum Argument {
    /// A whole number.
    Number(i32),
    /// Text.
    Text(&'static str),
    /// The name of a queue or exchange.
    Name(&'static str),
    /// Yes or no.
    Flag(bool),
    /// Names of queues.
    Names(Vec<&'static str>),
}

/// How a delivery is settled.
#[derive(Debug, Clone, Copy)]
pub enum Settle {
    /// `basic.ack`
    Ack {
        /// All before it too.
        multiple: bool,
    },
    /// `basic.nack`
    Nack {
        /// All before it too.
        multiple: bool,
        /// Back to the queue.
        requeue: bool,
    },
    /// `basic.reject`
    Reject {
        /// Back to the queue.
        requeue: bool,
    },
}
