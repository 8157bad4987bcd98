//! The same service by hand: axum takes the requests, lapin publishes their messages, and confirmations come as the broker
//! sends them, for many messages at once.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::serve::ListenerExt;
use clap::Args;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde::de::IgnoredAny;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::work::QUEUE;

/// The largest body.
const LARGEST: usize = 1 << 20;

/// How long a confirmation is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A service without a host.
#[derive(Debug, Args)]
pub(crate) struct ByHand {
    url: String,
    port: u16,
}

type Answer = (StatusCode, [(&'static str, &'static str); 1], String);

impl ByHand {
    pub(crate) fn run(self) -> Result<()> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> Result<()> {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let confirm = ConfirmSelectOptions::default();
        channel.confirm_select(confirm).await?;
        let router = Router::new()
            .route("/t", post(take))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(channel);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let listener = listener.tap_io(|stream| {
            // Without it, answers are a little later.
            let _set = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    }
}

/// Answers a request once the broker has its message.
async fn take(State(channel): State<Channel>, headers: HeaderMap, body: Bytes) -> Answer {
    let kind = headers.get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/json") {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not JSON");
    }
    if let Err(fault) = serde_json::from_slice::<IgnoredAny>(&body) {
        return error(StatusCode::BAD_REQUEST, &fault.to_string());
    }
    let id = format!("{:032x}", rand::random::<u128>());
    match timeout(PATIENCE, stored(&channel, &body, &id)).await {
        Ok(Ok(Confirmation::Ack(None))) => {
            answer(StatusCode::ACCEPTED, format!("{{\"message_id\":\"{id}\"}}"))
        }
        Ok(Ok(Confirmation::Ack(Some(_)))) => {
            error(StatusCode::UNPROCESSABLE_ENTITY, "no queue takes it")
        }
        Ok(_) | Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "it is not stored"),
    }
}

async fn stored(channel: &Channel, body: &[u8], id: &str) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id(id.into());
    let published = channel.basic_publish("".into(), QUEUE.into(), options, body, properties);
    published.await?.await
}

fn answer(status: StatusCode, body: String) -> Answer {
    (status, [("content-type", "application/json")], body)
}

fn error(status: StatusCode, words: &str) -> Answer {
    answer(status, serde_json::json!({ "error": words }).to_string())
}
