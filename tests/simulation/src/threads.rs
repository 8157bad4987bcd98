//! One thread at a time, and a clock that only moves when none can run.
//!
//! The host has threads of its own (lapin's loops, the runtimes' workers), and what they do in which order decides what
//! goes wrong. Here a thread runs until it waits for something; then a seed chooses who runs next. When all of them wait,
//! the clock is turned to the first that waits for a time. So an hour of pauses takes no time, and the same seed runs
//! the same steps in the same order.
//!
//! This file decides; [`crate::interposed`] catches every wait by standing in for the functions of libc that wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// Nanoseconds on the turned clock.
pub(crate) type Nanos = u64;

/// The threads that belong together: those of one host, or those of the world around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(pub(crate) u32);

/// Of the world: the broker, its clients, the store, and who leads it all.
pub(crate) const WORLD: Group = Group(0);

/// Threads that tick for ever, and only matter while a component computes: nothing computes for a time here.
const TICKERS: [&str; 1] = ["hive-epoch"];

/// One in so many times, a thread that wakes another lets it run at once.
const GIVES_WAY: u32 = 4;

/// What the clock moves at each step, so that who waits by looking at it comes to an end.
const STEP: Nanos = 100;

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing: it can run.
    Nothing,
    /// A word of memory, until somebody wakes those who wait there.
    Futex {
        address: usize,
        until: Option<Nanos>,
    },
    /// Events of a set of descriptors.
    Events {
        descriptor: i32,
        until: Option<Nanos>,
    },
    /// A time.
    Sleep { until: Nanos },
    /// The end of another thread.
    End { thread: usize },
    /// So many steps of all threads; less where nobody else can run.
    Steps { until: u64 },
    /// Nothing any more: it has ended.
    Ended,
}

impl Wait {
    fn until(self) -> Option<Nanos> {
        match self {
            Self::Futex { until, .. } | Self::Events { until, .. } => until,
            Self::Sleep { until } => Some(until),
            Self::Nothing | Self::End { .. } | Self::Steps { .. } | Self::Ended => None,
        }
    }
}

#[derive(Debug)]
struct Thread {
    wait: Wait,
    group: Group,
    /// The wait ended because its time was over.
    timed_out: bool,
    /// It was not waiting when it stopped, and may hold a lock.
    gave_way: bool,
    ticker: bool,
}

/// A group that ends as by a power cut.
#[derive(Debug, Clone, Copy)]
struct Crash {
    group: Group,
    /// Steps of its threads until then.
    steps: u64,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// This thread runs.
    Run(usize),
    /// Nobody can run, and nobody waits for a time.
    Stuck,
}

/// All threads.
#[derive(Debug)]
pub(crate) struct Threads {
    threads: Vec<Thread>,
    current: usize,
    now: Nanos,
    /// How far the time of day was set off the clock.
    day: Nanos,
    steps: u64,
    choices: StdRng,
    /// What programs ask the machine for.
    randomness: StdRng,
    frozen: Vec<Group>,
    crash: Option<Crash>,
    /// The group of threads that are made from now on by the thread with that number.
    founding: Option<Group>,
    digest: u64,
}

impl Threads {
    /// The thread that begins is the only one.
    pub(crate) fn new(seed: u64) -> Self {
        let main = Thread {
            wait: Wait::Nothing,
            group: WORLD,
            timed_out: false,
            gave_way: false,
            ticker: false,
        };
        Self {
            threads: vec![main],
            current: 0,
            // A machine that has been up for a while: some subtract from the clock.
            now: 1_000_000 * 1_000_000_000,
            day: 1_800_000_000 * 1_000_000_000,
            steps: 0,
            choices: StdRng::seed_from_u64(seed),
            randomness: StdRng::seed_from_u64(seed ^ 0x5eed),
            frozen: Vec::new(),
            crash: None,
            founding: None,
            digest: 0,
        }
    }

    /// The time on the clock that only goes forward.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// The time of day.
    pub(crate) fn time_of_day(&self) -> Nanos {
        self.now.wrapping_add(self.day)
    }

    /// Sets the time of day forward.
    pub(crate) fn jump(&mut self, by: Nanos) {
        self.day = self.day.wrapping_add(by);
    }

    /// How many steps were made.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Stands for the order in which everything happened.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// Octets that look random.
    pub(crate) fn fill(&mut self, octets: &mut [u8]) {
        self.randomness.fill_bytes(octets);
    }

    /// The next threads that this one makes are of another group.
    pub(crate) fn found(&mut self, group: Option<Group>) {
        self.founding = group;
    }

