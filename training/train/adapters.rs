//! Flat adapters of the devices of a group in, stacked factors out: A `[devices, r, input]` and B `[devices, output, r]`
//! for each linear map; then gradients back into flat vectors, one a device. Knows the layout, not the model.

use std::collections::BTreeMap;
use std::ops::Range;

use tch::Tensor;

use super::error::{ErrorContext, Result, TrainError};
use super::lora::{Factors, Layout};
use super::shape::Module;

/// The factors of one linear map, and where their parameters stand.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
    pub(super) a_range: Range<usize>,
    pub(super) b_range: Range<usize>,
}

/// Adapters of several devices, ready for batched products.
#[derive(Debug)]
pub(super) struct Adapters {
    pub(super) scaling: f64,
    /// The factors whose gradients are computed.
    pub(super) factors: Factors,
    lowest: (usize, Module),
    pairs: BTreeMap<(usize, Module), Pair>,
}

impl Adapters {
    /// `factors`: what gradients are wanted of; none for a forward pass alone.
    pub(super) fn new(layout: &Layout, flats: &[&[f32]], factors: Option<Factors>) -> Result<Adapters> {
        for flat in flats {
            layout.check("an adapter", flat.len())?;
        }
        let devices = flats.len() as i64;
        let stack = |range: &Range<usize>, rows: usize, columns: usize| {
            let mut values = Vec::with_capacity(flats.len() * range.len());
            for flat in flats {
                values.extend_from_slice(flat.get(range.clone()).unwrap_or_default());
            }
            let sizes = [devices, rows as i64, columns as i64];
            Tensor::f_from_slice(&values).and_then(|t| t.f_view(sizes)).doing("stacking adapters")
        };
        let factors = factors.unwrap_or(Factors { a: false, b: false });
        let mut pairs = BTreeMap::new();
        for site in &layout.sites {
            let pair = Pair {
                a: stack(&site.a, layout.rank, site.input)?,
                b: stack(&site.b, site.output, layout.rank)?,
                a_range: site.a.clone(),
                b_range: site.b.clone(),
            };
            pairs.insert((site.layer, site.module), pair);
        }
        let lowest = layout.sites.first().map_or((0, Module::Q), |site| (site.layer, site.module));
        Ok(Adapters { scaling: layout.scaling, factors, lowest, pairs })
    }

    pub(super) fn pair(&self, layer: usize, module: Module) -> Option<&Pair> {
        self.pairs.get(&(layer, module))
    }

    /// Returns true if a parameter stands below the input of this map: else that input's gradient is not needed.
    pub(super) fn reach_below(&self, layer: usize, module: Module) -> bool {
        let place = |module| match module {
            Module::Q | Module::K | Module::V => 0,
            Module::O => 1,
            Module::Gate | Module::Up => 2,
            Module::Down => 3,
        };
        (self.lowest.0, place(self.lowest.1)) < (layer, place(module))
    }
}

/// Adds a gradient `[devices, ..]` of the factor that stands at `range` to the devices' flat ones.
pub(super) fn collect(flats: &mut [Vec<f32>], range: &Range<usize>, gradient: &Tensor) -> Result<()> {
    let values = floats(gradient)?;
    for (flat, part) in flats.iter_mut().zip(values.chunks(range.len().max(1))) {
        let into = flat.get_mut(range.clone()).filter(|into| into.len() == part.len());
        let into = into.ok_or_else(|| TrainError::value("a gradient's size", part.len(), "the factor's"))?;
        into.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    Ok(())
}

/// All values of a tensor of any shape.
pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let mut values = vec![0.0; tensor.numel()];
    let flat = tensor.f_contiguous().doing("copying numbers out")?;
    flat.f_copy_data(&mut values, tensor.numel()).doing("copying numbers out")?;
    Ok(values)
}
