//! Which object a track is in: decided once, written down before anything is uploaded, and never changed.
//!
//! For a batch of new tracks:
//!
//! 1. the content of their object goes into the host's store, with the list of its tracks;
//! 2. for each track, `of/ID` says which object it is in, all of them in one step;
//! 3. the object is uploaded;
//! 4. the content is removed from the store, which says that the upload is done.
//!
//! Only then are the tracks acknowledged. A track that comes again finds its `of/ID`. If the content of that object is
//! still there, the object is uploaded once more, whole and with the same bytes, whoever else is in this batch; if not,
//! it is there already. A track without an entry is in no object, because step 3 comes after step 2.
//!
//! Entries are forgotten when nothing can come again any more: see [`forget`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use hive_guest::keyvalue::{Bucket, Error};
use hive_guest::objects::Container;
use sha2::{Digest, Sha256};

use crate::lines;

/// The names in `allow` of hive.toml.
const CONTAINER: &str = "tracks";
const BUCKET: &str = "tracks";

/// The largest value of the store, in bytes.
const PIECE: usize = 1 << 20;

/// Batches whose tracks are remembered however old they are: more than the prefetch holds, which is what a crash brings
/// back.
const LAST_BATCHES: u64 = 100;
/// How long tracks are remembered however many batches there were since, in seconds: longer than a broker takes to find
/// out that a host is gone.
const REMEMBERED: u64 = 3600;
/// Old batches that are forgotten with each new one: more than one, so that there are never more and more.
const FORGOTTEN_AT_ONCE: u64 = 2;

/// Has each track in exactly one object. They are in lines, by their ids.
pub(crate) fn archive(tracks: &BTreeMap<String, String>) -> Result<(), String> {
    let store = Bucket::open(BUCKET).map_err(failed)?;
    let entries: Vec<String> = tracks.keys().map(of).collect();
    let planned = store.get_many(&entries).map_err(failed)?;
    let mut objects: BTreeSet<String> = BTreeSet::new();
    let mut new = BTreeMap::new();
    for ((id, line), planned) in tracks.iter().zip(planned) {
        match planned {
            Some(object) => {
                objects.insert(text(object)?);
            }
            None => {
                new.insert(id, line);
            }
        }
    }
    if !new.is_empty() {
        objects.insert(plan(&store, &new)?);
    }
    for object in &objects {
        upload(&store, object)?;
    }
    forget(&store, now()).map_err(failed)
}

/// Decides which object these tracks are in.
fn plan(store: &Bucket, tracks: &BTreeMap<&String, &String>) -> Result<String, String> {
    let object = name(tracks.keys().copied());
    let content = lines::gzipped(tracks.values().copied())?;
    let ids: Vec<&str> = tracks.keys().map(|id| id.as_str()).collect();
    let number = store.increment("batches", 1).map_err(failed)?;
    let batch = format!("{}\n{object}\n{}", now(), ids.join("\n"));
    let pieces: Vec<&[u8]> = content.chunks(PIECE).collect();
    let mut values = vec![
        (content_of(&object), pieces.len().to_string().into_bytes()),
        (batch_key(number), batch.into_bytes()),
    ];
    for (at, piece) in pieces.into_iter().enumerate() {
        values.push((piece_of(&object, at), piece.to_vec()));
    }
    store.set_many(&values).map_err(failed)?;
    // From here on it is decided, for all of them at once.
    let entries: Vec<_> = ids
        .iter()
        .map(|id| (of(id), object.clone().into_bytes()))
        .collect();
    store.set_many(&entries).map_err(failed)?;
    Ok(object)
}

