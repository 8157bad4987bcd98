//! What a component publishes: prepared, led through the queues that delay it, and confirmed.

use hive_amqp::{EnsureFault, Outgoing, PublishFault, Unconfirmed, Unpublishable};
use hive_core::message::Publication;
use hive_lifecycle::failpoint;
use hive_otlp::Sending;
use hive_store::StoreFault;

use super::{Setback, Settler, SoFar};
use crate::pipeline::held::Held;

impl Settler {
    /// Publishes what the component asked for, in its order, and waits for every confirmation.
    pub(super) async fn publish(
        &self,
        held: &Held,
        publications: &mut [Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        if so_far.outgoing.is_none() {
            self.prepare(held, publications, so_far)?;
        }
        let published = self.publish_prepared(held, publications, so_far).await;
        match &published {
            Ok(()) => so_far.sending.drain(..).for_each(Sending::confirmed),
            // What may be tried again is not over.
            Err(Setback::Away(_) | Setback::Store(_)) => {}
            Err(_) => so_far.sending.clear(),
        }
        published
    }

    async fn publish_prepared(
        &self,
        held: &Held,
        publications: &[Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        self.detour(publications, so_far).await?;
        if let (Some(published), Some(known), None) =
            (&self.published, &so_far.known, &so_far.fresh)
        {
            let claiming = self
                .tasks
                .unless_abandoned(published.claim_publications(known));
            let fresh = claiming.await.unwrap_or(Err(StoreFault::Closed))?;
            if fresh.repeats() > 0 {
                self.telemetry.suppressed(&held.label(), fresh.repeats());
            }
            if let Some(outgoing) = &mut so_far.outgoing {
                outgoing.retain(|(index, _)| fresh.is_fresh(*index));
            }
            so_far.fresh = Some(fresh);
        }
        self.confirmed(publications, so_far).await?;
        if let Some(fresh) = &so_far.fresh {
            fresh.commit().await?;
            failpoint::reached("published.committed");
        }
        Ok(())
    }

    /// Makes of each publication what goes out. Their bodies move.
    fn prepare(
        &self,
        held: &Held,
        publications: &mut [Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        let delivery = &held.delivery;
        let identity = delivery.original.identity(&delivery.envelope.message.body);
        // While the bodies, which may have the keys, are still there.
        so_far.known = self.published.as_ref().map(|published| {
            let numbered = publications.iter().enumerate();
            numbered
                .map(|(index, publication)| {
                    published.known_publication(publication, &format!("{identity}-{index}"))
                })
                .collect()
        });
        let limits = self.connection.publish_limits();
        let mut outgoing = Vec::with_capacity(publications.len());
        for index in 0..publications.len() {
            let message_id = format!("{identity}-{index}");
            let sending = held.sends(&mut publications[index], &message_id);
            so_far.sending.extend(sending);
            let one = Outgoing::publication(&mut publications[index], &message_id, &limits);
            let one = one.map_err(|Unpublishable(reason)| {
                Setback::Unpublishable(describe(publications, index, &reason))
            })?;
            outgoing.push((index, one));
        }
        so_far.outgoing = Some(outgoing);
        Ok(())
    }

    /// Leads each publication that is to be delayed through a queue that holds it for its delay.
    async fn detour(
        &self,
        publications: &[Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        let Some(outgoing) = &mut so_far.outgoing else {
            return Ok(());
        };
        while let Some(publication) = publications.get(so_far.detoured) {
            if let Some(delay) = publication.delay {
                let detour = self.connection.delaying_exchange(publication, delay).await;
                let detour =
                    detour.map_err(|fault| blamed(publications, so_far.detoured, fault))?;
                let (_, one) = &mut outgoing[so_far.detoured];
                *one = one.clone().by_way_of(detour);
            }
            so_far.detoured += 1;
        }
        Ok(())
    }

    /// Publishes what is not confirmed yet, and waits for every confirmation.
    async fn confirmed(
        &self,
        publications: &[Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        loop {
            let outgoing = std::mem::take(so_far.outgoing.get_or_insert_default());
            if outgoing.is_empty() {
                return Ok(());
            }
            let (indices, outgoing): (Vec<usize>, Vec<Outgoing>) = outgoing.into_iter().unzip();
            let confirmation = self.publisher.publish(outgoing).await;
            failpoint::reached("publish.submitted");
            let Err(Unconfirmed { fault, rest }) = confirmation.or_the_rest().await else {
                failpoint::reached("publish.confirmed");
                return Ok(());
            };
            let Some(rest) = rest else {
                return Err(Setback::Stopped(fault.to_string()));
            };
            let rest = rest.into_iter();
            so_far.outgoing = Some(rest.map(|(place, one)| (indices[place], one)).collect());
            let (index, reason) = match fault {
                PublishFault::Unroutable { index, text } => {
                    (indices[index], format!("no queue takes it ({text})"))
                }
                PublishFault::Refused { index, text } => {
                    (indices[index], format!("the broker refuses it ({text})"))
                }
                fault => return Err(Setback::Away(fault.to_string())),
            };
            match publications[index].delay {
                // Its exchange or queue may have been deleted, which is not the component's fault.
                Some(delay) if !so_far.ensured.contains(&index) => {
                    let made = (self.connection)
                        .ensure_delaying_exchange(&publications[index], delay)
                        .await;
                    let detour = made.map_err(|fault| blamed(publications, index, fault))?;
                    so_far.ensured.insert(index);
                    for (other, one) in so_far.outgoing.iter_mut().flatten() {
                        if *other == index {
                            *one = one.clone().by_way_of(detour.clone());
                        }
                    }
                }
                _ => {
                    let error = describe(publications, index, &reason);
                    return Err(Setback::Unpublishable(error));
                }
            }
        }
    }
}

/// The consequence if the queue for a delayed publication cannot be ensured.
fn blamed(publications: &[Publication], index: usize, fault: EnsureFault) -> Setback {
    match fault {
        EnsureFault::Impossible(reason) => {
            Setback::Unpublishable(describe(publications, index, &reason))
        }
        // Treated like a publication that the broker refuses.
        EnsureFault::Mismatch(mismatch) if mismatch.is_for_good() => {
            Setback::Unpublishable(describe(publications, index, &mismatch.to_string()))
        }
        fault => Setback::from(fault),
    }
}

/// Names a publication that cannot be.
fn describe(publications: &[Publication], index: usize, reason: &str) -> String {
    let publication = &publications[index];
    format!(
        "publication {} of {} to exchange {:?} with routing key {:?}: {reason}",
        index + 1,
        publications.len(),
        publication.exchange,
        publication.routing_key,
    )
}
