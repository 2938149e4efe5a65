//! The content of a part of a frame. In: a content. Out: bytes, and back; bytes that do not fit give `None`.

use std::borrow::Cow;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use zeroize::Zeroizing;

use crate::frames::{Owner, Part};
use crate::rows;
use crate::wire::{Fields, put_bytes};
use crate::{Error, Result};

const NOTE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const DROP: u8 = 4;

/// The content of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// The note of a commit.
    Note(Cow<'a, [u8]>),
    /// Rows of one table, one device and one schema: as many as keys, as an IPC stream.
    Put { table: String, keys: Vec<Vec<u8>>, rows: Cow<'a, [u8]> },
    /// Keys of deleted rows.
    Delete { table: String, keys: Vec<Vec<u8>> },
    /// The name of a deleted table.
    Drop(String),
}

impl<'a> Content<'a> {
    pub(super) fn encode(&self, folder: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(Vec::with_capacity(256));
        match self {
            Content::Note(note) => {
                out.push(NOTE);
                out.extend_from_slice(note);
            }
            Content::Put { table, keys, rows } => {
                out.push(PUT);
                put_keys(&mut out, folder, table, keys)?;
                out.extend_from_slice(rows);
            }
            Content::Delete { table, keys } => {
                out.push(DELETE);
                put_keys(&mut out, folder, table, keys)?;
            }
            Content::Drop(table) => {
                out.push(DROP);
                out.extend(table.as_bytes());
            }
        }
        Ok(out)
    }

    pub(super) fn decode(plain: &'a [u8]) -> Option<Content<'a>> {
        let mut fields = Fields(plain);
        match fields.u8()? {
            NOTE => Some(Content::Note(Cow::Borrowed(fields.0))),
            PUT => {
                let (table, keys) = keys(&mut fields)?;
                Some(Content::Put { table, keys, rows: Cow::Borrowed(fields.0) })
            }
            DELETE => {
                let (table, keys) = keys(&mut fields)?;
                fields.end().map(|()| Content::Delete { table, keys })
            }
            DROP => Some(Content::Drop(text(fields.0)?)),
            _ => None,
        }
    }
}

fn put_keys(out: &mut Vec<u8>, folder: &Path, table: &str, keys: &[Vec<u8>]) -> Result {
    put_bytes(out, table.as_bytes())?;
    let count = u32::try_from(keys.len());
    let too_many = |_| Error::BadRows(format!("too many rows at once for {}", folder.display()));
    out.extend(count.map_err(too_many)?.to_le_bytes());
    keys.iter().try_for_each(|key| put_bytes(out, key))
}

fn keys(fields: &mut Fields<'_>) -> Option<(String, Vec<Vec<u8>>)> {
    let table = text(fields.bytes()?)?;
    let count = fields.u32()?;
    let keys = (0..count).map(|_| fields.bytes().map(<[u8]>::to_vec)).collect::<Option<_>>()?;
    Some((table, keys))
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// Rows of one table and device, those of each schema together.
pub(super) fn puts(
    folder: &Path,
    table: &str,
    rows: Vec<(Vec<u8>, RecordBatch)>,
) -> Result<Vec<Content<'static>>> {
    type OfSchema = (SchemaRef, Vec<Vec<u8>>, Vec<RecordBatch>);
    let mut by_schema: Vec<OfSchema> = Vec::new();
    for (key, row) in rows {
        match by_schema.iter_mut().find(|(schema, ..)| *schema == row.schema()) {
            Some((_, keys, rows)) => {
                keys.push(key);
                rows.push(row);
            }
            None => by_schema.push((row.schema(), vec![key], vec![row])),
        }
    }
    let put = |(schema, keys, rows): OfSchema| {
        let rows = concat_batches(&schema, &rows).map_err(Error::rows("encode", folder))?;
        let mut stream = Vec::with_capacity(1024);
        rows::encode_onto(&mut stream, folder, &rows)?;
        Ok(Content::Put { table: table.to_owned(), keys, rows: Cow::Owned(stream) })
    };
    by_schema.into_iter().map(put).collect()
}

/// Contents as the parts of a frame.
pub(super) fn parts(folder: &Path, contents: &[(Owner, Content<'_>)]) -> Result<Vec<Part>> {
    let part =
        |(owner, content): &(Owner, Content<'_>)| Ok(Part { owner: *owner, plain: content.encode(folder)? });
    contents.iter().map(part).collect()
}
