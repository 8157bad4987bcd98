//! Frames with bytes that lapin or the broker would not take.

use lapin::types::parsing::parse_field_table;
use proptest::prelude::*;

use super::*;
use crate::message::octet_text::is_holder;

fn long(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes()[..], octets].concat()
}

fn header_with(table: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 12];
    payload.extend_from_slice(&(1u16 << 13).to_be_bytes());
    payload.extend_from_slice(table);
    payload
}

/// A payload as lapin reads it.
fn screened(kind: u8, mut payload: Vec<u8>, to_hold: Vec<Vec<u8>>) -> Vec<u8> {
    let screened = screen(kind, &mut payload, to_hold, &OnceLock::new());
    screened.anew.unwrap_or(payload)
}

/// A payload of lapin's as the broker reads it.
fn sent(kind: u8, payload: Vec<u8>) -> Vec<u8> {
    restored(kind, &payload).unwrap_or(payload)
}

fn screened_table(table: &[u8]) -> Vec<u8> {
    screened(HEADER, header_with(table), Vec::new()).split_off(14)
}

/// The version that this value of the broker's property means.
fn introduce(version: &[u8]) -> Option<BrokerVersion> {
    let mut table = b"\x07productS".to_vec();
    table.extend(long(b"RabbitMQ"));
    table.extend(b"\x07version");
    table.extend(version);
    let mut payload = vec![0, 10, 0, 10, 0, 9];
    payload.extend(long(&table));
    let broker = OnceLock::new();
    let screened = screen(METHOD, &mut payload, Vec::new(), &broker);
    assert_eq!(screened.mended, Mended::Nothing);
    broker.get().copied()
}

#[test]
fn reads_the_version_of_a_broker() {
    let version = introduce(&[b"S".as_slice(), &long(b"3.10.8")].concat());
    assert_eq!(version, BrokerVersion::parse("3.10.8"));
    assert!(version.unwrap() >= BrokerVersion::AT_LEAST_ONCE);
}

/// Found by the fuzz target `frames`.
#[test]
fn a_version_that_is_no_text_is_none() {
    assert_eq!(introduce(b"V"), None);
    assert_eq!(introduce(b"t\x01"), None);
    assert_eq!(introduce(b"l\0\0\0\x004.10"), None);
}

#[test]
fn a_cancelled_consumer_and_a_closed_channel_are_told_from_other_methods() {
    let cancel = [&[0, 60, 0, 30][..], b"\x03tag\x01"].concat();
    assert_eq!(ending(&cancel), Some(Ending::Cancelled));
    let close = [&[0, 20, 0, 40, 1, 0x96][..], b"\x04gone", &[0, 60, 0, 80]].concat();
    let closed = Ending::Closed(Answer {
        code: 406,
        text: "gone".into(),
    });
    assert_eq!(ending(&close), Some(closed));
    // basic.cancel-ok, and a frame that ends too early.
    assert_eq!(ending(&[0, 60, 0, 31, 0]), None);
    assert_eq!(ending(&close[..8]), None);
}

#[test]
fn compares_versions_by_number() {
    assert!(BrokerVersion::parse("3.9.29").unwrap() < BrokerVersion::AT_LEAST_ONCE);
    assert!(BrokerVersion::parse("4.0.0-rc.1").unwrap() > BrokerVersion::AT_LEAST_ONCE);
    assert_eq!(BrokerVersion::parse("unknown"), None);
}

#[test]
fn a_name_that_is_not_utf8_can_be_read_and_goes_out_as_it_came() {
    // One name that is not UTF-8 stands in a table, within an array, within a table that has another.
    let inner = long(b"\x01\xfft\x01");
    let array = long(&[b"F".as_slice(), &inner].concat());
    let entries = [b"\x02\xff\xfeV\x02\xff\xfdA".as_slice(), &array].concat();
    let table = long(&entries);
    assert!(parse_field_table(&table[..]).is_err());
    let payload = screened(HEADER, header_with(&table), Vec::new());
    let (rest, read) = parse_field_table(&payload[14..]).unwrap();
    assert!(rest.is_empty());
    let names: Vec<_> = read.inner().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["hive-bytes:fffd", "hive-bytes:fffe"]);
    assert_eq!(sent(HEADER, payload), header_with(&table));
}

