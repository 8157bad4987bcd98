//! The functions of libc that wait, tell the time, make threads or draw lots, in the place of its own.
//!
//! Whatever the host is made of (the standard library, tokio, lapin, wasmtime) comes to these in the end. A thread that
//! is part of the simulation waits by passing the turn on; every other thread, and every thread before the simulation
//! begins, gets what libc itself does.
//!
//! The standard library calls `syscall` for its futexes and `getrandom`; both are functions with a varying number of
//! arguments, of which the caller alone knows how many there are. Here they take the most that there can be: what was
//! not given is not looked at.
#![expect(
    unsafe_code,
    reason = "functions of libc are called and replaced by name"
)]

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::mem::{MaybeUninit, transmute};
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{clockid_t, epoll_event, pthread_attr_t, pthread_t, sem_t, size_t, ssize_t, timespec};

use crate::threads::{Nanos, Next, Threads, Wait, threads, with};

/// A thread that is no part of the simulation.
const OUTSIDE: usize = usize::MAX;

/// More threads than any run makes.
const MOST: usize = 4096;

const SECOND: Nanos = 1_000_000_000;
const MILLISECOND: Nanos = 1_000_000;

thread_local! {
    /// The number of this thread in the simulation.
    static THIS: Cell<usize> = const { Cell::new(OUTSIDE) };
}

/// The turns of the threads, by their number: who waits for its own has no other way to go on.
struct Turns([UnsafeCell<MaybeUninit<sem_t>>; MOST]);

// SAFETY: a semaphore is made for threads to share, and each is set up before its thread begins.
unsafe impl Sync for Turns {}

static TURNS: Turns = Turns([const { UnsafeCell::new(MaybeUninit::zeroed()) }; MOST]);

/// What libc calls each thread, by its number.
static NATIVE: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];

/// From here on this thread, and those that it makes, are part of the simulation.
pub(crate) fn begin(seed: u64) {
    *threads() = Some(Threads::new(seed));
    set_up_turn(0);
    THIS.set(0);
}

/// Lets the others make so many steps; fewer where they all wait for a time.
pub(crate) fn let_others(steps: u64) {
    let until = with(|threads| threads.steps().saturating_add(steps));
    pass(Wait::Steps { until });
}

/// Whether this thread is part of the simulation.
fn is_inside() -> bool {
    THIS.get() != OUTSIDE
}

fn turn_of(thread: usize) -> *mut sem_t {
    TURNS.0[thread].get().cast()
}

fn set_up_turn(thread: usize) {
    assert!(thread < MOST, "the run makes more than {MOST} threads");
    // SAFETY: nobody uses the semaphore yet.
    unsafe { libc::sem_init(turn_of(thread), 0, 0) };
}

fn give_turn(thread: usize) {
    // SAFETY: it was set up when the thread was made.
    unsafe { libc::sem_post(turn_of(thread)) };
}

fn take_turn(thread: usize) {
    // SAFETY: as above. A signal may end the wait early.
    while unsafe { libc::sem_wait(turn_of(thread)) } != 0 {}
}

/// This thread waits, and somebody else runs until that is over.
fn pass(wait: Wait) {
    let this = THIS.get();
    match with(|threads| threads.switch(wait, has_events)) {
        Next::Run(next) if next == this => {}
        Next::Run(next) => {
            give_turn(next);
            take_turn(this);
        }
        Next::Stuck => stuck(),
    }
}

/// The last step of a thread. What libc does after it is no part of the simulation.
fn leave() {
    THIS.set(OUTSIDE);
    match with(|threads| threads.switch(Wait::Ended, has_events)) {
        Next::Run(next) => give_turn(next),
        Next::Stuck => stuck(),
    }
}

fn stuck() -> ! {
    let all = with(|threads| format!("{threads:?}"));
    crate::say(&format!(
        "nobody can run, and nobody waits for a time: {all}"
    ));
    std::process::abort();
}

fn has_events(descriptor: i32) -> bool {
    let mut looked_at = libc::pollfd {
        fd: descriptor,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one descriptor, and no wait.
    unsafe { libc::poll(&raw mut looked_at, 1, 0) > 0 }
}

/// The function of that name in libc itself.
fn found(name: &'static CStr, place: &AtomicUsize) -> usize {
    match place.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: the name ends with a NUL.
            let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) } as usize;
            assert!(address != 0, "libc has no {name:?}");
            place.store(address, Ordering::Relaxed);
            address
        }
        address => address,
    }
}

macro_rules! libcs_own {
    ($name:literal as $kind:ty) => {{
        static PLACE: AtomicUsize = AtomicUsize::new(0);
        // SAFETY: it is the function of this name, which has this type.
        unsafe { transmute::<usize, $kind>(found($name, &PLACE)) }
    }};
}

