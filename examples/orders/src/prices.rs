//! The price list: `"price.SKU" = "cents"` in the component's configuration.

use hive_guest::config;

/// The currency of every price.
pub(crate) fn currency() -> Result<String, String> {
    config::get("currency").ok_or_else(|| "the configuration has no `currency`".to_owned())
}

/// The price of one piece in whole cents; none while it is not known.
pub(crate) fn cents(sku: &str) -> Result<Option<u64>, String> {
    let key = format!("price.{sku}");
    let Some(price) = config::get(&key) else {
        return Ok(None);
    };
    match price.parse() {
        Ok(cents) => Ok(Some(cents)),
        Err(_) => Err(format!("`{key}` is {price:?}, not a number of cents")),
    }
}
