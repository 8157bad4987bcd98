//! An S3 server for scenarios: the crate s3s-fs, on a folder. `s3-server PORT FOLDER KEY SECRET`.
//!
//! A process of its own, so that a scenario can kill it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, anyhow, bail};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, folder, key, secret] = &arguments[..] else {
        bail!("s3-server PORT FOLDER KEY SECRET");
    };
    let files =
        FileSystem::new(folder).map_err(|error| anyhow!("{folder} cannot be served: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(key.as_str(), secret.as_str()));
    let service = service.build();
    let port: u16 = port.parse().context("a port")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let served = Builder::new(TokioExecutor::new());
            let _ended = served.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}
