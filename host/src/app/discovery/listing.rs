//! The queues of a virtual host, as the broker's management interface lists them: page by page, so that ten thousand
//! queues are not one answer.

use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::{ManagementPlan, Password, QueueSeen, QueuesSeen};
use hive_core::codes::{Code, Reason};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::Value;

/// What a page may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest page that is read, in bytes.
const LONGEST: usize = 16 << 20;

/// Queues on a page. RabbitMQ gives at most 500.
const PAGE_SIZE: usize = 500;

/// Asks a management interface.
#[derive(Clone)]
pub(super) struct Asking {
    client: Client,
    /// Without the number of the page.
    url: String,
    /// Without the password, for people.
    address: String,
    username: String,
    password: Password,
    vhost: String,
}

/// A whole listing.
#[derive(Debug)]
pub(super) struct Listing {
    /// The queues that may be consumed from.
    pub(super) queues: QueuesSeen,
    /// Whether it took more than one page: a queue that is deleted between two pages moves those behind it forward, and
    /// one of them may be on neither.
    pub(super) may_have_gaps: bool,
}

impl Asking {
    pub(super) fn new(management: &ManagementPlan, vhost: &str) -> Self {
        let ManagementPlan {
            endpoint,
            path,
            username,
            password,
            is_tls,
            tls,
        } = management;
        let scheme = if *is_tls { "https" } else { "http" };
        let host = match endpoint.host.contains(':') {
            true => format!("[{}]", endpoint.host),
            false => endpoint.host.clone(),
        };
        let address = format!("{host}:{}", endpoint.port);
        let encoded = utf8_percent_encode(vhost, NON_ALPHANUMERIC);
        Self {
            client: Client::builder()
                .tls_backend_preconfigured((*tls.client).clone())
                .timeout(PATIENCE)
                // As AMQP does: the broker is reached directly, and nobody else is told the password.
                .no_proxy()
                .redirect(Policy::none())
                .build()
                .expect("its TLS is set up already"),
            url: format!(
                "{scheme}://{address}{path}/api/queues/{encoded}?page_size={PAGE_SIZE}&name=&use_regex=false\
                 &sort=name&columns=name,type,state,exclusive,arguments&disable_stats=true&page="
            ),
            address,
            username: username.clone(),
            password: password.clone(),
            vhost: vhost.to_owned(),
        }
    }

    /// Every queue that may be consumed from.
    ///
    /// # Errors
    ///
    /// Any page that is not there: a listing with a hole would look like queues that are gone.
    pub(super) async fn list(&self, may_consume: impl Fn(&str) -> bool) -> Result<Listing, Reason> {
        let mut queues = QueuesSeen::new();
        let mut page = 1;
        loop {
            let answer = self.page(page).await?;
            let (items, pages) = (answer["items"].as_array(), answer["page_count"].as_u64());
            let (Some(items), Some(pages)) = (items, pages) else {
                return Err(self.fault(
                    Code::BrokerUnreachable,
                    "answers with something else than a page of queues; is it RabbitMQ's management interface?",
                ));
            };
            let found = items.iter().filter_map(consumable);
            let found = found.filter(|(name, _)| may_consume(name));
            queues.extend(found.map(|(name, seen)| (Arc::from(name), seen)));
            if page >= pages {
                return Ok(Listing {
                    queues,
                    may_have_gaps: page > 1,
                });
            }
            page += 1;
        }
    }

