//! What `hive-host demo` shows: the component of the orders example, its hive.toml, and orders.
//!
//! The build script compiles the component, or writes down why there is none.

/// The configuration. Its component is the file `orders.wasm` beside it.
pub const HIVE_TOML: &str = include_str!("../hive.toml");

/// The exchange that orders are published to.
pub const EXCHANGE: &str = "orders";

/// The routing key of an order.
pub const ROUTING_KEY: &str = "order.created.web";

/// The queue that orders are consumed from.
pub const CREATED: &str = "orders.created";

/// The queue of priced orders.
pub const PRICED: &str = "orders.priced";

/// The queue of orders that cannot be priced.
pub const DEAD: &str = "orders.created.dead";

/// An order: its message-id and its body.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The message-id.
    pub id: &'static str,
    /// The body.
    pub body: &'static str,
}

macro_rules! order {
    ($id:literal, $file:literal) => {
        Order {
            id: $id,
            body: include_str!(concat!("../../../examples/orders/messages/", $file)),
        }
    };
}

/// The orders: two to price, one without a known price, one that is malformed.
pub const ORDERS: [Order; 4] = [
    order!("o-1001", "priced-tea.json"),
    order!("o-1002", "priced-set.json"),
    order!("o-1004", "retried-unknown-price.json"),
    order!("o-1005", "rejected-faults.json"),
];

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/orders.wasm"));
const MISSING: &str = include_str!(concat!(env!("OUT_DIR"), "/missing.txt"));

/// The component.
///
/// # Errors
///
/// Why this program was built without it.
pub const fn component() -> Result<&'static [u8], &'static str> {
    if MISSING.is_empty() {
        Ok(COMPONENT)
    } else {
        Err(MISSING)
    }
}
