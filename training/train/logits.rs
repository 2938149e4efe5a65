//! A text's tokens in, the model's logits out, with an adapter or without: what golden numbers are held against, and what
//! shows if an adapter means the same elsewhere. Knows no devices and no training.

use tch::{Tensor, no_grad};

use super::adapters::{Adapters, floats};
use super::base::Base;
use super::error::{ErrorContext, Result, TrainError};
use super::forward::Pass;
use super::lora::Layout;
use super::rope::Rope;
use super::rows::Rows;
use super::spare::Spare;

/// Logits `[tokens, vocabulary]`, by rows: at each place those of the token after it.
pub fn logits(base: &Base, adapter: Option<(&Layout, &[f32])>, tokens: &[u32]) -> Result<Vec<f32>> {
    if tokens.is_empty() {
        return Err(TrainError::value("the number of tokens", 0, "at least 1"));
    }
    let vocabulary = base.shape().vocabulary;
    if let Some(wrong) = tokens.iter().find(|token| i64::from(**token) >= vocabulary) {
        return Err(TrainError::value("a token", wrong, format!("below {vocabulary}")));
    }
    let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    let adapters = adapter.map(|(layout, flat)| Adapters::new(layout, &[flat], None)).transpose()?;
    let length = ids.len() as i64;
    let rope = Rope::new(base.shape(), length)?;
    let spare = &mut Spare::default();
    spare.of_rows(length);
    let rows = &Rows::new(vec![vec![length]])?;
    let pass = Pass { base, rows, rope: &rope, adapters: adapters.as_ref(), dropout: None, spare };
    no_grad(|| {
        let mut x = pass.embed(&Tensor::f_from_slice(&ids).doing("reading tokens")?)?;
        for (at, layer) in base.layers.iter().enumerate() {
            x = pass.layer(at, layer, x)?.0;
        }
        let (states, _) = pass.norm(&x, &base.last_norm)?;
        let head = base.head.f32()?;
        let product = || states.f_matmul(&head.f_transpose(0, 1)?);
        floats(&product().doing("the head's logits")?)
    })
}
