//! The closed sets of words in which facts, metrics and states are reported.

/// Declares a closed set: each member with its word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$its:meta])* $member:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$its])* $member,)+
        }

        impl $name {
            /// Every member, in the order of the declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$member),+];

            /// The word in logs, metrics and answers.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a connection to a broker is for.
    Role {
        /// Deliveries come over it and acks go.
        Consume = "consume",
        /// Publications go over it.
        Publish = "publish",
    }
}

words! {
    /// How a connection is doing.
    ConnectionState {
        /// Being opened.
        Connecting = "connecting",
        /// Usable.
        Open = "open",
        /// Open, and the broker takes no publications.
        Blocked = "blocked",
        /// Lost or refused.
        Closed = "closed",
    }
}

words! {
    /// What a queue is for a consumer.
    QueuePurpose {
        /// The consumer consumes it.
        Consumed = "consumed",
        /// Retries of the consumer wait in it, or those of all that share it.
        Delay = "delay",
        /// Retries are in it whose queue was deleted while they waited.
        Lost = "lost",
        /// The dead letters of the consumer are in it.
        DeadLetter = "dead_letter",
    }
}

words! {
    /// What pauses a consumer.
    PausedBy {
        /// An operator.
        Hand = "hand",
        /// Its own rule, `pause_on`: its component fails too often.
        Failures = "failures",
    }
}

words! {
    /// Which keys a consumer remembers.
    Remembered {
        /// The keys of its deliveries: `dedup`.
        Deliveries = "deliveries",
        /// The keys of what its component published: `publish_dedup`.
        Publications = "publications",
    }
}

words! {
    /// What a component asks of the host and may not be granted.
    Capability {
        /// `allow.http`.
        Http = "http",
        /// `allow.dirs`.
        Dirs = "dirs",
        /// `allow.keyvalue`.
        Keyvalue = "keyvalue",
        /// No key grants it.
        Sockets = "sockets",
        /// `allow.publish`.
        Publish = "publish",
        /// `allow.request`.
        Request = "request",
        /// `allow.blobstore`.
        Blobstore = "blobstore",
    }
}

words! {
    /// What became of a request of a component to others, over the broker.
    RequestEnd {
        /// It has its reply.
        Answered = "answered",
        /// `allow.request` does not name it.
        NotAllowed = "not_allowed",
        /// It cannot be published, or the broker did not take it.
        Refused = "refused",
        /// No queue took it.
        Unroutable = "unroutable",
        /// There was no reply in time.
        TimedOut = "timed_out",
        /// The connection was lost, or there was none.
        Disconnected = "disconnected",
        /// The reply is larger than the component may receive.
        TooLarge = "too_large",
    }
}

words! {
    /// What became of a version that was to take over.
    SwapEnd {
        /// The new code serves.
        Swapped = "swapped",
        /// The new code was not accepted.
        Refused = "refused",
        /// The new code failed too often as a canary, and the old code serves again.
        RolledBack = "rolled_back",
    }
}

words! {
    /// What became of a firing of a schedule.
    ScheduleResult {
        /// The broker has its message.
        Fired = "fired",
        /// It was missed, and is left out as `missed` says.
        LeftOut = "left_out",
        /// An attempt failed; another one follows.
        Failed = "failed",
    }
}

words! {
    /// Why a batch was handed over.
    BatchReason {
        /// The batch was full.
        Size = "size",
        /// The first delivery of the batch had waited for `wait`.
        Wait = "wait",
        /// The batches that were gathered together had filled the prefetch, so that no further delivery came.
        Prefetch = "prefetch",
    }
}
