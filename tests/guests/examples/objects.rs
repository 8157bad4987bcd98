//! Does to a container what the body asks for, as in `box put name content`, and tells the queue `out` what came of it.
//! `fail` in front of it makes an error of the store the error of the call.

use std::error::Error;
use std::io::{Read, Write};

use hive_guest::objects::{Container, Writer};
use hive_guest::{Action, Delivery};
use hive_test_guests::{body, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let body = body(&delivery);
    let words: Vec<&str> = body.split(' ').collect();
    let answer = match words[..] {
        ["fail", ref words @ ..] => carry_out(words).map_err(|error| error.to_string())?,
        ref words => match carry_out(words) {
            Ok(answer) => answer,
            Err(error) => format!("error: {error}"),
        },
    };
    Ok(to("", "out", answer.as_bytes()).into())
}

fn carry_out(words: &[&str]) -> Result<String, Box<dyn Error>> {
    let container = Container::open(words[0])?;
    let done = |()| "done".to_owned();
    Ok(match words[1..] {
        ["put", name, content] => container.put(name, content.as_bytes()).map(done)?,
        ["put-large", name, size] => write(&container, name, size)?.finish().map(done)?,
        // Written, and never finished.
        ["forget", name, size] => {
            drop(write(&container, name, size)?);
            "forgotten".to_owned()
        }
        ["die", name, size] => {
            let _unfinished = write(&container, name, size)?;
            panic!("it was told to");
        }
        ["get", name] => shown(container.get(name)?),
        ["get-range", name, first, last] => {
            shown(container.get_range(name, number(first), number(last))?)
        }
        ["sum", name] => match container.read(name)? {
            Some(mut reader) => {
                let (mut sum, mut size, mut buffer) = (0_u64, 0, vec![0; 100_000]);
                loop {
                    match reader.read(&mut buffer)? {
                        0 => break format!("{size} bytes, sum {sum}"),
                        read => {
                            size += read;
                            sum += buffer[..read]
                                .iter()
                                .map(|byte| u64::from(*byte))
                                .sum::<u64>();
                        }
                    }
                }
            }
            None => "-".to_owned(),
        },
        ["size", name] => match container.info(name)? {
            Some(info) => info.size.to_string(),
            None => "-".to_owned(),
        },
        ["exists", name] => container.exists(name)?.to_string(),
        ["delete", name] => container.delete(name).map(done)?,
        ["names"] => {
            let mut names = container.names()?;
            names.sort();
            names.join(" ")
        }
        ["copy", name, target, to] => container
            .copy(name, &Container::open(target)?, to)
            .map(done)?,
        _ => "what?".to_owned(),
    })
}

/// An object of so many bytes, all of them 1.
fn write(container: &Container, name: &str, size: &str) -> Result<Writer, Box<dyn Error>> {
    let mut writer = container.create(name)?;
    let mut left = usize::try_from(number(size)).unwrap_or_default();
    let piece = vec![1; 300_000];
    while left > 0 {
        let some = left.min(piece.len());
        writer.write_all(&piece[..some])?;
        left -= some;
    }
    Ok(writer)
}

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or_default()
}

fn shown(content: Option<Vec<u8>>) -> String {
    match content {
        Some(content) => String::from_utf8_lossy(&content).into_owned(),
        None => "-".to_owned(),
    }
}
