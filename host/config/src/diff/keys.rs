//! The keys in which two entries of the same name differ.
//!
//! Every plan is taken apart here field by field, so that a new key does not compile until its change is
//! handled here.

use std::fmt;
use std::time::Duration;

use hive_core::policy::RetryPolicy;

use crate::plan::{
    AdminPlan, AllowPlan, BatchPlan, ComponentPlan, ConnectionPlan, ConsumerPlan, HostPlan,
    Instances, LogFormat, OrderingPlan, PauseOnPlan, RatePlan, RedisPlan, ScalePlan, StorePlan,
};
use crate::units;

/// One key whose value is another than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// Within its table, as in `retry.limit`.
    pub key: &'static str,
    /// The old and the new value; `None` if they may be secret or long.
    pub values: Option<(String, String)>,
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            None => f.write_str(self.key),
            Some((old, new)) => write!(f, "{} {old} -> {new}", self.key),
        }
    }
}

/// Gathers the keys that differ.
#[derive(Default)]
struct Differing(Vec<KeyChange>);

impl Differing {
    /// A key whose value anybody may see.
    fn shown<T: PartialEq>(
        &mut self,
        key: &'static str,
        old: &T,
        new: &T,
        show: impl Fn(&T) -> String,
    ) {
        if old != new {
            let values = Some((show(old), show(new)));
            self.0.push(KeyChange { key, values });
        }
    }

    /// A key whose value is not shown.
    fn hidden<T: PartialEq>(&mut self, key: &'static str, old: &T, new: &T) {
        if old != new {
            self.0.push(KeyChange { key, values: None });
        }
    }
}

/// The keys of `[host]`: those that wait for a restart, and those that do not.
pub(super) fn of_host(old: &HostPlan, new: &HostPlan) -> (Vec<KeyChange>, Vec<KeyChange>) {
    let HostPlan {
        name,
        admin,
        admin_token,
        max_instances,
        shutdown_timeout,
        quarantine,
        log,
        log_format,
    } = old;
    let mut at_restart = Differing::default();
    at_restart.shown("name", name, &new.name, |name| quoted(name));
    let address = |admin: &Option<AdminPlan>| admin.map(|admin| admin.address);
    at_restart.shown("admin", &address(admin), &address(&new.admin), |address| {
        address.map_or(quoted("off"), |address| quoted(&address.to_string()))
    });
    at_restart.hidden("admin_token", admin_token, &new.admin_token);
    at_restart.shown("max_instances", max_instances, &new.max_instances, |most| {
        most.map_or("unset".to_owned(), |most| most.to_string())
    });
    at_restart.shown("quarantine", quarantine, &new.quarantine, bool::to_string);
    at_restart.shown("log", log, &new.log, |log| quoted(log));
    at_restart.shown("log_format", log_format, &new.log_format, |format| {
        match format {
            LogFormat::Text => "\"text\"",
            LogFormat::Json => "\"json\"",
        }
        .to_owned()
    });
    let mut at_once = Differing::default();
    at_once.shown(
        "shutdown_timeout",
        shutdown_timeout,
        &new.shutdown_timeout,
        duration,
    );
    (at_restart.0, at_once.0)
}

/// The keys of `[connections.NAME]`; its topology is in `topology`. Changes in the URL are reported as `url`,
/// without values.
pub(super) fn of_connection(old: &ConnectionPlan, new: &ConnectionPlan) -> Vec<KeyChange> {
    let ConnectionPlan {
        name: _,
        endpoints,
        username,
        password,
        mechanism,
        vhost,
        heartbeat,
        connect_timeout,
        reconnect,
        tls,
        frame_max,
        channel_max,
        topology: _,
    } = old;
    let mut differing = Differing::default();
    let of_url = (endpoints, username, password, mechanism, vhost);
    let limits = (frame_max, channel_max, tls.is_some());
    let new_url = (
        &new.endpoints,
        &new.username,
        &new.password,
        &new.mechanism,
        &new.vhost,
    );
    let new_limits = (&new.frame_max, &new.channel_max, new.tls.is_some());
    differing.hidden("url", &(of_url, limits), &(new_url, new_limits));
    differing.shown("heartbeat", heartbeat, &new.heartbeat, duration);
    differing.shown(
        "connect_timeout",
        connect_timeout,
        &new.connect_timeout,
        duration,
    );
    differing.hidden("reconnect", reconnect, &new.reconnect);
    if let (Some(old), Some(new)) = (tls, &new.tls) {
        differing.hidden("tls", old, new);
    }
    differing.0
}

