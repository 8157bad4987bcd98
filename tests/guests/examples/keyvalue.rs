//! Does to a bucket what the body asks for, as in `box set key value`, and tells the queue `out` what
//! came of it.

use hive_guest::keyvalue::{Bucket, Error};
use hive_guest::{Action, Delivery};
use hive_test_guests::{body, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let body = body(&delivery);
    let words: Vec<&str> = body.split(' ').collect();
    let answer = match carry_out(&words) {
        Ok(answer) => answer,
        Err(error) => format!("{error:?}"),
    };
    Ok(to("", "out", answer.as_bytes()).into())
}

fn carry_out(words: &[&str]) -> Result<String, Error> {
    let bucket = Bucket::open(words[0])?;
    let done = |()| "done".to_owned();
    Ok(match words[1..] {
        ["get", key] => shown(bucket.get(key)?),
        ["set", key, value] => bucket.set(key, value.as_bytes()).map(done)?,
        ["set-large", key, size] => {
            let value = vec![b'x'; size.parse().unwrap_or_default()];
            bucket.set(key, &value).map(done)?
        }
        ["delete", key] => bucket.delete(key).map(done)?,
        ["exists", key] => bucket.exists(key)?.to_string(),
        ["increment", key, by] => bucket
            .increment(key, by.parse().unwrap_or_default())?
            .to_string(),
        ["keys"] => all_keys(&bucket)?.join(" "),
        ["count"] => all_keys(&bucket)?.len().to_string(),
        ["fill", from, to] => {
            let numbers = from.parse::<u32>().unwrap_or_default()..to.parse().unwrap_or_default();
            let values: Vec<_> = numbers.map(|number| (number.to_string(), vec![])).collect();
            bucket.set_many(&values).map(done)?
        }
        ["get-many", ref keys @ ..] => {
            let values = bucket.get_many(&owned(keys))?;
            values.into_iter().map(shown).collect::<Vec<_>>().join(" ")
        }
        ["set-many", ref pairs @ ..] => {
            let pair = |pair: &&str| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (key.to_owned(), value.as_bytes().to_vec())
            };
            let values: Vec<_> = pairs.iter().map(pair).collect();
            bucket.set_many(&values).map(done)?
        }
        ["delete-many", ref keys @ ..] => bucket.delete_many(&owned(keys)).map(done)?,
        _ => "what?".to_owned(),
    })
}

fn all_keys(bucket: &Bucket) -> Result<Vec<String>, Error> {
    let (mut keys, mut cursor) = bucket.keys(None)?;
    while cursor.is_some() {
        let (more, next) = bucket.keys(cursor)?;
        keys.extend(more);
        cursor = next;
    }
    Ok(keys)
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn shown(value: Option<Vec<u8>>) -> String {
    match value {
        Some(value) => String::from_utf8_lossy(&value).into_owned(),
        None => "-".to_owned(),
    }
}
