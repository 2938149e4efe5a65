//! Global adapters go out as PEFT folders, and come in from them.
//!
//! In: adapters that came back, in canonical order; or a folder. Out: a folder for each round; or the parameters. The same adapter
//! gives the same bytes: no date and no machine stands in them. It must not know devices or texts.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use arrow::array::UInt64Array;
use headwater_contract::columns::typed_column;
use headwater_contract::digest::hex;
use headwater_contract::prelude::*;
use headwater_training::train::lora::{Layout, LoraOptions};
use headwater_training::train::peft::{self, PeftFiles};
use headwater_training::train::shape::Shape;

use super::base::wrong;
use super::job::Adapter;
use super::model::config::Architecture;
use super::registry::{self, AdapterRegistry, CARD, CONFIG, Card, WEIGHTS};

/// A global adapter that came back.
pub(super) struct AdapterNotice {
    round: u64,
    devices: u64,
    examples: u64,
    adapter: Adapter,
}

impl AdapterNotice {
    /// Of a row that came back. How many devices took part is known where the row says so.
    pub(super) fn of(batch: &RecordBatch, row: usize, round: u64, adapter: Adapter) -> AdapterNotice {
        let count = |column: &str| {
            let counts: Option<&UInt64Array> = typed_column(batch, column).ok();
            counts.and_then(|counts| counts.values().get(row).copied()).unwrap_or_default()
        };
        AdapterNotice { round, devices: count("devices"), examples: count("examples"), adapter }
    }
}

/// Makes the files of a PEFT folder.
pub(super) struct PeftFolder {
    pub(super) shape: Shape,
    pub(super) lora: LoraOptions,
    pub(super) base: String,
}

impl PeftFolder {
    pub(super) fn files(&self, layout: &Layout, adapter: &[f32]) -> Result<PeftFiles> {
        peft::write(&self.shape, &self.lora, layout, adapter, &self.base).map_err(wrong)
    }
}

/// Writes adapters where they are asked for.
pub(super) struct Publisher {
    registry: Mutex<AdapterRegistry>,
    fingerprint: [u8; 32],
}

impl Publisher {
    pub(super) fn new(folder: &Path, fingerprint: [u8; 32]) -> Self {
        Publisher { registry: Mutex::new(AdapterRegistry::at(folder)), fingerprint }
    }

    /// Puts an adapter in its folder, once, however many instances report it.
    pub(super) fn publish(&self, peft: &PeftFolder, layout: &Layout, news: &AdapterNotice) -> Result {
        let files = peft.files(layout, &news.adapter)?;
        let card = Card {
            round: Some(news.round),
            base: peft.base.clone(),
            fingerprint: Some(hex(&self.fingerprint)),
            devices: news.devices,
            examples: news.examples,
            parameters: layout.length as u64,
        };
        let about = about(&card, &peft.lora);
        let card = card.bytes(&files.config, &files.weights);
        let files: [(&str, &[u8]); 4] = [
            (CONFIG, &files.config),
            (WEIGHTS, &files.weights),
            (CARD, &card),
            ("README.md", about.as_bytes()),
        ];
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.put(&AdapterRegistry::name(news.round), &files)
    }
}

/// The model card, in Hugging Face's form.
fn about(card: &Card, LoraOptions { r, alpha, .. }: &LoraOptions) -> String {
    format!(
        "---\nlibrary_name: peft\nbase_model: {base}\n---\n\n# Adapter of round {round}\n\n\
         The global adapter after round {round}, trained by {devices} devices on {examples} redacted texts. \
         Changes of its {parameters} parameters were sent, and no text.\n\n\
         | | |\n|---|---|\n| base | {base} |\n| fingerprint of the base | {fingerprint} |\n| rank, alpha | {r}, {alpha} |\n\
         \nLoad it with PEFT: `PeftModel.from_pretrained(base, this_folder)`.\n",
        base = card.base,
        round = card.round.unwrap_or_default(),
        devices = card.devices,
        examples = card.examples,
        parameters = card.parameters,
        fingerprint = card.fingerprint.as_deref().unwrap_or_default(),
    )
}

/// The parameters of a PEFT folder, to begin with.
pub(super) fn read(
    folder: &Path,
    layout: &Layout,
    (architecture, fingerprint): (&Architecture, &[u8; 32]),
) -> Result<Vec<f32>> {
    let adapter = registry::Adapter::open(folder)?;
    adapter.fits(fingerprint)?;
    let described = super::peft::check(folder, architecture, &adapter.config, &adapter.weights)?;
    peft::read(layout, &adapter.config, &adapter.weights).map_err(|e| {
        let options = described.options().trim_end().replace('\n', ", ");
        StageError::new(format!("`{}`: {e}", folder.display()))
            .help(format!("with these options the stage continues with it: {options}"))
    })
}
