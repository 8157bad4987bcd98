//! The idempotency key of a request, claimed before anything is done for it.

use tokio::sync::oneshot;

use crate::component::Done;
use crate::keys::{Claim, Lease};
use crate::service::Unstored;
use crate::table::Route;

/// Where what became of a request is reported.
pub(crate) type Report = oneshot::Sender<Result<Done, Unstored>>;

/// Claims the key of a request, to be remembered once the request is done; there is no claim where the request has no key, or
/// its route remembers none. `None` if nothing is to be done any more: it is reported, or the client is gone.
pub(crate) async fn claimed(
    route: &Route,
    key: Option<&str>,
    mut report: Report,
) -> Option<(Option<Box<dyn Lease>>, Report)> {
    let (Some(keys), Some(key)) = (&route.keys, key) else {
        return Some((None, report));
    };
    let claimed = tokio::select! {
        biased;
        claimed = keys.claim(key) => claimed,
        () = report.closed() => return None,
    };
    let ended = match claimed {
        Ok(Claim::Fresh(fresh)) => return Some((Some(fresh), report)),
        Ok(Claim::Done) => Ok(Done::Stored),
        Err(reason) => {
            tracing::debug!(reason, "an idempotency key cannot be looked up");
            Err(Unstored::KeysUnknown)
        }
    };
    let _nobody_waits = report.send(ended);
    None
}
