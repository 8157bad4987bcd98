//! Tries every way to the network but HTTP to the address in its body, and tells the queue `out` those
//! that worked.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let address = body(&delivery);
    let ways = [
        ("connect", TcpStream::connect(&address).is_ok()),
        ("listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("send", send(&address).is_ok()),
        ("look up", ("localhost", 80).to_socket_addrs().is_ok()),
    ];
    let worked = ways.iter().filter(|(_, worked)| *worked);
    let worked: Vec<&str> = worked.map(|(way, _)| *way).collect();
    Ok(to(
        "",
        "out",
        format!("worked: {}", worked.join(", ")).as_bytes(),
    )
    .into())
}

fn send(address: &str) -> std::io::Result<usize> {
    UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", address)
}
