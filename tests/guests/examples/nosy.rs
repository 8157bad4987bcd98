//! Tries what nobody granted it, and fails with all that it got.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use hive_guest::{Action, Delivery};
use hive_test_guests::body;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let mut found = Vec::new();
    let mut note = |what: &str, got: bool| {
        if got {
            found.push(what.to_owned());
        }
    };
    for folder in ["/", ".", "..", "/proc/self", "/etc"] {
        note(folder, std::fs::read_dir(folder).is_ok());
    }
    note("a file", std::fs::read("/etc/hostname").is_ok());
    note(
        "a new file",
        std::fs::write("/tmp/nosy", "was here").is_ok(),
    );
    // The body names a port at which somebody listens.
    let broker = format!("127.0.0.1:{}", body(&delivery));
    note("a connection", TcpStream::connect(&broker).is_ok());
    note("a listener", TcpListener::bind("127.0.0.1:0").is_ok());
    let sent = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", &broker));
    note("a datagram", sent.is_ok());
    note("a name", "localhost:1".to_socket_addrs().is_ok());
    note("variables", std::env::vars().next().is_some());
    note("arguments", std::env::args().next().is_some());
    Err(format!("found {found:?}"))
}
