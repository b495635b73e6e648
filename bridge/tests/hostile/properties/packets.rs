//! Packets on the wire of the servos.

use bridge::real::dynamixel::{
    BROADCAST_ID, Decoder, DecoderCounters, Instruction, MAX_PACKET_BYTES, crc16, fast_sync_blocks,
};

/// Four bytes that say how the stream is cut and what is expected, then the stream.
///
/// Whatever arrives, in whatever pieces: the packets are the same and every checksum is right, no byte belongs to two of them, and
/// what is in a packet is no longer than it.
pub fn decoder(input: &[u8]) {
    let Some((&[cut, longest, n_servos, length], stream)) = input.split_first_chunk::<4>() else { return };
    let longest = if longest == 0 { MAX_PACKET_BYTES } else { 4 * usize::from(longest) };
    let blocks = (usize::from(n_servos % 20), usize::from(length % 32));
    let whole = decoded(stream, stream.len(), longest, blocks);
    let pieces = decoded(stream, usize::from(cut) + 1, longest, blocks);
    assert_eq!(whole, pieces, "the pieces matter");
    let (packets, counters) = whole;
    let n_used: usize = packets.iter().map(Vec::len).sum();
    assert!(n_used + counters.n_garbage_bytes as usize <= stream.len(), "a byte was used twice");
}

fn decoded(
    stream: &[u8],
    cut: usize,
    longest: usize,
    (n_servos, length): (usize, usize),
) -> (Vec<Vec<u8>>, DecoderCounters) {
    let mut decoder = Decoder::new();
    decoder.expect_at_most(longest);
    let mut packets = Vec::new();
    for piece in stream.chunks(cut.max(1)) {
        let mut rest = piece;
        while !rest.is_empty() {
            let n_taken = decoder.feed(rest);
            assert!(n_taken > 0, "the decoder takes nothing more");
            rest = &rest[n_taken..];
            while let Some(packet) = decoder.next_packet() {
                let raw = packet.raw;
                assert!(raw.len() <= longest && packet.params.len() + 10 <= raw.len(), "{packet:?}");
                let (content, crc) = raw.split_at(raw.len() - 2);
                assert_eq!(crc16(content).to_le_bytes(), crc, "{packet:?}");
                if let Some(status) = packet.status() {
                    assert!(status.id == packet.id && status.data.len() < packet.params.len(), "{packet:?}");
                    assert!(!status.error.to_string().is_empty());
                }
                if let Some(blocks) = fast_sync_blocks(&packet, n_servos, length) {
                    let lengths: Vec<usize> = blocks.map(|block| block.data.len()).collect();
                    assert_eq!(lengths, vec![length; n_servos], "{packet:?}");
                }
                packets.push(raw.to_vec());
            }
        }
    }
    (packets, decoder.counters())
}

/// Kind, id, address, length, number of ids, then ids and data.
///
/// An instruction is refused and leaves nothing, or a decoder finds it as it was, once, and no header is inside of it.
pub fn instruction(input: &[u8]) {
    let Some((&[kind, id, low, high, length, n_ids], data)) = input.split_first_chunk::<6>() else { return };
    let (address, length) = (u16::from_le_bytes([low, high]), u16::from(length));
    let (ids, blocks) = data.split_at(usize::from(n_ids).min(data.len()));
    let words = [low, high, length.to_le_bytes()[0], length.to_le_bytes()[1]];
    let (instruction, code, params) = match kind % 8 {
        0 => (Instruction::Ping { id }, 1, Vec::new()),
        1 => (Instruction::Read { id, address, length }, 2, words.to_vec()),
        2 => (Instruction::Write { id, address, data }, 3, [&[low, high], data].concat()),
        3 => (Instruction::Reboot { id }, 8, Vec::new()),
        4 => (Instruction::FactoryReset { id }, 6, Vec::new()),
        5 => (Instruction::SyncRead { ids, address, length }, 0x82, [&words, ids].concat()),
        6 => (Instruction::FastSyncRead { ids, address, length }, 0x8A, [&words, ids].concat()),
        _ => {
            let mut params = words.to_vec();
            for (id, block) in ids.iter().zip(blocks.chunks(usize::from(length).max(1))) {
                params.push(*id);
                params.extend_from_slice(block);
            }
            (Instruction::SyncWrite { ids, address, length, data: blocks }, 0x83, params)
        }
    };
    let is_single = kind % 8 < 5;
    let mut packet = vec![1, 2, 3];
    if let Err(error) = instruction.encode(&mut packet) {
        assert!(packet.is_empty() && !error.to_string().is_empty(), "{instruction:?}: {error}");
        return;
    }
    assert!(packet.len() <= MAX_PACKET_BYTES && kind % 8 != 4, "{instruction:?}");
    // The checksum may be anything.
    assert!(!packet[4..packet.len() - 2].windows(4).any(|window| window == [0xFF, 0xFF, 0xFD, 0x00]), "{packet:02x?}");
    let mut decoder = Decoder::new();
    assert_eq!(decoder.feed(&packet), packet.len());
    let Some(found) = decoder.next_packet() else { panic!("{instruction:?} is not found in {packet:02x?}") };
    let to = if is_single { id } else { BROADCAST_ID };
    assert_eq!((found.id, found.instruction, found.params), (to, code, &params[..]), "{instruction:?}");
    assert!(decoder.next_packet().is_none() && decoder.counters() == DecoderCounters::default());
}