fn fails_with(code: c_int) -> c_int {
    // SAFETY: it points to this thread's own place.
    unsafe { *libc::__errno_location() = code };
    -1
}

fn nanos_of(time: &timespec) -> Nanos {
    let seconds = Nanos::try_from(time.tv_sec).unwrap_or(0);
    let rest = Nanos::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(SECOND).saturating_add(rest)
}

fn timespec_of(time: Nanos) -> timespec {
    timespec {
        tv_sec: libc::time_t::try_from(time / SECOND).unwrap_or(libc::time_t::MAX),
        tv_nsec: c_long::try_from(time % SECOND).unwrap_or(0),
    }
}

type CreateThread = unsafe extern "C" fn(
    *mut pthread_t,
    *const pthread_attr_t,
    extern "C" fn(*mut c_void) -> *mut c_void,
    *mut c_void,
) -> c_int;

/// What a new thread begins with.
struct Beginning {
    thread: usize,
    routine: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
}

/// See pthread_create(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    native: *mut pthread_t,
    attributes: *const pthread_attr_t,
    routine: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    let create = libcs_own!(c"pthread_create" as CreateThread);
    if !is_inside() {
        // SAFETY: the caller's promises are those that libc asks for.
        return unsafe { create(native, attributes, routine, argument) };
    }
    let thread = with(Threads::add);
    set_up_turn(thread);
    let beginning = Box::into_raw(Box::new(Beginning {
        thread,
        routine,
        argument,
    }));
    // SAFETY: as above; the new thread takes the box.
    let code = unsafe { create(native, attributes, begin_thread, beginning.cast()) };
    assert_eq!(code, 0, "no thread can be made");
    // SAFETY: it was just written.
    NATIVE[thread].store(unsafe { *native } as usize, Ordering::Relaxed);
    code
}

extern "C" fn begin_thread(beginning: *mut c_void) -> *mut c_void {
    // SAFETY: it is the box that was made for this thread.
    let beginning = unsafe { Box::from_raw(beginning.cast::<Beginning>()) };
    THIS.set(beginning.thread);
    take_turn(beginning.thread);
    let result = (beginning.routine)(beginning.argument);
    leave();
    result
}

/// See pthread_join(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(native: pthread_t, result: *mut *mut c_void) -> c_int {
    type Join = unsafe extern "C" fn(pthread_t, *mut *mut c_void) -> c_int;
    let join = libcs_own!(c"pthread_join" as Join);
    if is_inside() {
        // A number is used again once its thread is gone, so the last one counts.
        let is_it = |at: &AtomicUsize| at.load(Ordering::Relaxed) == native as usize;
        if let Some(thread) = NATIVE.iter().rposition(is_it)
            && !with(|threads| threads.has_ended(thread))
        {
            pass(Wait::End { thread });
        }
    }
    // SAFETY: the caller's promises are those that libc asks for.
    unsafe { join(native, result) }
}

/// See pthread_setname_np(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setname_np(native: pthread_t, name: *const c_char) -> c_int {
    type SetName = unsafe extern "C" fn(pthread_t, *const c_char) -> c_int;
    let set_name = libcs_own!(c"pthread_setname_np" as SetName);
    if is_inside() {
        // SAFETY: the caller gives a text that ends with a NUL.
        let text = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        with(|threads| threads.named(&text));
    }
    // SAFETY: the caller's promises are those that libc asks for.
    unsafe { set_name(native, name) }
}

/// See syscall(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    one: usize,
    two: usize,
    three: usize,
    four: usize,
    five: usize,
    six: usize,
) -> c_long {
    type SystemCall =
        unsafe extern "C" fn(c_long, usize, usize, usize, usize, usize, usize) -> c_long;
    if is_inside() {
        match number {
            libc::SYS_futex => {
                let operation = two as c_int;
                // SAFETY: the arguments are those of a futex.
                if let Some(done) = unsafe { futex(one, operation, three as u32, four as *const _) }
                {
                    return done.into();
                }
            }
            libc::SYS_getrandom => {
                // SAFETY: the caller gives room for that many octets.
                return unsafe { getrandom(one as *mut c_void, two, 0) } as c_long;
            }
            _ => {}
        }
    }
    let system_call = libcs_own!(c"syscall" as SystemCall);
    // SAFETY: the caller's promises are those that the kernel asks for.
    unsafe { system_call(number, one, two, three, four, five, six) }
}

