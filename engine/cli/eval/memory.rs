//! The memorisation of planted secrets: exposures of a data set's canaries.
//!
//! In: canaries, the options of the training stage, adapters that a trial left. Out: for each canary and model its rank among random secrets of
//! the same form (Carlini et al. 2019, "The Secret Sharer"). The random ones are the same in every trial. Secrets are never printed.

#![cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "without training there is no model that could remember")
)]

use std::path::Path;

use headwater_contract::hash;
use headwater_datasets::dataset::Canary;
use headwater_evaluate::outcome::Exposure;

/// Secrets that are compared, the planted one among them.
const COMPARED: u64 = 512;

/// The sentences of a canary: the planted one first, then others with random digits.
fn sentences(canary: &Canary, number: usize) -> Vec<String> {
    let mut sentences = vec![canary.pattern.replace("{}", &canary.secret)];
    for draw in 0.. {
        if sentences.len() as u64 == COMPARED || draw > 8 * COMPARED {
            break;
        }
        let digit = |place: u64| {
            let seed = hash::mix(hash::mix(number as u64 + 1, draw), place);
            char::from_digit(u32::try_from(hash::mix(seed, 1) % 10).unwrap_or_default(), 10).unwrap_or('0')
        };
        let secret: String = (0..canary.secret.len() as u64).map(digit).collect();
        let sentence = canary.pattern.replace("{}", &secret);
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

/// The exposure of the first of some sentences, by their nats.
fn exposure(number: usize, canary: &Canary, model: &str, nats: &[f64]) -> Option<Exposure> {
    let (planted, others) = nats.split_first()?;
    let rank = 1 + others.iter().filter(|other| *other <= planted).count() as u64;
    let compared = nats.len() as u64;
    let exposure = (compared as f64).log2() - (rank as f64).log2();
    let (model, group, copies) = (model.to_owned(), canary.group.clone(), canary.copies);
    Some(Exposure { canary: number, group, copies, model, compared, rank, exposure })
}

/// The parts of a trial that it needs: the options of the training stage, published adapters, devices' own.
pub(super) struct Left<'t> {
    pub options: &'t toml::Table,
    pub published: &'t Path,
    pub personal: &'t Path,
    pub key_file: &'t Path,
}

#[cfg(feature = "train")]
pub(super) fn exposures(
    canaries: &[Canary],
    left: &Left<'_>,
) -> Result<Vec<Exposure>, headwater_contract::StageError> {
    use headwater_stages::train::memorisation::{Files, Memorisation};
    use headwater_stages::train::personal::PersonalAdapters;
    use headwater_stages::train::registry::{AdapterRegistry, LATEST};

    if canaries.is_empty() {
        return Ok(Vec::new());
    }
    let recall = Memorisation::open(left.options)?;
    let global = AdapterRegistry::at(left.published).open(LATEST).ok();
    let own = PersonalAdapters::read(left.personal, &headwater_vault::KeyFile::at(left.key_file))?;
    let mut exposures = Vec::new();
    for (number, canary) in canaries.iter().enumerate() {
        let sentences = sentences(canary, number);
        let mut ask = |model: &str, adapter: Option<Files<'_>>| {
            let nats = recall.nats(adapter, &sentences)?;
            exposures.extend(exposure(number, canary, model, &nats));
            Ok::<(), headwater_contract::StageError>(())
        };
        ask("base", None)?;
        if let Some(global) = &global {
            ask("global", Some(Files { config: &global.config, weights: &global.weights }))?;
        }
        // A device that never had the secret can know it through the global adapter alone, which is asked already.
        let planted = canary.device.as_ref().and_then(|device| Some((device, own.get(device)?)));
        if let Some((device, own)) = planted {
            ask(device, Some(Files { config: &own.config, weights: &own.weights }))?;
        }
    }
    Ok(exposures)
}

#[cfg(not(feature = "train"))]
pub(super) fn exposures(_: &[Canary], _: &Left<'_>) -> Result<Vec<Exposure>, headwater_contract::StageError> {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_among_others() {
        let canary =
            Canary { device: None, pattern: "code {}".into(), secret: "4821".into(), copies: 2, group: None };
        let all = sentences(&canary, 0);
        assert_eq!((all.len() as u64, all[0].as_str()), (COMPARED, "code 4821"));
        assert_eq!(all, sentences(&canary, 0));
        let short = Canary { secret: "7".into(), ..canary.clone() };
        assert_eq!(sentences(&short, 0).len(), 10, "there are only ten digits");
        for (nats, rank, bits) in
            [([1.0, 2.0, 3.0, 4.0], 1, 2.0), ([3.0, 2.0, 3.0, 4.0], 3, 2.0 - 3_f64.log2())]
        {
            let found = exposure(0, &canary, "base", &nats).unwrap();
            assert_eq!((found.rank, found.exposure), (rank, bits));
        }
    }
}
