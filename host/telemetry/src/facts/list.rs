//! The facts themselves, by the part of the log that they are in.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use tracing::Level;

use super::Row;
use super::macros::{constant, facts, is_in_sentence, logged, shown};
use crate::words::{BatchReason, Capability};

facts! {
    "hive::delivery" {
        /// A delivery was handled and acknowledged.
        DeliveryAcked("delivery.settled", DEBUG, "acknowledged", outcome = "acked") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            publications: [] usize,
            acknowledged: [] bool,
            took_ms: [] f64,
        };
        /// A delivery was acknowledged without being handled, because its key was handled before.
        DeliveryDuplicate("delivery.settled", DEBUG, "a duplicate; acknowledged without being handled", outcome = "duplicate") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            acknowledged: [] bool,
            took_ms: [] f64,
        };
        /// A delivery failed and is in a delay queue.
        DeliveryRetried("delivery.settled", WARN, "failed; will be retried", outcome = "retried") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            class: [] &'a str,
            code: [] &'a str,
            error: [] &'a str,
            delay: [?] Duration,
            acknowledged: [] bool,
            took_ms: [] f64,
        };
        /// A delivery failed and is in the dead-letter queue.
        DeliveryDeadLettered("delivery.settled", WARN, "dead-lettered", outcome = "dead_lettered") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            class: [] &'a str,
            code: [] &'a str,
            error: [] &'a str,
            acknowledged: [] bool,
            took_ms: [] f64,
        };
        /// A message of a stream failed, and reading continues behind it.
        DeliverySkipped("delivery.settled", WARN, "failed; passed over", outcome = "skipped") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            class: [] &'a str,
            code: [] &'a str,
            error: [] &'a str,
            took_ms: [] f64,
        };
        /// A message of a stream failed, and the stream is read no further.
        DeliveryStopped("delivery.settled", ERROR, "failed; the consumer stops in front of it: swap the component, or restart with `on_error = \"skip\"`", outcome = "stopped") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            class: [] &'a str,
            code: [] &'a str,
            error: [] &'a str,
            took_ms: [] f64,
        };
        /// A delivery went back to its queue because the host or its consumer stopped before its batch was due.
        DeliveryGivenBack("delivery.settled", DEBUG, "given back to its queue", outcome = "given_back") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            acknowledged: [] bool,
        };
        /// A delivery went back to its queue because of a problem outside the component.
        DeliveryRequeued("delivery.settled", WARN, "went back to its queue; no retry was spent", outcome = "requeued") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            reason: [] &'a str,
            took_ms: [] f64,
        };
        /// The same by way of a delay queue, as a copy with the same attempt.
        DeliveryDetoured("delivery.settled", WARN, "goes back to its queue by way of a delay queue; no retry was spent", outcome = "detoured") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            reason: [] &'a str,
            took_ms: [] f64,
        };
        /// The channel of a delivery is gone, so the broker delivers it again.
        DeliveryLost("delivery.settled", DEBUG, "its channel is gone; nothing is published, since the broker delivers it again", outcome = "lost") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            took_ms: [] f64,
        };
        /// A delivery failed and is kept in the host for its retry, with those of its key behind it.
        RetryKept("delivery.retry_kept", WARN, "failed; will be retried, and those of its key behind it wait") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            class: [] &'a str,
            code: [] &'a str,
            error: [] &'a str,
            delay: [?] Duration,
        };
        /// A delivery is kept in the host because of a problem outside the component.
        DeliveryKept("delivery.kept", WARN, "kept in the host and tried again there; no retry was spent") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            reason: [] &'a str,
            delay: [?] Duration,
        };
        /// A delivery that is kept in the host was tried again in vain.
        DeliveryStillKept("delivery.still_kept", DEBUG, "still kept in the host") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            reason: [] &'a str,
            delay: [?] Duration,
        };
        /// No copy of a delivery that was kept too long can be put into a delay queue.
        DetourFailed("delivery.detour_failed", WARN, "no copy can be kept elsewhere; the delivery goes back to its queue, which the broker counts") {
            consumer: [%] &'a str,
            delivery: [%] &'a dyn Display,
            reason: [] &'a str,
        };
        /// A call outlived the broker's consumer timeout. The attempt is spent.
        DeliveryOverran("delivery.overran", WARN, "cut short: the broker's consumer timeout has passed; the attempt is spent") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            attempt: [] u32,
            ran: [?] Duration,
        };
        /// A delivery was still in flight at the end of `shutdown_timeout`.
        DeliveryAbandoned("delivery.abandoned", WARN, "still in flight at the end of shutdown_timeout; it goes back to the broker") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [] &'a str,
            after: [?] Duration,
        };
        /// Publications of a delivery were left out, because they were published before.
        PublicationsSuppressed("delivery.publications_suppressed", DEBUG, "not published again") {
            consumer: [%] &'a str,
            component: [%] &'a str,
            delivery: [%] &'a dyn Display,
            publications: [] usize,
        };
        /// The requester of a dead-lettered delivery was told that it failed.
        FailureReplied("delivery.failure_replied", DEBUG, "replied that it failed") {
            consumer: [%] &'a str,
            delivery: [%] &'a dyn Display,
            reply_to: [] &'a str,
        };
        /// The broker refused that reply.
        FailureReplyRefused("delivery.failure_reply_refused", WARN, "the reply that it failed cannot be sent; the message is dead-lettered all the same") {
            consumer: [%] &'a str,
            delivery: [%] &'a dyn Display,
            reply_to: [] &'a str,
            reason: [] &'a str,
        };
        /// A dead letter has no room for a header of its message.
        HeaderDropped("dead_letter.header_dropped", WARN, "a dead letter has no room for this header of its message") {
            header: [] &'a str,
        };
    }

    "hive::batch" {
        /// A batch was handed to the component.
        BatchHanded("batch.handed", DEBUG, "a batch is handed over") {
            consumer: [%] &'a str,
            size: [] usize,
            reason: [%] BatchReason,
        };
        /// The host or the consumer stops before a batch was due.
        BatchGivenBack("batch.given_back", INFO, "stopping before a batch was due; its deliveries go back to their queue") {
            consumer: [%] &'a str,
            deliveries: [] usize,
        };
    }

    "hive::consumer" {
        /// A consumer is subscribed to its queue.
        ConsumerSubscribed("consumer.subscribed", INFO, "consuming") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
        };
        /// A consumer does not consume and subscribes again. Logged once until it does.
        ConsumerLost("consumer.lost", WARN, "not consuming; subscribing again") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
            code: [~] Option<&'a str>,
            reason: [] &'a str,
        };
        /// The broker has forgotten a consumer without saying so.
        ConsumerForgotten("consumer.forgotten", WARN, "the broker has forgotten a consumer of this queue; subscribing again") {
            queue: [%] &'a str,
        };
        /// Messages wait, and the broker gives none to a consumer that has nothing in flight. It subscribes again, once.
        ConsumerStarved("consumer.starved", WARN, "messages wait, and the broker gives none to the consumer of this queue; subscribing again once") {
            queue: [%] &'a str,
        };
        /// A consumer was paused by an operator.
        ConsumerPausedByHand("consumer.paused", INFO, "paused by hand; deliveries in flight are finished, and the rest waits in its queue", by = "hand") {
            consumer: [%] &'a str,
        };
        /// A consumer was paused by its `pause_on`.
        ConsumerPausedOverFailures("consumer.paused", ERROR, "paused, since its component fails too often; one delivery is tried after the pause", by = "failures") {
            consumer: [%] &'a str,
            failed: [] usize,
            of: [] usize,
            pause: [?] Duration,
        };
        /// The delivery that was tried after the pause failed too.
        ConsumerStillPaused("consumer.still_paused", WARN, "still paused: the delivery that was tried failed too") {
            consumer: [%] &'a str,
            pause: [?] Duration,
        };
        /// A consumer was resumed by an operator.
        ConsumerResumedByHand("consumer.resumed", INFO, "resumed by hand", by = "hand") {
            consumer: [%] &'a str,
        };
        /// The delivery that was tried after the pause did not fail.
        ConsumerResumedAfterTrial("consumer.resumed", INFO, "resumed: the delivery that was tried did not fail", by = "failures") {
            consumer: [%] &'a str,
        };
        /// A consumer that a reload stops did not finish its deliveries in time.
        ConsumerUnfinished("consumer.unfinished", WARN, "the consumer did not finish its deliveries in flight in time; they go back to the broker") {
            consumer: [] &'a str,
            timeout: [?] Duration,
        };
        /// The prefetch of a consumer was changed.
        PrefetchChanged("consumer.prefetch_changed", DEBUG, "another prefetch") {
            consumer: [%] &'a str,
            prefetch: [] u16,
        };
        /// The body of a delivery found no room in memory for a while, or its consumer has no more of its own.
        ConsumerWithoutRoom("consumer.without_room", WARN, "a body has no room in memory; it goes back to its queue with what is behind it, and the queue is consumed again when there is room") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
            bytes: [] u64,
            prefetch: [] u16,
        };
        /// Deliveries whose key is at its limit fill the prefetch of a consumer.
        LimitedFillPrefetch("consumer.limited_fill_prefetch", WARN, "deliveries whose key is at its limit fill the prefetch; deliveries of other keys wait behind them in the queue") {
            consumer: [%] &'a str,
            limited: [] usize,
            prefetch: [] u16,
        };
        /// The wanted number of workers changed.
        WorkersScaled("consumer.scaled", INFO, "scaled") {
            consumer: [%] &'a str,
            before: [] u16,
            wanted: [] u16,
            asked: [~] Option<u64>,
            depth: [~] Option<u64>,
            pace: [&] Option<Duration>,
            because: [%] &'a dyn Display,
        };
        /// The depth of a queue is unknown, so the number of workers stays.
        DepthUnknown("consumer.depth_unknown", WARN, "queue depth unknown; the number of workers stays") {
            consumer: [%] &'a str,
            workers: [] u16,
            reason: [%] &'a dyn Display,
        };
        /// A worker panicked, which is a fault of the host.
        WorkerPanicked("consumer.worker_panicked", ERROR, "a worker panicked, which is a fault of the host; its delivery went back to the queue, and the worker continues") {
            consumer: [] &'a str,
            rest: [?] Duration,
        };
        /// A publisher panicked, which is a fault of the host.
        PublisherPanicked("consumer.publisher_panicked", ERROR, "a publisher panicked, which is a fault of the host; it continues") {
            consumer: [%] &'a str,
        };
    }

    "hive::quarantine" {
        /// A delivery was in flight when the host died.
        HostDied("quarantine.host_died", WARN, "the host died while it handled this delivery") {
            consumer: [%] &'a str,
            delivery: [%] &'a dyn Display,
            host: [] &'a str,
            was_alone: [] bool,
        };
        /// A delivery is handled alone, because the host may have died of it.
        QuarantineTrial("quarantine.trial", INFO, "delivered again after the host may have died of it; handled alone") {
            consumer: [%] &'a str,
            delivery: [%] &'a dyn Display,
            deaths: [] u32,
        };
        /// The store cannot be used, so deaths of the host are not recorded.
        QuarantineStoreFailed("quarantine.store_failed", WARN, "deaths of this host are not recorded while the store cannot be used") {
            fault: [%] &'a dyn Display,
        };
        /// A trial panicked, which is a fault of the host.
        TrialPanicked("quarantine.panicked", ERROR, "a trial panicked, which is a fault of the host; the next one begins") {
            consumer: [] &'a str,
        };
    }

    "hive::stream" {
        /// A stream is read from the stored offset.
        StreamResumed("stream.resumed", INFO, "reading on from the stored offset") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
            group: [%] &'a str,
            offset: [] u64,
        };
        /// The offset of a stream could not be stored. The host tries again.
        StreamStoreFailed("stream.store_failed", WARN, "the offset of the stream cannot be kept") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
            reason: [] &'a str,
        };
        /// Another host moved the stored offset of the group.
        StreamMovedByAnother("stream.moved_by_another", WARN, "another host moves the stored offset of this group: both handle every message") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
            group: [%] &'a str,
            stored: [~] Option<u64>,
        };
        /// A component was swapped, and the stream is read on where it had stopped.
        StreamContinued("stream.continued", INFO, "the component was swapped; reading on where it had stopped") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
        };
        /// A stream ends before the offset up to which it was handled.
        StreamTooShort("stream.too_short", ERROR, "{why}") {
            consumer: [%] &'a str,
            queue: [%] &'a str,
            position: [] u64,
            why: [!] &'a str,
        };
    }

    "hive::connection" {
        /// A connection is open.
        LinkConnected("link.connected", INFO, "connected") {
            link: [] &'a str,
        };
        /// The broker accepts no publications for now.
        LinkBlocked("link.blocked", WARN, "the broker takes no publications for now; they wait") {
            link: [] &'a str,
            reason: [%] &'a str,
        };
        /// The broker accepts publications again.
        LinkUnblocked("link.unblocked", INFO, "the broker takes publications again") {
            link: [] &'a str,
        };
        /// A connection was lost, and is opened again.
        LinkLost("link.lost", WARN, "connection lost; connecting again") {
            link: [] &'a str,
            code: [~] Option<&'a str>,
            reason: [%] &'a str,
            pause: [?] Duration,
        };
        /// One of several hosts of a broker did not answer.
        LinkTriesNextHost("link.next_host", INFO, "trying the next host") {
            link: [] &'a str,
            fault: [%] &'a dyn Display,
        };
        /// A connection cannot be opened now. The host keeps trying.
        LinkUnreachable("link.unreachable", WARN, "cannot connect; trying until it works") {
            link: [] &'a str,
            code: [] &'a str,
            reason: [%] &'a str,
            pause: [?] Duration,
        };
        /// The link is still not connected, some minutes after that was logged first.
        LinkStillUnreachable("link.still_unreachable", WARN, "still not connected") {
            link: [] &'a str,
            code: [] &'a str,
            reason: [%] &'a str,
            since: [?] Duration,
        };
        /// A connection cannot be opened until an operator changes something.
        LinkRefused("link.refused", ERROR, "cannot connect until this is changed; trying again slowly") {
            link: [] &'a str,
            code: [] &'a str,
            reason: [%] &'a str,
            pause: [?] Duration,
        };
        /// The link is still refused, some minutes after that was logged first.
        LinkStillRefused("link.still_refused", ERROR, "still cannot connect") {
            link: [] &'a str,
            code: [] &'a str,
            reason: [%] &'a str,
            since: [?] Duration,
        };
        /// A message has headers or properties that cannot be read as they are. Logged once for each connection.
        MessageMended("link.message_mended", WARN, "a message carries tables nested too deeply to be read, or more headers than fit in a frame, or the broker's own words are not UTF-8; what cannot be read becomes bytes, is replaced or left out, told once for each connection");
    }

    "hive::topology" {
        /// The broker has an entity with other arguments, or denies it. Its consumers wait.
        TopologyMismatch("topology.mismatch", ERROR, "cannot declare this, and does not consume these queues until it can; trying again slowly") {
            link: [] &'a str,
            code: [] &'a str,
            reason: [%] &'a dyn Display,
            waiting: [?] &'a [&'a str],
        };
        /// Everything is declared, after it was not.
        TopologyDeclared("topology.declared", INFO, "everything is declared now") {
            link: [] &'a str,
        };
        /// A queue has other arguments than the host would give it, and is consumed as it is.
        TopologyDeparture("topology.departure", WARN, "a queue is not as it would be declared; it is consumed as it is") {
            connection: [%] &'a str,
            code: [] &'a str,
            queue: [] &'a str,
            found: [] &'a str,
            remedy: [] &'a str,
        };
        /// A queue or an exchange was missing at the broker, and was declared again.
        TopologyRestored("topology.restored", WARN, "this was missing at the broker; declared again, with its bindings") {
            connection: [%] &'a str,
            entity: [] &'a str,
            name: [] &'a str,
        };
        /// It cannot be declared again.
        TopologyNotRestored("topology.not_restored", WARN, "cannot declare this again; consumers continue") {
            connection: [%] &'a str,
            mismatch: [%] &'a dyn Display,
        };
        /// A delay queue of a broker before RabbitMQ 3.10 can lose a retry. Logged once.
        DelayQueueAtMostOnce("topology.delay_queue_at_most_once", WARN, "RabbitMQ before 3.10 hands messages back from a delay queue at most once: a retry is lost when its queue is missing or full at that moment") {
            queue: [] &'a str,
            delay: [] &'a str,
        };
    }

    "hive::requests" {
        /// The broker does not give the host a queue for replies to the requests of components. Each reason is logged once.
        RepliesUnavailable("replies.unavailable", WARN, "cannot have a queue for replies; requests of components fail; trying again") {
            connection: [] &'a str,
            code: [~] Option<&'a str>,
            reason: [%] &'a dyn Display,
        };
    }

    "hive::group" {
        /// The host sees the other hosts of its group, and they see it.
        GroupJoined("group.joined", INFO, "the host is in its group") {
            group: [] &'a str,
            exchange: [] &'a str,
        };
        /// The broker does not let the host into its group. Deliveries are not affected. Each reason is logged once.
        GroupUnavailable("group.unavailable", WARN, "cannot join the group of hosts; consumers are not affected; trying again slowly") {
            group: [] &'a str,
            code: [~] Option<&'a str>,
            reason: [%] &'a dyn Display,
        };
        /// A host of the group, perhaps this one, was given a command for all hosts, and this host carries it out.
        GroupCommand("group.command", INFO, "carrying out a command for all hosts of the group") {
            group: [] &'a str,
            by: [] &'a str,
            command: [%] &'a dyn Display,
        };
        /// Something was published to the exchange of the group that is no message of it, or one of another version,
        /// or a command that does not prove where it comes from.
        GroupMessageIgnored("group.message_ignored", DEBUG, "a message of the group is ignored") {
            group: [] &'a str,
            reason: [%] &'a dyn Display,
        };
    }

    "hive::component" {
        /// A component was loaded.
        ComponentLoaded("component.loaded", INFO, "loaded") {
            component: [] &'a str,
            generation: [] u64,
            sha256: [] &'a str,
        };
        /// A component has been compiling for a second, and still does.
        CompilationSlow("component.compiling", INFO, "compiling") {
            component: [] &'a str,
        };
        /// A component has been compiling for so many seconds, and still does.
        StillCompiling("component.compiling", DEBUG, "still compiling") {
            component: [] &'a str,
            seconds: [] u64,
        };
        /// A component is compiled, which took longer than a second.
        ComponentCompiled("component.compiled", INFO, "compiled") {
            component: [] &'a str,
            took_ms: [] f64,
        };
        /// A new version of a component has taken over.
        ComponentSwapped("component.swapped", INFO, "swapped") {
            component: [] &'a str,
            before: [] u64,
            generation: [] u64,
            sha256: [] &'a str,
        };
        /// A new version was refused, and the old one keeps serving.
        SwapRefused("component.swap_refused", ERROR, "not swapped, the old version keeps serving: {why}") {
            component: [] &'a str,
            generation: [] u64,
            code: [~] Option<&'a str>,
            why: [!] &'a dyn Display,
        };
        /// A file changed while a canary or a shadow is on trial. It is loaded at the end of the trial.
        SwapPostponed("component.swap_postponed", INFO, "the file changed; it is loaded when the trial has ended") {
            component: [] &'a str,
            path: [%] &'a dyn Display,
        };
        /// A component is not in hive.toml any more.
        ComponentRemoved("component.removed", INFO, "gone") {
            component: [] &'a str,
        };
        /// A canary is on trial.
        CanaryStarted("canary.started", INFO, "a canary is on trial") {
            component: [] &'a str,
            generation: [] u64,
            sha256: [] &'a str,
            percent: [] f64,
            deliveries: [] u32,
        };
        /// A canary has taken over, by its counts or by an operator's command.
        CanaryPromoted("canary.promoted", INFO, "the canary is promoted") {
            component: [] &'a str,
            generation: [] u64,
            by: [] &'a str,
            deliveries: [] u32,
            failed: [] u32,
            current_deliveries: [] u32,
            current_failed: [] u32,
        };
        /// An operator ended the trial of a canary, and the version before it serves.
        CanaryEnded("canary.ended", INFO, "the canary is rolled back by hand") {
            component: [] &'a str,
            generation: [] u64,
            deliveries: [] u32,
            failed: [] u32,
            current_deliveries: [] u32,
            current_failed: [] u32,
        };
        /// A canary failed more often than the version that serves, and is gone.
        CanaryRolledBack("canary.rolled_back", ERROR, "the canary is rolled back: it fails more often than the version that serves") {
            component: [] &'a str,
            generation: [] u64,
            deliveries: [] u32,
            failed: [] u32,
            current_deliveries: [] u32,
            current_failed: [] u32,
        };
        /// A shadow gets copies of the deliveries.
        ShadowStarted("shadow.started", INFO, "a shadow gets a copy of each delivery") {
            component: [] &'a str,
            generation: [] u64,
            sha256: [] &'a str,
            deliveries: [] u32,
        };
        /// A shadow has handled as many copies as its report is to have. It goes on.
        ShadowCompared("shadow.compared", INFO, "the answers of the shadow were compared with those of the version that serves") {
            component: [] &'a str,
            generation: [] u64,
            compared: [] u32,
            different: [] u32,
            not_comparable: [] u32,
            left_out: [] u32,
            failed: [] u32,
            current_failed: [] u32,
        };
        /// A shadow serves now, by an operator's command.
        ShadowPromoted("shadow.promoted", INFO, "the shadow is promoted") {
            component: [] &'a str,
            generation: [] u64,
            compared: [] u32,
            different: [] u32,
            not_comparable: [] u32,
            left_out: [] u32,
            failed: [] u32,
            current_failed: [] u32,
        };
        /// A shadow is gone: by an operator's command, or because another version took over.
        ShadowDropped("shadow.dropped", INFO, "the shadow is dropped") {
            component: [] &'a str,
            generation: [] u64,
            by: [] &'a str,
            compared: [] u32,
            different: [] u32,
            not_comparable: [] u32,
            left_out: [] u32,
            failed: [] u32,
            current_failed: [] u32,
        };
        /// A component asked for something that it is not granted. At most ten in ten seconds are logged.
        CapabilityDenied("component.denied", WARN, "denied {request}: {why}") {
            component: [] &'a str,
            code: [] &'a str,
            capability: [%] Capability,
            unlogged: [~] Option<u64>,
            request: [!] &'a dyn Display,
            why: [!] &'a dyn Display,
        };
        /// A component reads its environment, and no variable is granted. Logged once.
        EnvironmentEmpty("component.no_environment", INFO, "it reads its environment and sees no variable; `components.{component}.allow.env` names those it may see") {
            component: [] &'a str,
        };
        /// A component looks for files, and no directory is granted. Logged once.
        DirectoriesEmpty("component.no_directories", INFO, "it looks for files and sees no directory; `components.{component}.allow.dirs` names those it may see") {
            component: [] &'a str,
        };
        /// `lifecycle.stop` of an instance failed.
        StopFailed("component.stop_failed", WARN, "lifecycle.stop failed") {
            component: [] &'a str,
            outcome: [?] &'a dyn fmt::Debug,
        };
        /// No pool of instances could be reserved, so each is allocated when it is needed.
        PoolUnavailable("engine.no_pool", WARN, "no pool of instances could be reserved, so each is allocated on demand, which is several times slower; raise the limit of virtual memory (ulimit -v), or lower `host.max_instances`") {
            error: [] &'a str,
            instances: [] u32,
        };
        /// Compiled components cannot be kept between runs.
        CacheUnavailable("engine.no_cache", WARN, "compiled components are not kept between runs; set HIVE_CACHE_DIR to a folder that can be written") {
            directory: [%] &'a dyn Display,
            error: [] &'a str,
        };
    }

    "guest" {
        /// A component printed a line to standard output.
        PrintedOut("component.printed", INFO, "{line}", stream = "stdout") {
            consumer: [] &'a str,
            component: [] &'a str,
            delivery: [] &'a str,
            shadow: [~] Option<u64>,
            trace_id: [~] Option<&'a str>,
            span_id: [~] Option<&'a str>,
            line: [!] &'a str,
        };
        /// A component printed a line to standard error.
        PrintedErr("component.printed", WARN, "{line}", stream = "stderr") {
            consumer: [] &'a str,
            component: [] &'a str,
            delivery: [] &'a str,
            shadow: [~] Option<u64>,
            trace_id: [~] Option<&'a str>,
            span_id: [~] Option<&'a str>,
            line: [!] &'a str,
        };
        /// A component printed more lines in a second than its `log_lines`.
        LinesLeftOut("component.lines_left_out", WARN, "the component printed more than {limit} lines a second; {lines} lines are left out (`log_lines` of the component raises the limit)") {
            component: [] &'a str,
            lines: [] u64,
            limit: [!] u32,
        };
    }

    "hive::otlp" {
        /// The collector does not take spans; they are dropped and counted.
        SpansFailed("otlp.failed", WARN, "the collector does not take spans; they are dropped until it does") {
            reason: [] &'a str,
        };
        /// The collector takes spans again.
        SpansRestored("otlp.restored", INFO, "the collector takes spans again") {};
    }

    "hive::store" {
        /// The store is open.
        StoreOpen("store.open", INFO, "the store is open") {
            address: [] &'a str,
        };
        /// The file of the store is open.
        StoreFileOpen("store.open", INFO, "the store is open") {
            path: [%] &'a dyn Display,
        };
        /// The file of the store is open, after it could not be written.
        StoreFileOpenAgain("store.open", INFO, "the store is open again") {
            path: [%] &'a dyn Display,
        };
        /// Redis is unreachable.
        StoreAway("store.away", WARN, "Redis is unreachable; deliveries that need it wait, and go back to their queue after a while") {
            code: [] &'a str,
            address: [] &'a str,
            error: [%] &'a dyn Display,
        };
        /// The file of the store cannot be written.
        StoreWriteFailed("store.write_failed", ERROR, "the store could not write; each call that asked for it got the error, and nothing was written") {
            path: [%] &'a dyn Display,
            error: [%] &'a dyn Display,
        };
        /// Leases on keys were neither renewed nor given back. They end by themselves.
        LeasesFailed("dedup.leases_failed", WARN, "leases on keys were not renewed or given back; they end by themselves") {
            fault: [%] &'a dyn Display,
        };
    }

    "hive::objects" {
        /// An object store did not carry out a request: it does not answer, is full, or refuses the host's credentials.
        /// Deliveries whose call fails of it are kept and tried again. Logged once, until it works again.
        ObjectsAway("objects.away", WARN, "the object store of a container carries out no requests; deliveries that need it are kept, and tried again") {
            code: [] &'a str,
            component: [] &'a str,
            container: [] &'a str,
            place: [%] &'a dyn Display,
            error: [] &'a str,
        };
        /// The object store carries out requests again.
        ObjectsBack("objects.back", INFO, "the object store of a container carries out requests again") {
            component: [] &'a str,
            container: [] &'a str,
            place: [%] &'a dyn Display,
        };
        /// The parts of an upload that was not finished could not be removed.
        ObjectPartsLeft("objects.parts_left", WARN, "the parts of an unfinished upload were not removed; the object store keeps them until a rule of it removes them") {
            place: [%] &'a dyn Display,
            error: [] &'a str,
        };
    }

    "hive::app" {
        /// hive.toml has an unlikely value.
        ConfigWarning("config.warning", WARN, "{warning}; {advice}") {
            code: [] &'a str,
            warning: [!] &'a dyn Display,
            advice: [!] &'a dyn Display,
        };
        /// SIGHUP asked for a reload.
        ReloadRequested("config.reload_requested", INFO, "SIGHUP: hive.toml is read again");
        /// SIGHUP came while the host starts or stops.
        ReloadIgnored("config.reload_ignored", WARN, "SIGHUP: ignored while the host starts or stops");
        /// A reload found no change.
        ConfigUnchanged("config.unchanged", INFO, "hive.toml was read again; nothing in it has changed");
        /// A reload has applied a change.
        ConfigChanged("config.reloaded", INFO, "reloaded: {change}") {
            change: [!] &'a dyn Display,
        };
        /// A reload was refused, and nothing has changed.
        ConfigRefused("config.refused", ERROR, "hive.toml was read again and not applied, so nothing has changed: {why}") {
            why: [!] &'a dyn Display,
        };
        /// Queues that match the `queues` of a consumer have come or gone.
        QueuesDiscovered("discovery.changed", INFO, "queues have come or gone") {
            consumer: [%] &'a str,
            added: [] usize,
            removed: [] usize,
        };
        /// Queues match the `queues` of a consumer and cannot be consumed, until somebody changes something. The line has
        /// how many they are, and the first one of them.
        QueuesLeftOut("discovery.left_out", WARN, "queues match and are not consumed") {
            consumer: [%] &'a str,
            queues: [] usize,
            queue: [%] &'a str,
            reason: [%] &'a str,
        };
        /// The queues of a broker cannot be listed. What is consumed stays consumed.
        DiscoveryFailed("discovery.failed", WARN, "queues cannot be discovered; what is consumed stays consumed") {
            connection: [%] &'a str,
            code: [] &'a str,
            reason: [%] &'a dyn Display,
        };
        /// The queues of a broker can be listed again.
        DiscoveryRestored("discovery.restored", INFO, "queues are discovered again") {
            connection: [%] &'a str,
        };
        /// The system does not report changes of files. The host looks at them every second.
        WatchUnavailable("config.watch_unavailable", WARN, "the system does not report changed files; the host looks at them every second") {
            error: [%] &'a dyn Display,
        };
        /// The admin server listens.
        AdminListens("admin.listening", INFO, "the admin server listens") {
            address: [%] SocketAddr,
        };
        /// The admin server listens, and other machines can reach it.
        AdminListensWidely("admin.listening", WARN, "the admin server listens, and not on loopback alone: other machines can read it") {
            address: [%] SocketAddr,
        };
        /// The address of the admin server cannot be determined.
        AdminWithoutAddress("admin.no_address", WARN, "the admin server has no address") {
            error: [%] &'a dyn Display,
        };
        /// The machine's clock says a time before 1970, and HTTP has no such date.
        AdminMute("admin.mute", WARN, "the machine's clock says a time before 1970: the admin server cannot answer until it is set");
        /// The default address of the admin server cannot be used, so there is none.
        AdminUnavailable("admin.unavailable", WARN, "health and metrics are not served; name an address in `host.admin`, or \"off\"") {
            code: [] &'a str,
            address: [%] SocketAddr,
            error: [%] &'a dyn Display,
        };
        /// The address of the admin server could not be written where commands look for it.
        AdminNotFound("admin.not_found", WARN, "commands do not find this host by its hive.toml; give them --admin, or name a port in `host.admin`") {
            error: [%] &'a dyn Display,
        };
        /// The host was given a command, over HTTP, by a signal or by another host of its group; `result` is `ok`, the
        /// code of the error, or `refused`.
        Audit("audit", INFO, "a command was given") {
            by: [%] &'a dyn Display,
            from: [~] Option<&'a str>,
            command: [] &'a str,
            subject: [~] Option<&'a str>,
            arguments: [~] Option<&'a str>,
            result: [] &'a str,
        };
        /// The admin server has ended, which is a fault of the host.
        AdminEnded("admin.ended", ERROR, "the admin server has ended") {
            ended: [?] &'a dyn fmt::Debug,
        };
        /// The metrics cannot be written, which is a fault of the host.
        MetricsFailed("admin.metrics_failed", ERROR, "the metrics cannot be written") {
            error: [%] &'a dyn Display,
        };
    }

    "hive::http" {
        /// The host takes requests over HTTP.
        HttpListens("http.listening", INFO, "takes requests over HTTP") {
            address: [%] SocketAddr,
            routes: [] usize,
        };
        /// A request was not stored. The answer has the same error.
        HttpNotStored("http.not_stored", DEBUG, "a request was refused") {
            route: [%] &'a str,
            status: [] u16,
            code: [] &'a str,
            error: [] &'a str,
        };
        /// No queue takes the messages of a route: a binding or a queue is missing.
        HttpUnroutable("http.unroutable", WARN, "no queue takes the message of a request") {
            route: [%] &'a str,
            code: [] &'a str,
            reason: [] &'a str,
        };
        /// The broker refuses the messages of a route, such as for an exchange that does not exist.
        HttpRefusedByBroker("http.refused_by_broker", ERROR, "the broker refuses the message of a request") {
            route: [%] &'a str,
            code: [] &'a str,
            reason: [] &'a str,
        };
        /// The component of a route failed over a request, or its answer cannot be carried out. The client is not told why.
        HttpComponentFailed("http.component_failed", WARN, "the component of a route failed") {
            route: [%] &'a str,
            component: [%] &'a str,
            message_id: [] &'a str,
            code: [] &'a str,
            reason: [] &'a str,
        };
        /// The message of a request is stored, and its idempotency key could not be: a repeat would be published again.
        HttpKeyForgotten("http.key_forgotten", WARN, "the idempotency key of a stored message cannot be kept; a repeat would be published again") {
            route: [%] &'a str,
            fault: [%] &'a dyn Display,
        };
        /// `http.max_connections` is reached: further connections wait. Logged once until there is room again.
        HttpFull("http.full", WARN, "as many connections as `http.max_connections` allows; further ones wait") {
            connections: [] u32,
        };
        /// The system gives no connection to the host, such as for lack of file descriptors. The host tries again.
        HttpAcceptFailed("http.accept_failed", ERROR, "a connection cannot be accepted") {
            error: [%] &'a dyn Display,
        };
    }

    "hive::schedule" {
        /// This host fires the schedule from now on; other hosts stand by.
        ScheduleActive("schedule.active", INFO, "this host fires the schedule") {
            schedule: [] &'a str,
            last: [%] &'a dyn Display,
        };
        /// The message of a planned time is with the broker.
        ScheduleFired("schedule.fired", INFO, "fired") {
            schedule: [] &'a str,
            planned: [%] &'a dyn Display,
            late_ms: [] u64,
        };
        /// Planned times were missed, and are left out as `missed` says.
        ScheduleLeftOut("schedule.left_out", WARN, "firings were missed and are left out") {
            schedule: [] &'a str,
            firings: [] usize,
            last: [%] &'a dyn Display,
        };
        /// The message of a planned time is not with the broker. It is published again after a pause.
        ScheduleNotFired("schedule.not_fired", WARN, "a firing cannot be published; it will be tried again") {
            schedule: [] &'a str,
            planned: [%] &'a dyn Display,
            code: [~] Option<&'a str>,
            reason: [] &'a str,
            again_in: [?] Duration,
        };
        /// `cron` or `timezone` has changed since the last firing. Times count from now on.
        ScheduleTimesChanged("schedule.times_changed", INFO, "the times of the schedule have changed; nothing before now was missed") {
            schedule: [] &'a str,
            before: [] &'a str,
            now: [] &'a str,
        };
        /// The clock of the machine is behind the last firing, which happened while a clock was ahead. Nothing fires until
        /// that time is over.
        ScheduleClockBehind("schedule.clock_behind", WARN, "the clock is behind the last firing; nothing fires until it has caught up") {
            schedule: [] &'a str,
            last: [%] &'a dyn Display,
        };
        /// The schedule's queue cannot be used now. The host tries again.
        ScheduleUnavailable("schedule.unavailable", WARN, "the queue of the schedule cannot be used; trying again") {
            schedule: [] &'a str,
            queue: [] &'a str,
            code: [~] Option<&'a str>,
            reason: [] &'a str,
        };
        /// A message in the schedule's queue is no token. It is removed.
        ScheduleTokenIgnored("schedule.token_ignored", WARN, "a message in the queue of the schedule is no token; removed") {
            schedule: [] &'a str,
            error: [%] &'a dyn Display,
        };
    }

    "hive::host" {
        /// Signals cannot be received.
        SignalsUnavailable("host.signals_unavailable", ERROR, "signals cannot be received") {
            error: [] &'a str,
        };
        /// A signal came before a consumer was started.
        StoppedEarly("host.stopping", INFO, "stopping before anything was consumed") {
            signal: [] &'a str,
        };
        /// A signal asked the host to stop. It finishes the deliveries in flight.
        Draining("host.stopping", INFO, "draining: no new deliveries, those in flight are finished") {
            signal: [] &'a str,
            shutdown_timeout: [?] Duration,
        };
        /// The host gave up on a connection, as `reconnect.attempts` says.
        GaveUp("host.gave_up", ERROR, "gave up") {
            code: [~] Option<&'a str>,
            reason: [] &'a str,
        };
        /// The host has stopped.
        Stopped("host.stopped", INFO, "stopped");
        /// The host has stopped, and deliveries were still in flight.
        StoppedAtDeadline("host.stopped_at_deadline", WARN, "stopped at the deadline; the deliveries named above went back to the broker");
        /// A second signal ended the host at once.
        LeftAtOnce("host.left", WARN, "stopped at once; deliveries in flight go back to the broker") {
            signal: [] &'a str,
        };
        /// The broker did not close a connection in time.
        CloseTimedOut("host.close_timed_out", WARN, "the broker did not close the connection in time; exiting") {
            seconds: [] u64,
        };
        /// The host panicked, which is a fault of the host.
        Panicked("host.panicked", ERROR, "panicked: {payload}") {
            thread: [~] Option<&'a str>,
            location: [~] Option<&'a str>,
            backtrace: [~] Option<&'a str>,
            payload: [!] &'a str,
        };
        /// A message for systemd cannot be sent. Logged once.
        SystemdNotNotified("host.systemd_not_notified", WARN, "systemd cannot be notified; a service of `Type=notify` counts as not started then") {
            socket: [%] &'a str,
            error: [%] &'a dyn Display,
        };
        /// Log lines were dropped, and lines can be written again.
        LogLinesDropped("log.lines_dropped", WARN, "log lines were dropped: standard error was not read, or could not be written") {
            lines: [] u64,
        };
    }
}
