//! Ports for the servers of the tests. Each is handed out once, in this process and in all others.
//!
//! The system may give a port that it chose, and that was closed again, to the next connection or test before
//! its server listens. So these ports are below the range that the system hands out, and each taken one has a
//! file with a lock; the lock ends with the process that holds it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

/// Linux gives out ports from 32768 on by itself.
pub(crate) const PORTS: Range<u16> = 10_000..32_000;

/// Reserves ports, all different, for as long as this process lives.
///
/// # Errors
/// When none is left.
pub fn reserve_ports<const N: usize>() -> Result<[u16; N]> {
    // Locks last as long as their files are open.
    static TAKEN: Mutex<Vec<(u16, File)>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().expect("no holder of this lock panics");
    let locks = std::env::temp_dir().join("hive-tests-ports");
    std::fs::create_dir_all(&locks)
        .with_context(|| format!("cannot make the folder {}", locks.display()))?;
    let mut ports = [0; N];
    for port in &mut ports {
        let (found, lock) = reserve(&locks, taken.last().map(|(port, _)| *port))?;
        taken.push((found, lock));
        *port = found;
    }
    Ok(ports)
}

/// The first free port behind the one that was taken last; each process begins somewhere else, so that
/// they seldom ask for the same.
fn reserve(locks: &Path, last: Option<u16>) -> Result<(u16, File)> {
    let count = u32::from(PORTS.end - PORTS.start);
    let begin = last.map_or_else(
        || std::process::id().wrapping_mul(101) % count,
        |last| u32::from(last - PORTS.start) + 1,
    );
    for step in 0..count {
        let offset = u16::try_from((begin + step) % count).expect("the range is one of ports");
        let port = PORTS.start + offset;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(locks.join(port.to_string()));
        // Another user's file, or a port that another process has reserved, or that is in use.
        let Ok(lock) = lock else { continue };
        if lock.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            continue;
        }
        return Ok((port, lock));
    }
    bail!("no port between {} and {} is free", PORTS.start, PORTS.end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::keeper;

    #[test]
    fn no_port_is_handed_out_twice() -> Result<()> {
        let all: Vec<u16> = [reserve_ports::<40>()?, reserve_ports()?].concat();
        let different: BTreeSet<u16> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        Ok(())
    }

    /// A lock belongs to an open file, so opening the file a second time behaves like another process.
    #[test]
    fn another_process_does_not_get_a_port_that_is_reserved() -> Result<()> {
        let [port] = reserve_ports()?;
        let locks = std::env::temp_dir().join("hive-tests-ports");
        let before = if port == PORTS.start {
            PORTS.end - 1
        } else {
            port - 1
        };
        let (other, _lock) = reserve(&locks, Some(before))?;
        assert_ne!(other, port);
        Ok(())
    }

    #[test]
    fn a_port_that_is_in_use_is_not_handed_out() -> Result<()> {
        let [port] = reserve_ports()?;
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let locks = keeper::scratch("ports");
        let (other, _lock) = reserve(&locks, Some(port - 1))?;
        assert_ne!(other, port);
        Ok(())
    }
}
