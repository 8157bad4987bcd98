//! A user of the broker whose rights a scenario takes away and gives back.

use anyhow::Result;
use serde_json::json;

use crate::broker::Broker;
use crate::eventually;
use crate::vhost::Vhost;

/// A user of the broker for one test, in one vhost.
#[derive(Debug)]
pub struct User<'a> {
    broker: &'a Broker,
    vhost: &'a Vhost,
    name: String,
}

impl<'a> User<'a> {
    /// Theirs, so that a scenario can look for it where it must not be.
    pub const PASSWORD: &'static str = "xyzzy-plugh";

    /// A new one, who may do everything.
    pub fn new(broker: &'a Broker, vhost: &'a Vhost) -> Result<Self> {
        let name = format!("user-of-{}", vhost.name());
        let user = Self {
            broker,
            vhost,
            name,
        };
        let account = json!({"password": Self::PASSWORD, "tags": ""});
        vhost
            .management()
            .put(&format!("/users/{}", user.name), &account)?;
        user.permit(".*", ".*", ".*")?;
        Ok(user)
    }

    /// The URL of the vhost for them.
    pub fn url(&self) -> String {
        self.vhost.url_as(&self.name, Self::PASSWORD)
    }

    /// Gives the user these rights and no others: patterns of names. A channel that is already open may
    /// continue with the rights that it had.
    pub fn permit(&self, configure: &str, write: &str, read: &str) -> Result<()> {
        let rights = json!({"configure": configure, "write": write, "read": read});
        self.vhost.management().put(&self.rights(), &rights)
    }

    /// Takes the vhost away from them.
    pub fn shut_out(&self) -> Result<()> {
        self.vhost.management().delete(&self.rights())
    }

    /// Closes every connection of the user, as an operator would. Returns when they are gone, which the broker
    /// does not wait for.
    pub async fn close_connections(&self) -> Result<()> {
        let before = self.broker.connections(self.vhost)?;
        self.broker.close_connections_of(&self.name, self.vhost)?;
        let now = async || self.broker.connections(self.vhost);
        let are_gone = |now: &Vec<String>| now.iter().all(|name| !before.contains(name));
        eventually("the connections are gone", now, are_gone).await?;
        Ok(())
    }

    fn rights(&self) -> String {
        format!("/permissions/{}/{}", self.vhost.name(), self.name)
    }
}
