//! `hive-host broker` as a program: what it prints, whom it serves, and what it refuses.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use lapin::options::{BasicGetOptions, BasicPublishOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};

fn broker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hive-host"));
    command.arg("broker").args(arguments);
    command
}

/// Runs a broker that ends by itself.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = broker(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A broker that runs; killed when it is dropped.
struct Running(Child);

impl Running {
    /// Starts it, and gives the lines that it prints.
    fn start(arguments: &[&str], lines: usize) -> (Self, Vec<String>) {
        let mut command = broker(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let printed = stdout.lines().take(lines).map(Result::unwrap).collect();
        (Self(child), printed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
async fn it_prints_its_url_and_has_what_a_definitions_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    let definitions = r#"{"queues": [{"name": "orders", "vhost": "/", "durable": true}]}"#;
    std::fs::write(&file, definitions).unwrap();
    let arguments = [
        "--port",
        "0",
        "--control",
        "0",
        "--load",
        file.to_str().unwrap(),
    ];
    let (_running, printed) = Running::start(&arguments, 2);
    assert!(printed[1].starts_with("http://127.0.0.1:"), "{printed:?}");
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&printed[0], properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = BasicPublishOptions::default();
    let (key, properties) = ("orders".into(), BasicProperties::default());
    let published = channel.basic_publish("".into(), key, options, b"tea", properties);
    published.await.unwrap();
    let got = channel.basic_get("orders".into(), BasicGetOptions::default());
    assert_eq!(got.await.unwrap().unwrap().delivery.data, b"tea");
}

#[test]
fn a_port_in_use_is_named_with_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, error) = refused(&["--port", &port]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.contains("--port"), "{error}");
    let (code, error) = refused(&["--port", "0", "--control", &port]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("--control"), "{error}");
}

#[test]
fn other_machines_need_a_user_and_a_password() {
    let (code, error) = refused(&["--port", "0", "--address", "0.0.0.0"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--user and --password"), "{error}");
    let (code, _) = refused(&["--port", "0", "--user", "dev"]);
    assert_eq!(code, Some(2));
}

#[test]
fn every_fault_of_a_definitions_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    std::fs::write(
        &file,
        r#"{"users": [{}], "exchanges": [{"name": "x", "type": "odd"}]}"#,
    )
    .unwrap();
    let (code, error) = refused(&["--port", "0", "--load", file.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("users[0]: name is missing"), "{error}");
    assert!(
        error.contains("exchanges[0]: unknown exchange type 'odd'"),
        "{error}"
    );
    let (code, error) = refused(&["--port", "0", "--load", "/nowhere.json"]);
    assert_eq!(code, Some(2), "{error}");
}
