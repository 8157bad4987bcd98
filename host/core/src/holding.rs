//! How long a delivery may stay unacknowledged.

use std::time::Duration;

/// What RabbitMQ gives a consumer to acknowledge a delivery before it takes everything back
/// (`consumer_timeout`), unless the broker is configured otherwise.
pub const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a delivery may wait in the host, since it arrived. The other half of the broker's
/// timeout is left for its call.
pub const LONGEST_HOLD: Duration = Duration::from_secs(CONSUMER_TIMEOUT.as_secs() / 2);
