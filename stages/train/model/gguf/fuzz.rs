//! Any bytes go in; nothing comes out, and nothing may go wrong. For fuzzing and for property tests.

use super::super::tensor::{Tensor, byte_len};
use super::{Header, TensorType};

/// Reads `bytes` as a GGUF file and every tensor of it. It must neither panic nor allocate more than a small multiple
/// of the bytes.
pub fn fuzz(bytes: &[u8]) {
    let len = bytes.len() as u64;
    let Ok(header) = Header::read(&mut &*bytes, len) else { return };
    for info in header.tensors.values() {
        let TensorType::Supported(dtype) = info.stored else { continue };
        let start = usize::try_from(info.start).unwrap_or(usize::MAX);
        let range = byte_len(&info.shape, dtype).and_then(|len| bytes.get(start..start.checked_add(len)?));
        if let Some(tensor) = range.and_then(|b| Tensor::new(info.shape.clone(), dtype, b.to_vec())) {
            let _ = tensor.to_f32();
        }
    }
    for value in header.metadata.values() {
        let _ = (value.as_integers(), value.to_string());
    }
}
