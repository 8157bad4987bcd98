//! The record of a message's end, as the host and the broker write it.

use serde_json::Value;

/// The record of a message's end. A message that was not dead-lettered has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Death {
    /// The class of the failure, where a host dead-lettered it.
    pub class: Option<String>,
    /// The broker's reason, where the broker did: `rejected`, `expired`, `maxlen`, `delivery_limit`.
    pub broker_reason: Option<String>,
    /// The words of the component or the host.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: Option<u64>,
    /// When it died, in seconds since the Unix epoch.
    pub time: Option<u64>,
    /// The consumer that failed on it.
    pub consumer: Option<String>,
    /// The queue that it was in.
    pub queue: Option<String>,
    /// The exchange that it was published to first.
    pub exchange: Option<String>,
    /// The routing key that it was published with first.
    pub routing_key: Option<String>,
    /// The broker's record as JSON text, if there is one.
    pub history: Option<String>,
}

impl Death {
    /// The class of the failure, or the broker's reason.
    pub fn reason(&self) -> Option<&str> {
        self.class.as_deref().or(self.broker_reason.as_deref())
    }

    /// The broker's record, the latest entry first, as the broker writes it. What is no entry is passed over.
    pub fn brokers_entries(&self) -> Vec<BrokersEntry> {
        let history = self.history.as_deref();
        let history = history.and_then(|text| serde_json::from_str(text).ok());
        let Some(Value::Array(entries)) = history else {
            return Vec::new();
        };
        entries.iter().filter_map(BrokersEntry::read).collect()
    }
}

/// How a copy waits for a retry, in a delay queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// The attempt that it waits for.
    pub attempt: u64,
    /// How many attempts its consumer allows, if that is known.
    pub of: Option<u64>,
    /// When its delay ends, in seconds since the Unix epoch, if that is known.
    pub due: Option<u64>,
}

/// One entry of `x-death`: the messages that left one queue for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokersEntry {
    /// The queue that it left.
    pub queue: String,
    /// The broker's word for why.
    pub reason: Option<String>,
    /// How often.
    pub count: Option<u64>,
    /// The first time, in seconds since the Unix epoch.
    pub time: Option<u64>,
    /// The exchange through which it had come to that queue.
    pub exchange: Option<String>,
    /// The routing keys with which it had.
    pub routing_keys: Vec<String>,
}

impl BrokersEntry {
    fn read(entry: &Value) -> Option<Self> {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let keys = entry["routing-keys"].as_array().into_iter().flatten();
        Some(Self {
            queue: text("queue")?,
            reason: text("reason"),
            count: entry["count"].as_u64(),
            time: entry["time"].as_u64(),
            exchange: text("exchange"),
            routing_keys: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_entry_is_passed_over() {
        let entries = |history: &str| {
            let history = Some(history.to_owned());
            let death = Death {
                history,
                ..Death::default()
            };
            death.brokers_entries()
        };
        for history in ["", "{}", "\"theirs\"", "[1, {}, {\"queue\": 7}]"] {
            assert_eq!(entries(history), [], "{history}");
        }
        let found = entries(r#"[{"queue": "orders", "count": 2, "routing-keys": ["a", 1]}, null]"#);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].queue.as_str(), found[0].count),
            ("orders", Some(2))
        );
        assert_eq!(found[0].routing_keys, ["a"]);
    }
}
