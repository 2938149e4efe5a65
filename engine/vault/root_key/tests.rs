//! A key is never read from damaged bytes.

use super::*;

#[test]
fn no_flipped_byte_and_no_cut_gives_a_key() {
    let path = Path::new("root.key");
    let bytes = RootKey::random().unwrap().encode();
    assert!(RootKey::decode(path, &bytes).is_ok());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(RootKey::decode(path, &flipped).is_err(), "byte {at}");
        assert!(RootKey::decode(path, &bytes[..at]).is_err(), "length {at}");
    }
    assert!(RootKey::decode(path, &[&bytes[..], b"x"].concat()).is_err());
}