/// Uploads an object, unless that was done.
fn upload(store: &Bucket, object: &str) -> Result<(), String> {
    let Some(pieces) = store.get(&content_of(object)).map_err(failed)? else {
        return Ok(());
    };
    let keys = keys_of_content(object, pieces_of(&pieces));
    let mut content = Vec::new();
    for piece in store.get_many(&keys[1..]).map_err(failed)? {
        content.extend(piece.ok_or("a piece of an object is missing in the store")?);
    }
    let container = Container::open(CONTAINER).map_err(|error| error.to_string())?;
    let put = container.put(object, &content);
    put.map_err(|error| error.to_string())?;
    store.delete_many(&keys).map_err(failed)
}

/// Removes what is known of old batches.
///
/// A track comes again if its batch was not acknowledged: at once after a crash, in one of the first batches, or once the
/// broker has noticed that the host is gone. So a batch has to be old by both measures, its age and what came since. One
/// that is decided and not uploaded is passed over: its tracks wait in a dead-letter queue, and may come any time.
pub(crate) fn forget(store: &Bucket, now: u64) -> Result<(), Error> {
    let newest = number(store.get("batches")?);
    let mut oldest = number(store.get("oldest")?).max(1);
    let began_with = oldest;
    while oldest + LAST_BATCHES < newest && oldest < began_with + FORGOTTEN_AT_ONCE {
        // There is none where the host died as it took a number.
        if let Some(batch) = store.get(&batch_key(oldest))?
            && !forget_batch(store, oldest, &String::from_utf8_lossy(&batch), now)?
        {
            break;
        }
        oldest += 1;
    }
    match oldest == began_with {
        true => Ok(()),
        false => store.set("oldest", oldest.to_string().as_bytes()),
    }
}

/// Removes what is known of one batch. `false` if it is too young.
fn forget_batch(store: &Bucket, number: u64, batch: &str, now: u64) -> Result<bool, Error> {
    let mut lines = batch.lines();
    let planned: u64 = lines.next().unwrap_or_default().parse().unwrap_or(now);
    let object = lines.next().unwrap_or_default();
    if now < planned.saturating_add(REMEMBERED) {
        return Ok(false);
    }
    let entries: Vec<String> = lines.map(of).collect();
    let objects = store.get_many(&entries)?;
    // Where the host died before they were decided, they may be in another object, which is younger.
    let is_of_this = |found: &Option<Vec<u8>>| found.as_deref() == Some(object.as_bytes());
    let entries = entries.into_iter().zip(objects);
    let entries = entries.filter(|(_, object)| is_of_this(object));
    let entries: Vec<String> = entries.map(|(entry, _)| entry).collect();
    match store.get(&content_of(object))? {
        None => store.delete_many(&entries)?,
        Some(pieces) if entries.is_empty() => {
            store.delete_many(&keys_of_content(object, pieces_of(&pieces)))?;
        }
        Some(_) => return Ok(true),
    }
    store.delete(&batch_key(number))?;
    Ok(true)
}

/// The name of an object comes from what is in it, so that the same batch is the same object.
fn name<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.len().to_be_bytes());
        hash.update(id);
    }
    let hash: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hash}.jsonl.gz")
}

/// The key under which the object of a track is. A message-id has at most 255 bytes, and a key 1024.
fn of(id: impl AsRef<str>) -> String {
    format!("of/{}", id.as_ref())
}

fn content_of(object: &str) -> String {
    format!("content/{object}")
}

fn piece_of(object: &str, at: usize) -> String {
    format!("content/{object}/{at}")
}

fn pieces_of(count: &[u8]) -> usize {
    String::from_utf8_lossy(count).parse().unwrap_or(0)
}

/// The number of the pieces, and then each of them.
fn keys_of_content(object: &str, pieces: usize) -> Vec<String> {
    let pieces = (0..pieces).map(|at| piece_of(object, at));
    std::iter::once(content_of(object)).chain(pieces).collect()
}

fn batch_key(number: u64) -> String {
    format!("batch/{number}")
}

fn number(value: Option<Vec<u8>>) -> u64 {
    let digits = value.map(|digits| String::from_utf8_lossy(&digits).into_owned());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn failed(error: Error) -> String {
    format!("the host's store: {error}")
}
