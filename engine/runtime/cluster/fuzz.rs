//! The fuzz targets of what comes over a connection. In: bytes, of which the first says how they are used. Out: nothing, or a
//! panic if a promise is broken.

use super::data_channel::fuzz_heads;
use super::frame::Frame;
use super::message::Message;
use crate::commit::StatePartitions;
use crate::digest::SinkDigest;
use crate::exchange;

/// The fuzz target: any bytes in, a panic out if reading them breaks a promise.
///
/// # Panics
/// If a message that was read does not come back when written again.
pub fn fuzz(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 6 {
        0 => drop(Frame::read(&mut { rest }).map(|frame| Message::of(&frame))),
        1 => {
            let frame = Frame { kind: choice / 6 % 20, body: rest.to_vec() };
            let Some(message) = Message::of(&frame) else { return };
            let back = Message::of(&message.frame());
            assert!(back == Some(message), "what was read and written does not come back");
        }
        2 => fuzz_heads(rest),
        3 => drop(StatePartitions::decode(rest)),
        4 => drop(exchange::decode(rest)),
        _ => drop(SinkDigest::decode(rest)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            super::fuzz(&bytes);
        }

        /// Small numbers are lengths that fit: they lead deeper into a message.
        #[test]
        fn small_bytes_are_read_or_refused(bytes in prop::collection::vec(0u8..4, 0..400), choice in 0u8..108) {
            super::fuzz(&[vec![choice], bytes].concat());
        }
    }
}