/// See futex(2). `None` for an operation that neither waits nor wakes.
unsafe fn futex(
    address: usize,
    operation: c_int,
    value: u32,
    time: *const timespec,
) -> Option<c_int> {
    match operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        wait @ (libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) => {
            // SAFETY: the caller gives the address of a word. Nobody else runs meanwhile.
            let found = unsafe { (address as *const u32).read_volatile() };
            if found != value {
                return Some(fails_with(libc::EAGAIN));
            }
            // SAFETY: the caller gives a time or nothing.
            let time = unsafe { time.as_ref() }.map(nanos_of);
            let until = time.map(|time| match wait {
                libc::FUTEX_WAIT => with(|threads| threads.now()).saturating_add(time),
                _ => time,
            });
            pass(Wait::Futex { address, until });
            if with(|threads| threads.timed_out(THIS.get())) {
                return Some(fails_with(libc::ETIMEDOUT));
            }
            Some(0)
        }
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET => {
            let (woken, gives_way) = with(|threads| {
                let woken = threads.wake(address, value as usize);
                (woken, woken > 0 && threads.gives_way())
            });
            if gives_way {
                pass(Wait::Nothing);
            }
            Some(c_int::try_from(woken).unwrap_or(c_int::MAX))
        }
        _ => None,
    }
}

/// See epoll_wait(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    descriptor: c_int,
    events: *mut epoll_event,
    most: c_int,
    timeout: c_int,
) -> c_int {
    type EpollWait = unsafe extern "C" fn(c_int, *mut epoll_event, c_int, c_int) -> c_int;
    let epoll_wait = libcs_own!(c"epoll_wait" as EpollWait);
    if !is_inside() {
        // SAFETY: the caller's promises are those that libc asks for.
        return unsafe { epoll_wait(descriptor, events, most, timeout) };
    }
    let timeout = Nanos::try_from(timeout).ok();
    let until = timeout.map(|timeout| with(|threads| threads.now()) + timeout * MILLISECOND);
    loop {
        // SAFETY: as above.
        let found = unsafe { epoll_wait(descriptor, events, most, 0) };
        if found != 0 || until.is_some_and(|until| until <= with(|threads| threads.now())) {
            return found;
        }
        pass(Wait::Events { descriptor, until });
    }
}

/// See clock_gettime(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    type GetTime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
    if !is_inside() {
        let get_time = libcs_own!(c"clock_gettime" as GetTime);
        // SAFETY: the caller's promises are those that libc asks for.
        return unsafe { get_time(clock, time) };
    }
    let now = with(|threads| match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => threads.time_of_day(),
        _ => threads.now(),
    });
    // SAFETY: the caller gives room for a time.
    unsafe { *time = timespec_of(now) };
    0
}

/// See clock_nanosleep(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    time: *const timespec,
    rest: *mut timespec,
) -> c_int {
    type Sleep = unsafe extern "C" fn(clockid_t, c_int, *const timespec, *mut timespec) -> c_int;
    if !is_inside() {
        let sleep = libcs_own!(c"clock_nanosleep" as Sleep);
        // SAFETY: the caller's promises are those that libc asks for.
        return unsafe { sleep(clock, flags, time, rest) };
    }
    // SAFETY: the caller gives a time.
    let time = nanos_of(unsafe { &*time });
    let until = match flags & libc::TIMER_ABSTIME {
        0 => with(|threads| threads.now()).saturating_add(time),
        _ => time,
    };
    pass(Wait::Sleep { until });
    0
}

/// See nanosleep(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const timespec, rest: *mut timespec) -> c_int {
    // SAFETY: the caller's promises are the same.
    unsafe { clock_nanosleep(libc::CLOCK_MONOTONIC, 0, time, rest) }
}

/// See sched_yield(2).
#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    type Yield = extern "C" fn() -> c_int;
    if is_inside() {
        pass(Wait::Nothing);
        return 0;
    }
    libcs_own!(c"sched_yield" as Yield)()
}

/// See getrandom(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(octets: *mut c_void, count: size_t, flags: c_uint) -> ssize_t {
    type GetRandom = unsafe extern "C" fn(*mut c_void, size_t, c_uint) -> ssize_t;
    if !is_inside() {
        let get_random = libcs_own!(c"getrandom" as GetRandom);
        // SAFETY: the caller's promises are those that libc asks for.
        return unsafe { get_random(octets, count, flags) };
    }
    // SAFETY: the caller gives room for that many octets.
    let octets = unsafe { std::slice::from_raw_parts_mut(octets.cast::<u8>(), count) };
    with(|threads| threads.fill(octets));
    ssize_t::try_from(count).unwrap_or(ssize_t::MAX)
}

/// The children of this process find their memory at the same addresses, however often they are started.
pub(crate) fn fix_addresses() {
    // SAFETY: it changes how later programs are started, nothing else.
    unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) };
}
