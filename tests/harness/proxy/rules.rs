//! The current faults of a proxy. Connections are numbered as they are accepted, and a fault applies up to a
//! number, so that a connection cannot miss a fault that ended before it looked.

use std::time::Duration;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the host to its broker.
    ToBroker,
    /// From the broker to its host.
    ToClient,
    /// Both ways.
    Both,
}

impl Direction {
    /// The other one.
    pub(super) fn back(self) -> Self {
        match self {
            Self::ToBroker => Self::ToClient,
            Self::ToClient => Self::ToBroker,
            Self::Both => Self::Both,
        }
    }

    fn covers(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

/// The treatment of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Door {
    #[default]
    Open,
    Refusing,
    Silent,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Rst,
}

/// How many more bytes a connection may carry from the broker. The number distinguishes one allowance from the
/// next, which counts again from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    pub(super) door: Door,
    pub(super) latency: Duration,
    pub(super) bandwidth: Option<u64>,
    pub(super) allowance: Option<Allowance>,
    /// Connections with a lower number are to end.
    pub(super) cut_before: u64,
    pub(super) reset_before: u64,
    black_hole: Option<Direction>,
    /// Connections with a lower number have a hole for ever.
    doomed_to_broker: u64,
    doomed_to_client: u64,
    allowances: u64,
}

impl Rules {
    /// Swallows in a direction and in no other.
    pub(super) fn swallow(&mut self, direction: Option<Direction>, accepted: u64) {
        if let Some(hole) = self.black_hole {
            if hole.covers(Direction::ToBroker) {
                self.doomed_to_broker = accepted;
            }
            if hole.covers(Direction::ToClient) {
                self.doomed_to_client = accepted;
            }
        }
        self.black_hole = direction;
    }

    /// Lets this many more bytes through for each connection.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.allowances += 1;
        self.allowance = Some(Allowance {
            number: self.allowances,
            bytes,
        });
    }

    /// Ends every fault that can be ended.
    pub(super) fn pass(&mut self, accepted: u64) {
        self.swallow(None, accepted);
        self.door = Door::Open;
        self.latency = Duration::ZERO;
        self.bandwidth = None;
        self.allowance = None;
    }

    /// Whether what a connection sends in a direction is swallowed.
    pub(super) fn swallows(&self, way: Direction, connection: u64) -> bool {
        let doomed_before = match way {
            Direction::ToBroker => self.doomed_to_broker,
            Direction::ToClient => self.doomed_to_client,
            Direction::Both => self.doomed_to_broker.min(self.doomed_to_client),
        };
        connection < doomed_before || self.black_hole.is_some_and(|hole| hole.covers(way))
    }

    /// How a connection is to end, if it is to.
    pub(super) fn end_of(&self, connection: u64) -> Option<End> {
        if connection < self.reset_before {
            return Some(End::Rst);
        }
        (connection < self.cut_before).then_some(End::Fin)
    }
}
