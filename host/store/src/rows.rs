//! Carries out writes on the rows of a store, and maintains its indexes: by expiry, and by the order of
//! creation.

use super::Namespace;
use super::operation::{Answer, Effect, Entry, Write, decide};

/// How many expired entries each write sweeps away. More than one, so that they never accumulate.
const SWEPT: usize = 2;

/// The rows of a store during a change.
pub(super) trait Rows {
    type Fault;

    fn entry(&self, namespace: &str, key: &[u8]) -> Result<Option<Entry>, Self::Fault>;
    /// Puts an entry in the place of the one that is given, with everything that finds it.
    fn put(
        &mut self,
        namespace: &str,
        key: &[u8],
        entry: &Entry,
        instead: Option<&Entry>,
    ) -> Result<(), Self::Fault>;
    /// Takes this entry away, with everything that finds it.
    fn remove(&mut self, namespace: &str, key: &[u8], entry: &Entry) -> Result<(), Self::Fault>;
    /// A number that no entry had before, larger than all of them.
    fn next_number(&mut self) -> Result<u64, Self::Fault>;
    /// Where the entry stands that ends first, if it has ended by now.
    fn first_ended(&self, now: u64) -> Result<Option<(String, Vec<u8>)>, Self::Fault>;
    /// The key of the entry that was made first.
    fn oldest(&self, namespace: &str) -> Result<Option<Vec<u8>>, Self::Fault>;
    /// How many entries there are, those among them that have ended.
    fn count(&self, namespace: &str) -> Result<u64, Self::Fault>;
}

/// Carries out one write.
pub(super) fn carry_out<R: Rows>(
    rows: &mut R,
    namespace: &Namespace,
    write: Write,
    now: u64,
) -> Result<Answer, R::Fault> {
    sweep(rows, now)?;
    let Write { key, operation } = write;
    let name = &*namespace.name;
    let mut standing = rows.entry(name, &key)?;
    if let Some(ended) = standing.take_if(|entry| entry.has_ended(now)) {
        rows.remove(name, &key, &ended)?;
    }
    let (effect, answer) = decide(operation, standing.as_ref(), now);
    match (effect, standing) {
        (Effect::Put { value, ends }, standing) => {
            let number = match &standing {
                Some(entry) => entry.number,
                None => {
                    make_room(rows, namespace)?;
                    rows.next_number()?
                }
            };
            let entry = Entry {
                number,
                ends,
                value,
            };
            rows.put(name, &key, &entry, standing.as_ref())?;
        }
        (Effect::Remove, Some(entry)) => rows.remove(name, &key, &entry)?,
        (Effect::Remove, None) | (Effect::Nothing, _) => {}
    }
    Ok(answer)
}

fn sweep<R: Rows>(rows: &mut R, now: u64) -> Result<(), R::Fault> {
    for _ in 0..SWEPT {
        let Some((namespace, key)) = rows.first_ended(now)? else {
            break;
        };
        if let Some(entry) = rows.entry(&namespace, &key)? {
            rows.remove(&namespace, &key, &entry)?;
        }
    }
    Ok(())
}

/// The oldest entries go until there is room for one more. The bound may be lower than it was when
/// they were made.
fn make_room<R: Rows>(rows: &mut R, namespace: &Namespace) -> Result<(), R::Fault> {
    let Some(most) = namespace.bound else {
        return Ok(());
    };
    let name = &*namespace.name;
    while rows.count(name)? >= most.max(1) {
        let Some(key) = rows.oldest(name)? else {
            break;
        };
        let Some(entry) = rows.entry(name, &key)? else {
            break;
        };
        rows.remove(name, &key, &entry)?;
    }
    Ok(())
}