/// The keys of `[components.NAME]`. Configuration and environment are where people put secrets.
pub(super) fn of_component(old: &ComponentPlan, new: &ComponentPlan) -> Vec<KeyChange> {
    let ComponentPlan {
        name: _,
        path,
        build,
        watch,
        max_instances,
        instances,
        memory,
        timeout,
        max_publications,
        max_answer,
        log_lines,
        config,
        sha256,
        allow,
    } = old;
    let mut differing = Differing::default();
    differing.shown("path", path, &new.path, |path| format!("{path:?}"));
    differing.hidden("build", build, &new.build);
    differing.shown("watch", watch, &new.watch, bool::to_string);
    differing.shown("max_instances", max_instances, &new.max_instances, |most| {
        most.map_or("unset".to_owned(), |most| most.to_string())
    });
    let (old_kept, old_recycled) = kept(*instances);
    let (new_kept, new_recycled) = kept(new.instances);
    differing.shown("instances", &old_kept, &new_kept, |kept| quoted(kept));
    let (after, above, idle) = old_recycled;
    let (new_after, new_above, new_idle) = new_recycled;
    let never = || "never".to_owned();
    differing.shown("recycle_after", &after, &new_after, |deliveries| {
        deliveries.map_or_else(never, |deliveries| deliveries.to_string())
    });
    differing.shown("recycle_above", &above, &new_above, |size| {
        size.map_or_else(never, |size| bytes(&size))
    });
    differing.shown("recycle_idle", &idle, &new_idle, |time| {
        time.map_or_else(never, |time| duration(&time))
    });
    differing.shown("memory", memory, &new.memory, bytes);
    differing.shown("timeout", timeout, &new.timeout, duration);
    differing.shown(
        "max_publications",
        max_publications,
        &new.max_publications,
        u32::to_string,
    );
    differing.shown("max_answer", max_answer, &new.max_answer, bytes);
    differing.shown("log_lines", log_lines, &new.log_lines, u32::to_string);
    differing.hidden("config", config, &new.config);
    differing.hidden("sha256", sha256, &new.sha256);
    let AllowPlan {
        env,
        http,
        dirs,
        keyvalue,
        publish,
    } = allow;
    differing.hidden("allow.env", env, &new.allow.env);
    differing.hidden("allow.http", http, &new.allow.http);
    differing.hidden("allow.dirs", dirs, &new.allow.dirs);
    differing.hidden("allow.keyvalue", keyvalue, &new.allow.keyvalue);
    differing.hidden("allow.publish", publish, &new.allow.publish);
    differing.0
}

/// The keys of `[consumers.NAME]`.
pub(super) fn of_consumer(old: &ConsumerPlan, new: &ConsumerPlan) -> Vec<KeyChange> {
    let ConsumerPlan {
        name: _,
        queue,
        component,
        connection,
        prefetch,
        least_prefetch,
        queue_stays: _,
        concurrency: _,
        batch,
        scale,
        ordering,
        rate,
        pause_on,
        retry: RetryPolicy { limit, delays },
        dead_letter,
        dedup,
        publish_dedup,
        stream,
        reply_on_failure,
    } = old;
    let mut differing = Differing::default();
    let name = |name: &std::sync::Arc<str>| quoted(name);
    differing.shown("queue", queue, &new.queue, name);
    differing.shown("component", component, &new.component, name);
    differing.shown("connection", connection, &new.connection, name);
    let asked = |most: &u16, least: &u16| match most == least {
        true => most.to_string(),
        false => format!("up to {most}"),
    };
    differing.shown(
        "prefetch",
        &asked(prefetch, least_prefetch),
        &asked(&new.prefetch, &new.least_prefetch),
        String::clone,
    );
    differing.shown("batch", batch, &new.batch, |batch| match batch {
        None => "unset".to_owned(),
        Some(BatchPlan { size, wait }) => {
            format!("{{ size = {size}, wait = {} }}", duration(wait))
        }
    });
    let unset = || "unset".to_owned();
    let (fixed, new_fixed) = (concurrency(old), concurrency(new));
    differing.shown("concurrency", &fixed, &new_fixed, |number| {
        number.map_or_else(unset, |number| number.to_string())
    });
    of_scale(&mut differing, scale.as_ref(), new.scale.as_ref());
    of_ordering(&mut differing, ordering.as_ref(), new.ordering.as_ref());
    differing.shown("rate", rate, &new.rate, shown_rate);
    differing.shown("pause_on", pause_on, &new.pause_on, shown_pause);
    differing.shown("retry.limit", limit, &new.retry.limit, u32::to_string);
    differing.hidden("retry.delays", delays, &new.retry.delays);
    differing.shown("retry.dead_letter", dead_letter, &new.dead_letter, name);
    differing.hidden("dedup", dedup, &new.dedup);
    differing.hidden("publish_dedup", publish_dedup, &new.publish_dedup);
    differing.hidden("stream", stream, &new.stream);
    differing.shown(
        "reply_on_failure",
        reply_on_failure,
        &new.reply_on_failure,
        bool::to_string,
    );
    differing.0
}

/// The number that the file fixes, or that is meant where it says nothing.
fn concurrency(plan: &ConsumerPlan) -> Option<u16> {
    plan.scale.is_none().then_some(plan.concurrency)
}

