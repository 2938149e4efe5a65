//! What a frame file begins with, in all versions: magic, version, number, random name, checksum.
//!
//! In: a version and a number, or the first bytes of a file. Out: the header, or why the file is none of this version or is damaged.
//! It must not know what follows.

use std::path::Path;

use crate::secret;
use crate::wire::Fields;
use crate::{Error, Result};

const CHECK_BYTES: usize = 8;
/// Magic, version, number, random name, checksum.
pub(crate) const HEADER_BYTES: usize = 8 + 2 + 8 + 16 + CHECK_BYTES;
const KIND: &str = "frame file of Headwater";

/// A version of frame files.
pub(super) struct Version {
    pub(super) magic: &'static str,
    pub(super) number: u16,
}

/// The header of a new file.
pub(super) fn fresh(version: &Version, number: u64) -> Result<[u8; HEADER_BYTES]> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(version.magic.as_bytes());
    header.extend(version.number.to_le_bytes());
    header.extend(number.to_le_bytes());
    header.extend(secret::random_bytes::<16>()?);
    let check: [u8; CHECK_BYTES] = secret::prefix(&secret::digest(&[&header]));
    header.extend(check);
    header.first_chunk().copied().ok_or(Error::Crypto("a header has the wrong size"))
}

/// The header of a file that stands in the place of `number`.
pub(super) fn checked(
    path: &Path,
    bytes: &[u8],
    version: &Version,
    number: u64,
) -> Result<[u8; HEADER_BYTES]> {
    let Version { magic, number: expected } = version;
    let mut fields = Fields(bytes);
    if fields.array::<8>().is_none_or(|found| found != magic.as_bytes()) {
        return Err(Error::foreign(path, KIND, format!("it does not begin with {magic}")));
    }
    let found = fields.u16();
    if found != Some(*expected) {
        let found = format!("its version is {}, this program reads {expected}", found.unwrap_or(0));
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