    /// A new thread, which can run.
    pub(crate) fn add(&mut self) -> usize {
        let group = match (self.threads[self.current].group, self.founding) {
            (WORLD, Some(group)) => group,
            (group, _) => group,
        };
        self.threads.push(Thread {
            wait: Wait::Nothing,
            group,
            timed_out: false,
            gave_way: false,
            ticker: false,
        });
        self.threads.len() - 1
    }

    /// The current thread has this name.
    pub(crate) fn named(&mut self, name: &str) {
        self.threads[self.current].ticker = TICKERS.contains(&name);
    }

    /// Whether a thread has ended.
    pub(crate) fn has_ended(&self, thread: usize) -> bool {
        self.threads[thread].wait == Wait::Ended
    }

    /// Whether the last wait of a thread ended because its time was over.
    pub(crate) fn timed_out(&self, thread: usize) -> bool {
        self.threads[thread].timed_out
    }

    /// Ends a group as by a power cut, once its threads have made so many steps more.
    pub(crate) fn crash_after(&mut self, group: Group, steps: u64) {
        self.crash = Some(Crash { group, steps });
    }

    /// Whether a group has ended that way.
    pub(crate) fn is_frozen(&self, group: Group) -> bool {
        self.frozen.contains(&group)
    }

    /// Ends a group as soon as none of its threads may hold a lock.
    pub(crate) fn freeze_when_possible(&mut self, group: Group) {
        self.crash = Some(Crash { group, steps: 0 });
        self.count_down(group);
    }

    fn freeze(&mut self, group: Group) {
        self.frozen.push(group);
        self.crash = None;
    }

    /// Wakes up to so many threads that wait at an address.
    pub(crate) fn wake(&mut self, address: usize, most: usize) -> usize {
        let mut woken = 0;
        for thread in &mut self.threads {
            if woken == most {
                break;
            }
            if matches!(thread.wait, Wait::Futex { address: at, .. } if at == address) {
                thread.wait = Wait::Nothing;
                thread.timed_out = false;
                woken += 1;
            }
        }
        woken
    }

    /// Whether who has just woken another lets others run now.
    pub(crate) fn gives_way(&mut self) -> bool {
        self.choices.random_ratio(1, GIVES_WAY)
    }

    /// The current thread waits, or gives way. `has_events` tells whether a set of descriptors has events.
    pub(crate) fn switch(&mut self, wait: Wait, has_events: impl Fn(i32) -> bool) -> Next {
        let current = self.current;
        self.threads[current].wait = wait;
        self.threads[current].gave_way = wait == Wait::Nothing;
        if wait == Wait::Ended {
            self.end(current);
        }
        self.steps += 1;
        self.now += STEP;
        self.count_down(self.threads[current].group);
        let next = self.choose(has_events);
        if let Next::Run(thread) = next {
            self.current = thread;
            self.threads[thread].gave_way = false;
            self.digest = self
                .digest
                .rotate_left(5)
                .wrapping_mul(0x0100_0000_01b3)
                .wrapping_add(thread as u64 ^ self.now);
        }
        next
    }

    /// Whoever waits for the end of `ended` can run.
    fn end(&mut self, ended: usize) {
        for thread in &mut self.threads {
            if thread.wait == (Wait::End { thread: ended }) {
                thread.wait = Wait::Nothing;
            }
        }
    }

    fn count_down(&mut self, group: Group) {
        let Some(crash) = &mut self.crash else {
            return;
        };
        if crash.group != group {
            return;
        }
        crash.steps = crash.steps.saturating_sub(1);
        if crash.steps > 0 {
            return;
        }
        // A thread that gave way may hold a lock that others need.
        let holds = |thread: &Thread| thread.group == group && thread.gave_way;
        if !self.threads.iter().any(holds) {
            self.freeze(group);
        }
    }

    fn is_out(&self, thread: &Thread) -> bool {
        thread.ticker || self.frozen.contains(&thread.group)
    }

    fn choose(&mut self, has_events: impl Fn(i32) -> bool) -> Next {
        loop {
            let steps = self.steps;
            for thread in &mut self.threads {
                if matches!(thread.wait, Wait::Steps { until } if until <= steps) {
                    thread.wait = Wait::Nothing;
                }
            }
            let ready: Vec<usize> = (0..self.threads.len())
                .filter(|index| {
                    let thread = &self.threads[*index];
                    thread.wait == Wait::Nothing && !self.is_out(thread)
                })
                .collect();
            if !ready.is_empty() {
                let index = self.choices.random_range(0..ready.len());
                return Next::Run(ready[index]);
            }
            if self.take_events(&has_events) || self.end_steps() || self.turn() {
                continue;
            }
            return Next::Stuck;
        }
    }

