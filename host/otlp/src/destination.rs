//! `messaging.destination.name` of RabbitMQ: what there is of exchange, routing key and queue, with a colon between.

/// Where both are empty.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// Of a message that is published.
pub(crate) fn published(exchange: &str, routing_key: &str) -> String {
    joined(&[exchange, routing_key])
}

/// Of one that is handled. Routing key and queue are one where they are equal.
pub(crate) fn handled(exchange: &str, routing_key: &str, queue: &str) -> String {
    match routing_key == queue {
        true => joined(&[exchange, queue]),
        false => joined(&[exchange, routing_key, queue]),
    }
}

fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    match parts.is_empty() {
        true => DEFAULT_EXCHANGE.to_owned(),
        false => parts.join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_are_left_out() {
        assert_eq!(published("shop", "orders.new"), "shop:orders.new");
        assert_eq!(published("", "orders"), "orders");
        assert_eq!(published("shop", ""), "shop");
        assert_eq!(published("", ""), "amq.default");
        assert_eq!(
            handled("shop", "orders.new", "orders"),
            "shop:orders.new:orders"
        );
        assert_eq!(handled("", "orders", "orders"), "orders");
        assert_eq!(handled("shop", "", "orders"), "shop:orders");
    }
}
