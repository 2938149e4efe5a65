//! Two operators that tract does not have, for the decoder's step: a product with int8 weights and attention over
//! stored keys and values. `graph` writes them into a graph, `register` declares them to tract.

use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{
    EvalContext, EvalOp, StaticName, TractErrorContext, args_1, args_3, as_op, bail, ensure, op_as_typed_op,
    op_out_of_plan,
};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceResult, Solver, TensorProxy, check_input_arity, check_output_arity, expand,
    inference_wrap,
};

use super::attention::{self, Shape};
use super::int8::Int8Matrix;

/// Inputs: x [1, rows, columns] f32; weights [columns, outputs] i8 and scales [outputs] f32, both stored.
pub const INT8_PRODUCT: &str = "HeadwaterInt8Product";
/// Inputs: queries [1, heads, rows, width], keys and values [1, heads, positions, width], all f32.
pub const ATTENTION: &str = "HeadwaterAttention";

/// Adds the operators to those that tract reads from an ONNX file.
pub fn register(onnx: &mut Onnx) {
    onnx.op_register.insert(INT8_PRODUCT, |_, _| Ok((expand(Int8ProductDefinition), vec![])));
    onnx.op_register.insert(ATTENTION, |_, _| Ok((inference_wrap(Attention, 1, attention_rules), vec![])));
}

/// The product as it stands in the file, its weights still inputs.
#[derive(Debug, Clone)]
struct Int8ProductDefinition;

impl Expansion for Int8ProductDefinition {
    fn name(&self) -> StaticName {
        INT8_PRODUCT.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        let ([x, weights, _], [out]) = (inputs, outputs) else { bail!("{INT8_PRODUCT} takes three inputs") };
        s.equals(&x.datum_type, f32::datum_type())?;
        s.equals(&out.datum_type, f32::datum_type())?;
        s.equals(&x.rank, 3)?;
        s.equals(&out.rank, 3)?;
        s.equals(&x.shape[0], &out.shape[0])?;
        s.equals(&x.shape[1], &out.shape[1])?;
        s.equals(&x.shape[2], &weights.shape[0])?;
        s.equals(&out.shape[2], &weights.shape[1])
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let &[x, weights, scales] = inputs else { bail!("{INT8_PRODUCT} takes three inputs") };
        let stored = |model: &TypedModel, outlet| -> TractResult<Arc<Tensor>> {
            model.outlet_fact(outlet)?.konst.clone().context("weights that are not stored in the file")
        };
        let matrix = Int8Matrix::from_columns(&*stored(model, weights)?, &*stored(model, scales)?)?;
        model.wire_node(prefix, Int8Product { matrix: Arc::new(matrix) }, &[x])
    }
}

/// x [1, rows, columns] times a matrix.
#[derive(Debug, Clone)]
struct Int8Product {
    matrix: Arc<Int8Matrix>,
}

impl PartialEq for Int8Product {
    fn eq(&self, other: &Int8Product) -> bool {
        Arc::ptr_eq(&self.matrix, &other.matrix)
    }
}

impl Eq for Int8Product {}

impl Op for Int8Product {
    fn name(&self) -> StaticName {
        INT8_PRODUCT.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Int8Product {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = args_1!(inputs);
        let &[1, rows, columns] = x.shape() else { bail!("{INT8_PRODUCT} of shape {:?}", x.shape()) };
        ensure!(columns == self.matrix.columns(), "{columns} values for {} columns", self.matrix.columns());
        let mut out = Tensor::zero::<f32>(&[1, rows, self.matrix.rows()])?;
        let x = x.try_as_plain_ram()?;
        let mut plain = out.try_as_plain_ram_mut()?;
        let products = plain.as_slice_mut::<f32>()?.chunks_exact_mut(self.matrix.rows());
        for (x, out) in x.as_slice::<f32>()?.chunks_exact(columns).zip(products) {
            self.matrix.multiply(x, out);
        }
        Ok(tvec!(out.into_tvalue()))
    }
}

impl TypedOp for Int8Product {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [x] = inputs else { bail!("{INT8_PRODUCT} takes one input") };
        let mut shape = x.shape.to_tvec();
        if let Some(last) = shape.last_mut() {
            *last = self.matrix.rows().to_dim();
        }
        Ok(tvec!(f32::fact(&shape)))
    }

    as_op!();
}

/// softmax(q k^T) v, without a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attention;

fn attention_rules<'p>(
    _: &dyn Op,
    s: &mut Solver<'_>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
) -> InferenceResult {
    check_input_arity(inputs, 3)?;
    check_output_arity(outputs, 1)?;
    let ([queries, ..], [out]) = (inputs, outputs) else { bail!("{ATTENTION} takes three inputs") };
    s.equals(&queries.datum_type, &out.datum_type)?;
    s.equals(&queries.shape, &out.shape)
}

impl Op for Attention {
    fn name(&self) -> StaticName {
        ATTENTION.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Attention {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (queries, keys, values) = args_3!(inputs);
        let &[1, heads, rows, width] = queries.shape() else {
            bail!("queries of shape {:?}", queries.shape())
        };
        let &[1, _, positions, _] = keys.shape() else { bail!("keys of shape {:?}", keys.shape()) };
        ensure!(
            keys.shape() == [1, heads, positions, width] && values.shape() == keys.shape(),
            "keys {:?} and values {:?} for queries {:?}",
            keys.shape(),
            values.shape(),
            queries.shape()
        );
        let mut out = Tensor::zero::<f32>(queries.shape())?;
        attention::attend(
            Shape { heads, queries: rows, positions, width },
            queries.try_as_plain_ram()?.as_slice::<f32>()?,
            keys.try_as_plain_ram()?.as_slice::<f32>()?,
            values.try_as_plain_ram()?.as_slice::<f32>()?,
            out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?,
        );
        Ok(tvec!(out.into_tvalue()))
    }
}

impl TypedOp for Attention {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [queries, ..] = inputs else { bail!("{ATTENTION} takes three inputs") };
        Ok(tvec!(f32::fact(queries.shape.clone())))
    }

    as_op!();
}
