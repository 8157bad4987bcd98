//! Octets of a payload that are replaced by others, and the lengths that change with them.

use std::ops::Range;

/// Other octets in the place of some.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) octets: Range<usize>,
    pub(super) with: Vec<u8>,
    /// Where the lengths stand of what the place is within.
    pub(super) within: Vec<usize>,
}

/// A payload with these changes; `None` if there are none.
pub(super) fn changed(payload: &[u8], mut changes: Vec<Change>) -> Option<Vec<u8>> {
    if changes.is_empty() {
        return None;
    }
    // An insertion comes before the bytes behind it.
    changes.sort_by_key(|change| (change.octets.start, change.octets.end));
    let mut counted = payload.to_vec();
    for change in &changes {
        for at in &change.within {
            let length: &mut [u8; 4] = counted.get_mut(*at..)?.first_chunk_mut()?;
            let before = u32::from_be_bytes(*length) as usize;
            let after = (before + change.with.len()).checked_sub(change.octets.len())?;
            *length = u32::try_from(after).ok()?.to_be_bytes();
        }
    }
    let mut anew = Vec::with_capacity(payload.len() + 64);
    let mut from = 0;
    for change in changes {
        anew.extend_from_slice(counted.get(from..change.octets.start)?);
        anew.extend_from_slice(&change.with);
        from = change.octets.end;
    }
    anew.extend_from_slice(&counted[from..]);
    Some(anew)
}

pub(super) fn written_short(octets: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(octets.len()).ok()?;
    Some([&[length][..], octets].concat())
}
