//! Contract: packets are byte for byte those of the maker's manual; whatever data is sent comes back as it was; whatever
//! arrives, no packet with a wrong checksum is taken, and right packets behind garbage are found.

use crate::rig::TestResult;
use bridge::real::dynamixel::{
    BROADCAST_ID, Decoder, EncodeError, Instruction, MAX_PACKET_BYTES, crc16, fast_sync_blocks,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::RngSeed;

fn encode(instruction: Instruction<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut packet = Vec::new();
    instruction.encode(&mut packet).map(|()| packet)
}

/// A packet from the part behind the header.
fn packet(rest: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    let bytes = rest.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<Vec<_>, _>>()?;
    Ok([vec![0xFF, 0xFF, 0xFD, 0x00], bytes].concat())
}

/// The status packet of a servo, stuffed; straight from the definition.
fn status(id: u8, error: u8, data: &[u8]) -> Vec<u8> {
    let mut content = vec![0x55, error];
    for &byte in data {
        content.push(byte);
        if content.ends_with(&[0xFF, 0xFF, 0xFD]) {
            content.push(0xFD);
        }
    }
    let mut bytes = vec![0xFF, 0xFF, 0xFD, 0x00, id];
    bytes.extend_from_slice(&(content.len() as u16 + 2).to_le_bytes());
    bytes.extend_from_slice(&content);
    let crc = crc16(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Examples of the maker's manual.
#[test]
fn instructions_are_those_of_the_manual() -> TestResult {
    let goals = [150i32.to_le_bytes(), 170i32.to_le_bytes()].concat();
    let cases = [
        (Instruction::Ping { id: 1 }, "01 03 00 01 19 4e"),
        (Instruction::Ping { id: BROADCAST_ID }, "fe 03 00 01 31 42"),
        (Instruction::Read { id: 1, address: 132, length: 4 }, "01 07 00 02 84 00 04 00 1d 15"),
        (Instruction::Write { id: 1, address: 116, data: &[0, 2, 0, 0] }, "01 09 00 03 74 00 00 02 00 00 ca 89"),
        (Instruction::Reboot { id: 1 }, "01 03 00 08 2f 4e"),
        (Instruction::SyncRead { ids: &[1, 2], address: 132, length: 4 }, "fe 09 00 82 84 00 04 00 01 02 ce fa"),
        (
            Instruction::SyncWrite { ids: &[1, 2], address: 116, length: 4, data: &goals },
            "fe 11 00 83 74 00 04 00 01 96 00 00 00 02 aa 00 00 00 82 87",
        ),
        (
            Instruction::FastSyncRead { ids: &[3, 7, 4], address: 132, length: 4 },
            "fe 0a 00 8a 84 00 04 00 03 07 04 20 f2",
        ),
    ];
    for (instruction, expected) in cases {
        assert_eq!(encode(instruction)?, packet(expected)?, "{instruction:?}");
    }
    Ok(())
}

/// Instructions that are never sent have their checksums in the manual too.
#[test]
fn checksums_are_those_of_the_manual() -> TestResult {
    for (content, crc) in [
        ("fe 0d 00 92 01 90 00 02 00 02 92 00 01 00", 0x051A),
        ("fe 10 00 93 01 20 00 02 00 a0 00 02 1f 00 01 00 50", 0x68B7),
    ] {
        assert_eq!(crc16(&packet(content)?), crc, "{content}");
    }
    Ok(())
}

/// Statuses of the manual, and one whose data is stuffed.
#[test]
fn statuses_are_understood() -> TestResult {
    let cases: [(&str, u8, u8, &[u8]); 3] = [
        ("01 07 00 55 00 06 04 26 65 5d", 1, 0, &[0x06, 0x04, 0x26]),
        ("01 04 00 55 00 a1 0c", 1, 0, &[]),
        (
            "01 0f 00 55 00 ff ff fd fd ff ff ff 00 08 00 00 49 f0",
            1,
            0,
            &[0xFF, 0xFF, 0xFD, 0xFF, 0xFF, 0xFF, 0x00, 0x08, 0x00, 0x00],
        ),
    ];
    for (bytes, id, error, data) in cases {
        let mut decoder = Decoder::new();
        decoder.feed(&packet(bytes)?);
        let packet = decoder.next_packet().ok_or("no packet")?;
        let status = packet.status().ok_or("no status")?;
        assert_eq!((status.id, status.error.0, status.data), (id, error, data));
    }
    Ok(())
}

/// A factory reset, a servo that cannot be, and packets that nobody should send are refused.
#[test]
fn nonsense_is_not_encoded() {
    let long = [0; MAX_PACKET_BYTES];
    let cases = [
        (Instruction::FactoryReset { id: 3 }, EncodeError::FactoryReset { id: 3 }),
        (Instruction::Ping { id: 253 }, EncodeError::Id { found: 253 }),
        (Instruction::Reboot { id: BROADCAST_ID }, EncodeError::Id { found: BROADCAST_ID }),
        (Instruction::Write { id: 1, address: 0, data: &long }, EncodeError::TooLong),
        (Instruction::Write { id: 1, address: 0, data: &[] }, EncodeError::Empty),
        (Instruction::SyncRead { ids: &[1, 2, 1], address: 0, length: 1 }, EncodeError::RepeatedId { id: 1 }),
        (
            Instruction::SyncWrite { ids: &[1, 2], address: 0, length: 2, data: &[0; 3] },
            EncodeError::Blocks { found: 3, expected: 4 },
        ),
    ];
    for (instruction, expected) in cases {
        assert_eq!(encode(instruction), Err(expected));
    }
}

/// A length that is longer than any answer can be does not swallow the answer behind it.
#[test]
fn a_damaged_length_swallows_nothing() {
    let mut decoder = Decoder::new();
    decoder.expect_at_most(20);
    let mut damaged = status(1, 0, &[1, 2, 3]);
    damaged[6] = 0x02;
    decoder.feed(&damaged);
    decoder.feed(&status(2, 0, &[4]));
    let found = decoder.next_packet().and_then(|packet| packet.status()).map(|status| status.id);
    assert_eq!(found, Some(2));
    assert_eq!(decoder.counters().n_bad_headers, 1);
}

/// The checksum is not stuffed: behind FF FF one of FD 00 looks like a header and is none.
#[test]
fn a_checksum_that_looks_like_a_header() -> TestResult {
    let mut found = 0;
    for number in 0..=u32::from(u16::MAX) * 4 {
        let data = [&number.to_le_bytes()[..], &[0xFF, 0xFF]].concat();
        let bytes = encode(Instruction::Write { id: 1, address: 116, data: &data })?;
        if bytes.ends_with(&[0xFF, 0xFF, 0xFD, 0x00]) {
            let mut decoder = Decoder::new();
            decoder.feed(&bytes);
            let params = decoder.next_packet().ok_or("no packet")?.params.to_vec();
            assert_eq!(params, [&116u16.to_le_bytes()[..], &data].concat());
            found += 1;
        }
    }
    assert!(found > 0, "none of the numbers has such a checksum");
    Ok(())
}

/// A packet that is cut off by the next one costs only itself.
#[test]
fn a_cut_packet_costs_itself() {
    let mut decoder = Decoder::new();
    let cut = status(1, 0, &[7; 10]);
    decoder.feed(&cut[..12]);
    decoder.feed(&status(2, 0, &[4]));
    let found = decoder.next_packet().and_then(|packet| packet.status()).map(|status| status.id);
    assert_eq!((found, decoder.counters().n_cut_packets), (Some(2), 1));
}

/// Every block of a fast sync read is checked by itself: a block that was damaged before the next servo went on with the
/// checksum is found, although the packet's checksum is right.
#[test]
fn fast_blocks_are_checked_one_by_one() -> TestResult {
    let fast = |damage: Option<usize>| {
        let mut bytes = vec![0xFF, 0xFF, 0xFD, 0x00, 0xFE, 1 + 2 * 8, 0, 0x55];
        for id in [3, 7] {
            bytes.extend_from_slice(&[0, id, 1, 2, 3, id]);
            let crc = crc16(&bytes);
            bytes.extend_from_slice(&crc.to_le_bytes());
            if let (Some(at), 3) = (damage, id) {
                bytes[at] ^= 4;
            }
        }
        bytes
    };
    for (damage, is_whole) in [(None, true), (Some(11), false)] {
        let mut decoder = Decoder::new();
        decoder.feed(&fast(damage));
        let packet = decoder.next_packet().ok_or("the packet's own checksum is right")?;
        let blocks = fast_sync_blocks(&packet, 2, 4).map(|blocks| blocks.map(|block| block.id).collect::<Vec<_>>());
        assert_eq!(blocks, is_whole.then(|| vec![3, 7]));
    }
    Ok(())
}

/// Data in which what has to be stuffed is frequent.
fn data(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop::strategy::Union::new([Just(0xFFu8).boxed(), Just(0xFD).boxed(), Just(0).boxed(), any::<u8>().boxed()]);
    prop::collection::vec(byte, 0..longest)
}

/// Garbage in which no header begins.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::strategy::Union::new([Just(0xFFu8).boxed(), Just(0xFD).boxed(), (1u8..=255).boxed()]);
    prop::collection::vec(byte, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// What a write carries is what a decoder finds, whatever it is, wherever the stream is cut; no header is inside.
    #[test]
    fn data_survives_stuffing(data in data(200), id in 0u8..=252, address: u16, cut in 1usize..50) {
        let data = [data, vec![0]].concat();
        let bytes = encode(Instruction::Write { id, address, data: &data })?;
        prop_assert!(!bytes[4..bytes.len() - 2].windows(4).any(|window| window == [0xFF, 0xFF, 0xFD, 0x00]));
        let mut decoder = Decoder::new();
        let mut found = None;
        for part in bytes.chunks(cut) {
            prop_assert_eq!(decoder.feed(part), part.len());
            if let Some(packet) = decoder.next_packet() {
                found = Some((packet.id, packet.instruction, packet.params.to_vec()));
            }
        }
        prop_assert_eq!(found, Some((id, 3, [address.to_le_bytes().to_vec(), data].concat())));
    }

    /// All packets between garbage are found, in order, with what they carry.
    #[test]
    fn packets_between_garbage_are_found(
        packets in prop::collection::vec((0u8..=252, any::<u8>(), data(40), garbage()), 1..8),
        cut in 1usize..100,
    ) {
        let mut stream = Vec::new();
        for (id, error, data, garbage) in &packets {
            stream.extend_from_slice(garbage);
            stream.extend_from_slice(&status(*id, *error, data));
        }
        let mut decoder = Decoder::new();
        let mut found = Vec::new();
        for part in stream.chunks(cut) {
            decoder.feed(part);
            while let Some(packet) = decoder.next_packet() {
                if let Some(status) = packet.status() {
                    found.push((status.id, status.error.0, status.data.to_vec()));
                }
            }
        }
        let sent: Vec<_> = packets.into_iter().map(|(id, error, data, _)| (id, error, data)).collect();
        prop_assert_eq!(found, sent);
    }

    /// Nothing that arrives breaks the decoder, and what it yields has the right checksum.
    #[test]
    fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..5000), headers in prop::collection::vec(0usize..5000, 0..20)) {
        let mut bytes = bytes;
        for at in headers {
            for (offset, byte) in [0xFF, 0xFF, 0xFD, 0x00, 0x01].into_iter().enumerate() {
                if let Some(place) = bytes.get_mut(at + offset) {
                    *place = byte;
                }
            }
        }
        let mut decoder = Decoder::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let n_taken = decoder.feed(rest);
            rest = &rest[n_taken..];
            while let Some(packet) = decoder.next_packet() {
                let (content, crc) = packet.raw.split_at(packet.raw.len() - 2);
                prop_assert!(crc16(content).to_le_bytes() == crc);
            }
            prop_assert!(n_taken > 0, "the decoder takes nothing more");
        }
    }

    /// A turned bit never yields a packet.
    #[test]
    fn a_turned_bit_yields_nothing(data in data(40), bit: prop::sample::Index) {
        let mut bytes = status(1, 0, &data);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut decoder = Decoder::new();
        decoder.feed(&bytes);
        prop_assert!(decoder.next_packet().is_none());
    }
}