/// The keys of `[consumers.NAME.scale]`; all of them where it comes or goes.
fn of_scale(differing: &mut Differing, old: Option<&ScalePlan>, new: Option<&ScalePlan>) {
    let unset = || "unset".to_owned();
    let number = |number: &Option<u32>| number.map_or_else(unset, |number| number.to_string());
    let time = |time: &Option<Duration>| time.map_or_else(unset, |time| duration(&time));
    let keys = |scale: Option<&ScalePlan>| match scale {
        Some(ScalePlan {
            min,
            max,
            messages_per_instance,
            target_wait,
            every,
        }) => (
            (Some(u32::from(*min)), Some(u32::from(*max))),
            *messages_per_instance,
            (*target_wait, Some(*every)),
        ),
        None => ((None, None), None, (None, None)),
    };
    let ((min, max), messages, (wait, every)) = keys(old);
    let ((new_min, new_max), new_messages, (new_wait, new_every)) = keys(new);
    differing.shown("scale.min", &min, &new_min, number);
    differing.shown("scale.max", &max, &new_max, number);
    differing.shown(
        "scale.messages_per_instance",
        &messages,
        &new_messages,
        number,
    );
    differing.shown("scale.target_wait", &wait, &new_wait, time);
    differing.shown("scale.every", &every, &new_every, time);
}

/// The keys of `[store]`.
pub(super) fn of_store(old: &StorePlan, new: &StorePlan) -> Vec<KeyChange> {
    let kind = |plan: &StorePlan| match plan {
        StorePlan::Memory => "memory",
        StorePlan::Embedded { .. } => "embedded",
        StorePlan::Redis(_) => "redis",
    };
    let path = |plan: &StorePlan| match plan {
        StorePlan::Embedded { path } => Some(path.clone()),
        _ => None,
    };
    let mut differing = Differing::default();
    differing.shown("kind", &kind(old), &kind(new), |kind| quoted(kind));
    differing.shown("path", &path(old), &path(new), |path| match path {
        None => "none".to_owned(),
        Some(path) => format!("{path:?}"),
    });
    let (old, new) = (server(old), server(new));
    differing.hidden("url", &old.map(of_url), &new.map(of_url));
    if let (Some(old), Some(new)) = (old, new) {
        differing.shown("prefix", &old.prefix, &new.prefix, |prefix| quoted(prefix));
        if let (Some(old), Some(new)) = (&old.tls, &new.tls) {
            differing.hidden("tls", old, new);
        }
    }
    differing.0
}

fn server(plan: &StorePlan) -> Option<&RedisPlan> {
    match plan {
        StorePlan::Redis(server) => Some(server),
        _ => None,
    }
}

/// The contents of a Redis server's URL.
fn of_url(server: &RedisPlan) -> impl PartialEq {
    let RedisPlan {
        endpoint,
        database,
        username,
        password,
        tls,
        prefix: _,
    } = server;
    (endpoint, database, username, password, tls.is_some())
}

/// A retry rule has no meaning without an order, so it is reported only if both have one.
fn of_ordering(differing: &mut Differing, old: Option<&OrderingPlan>, new: Option<&OrderingPlan>) {
    let by = |ordering: Option<&OrderingPlan>| ordering.map(|ordering| ordering.by.clone());
    differing.shown("ordered_by", &by(old), &by(new), |by| match by {
        None => "unset".to_owned(),
        Some(by) => quoted(&by.to_string()),
    });
    if let (Some(old), Some(new)) = (old, new) {
        differing.shown("ordered_retry", &old.retry, &new.retry, |retry| {
            quoted(retry.as_str())
        });
    }
}

fn shown_rate(rate: &Option<RatePlan>) -> String {
    match rate {
        None => "unset".to_owned(),
        Some(RatePlan { limit, per, burst }) => {
            format!(
                "{} with a burst of {burst}",
                quoted(&units::show_rate(*limit, *per))
            )
        }
    }
}

fn shown_pause(pause_on: &Option<PauseOnPlan>) -> String {
    match pause_on {
        None => "unset".to_owned(),
        Some(PauseOnPlan {
            failure_ratio,
            of_last,
            pause,
        }) => format!("{failure_ratio} of {of_last} for {}", duration(pause)),
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn duration(duration: &Duration) -> String {
    quoted(&units::show(*duration))
}

fn bytes(bytes: &u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes % MIB {
        0 => format!("\"{}MiB\"", bytes / MIB),
        _ => format!("\"{bytes}B\""),
    }
}

/// When an instance is recycled: after this many deliveries, above this many bytes, after this long.
type Recycled = (Option<u64>, Option<u64>, Option<Duration>);

/// The values of `instances` and of the keys that begin with `recycle_`.
fn kept(instances: Instances) -> (&'static str, Recycled) {
    match instances {
        Instances::Reuse { after, above, idle } => ("reuse", (after, above, idle)),
        Instances::Fresh => ("fresh", (None, None, None)),
    }
}
