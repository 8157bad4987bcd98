//! Queries of requests: names with values, each of which may come several times.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

/// Enough for conditions; a larger query is refused.
const LARGEST_QUERY: usize = 16 << 10;

/// The names with their values, in their order.
pub(super) fn pairs(uri: &Uri) -> Result<Vec<(&str, String)>, String> {
    let query = uri.query().unwrap_or_default();
    if query.len() > LARGEST_QUERY {
        return Err(format!("the query has more than {LARGEST_QUERY} bytes"));
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((name, decoded(value)?))
    });
    pairs.collect()
}

fn decoded(value: &str) -> Result<String, String> {
    let value = value.replace('+', " ");
    let value = percent_decode_str(&value).decode_utf8();
    let value = value.map_err(|_| "the query is not UTF-8".to_owned())?;
    Ok(value.into_owned())
}

pub(super) fn number(name: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("`{name}` is to be a number"))
}

pub(super) fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{name}` is to be true or false")),
    }
}
