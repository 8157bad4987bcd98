//! An order, before and after it is priced.

use serde::{Deserialize, Serialize};

/// What arrives. A field that is missing is read as empty, so that `faults` names every one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) id: String,
    /// Two letters, as in ISO 3166-1.
    pub(crate) country: String,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
}

/// What is published. Money is in whole cents, so that nothing is rounded.
#[derive(Debug, Serialize)]
pub(crate) struct PricedOrder {
    pub(crate) id: String,
    pub(crate) country: String,
    pub(crate) currency: String,
    pub(crate) lines: Vec<PricedLine>,
    pub(crate) total_cents: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PricedLine {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) cents: u64,
}

impl Order {
    /// What is wrong with an order that is JSON of the right shape.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.id.is_empty() {
            faults.push("id is missing or empty".to_owned());
        }
        let is_letter = |letter: u8| letter.is_ascii_alphabetic();
        if self.country.len() != 2 || !self.country.bytes().all(is_letter) {
            faults.push(format!("country is {:?}, not two letters", self.country));
        }
        if self.lines.is_empty() {
            faults.push("lines is missing or empty".to_owned());
        }
        for (index, line) in self.lines.iter().enumerate() {
            if line.sku.is_empty() {
                faults.push(format!("lines[{index}].sku is missing or empty"));
            }
            if line.quantity == 0 {
                faults.push(format!("lines[{index}].quantity is missing or 0"));
            }
        }
        faults
    }
}
