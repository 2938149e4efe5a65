//! Flat adapters of the devices of a group in, stacked factors out: A `[devices, r, input]` and B `[devices, output, r]`
//! for each linear map; then gradients back as flat vectors, one a device. Knows the layout, not the model.

use std::collections::BTreeMap;

use tch::Tensor;

use super::error::{Doing, Result, TrainError};
use super::lora::{Factors, Layout};
use super::shape::Module;

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
}

/// Adapters of several devices, ready for batched products.
#[derive(Debug)]
pub(super) struct Adapters {
    /// D.
    pub(super) devices: i64,
    pub(super) scaling: f64,
    pairs: BTreeMap<(usize, Module), Pair>,
}

impl Adapters {
    /// `factors`: what gradients are kept for; none for a forward pass alone.
    pub(super) fn new(layout: &Layout, flats: &[&[f32]], factors: Option<Factors>) -> Result<Adapters> {
        for flat in flats {
            layout.check("an adapter", flat.len())?;
        }
        let devices = flats.len() as i64;
        let stack = |range: &std::ops::Range<usize>, rows: usize, columns: usize, trained: bool| {
            let parts = flats.iter().filter_map(|flat| flat.get(range.clone()));
            let values: Vec<f32> = parts.flatten().copied().collect();
            let sizes = [devices, rows as i64, columns as i64];
            let tensor = Tensor::f_from_slice(&values)?.f_reshape(sizes)?;
            tensor.f_set_requires_grad(trained)
        };
        let factors = factors.unwrap_or(Factors { a: false, b: false });
        let mut pairs = BTreeMap::new();
        for site in &layout.sites {
            let a = stack(&site.a, layout.rank, site.input, factors.a).doing("stacking adapters")?;
            let b = stack(&site.b, site.output, layout.rank, factors.b).doing("stacking adapters")?;
            pairs.insert((site.layer, site.module), Pair { a, b });
        }
        Ok(Adapters { devices, scaling: layout.scaling, pairs })
    }

    pub(super) fn pair(&self, layer: usize, module: Module) -> Option<&Pair> {
        self.pairs.get(&(layer, module))
    }

    /// Gradients in canonical order, one vector a device; zero for what is not trained.
    pub(super) fn gradients(&self, layout: &Layout) -> Result<Vec<Vec<f32>>> {
        let count = usize::try_from(self.devices).unwrap_or(0);
        let mut flats = vec![vec![0.0; layout.length]; count];
        for site in &layout.sites {
            let Some(pair) = self.pair(site.layer, site.module) else { continue };
            for (tensor, range) in [(&pair.a, &site.a), (&pair.b, &site.b)] {
                let gradient = tensor.f_grad().doing("reading a gradient")?;
                if !tensor.requires_grad() || !gradient.defined() {
                    continue;
                }
                let values = floats(&gradient)?;
                for (flat, part) in flats.iter_mut().zip(values.chunks(range.len().max(1))) {
                    let into = flat.get_mut(range.clone()).filter(|into| into.len() == part.len());
                    into.ok_or_else(|| TrainError::value("a gradient's size", part.len(), "the factor's"))?
                        .copy_from_slice(part);
                }
            }
        }
        Ok(flats)
    }
}

/// All values of a tensor of any shape.
pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    let mut values = vec![0.0; tensor.numel()];
    let flat = tensor.f_contiguous().doing("copying numbers out")?;
    flat.f_copy_data(&mut values, tensor.numel()).doing("copying numbers out")?;
    Ok(values)
}
