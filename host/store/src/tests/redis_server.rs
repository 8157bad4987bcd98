//! A `redis-server` of one test's own.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::{Endpoint, RedisPlan};
use tempfile::TempDir;
use tokio::time::Instant;

/// Ends the server when its standard input closes: at the end of the test, however that comes about.
const WATCH: &str = r#"
redis-server --port "$1" --bind 127.0.0.1 --save "" --dir "$2" >/dev/null 2>&1 &
read -r _
kill -9 $!
"#;

/// A server that is gone with this value.
pub(super) struct RedisServer {
    port: u16,
    shell: Child,
    _folder: TempDir,
}

impl RedisServer {
    /// `None` on a machine without Redis, unless the scripts run the tests: those get it, and leave nothing out.
    #[expect(clippy::print_stderr, reason = "a line of the test's output")]
    pub(super) async fn start() -> Option<Self> {
        if !is_installed() && std::env::var_os("HIVE_TESTS_BUILT").is_none() {
            let name = std::thread::current();
            let name = name.name().unwrap_or_default();
            eprintln!("no redis-server: {name} leaves Redis out; scripts/prepare gets it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let shell = Command::new("sh")
            .args(["-c", WATCH, "redis", &port.to_string()])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                Instant::now() < patience,
                "no redis-server; scripts/prepare gets it"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Some(Self {
            port,
            shell,
            _folder: folder,
        })
    }

    pub(super) fn plan(&self) -> RedisPlan {
        RedisPlan {
            endpoint: Endpoint {
                host: "127.0.0.1".to_owned(),
                port: self.port,
            },
            database: 0,
            username: None,
            password: None,
            tls: None,
            prefix: Arc::from("hive:"),
        }
    }
}

fn is_installed() -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join("redis-server").exists())
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The pipe closes when the shell has ended, and the server with it.
        let mut nothing = Vec::new();
        let ended = self.shell.stdout.take().unwrap().read_to_end(&mut nothing);
        drop((ended, self.shell.wait()));
    }
}
