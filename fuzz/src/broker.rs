//! The broker in the process, for any client.

use crate::wire::{BODY, Choices, HEADER, METHOD, frame};

/// Feeds a client's octets to the broker, which asserts that it stands and answers in frames.
pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let kind = choices.octet() % 4;
    let piece = choices.below(900) + 1;
    let octets = match kind {
        0 => choices.0.to_vec(),
        1 => return hive_broker::probe::feed(choices.0, piece, false),
        _ => methods(&mut choices),
    };
    hive_broker::probe::feed(&octets, piece, true);
}

/// Frames around what the input holds, so that it gets behind the first check.
fn methods(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut frames = Vec::new();
    while choices.is_left() {
        let kind = [METHOD, METHOD, METHOD, HEADER, BODY][choices.below(5)];
        let mut payload = Vec::new();
        if kind == METHOD {
            let class = [20, 40, 50, 60, 60, 85][choices.below(6)];
            let method = (choices.below(13) * 10) as u8;
            payload.extend([0, class, 0, method]);
        }
        if kind == HEADER {
            payload.extend([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, choices.octet() % 4]);
        }
        let count = choices.below(60);
        payload.extend((0..count).map(|_| choices.octet()));
        frames.extend(frame(kind, 1, &payload));
    }
    frames
}