    async fn page(&self, number: u64) -> Result<Value, Reason> {
        let read = self.read(number).await.map_err(|error| {
            // The address is told already, and the causes say what to do.
            let error = anyhow::Error::from(error.without_url());
            self.fault(
                Code::BrokerUnreachable,
                format_args!("does not answer: {error:#}"),
            )
        })?;
        let Some((status, text)) = read else {
            let what = format_args!("answers with a page of more than {LONGEST} bytes");
            return Err(self.fault(Code::BrokerUnreachable, what));
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.fault(
                Code::LoginRefused,
                format_args!(
                    "refuses user {:?} ({status}): check its password, give it the tag `management`, and any \
                     permission in the vhost {:?}",
                    self.username, self.vhost
                ),
            )),
            // RabbitMQ 4.3 says so to a user without any permission in the vhost, earlier ones refuse it.
            StatusCode::NOT_FOUND => Err(self.fault(
                Code::VhostRefused,
                format_args!(
                    "shows no vhost {:?} to user {:?} ({status}): check the url of the connection, and give the user any \
                     permission in the vhost",
                    self.vhost, self.username
                ),
            )),
            // The page was the last one, and the queues on it are gone.
            StatusCode::BAD_REQUEST if number > 1 && String::from_utf8_lossy(&text).contains("page_out_of_range") => {
                Err(self.fault(
                    Code::BrokerUnreachable,
                    "has fewer pages than a moment ago; queues are being deleted",
                ))
            }
            status if status.is_success() => serde_json::from_slice(&text).map_err(|error| {
                self.fault(
                    Code::BrokerUnreachable,
                    format_args!("answers with something that is not JSON: {error}"),
                )
            }),
            status => Err(self.fault(
                Code::BrokerUnreachable,
                format_args!("answers {status} for the vhost {:?}", self.vhost),
            )),
        }
    }

    /// A page as it came; `None` if it is too long.
    async fn read(&self, number: u64) -> reqwest::Result<Option<(StatusCode, Vec<u8>)>> {
        let request = self.client.get(format!("{}{number}", self.url));
        let request = request.basic_auth(&self.username, Some(self.password.expose_secret()));
        let mut answer = request.send().await?;
        let mut text = Vec::new();
        while let Some(part) = answer.chunk().await? {
            if text.len() + part.len() > LONGEST {
                return Ok(None);
            }
            text.extend_from_slice(&part);
        }
        Ok(Some((answer.status(), text)))
    }

    fn fault(&self, code: Code, what: impl std::fmt::Display) -> Reason {
        Reason {
            text: format!("the management interface at {} {what}", self.address).into(),
            code: Some(code),
        }
    }
}

/// A queue from which several programs can consume, and which forgets what was handled.
fn consumable(queue: &Value) -> Option<(&str, QueueSeen)> {
    let is_stream = queue["type"] == "stream" || queue["arguments"]["x-queue-type"] == "stream";
    let is_exclusive = queue["exclusive"] == true;
    match is_stream || is_exclusive {
        true => None,
        false => Some((
            queue["name"].as_str()?,
            QueueSeen {
                is_single: queue["arguments"]["x-single-active-consumer"] == true,
                is_down: queue["state"] == "down",
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn streams_and_exclusive_queues_are_not_consumed_from() {
        let name = |queue: Value| consumable(&queue).map(|(name, _)| name.to_owned());
        assert_eq!(
            name(json!({ "name": "a", "type": "quorum", "exclusive": false })),
            Some("a".to_owned())
        );
        assert_eq!(
            name(json!({ "name": "a", "type": "classic" })),
            Some("a".to_owned())
        );
        assert_eq!(name(json!({ "name": "a", "type": "stream" })), None);
        assert_eq!(name(json!({ "name": "a", "exclusive": true })), None);
        assert_eq!(name(json!({ "type": "classic" })), None);
    }

    #[test]
    fn a_queue_is_read_as_it_is() {
        let seen = |queue: Value| consumable(&queue).map(|(_, seen)| seen);
        let plain =
            json!({ "name": "a", "state": "running", "arguments": { "x-queue-type": "classic" } });
        assert_eq!(seen(plain), Some(QueueSeen::default()));
        let single = json!({ "name": "a", "state": "down", "arguments": { "x-single-active-consumer": true } });
        assert_eq!(
            seen(single),
            Some(QueueSeen {
                is_single: true,
                is_down: true,
            })
        );
    }
}
