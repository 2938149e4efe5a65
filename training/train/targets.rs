//! Names of linear maps in, (layer, map) pairs in canonical order out. A name fits as in PEFT: it is the full name, or
//! the full name ends with a point and it. Every name must fit something.

use super::error::{Result, TrainError};
use super::lora::{Layers, LoraOptions, Targets};
use super::shape::{Module, Shape};

pub(super) fn chosen(shape: &Shape, options: &LoraOptions) -> Result<Vec<(usize, Module)>> {
    let lowest = match options.layers {
        Layers::All => 0,
        Layers::Top(count) if (1..=shape.layers).contains(&count) => shape.layers - count,
        Layers::Top(count) => {
            let expected = format!("top:1 to top:{} (this model's layers)", shape.layers);
            return Err(TrainError::value("layers", format!("top:{count}"), expected));
        }
    };
    let every = (lowest..shape.layers).flat_map(|layer| Module::ALL.map(|module| (layer, module)));
    let Targets::Names(names) = &options.targets else { return Ok(every.collect()) };
    for name in names {
        if !every.clone().any(|(layer, module)| fits(&module.path(layer), name)) {
            let known = Module::ALL.map(Module::name).join(", ");
            return Err(TrainError::value(
                "target_modules",
                format!("{name:?}, which names nothing in the chosen layers"),
                format!("\"all-linear\", or names or endings of {known}"),
            ));
        }
    }
    if names.is_empty() {
        return Err(TrainError::value("target_modules", "empty", "at least one name"));
    }
    let wanted = |path: String| names.iter().any(|name| fits(&path, name));
    Ok(every.filter(|(layer, module)| wanted(module.path(*layer))).collect())
}

fn fits(path: &str, name: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|front| !name.is_empty() && (front.is_empty() || front.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_endings_and_everything() {
        for (path, name, expected) in [
            ("model.layers.1.self_attn.q_proj", "q_proj", true),
            ("model.layers.1.self_attn.q_proj", "self_attn.q_proj", true),
            ("model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.q_proj", true),
            ("model.layers.1.self_attn.q_proj", "proj", false),
            ("model.layers.11.self_attn.q_proj", "1.self_attn.q_proj", false),
            ("model.layers.1.self_attn.q_proj", "", false),
        ] {
            assert_eq!(fits(path, name), expected, "{path} {name}");
        }
    }
}