#[test]
fn a_string_without_room_for_its_text_is_held_by_a_header() {
    let long_id: Vec<u8> = [[255].as_slice(), &[0xfe; 255]].concat();
    // A message-id and no headers, and then with headers too.
    let id_alone = [vec![0; 12], vec![0, 0x80], long_id.clone()].concat();
    let table = long(b"\x01aV");
    let beside_a_header = [vec![0; 12], vec![0x20, 0x80], table, long_id].concat();
    for payload in [id_alone, beside_a_header] {
        let seen = screened(HEADER, payload.clone(), Vec::new());
        assert_eq!(seen[12..14], [0x20, 0x80]);
        let (rest, headers) = parse_field_table(&seen[14..]).unwrap();
        let holders = headers
            .inner()
            .keys()
            .filter(|name| is_holder(name.as_str()));
        assert_eq!(holders.count(), 1);
        assert!(std::str::from_utf8(&rest[1..]).is_ok());
        let back = sent(HEADER, seen);
        match payload[12] {
            0 => {
                // There are headers now, even if no publisher set any.
                let with_empty = [
                    vec![0; 12],
                    vec![0x20, 0x80],
                    long(b""),
                    payload[14..].to_vec(),
                ];
                assert_eq!(back, with_empty.concat());
            }
            _ => assert_eq!(back, payload),
        }
    }
}

#[test]
fn what_a_delivery_names_by_its_hash_is_held_by_its_message() {
    let key: Vec<u8> = [[200].as_slice(), &[0xfe; 200]].concat();
    let mut deliver = [vec![0, 60, 0, 60, 1, b't'], vec![0; 9], vec![0], key].concat();
    let screened = screen(METHOD, &mut deliver, Vec::new(), &OnceLock::new());
    assert_eq!(screened.to_hold, [vec![0xfe; 200]]);
    assert!(screened.anew.is_some());
    let mut content = [vec![0; 12], vec![0x10, 0, 2]].concat();
    let held = screen(HEADER, &mut content, screened.to_hold, &OnceLock::new());
    let held = held.anew.expect("it has a header now");
    let (rest, headers) = parse_field_table(&held[14..]).unwrap();
    assert_eq!((rest, headers.inner().len()), (&[2][..], 1));
}

#[test]
fn a_routing_key_goes_out_as_bytes() {
    let publish = |key: &[u8]| {
        let key = [&[key.len() as u8][..], key].concat();
        [vec![0, 60, 0, 40, 0, 0, 0], key, vec![1]].concat()
    };
    assert_eq!(
        sent(METHOD, publish(b"hive-bytes:ff00")),
        publish(&[0xff, 0])
    );
    assert_eq!(
        sent(METHOD, publish(b"hive-bytes:41")),
        publish(b"hive-bytes:41")
    );
    assert_eq!(sent(METHOD, publish(b"order")), publish(b"order"));
}

#[test]
fn tables_without_end_become_bytes() {
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = [b"A".as_slice(), &long(&nested)].concat();
    }
    let table = long(&[b"\x01n".as_slice(), &nested].concat());
    let mended = screened_table(&table);
    assert_eq!(mended.len(), table.len());
    assert!(parse_field_table(&mended[..]).is_ok());
}

proptest! {
    #[test]
    fn what_came_in_goes_out_as_it_was(
        names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..255), 0..5),
        id in proptest::collection::vec(any::<u8>(), 0..255),
    ) {
        let mut entries = Vec::new();
        for name in names {
            entries.extend([&[name.len() as u8][..], &name, b"V"].concat());
        }
        let id = [&[id.len() as u8][..], &id].concat();
        let payload = [vec![0; 12], vec![0x20, 0x80], long(&entries), id].concat();
        let seen = screened(HEADER, payload.clone(), Vec::new());
        prop_assert!(parse_field_table(&seen[14..]).is_ok());
        prop_assert_eq!(sent(HEADER, seen), payload);
    }

    #[test]
    fn nothing_panics(
        kind in prop_oneof![Just(METHOD), Just(HEADER)],
        payload in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let seen = screened(kind, payload, Vec::new());
        sent(kind, seen);
    }
}
