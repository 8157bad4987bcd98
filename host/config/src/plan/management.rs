//! `connections.NAME.management`: where the broker's management interface is.

use super::{Endpoint, Password, TlsPlan};

/// The management interface of a broker, over HTTP or HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementPlan {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// In front of `/api`; empty, or it begins with a slash and ends without one.
    pub path: String,
    /// The user.
    pub username: String,
    /// Never printed.
    pub password: Password,
    /// Whether it is reached over TLS.
    pub is_tls: bool,
    /// Whom to trust then, and who we are: that of the connection.
    pub tls: TlsPlan,
}
