//! `[schedules.NAME]`.

use std::sync::Arc;

use hive_schedules::{Missed, Times};

use super::Shape;

table! {
    /// `publish = { … }` of a schedule.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SchedulePublishPlan, meant SchedulePublishMeant {
        /// The exchange; `""` is the default exchange, which routes to the queue named by the routing key.
        exchange => Arc<str> as Text [required];

        /// The routing key.
        routing_key => Arc<str> as Text [required];

        /// The body.
        body: Arc<str> as Text = "{}" [hidden];

        /// The content type. A body of `application/json` has to be JSON.
        content_type => Arc<str> as Text = "application/json";

        /// Headers of the message.
        headers => Vec<(String, String)> as Each(&Shape::Text) [hidden], else "none", written "table of strings";
    }
}

table! {
    /// `[schedules.NAME]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SchedulePlan, meant ScheduleMeant {
        /// When the schedule fires: minute, hour, day of the month, month and day of the week, and seconds in front if
        /// there are six. See [times](schedules.md#times).
        cron => Times as Text [required], written "cron text of five or six fields",
            from |schedule| schedule.cron.cron().to_owned();

        /// The time zone of `cron`, by its name in the time zone database.
        timezone -> Arc<str> as Text = "UTC", written "name of a time zone",
            from |schedule| schedule.cron.zone().to_owned();

        /// The message that each firing publishes.
        publish => SchedulePublishPlan as Table(SchedulePublishPlan::KEYS) [required],
            within SchedulePublishPlan of |schedule| &schedule.publish;

        /// What becomes of firings that no host was there for: `"once"` fires once for all of them, `"skip"` leaves them
        /// out, `"all"` fires each, at most 1,000. See [missed firings](schedules.md#missed-firings).
        missed: Missed = "once";

        /// The connection to the broker that gets the messages and has the schedule's own queue.
        connection => Arc<str> as Text = "main", written "name of a connection";
    }
    beside {
        /// Its name in the file.
        name: Arc<str>,
    }
}
