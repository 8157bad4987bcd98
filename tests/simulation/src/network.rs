//! The network between the hosts and the broker.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hive_amqp::Network;
use hive_broker::Broker;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Handle;

use crate::link::Line;
use crate::threads::Group;

/// The network. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Net(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    broker: Arc<Broker>,
    /// The world's, which serves the broker's ends.
    world: Handle,
    /// Nobody listens at the broker's port.
    closed: bool,
    lines: Vec<(Group, Line)>,
    sizes: StdRng,
}

impl Net {
    pub(crate) fn new(broker: Arc<Broker>, world: Handle, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            broker,
            world,
            closed: false,
            lines: Vec::new(),
            sizes: StdRng::seed_from_u64(seed),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the broker's port, or opens it.
    pub(crate) fn close(&self, closed: bool) {
        self.state().closed = closed;
    }

    /// The lines over which something can come.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut state = self.state();
        state.lines.retain(|(_, line)| line.is_up());
        state.lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The machine of a host has lost power: its lines end, with or without what it had written.
    pub(crate) fn end_lines_of(&self, group: Group, with_what_is_under_way: bool) {
        let lines: Vec<Line> = {
            let state = self.state();
            let its = state.lines.iter().filter(|(of, _)| *of == group);
            its.map(|(_, line)| line.clone()).collect()
        };
        for line in lines {
            if with_what_is_under_way {
                line.end();
            } else {
                line.cut();
            }
        }
    }

    /// The network as a host sees it.
    pub(crate) fn of(&self, group: Group) -> Arc<dyn Network> {
        Arc::new(Access {
            net: self.clone(),
            group,
        })
    }

    fn connect(&self, group: Group) -> io::Result<hive_amqp::Line> {
        let mut state = self.state();
        if state.closed {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let sizes = StdRng::seed_from_u64(state.sizes.random());
        let (line, host, broker) = Line::new(sizes);
        state.lines.push((group, line.clone()));
        let served = Arc::clone(&state.broker);
        let world = state.world.clone();
        drop(state);
        world.spawn(async move { served.serve(broker).await });
        Ok(hive_amqp::Line {
            stream: Box::new(host),
            cut: Box::new(move || line.end()),
        })
    }
}

#[derive(Debug)]
struct Access {
    net: Net,
    group: Group,
}

impl Network for Access {
    fn connect(&self, _: &str, _: u16) -> BoxFuture<'_, io::Result<hive_amqp::Line>> {
        async { self.net.connect(self.group) }.boxed()
    }
}
