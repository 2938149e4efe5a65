//! The header of a frame file: magic, version, number, random name, checksum.
//!
//! In: a number, or the first bytes of a file. Out: the header, or an error if the file has another format or version or is damaged.
//! It must not know what follows.

use std::path::Path;

use crate::secret;
use crate::wire::Fields;
use crate::{Error, Result};

const MAGIC: &str = "HWFRAME2";
const VERSION: u16 = 2;
const CHECK_BYTES: usize = 8;
/// Magic, version, number, random name, checksum.
pub(crate) const HEADER_BYTES: usize = 8 + 2 + 8 + 16 + CHECK_BYTES;
const KIND: &str = "frame file of Headwater";

/// The header of a new file.
pub(super) fn fresh(number: u64) -> Result<[u8; HEADER_BYTES]> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC.as_bytes());
    header.extend(VERSION.to_le_bytes());
    header.extend(number.to_le_bytes());
    header.extend(secret::random_bytes::<16>()?);
    let check: [u8; CHECK_BYTES] = secret::prefix(&secret::digest(&[&header]));
    header.extend(check);
    header.first_chunk().copied().ok_or(Error::Crypto("a header has the wrong size"))
}

/// Checks the header of the file whose number must be `number`.
pub(super) fn checked(path: &Path, bytes: &[u8], number: u64) -> Result<[u8; HEADER_BYTES]> {
    let mut fields = Fields(bytes);
    if fields.array::<8>().is_none_or(|found| found != MAGIC.as_bytes()) {
        return Err(Error::foreign(path, KIND, format!("it does not begin with {MAGIC}")));
    }
    let found = fields.u16();
    if found != Some(VERSION) {
        let found = format!("its version is {}, this program reads {VERSION}", found.unwrap_or(0));
        return Err(Error::foreign(path, KIND, found));
    }
    let header = bytes.first_chunk::<HEADER_BYTES>();
    let header = header.ok_or_else(|| Error::damaged(path, "it is shorter than its header"))?;
    let (body, check) = header.split_last_chunk::<CHECK_BYTES>().unwrap_or((&[], &[0; CHECK_BYTES]));
    if secret::prefix::<CHECK_BYTES>(&secret::digest(&[body])) != *check {
        return Err(Error::damaged(path, "the checksum of its header does not fit"));
    }
    if fields.u64() != Some(number) {
        return Err(Error::damaged(path, format!("it stands in the place of frame file {number}")));
    }
    Ok(*header)
}
