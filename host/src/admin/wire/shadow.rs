//! A shadow in `/v1/components`: what came of its copies, with the first differences.

use std::time::Duration;

use hive_core::shadow::{Account, LastShadow, Seen, ShadowRule, Took};
use serde::Serialize;

use super::VersionView;
use crate::status::ShadowStatus;

/// A shadow that gets copies.
#[derive(Debug, Serialize)]
pub(super) struct ShadowView<'a> {
    #[serde(flatten)]
    version: VersionView<'a>,
    #[serde(flatten)]
    report: ReportView<'a>,
}

/// The last one that ended.
#[derive(Debug, Serialize)]
pub(super) struct LastShadowView<'a> {
    generation: u64,
    sha256: &'a str,
    /// `promoted`, `dropped` or `replaced`.
    end: &'static str,
    #[serde(flatten)]
    report: ReportView<'a>,
}

#[derive(Debug, Serialize)]
struct ReportView<'a> {
    /// Deliveries after which there is a report.
    wanted: u32,
    /// Whether there were so many.
    done: bool,
    /// Whether every delivery could be compared, and had the same answer.
    all_same: bool,
    compared: u32,
    same: u32,
    different: u32,
    not_comparable: u32,
    /// Deliveries that were not copied, since the shadow was behind.
    left_out: u32,
    /// Of those that were compared.
    failed: u32,
    /// The same of the current version.
    current_failed: u32,
    /// The median of its calls.
    median_ms: Option<f64>,
    current_median_ms: Option<f64>,
    /// Why deliveries could not be compared.
    reasons: Vec<WhyView<'a>>,
    /// The first ones.
    differences: Vec<SeenView<'a>>,
}

#[derive(Debug, Serialize)]
struct WhyView<'a> {
    reason: &'a str,
    deliveries: u32,
}

#[derive(Debug, Serialize)]
struct SeenView<'a> {
    consumer: &'a str,
    delivery: &'a str,
    /// The answers, where what messages contain is shown; so are the words of the places.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'a str>,
    places: Vec<PlaceView<'a>>,
}

#[derive(Debug, Serialize)]
struct PlaceView<'a> {
    place: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<&'a str>,
}

impl<'a> ShadowView<'a> {
    pub(super) fn new(status: &'a ShadowStatus, shows_bodies: bool) -> Self {
        let ShadowStatus {
            version,
            rule,
            account,
        } = status;
        Self {
            version: version.into(),
            report: ReportView::new(account, *rule, shows_bodies),
        }
    }
}

impl<'a> LastShadowView<'a> {
    pub(super) fn new(last: &'a LastShadow, shows_bodies: bool) -> Self {
        let LastShadow {
            generation,
            sha256,
            rule,
            end,
            account,
        } = last;
        Self {
            generation: *generation,
            sha256,
            end: end.as_str(),
            report: ReportView::new(account, *rule, shows_bodies),
        }
    }
}

impl<'a> ReportView<'a> {
    fn new(account: &'a Account, rule: ShadowRule, shows_bodies: bool) -> Self {
        let median = account.median();
        let millis = |took: Duration| took.as_secs_f64() * 1000.0;
        let reasons = account.reasons().iter();
        Self {
            wanted: rule.deliveries,
            done: account.is_done(rule),
            all_same: account.is_all_the_same(),
            compared: account.compared(),
            same: account.same(),
            different: account.different(),
            not_comparable: account.not_comparable(),
            left_out: account.left_out(),
            failed: account.shadow().failed,
            current_failed: account.current().failed,
            median_ms: median.map(|Took { shadow, .. }| millis(shadow)),
            current_median_ms: median.map(|Took { current, .. }| millis(current)),
            reasons: reasons
                .map(|(reason, deliveries)| WhyView {
                    reason,
                    deliveries: *deliveries,
                })
                .collect(),
            differences: account
                .differences()
                .iter()
                .map(|seen| SeenView::new(seen, shows_bodies))
                .collect(),
        }
    }
}

impl<'a> SeenView<'a> {
    fn new(seen: &'a Seen, shows_bodies: bool) -> Self {
        let Seen {
            consumer,
            delivery,
            current,
            shadow,
            places,
        } = seen;
        Self {
            consumer,
            delivery,
            current: shows_bodies.then_some(current.as_str()),
            shadow: shows_bodies.then_some(shadow.as_str()),
            places: places
                .iter()
                .map(|one| PlaceView {
                    place: &one.place,
                    words: shows_bodies.then_some(one.words.as_str()),
                })
                .collect(),
        }
    }
}