    /// Whether somebody whose descriptors have events can run now.
    fn take_events(&mut self, has_events: impl Fn(i32) -> bool) -> bool {
        let mut found = false;
        for index in 0..self.threads.len() {
            let thread = &self.threads[index];
            if let Wait::Events { descriptor, .. } = thread.wait
                && !self.is_out(thread)
                && has_events(descriptor)
            {
                self.threads[index].wait = Wait::Nothing;
                self.threads[index].timed_out = false;
                found = true;
            }
        }
        found
    }

    /// Nobody else makes a step: whoever waits for some can run.
    fn end_steps(&mut self) -> bool {
        let waits = |thread: &&mut Thread| matches!(thread.wait, Wait::Steps { .. });
        let mut found = false;
        for thread in self.threads.iter_mut().filter(waits) {
            thread.wait = Wait::Nothing;
            found = true;
        }
        found
    }

    /// Turns the clock to the first who waits for a time.
    fn turn(&mut self) -> bool {
        let waiting = self.threads.iter().filter(|thread| !self.is_out(thread));
        let Some(first) = waiting.filter_map(|thread| thread.wait.until()).min() else {
            return false;
        };
        self.now = self.now.max(first);
        let now = self.now;
        for index in 0..self.threads.len() {
            let thread = &self.threads[index];
            if thread.wait.until().is_some_and(|until| until <= now) && !self.is_out(thread) {
                self.threads[index].wait = Wait::Nothing;
                self.threads[index].timed_out = true;
            }
        }
        true
    }
}

static THREADS: Mutex<Option<Threads>> = Mutex::new(None);

/// Never waits: only the thread that runs comes here.
pub(crate) fn threads() -> MutexGuard<'static, Option<Threads>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something with all threads. Only while the simulation runs.
pub(crate) fn with<T>(act: impl FnOnce(&mut Threads) -> T) -> T {
    act(threads().as_mut().expect("the simulation runs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: i32) -> bool {
        false
    }

    #[test]
    fn the_clock_turns_to_the_first_who_waits() {
        let mut threads = Threads::new(1);
        let other = threads.add();
        let begun = threads.now();
        let late = Wait::Sleep {
            until: begun + 5_000_000,
        };
        assert_eq!(threads.switch(late, nothing), Next::Run(other));
        let soon = Wait::Futex {
            address: 8,
            until: Some(begun + 1_000_000),
        };
        assert_eq!(threads.switch(soon, nothing), Next::Run(other));
        assert!(threads.timed_out(other));
        assert_eq!(threads.now(), begun + 1_000_000);
        assert_eq!(threads.switch(Wait::Ended, nothing), Next::Run(0));
        assert_eq!(threads.now(), begun + 5_000_000);
    }

    #[test]
    fn who_waits_at_an_address_is_woken_there() {
        let mut threads = Threads::new(1);
        let other = threads.add();
        let wait = Wait::Futex {
            address: 8,
            until: None,
        };
        assert_eq!(threads.switch(wait, nothing), Next::Run(other));
        assert_eq!(threads.wake(16, 1), 0);
        assert_eq!(threads.wake(8, 1), 1);
        let end = Wait::End { thread: 0 };
        assert_eq!(threads.switch(end, nothing), Next::Run(0));
        assert_eq!(threads.switch(Wait::Ended, nothing), Next::Run(other));
    }

    #[test]
    fn a_group_that_crashed_never_runs_again() {
        let mut threads = Threads::new(1);
        let host = Group(1);
        threads.found(Some(host));
        let one = threads.add();
        threads.found(None);
        threads.crash_after(host, 1);
        let wait = Wait::Steps { until: u64::MAX };
        assert_eq!(threads.switch(wait, nothing), Next::Run(one));
        let soon = Wait::Sleep {
            until: threads.now(),
        };
        assert_eq!(threads.switch(soon, nothing), Next::Run(0));
        assert!(threads.is_frozen(host));
        let wait = Wait::Futex {
            address: 8,
            until: None,
        };
        assert_eq!(threads.switch(wait, nothing), Next::Stuck);
    }

    #[test]
    fn a_seed_gives_the_same_order_again() {
        let run = |seed| {
            let mut threads = Threads::new(seed);
            for _ in 0..5 {
                threads.add();
            }
            let order: Vec<Next> = (0..50)
                .map(|_| threads.switch(Wait::Nothing, nothing))
                .collect();
            (order, threads.digest())
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
