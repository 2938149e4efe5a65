//! Memorisation: the loss of a base, alone or with an adapter, on texts such as planted secrets.
//!
//! In: the options of the stage, PEFT files, texts. Out: nats of each text. Nothing is trained. It must not know why it is asked.

use headwater_contract::options::Options;
use headwater_contract::prelude::*;
use headwater_contract::toml::Table;
use headwater_training::train::base::one_thread_a_lane;
use headwater_training::train::batch::Example;
use headwater_training::train::peft;
use headwater_training::train::round;
use headwater_training::train::trainer::Member;

use super::TrainOptions;
use super::base::{LoadedBase, wrong};

/// A base that can be asked.
pub struct Memorisation {
    base: LoadedBase,
    max_tokens: usize,
}

/// An adapter, as the bytes of the two files of a PEFT folder.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// adapter_config.json.
    pub config: &'a [u8],
    /// adapter_model.safetensors.
    pub weights: &'a [u8],
}

impl Memorisation {
    /// Loads the base that a stage with these options trains on.
    ///
    /// # Errors
    /// The options are wrong, or the base cannot be read.
    pub fn open(options: &Table) -> Result<Memorisation> {
        let options = TrainOptions::from_table(options)
            .map_err(|_| StageError::new("these are no options of `train`"))?;
        let options = TrainOptions { publish: None, adapter: None, ..options };
        Ok(Memorisation { max_tokens: options.max_tokens, base: LoadedBase::load(&options)? })
    }

    /// The nats of each text, between the tokens that begin and end one.
    ///
    /// # Errors
    /// The adapter is of another base or shape, or a text has no two tokens.
    pub fn nats(&self, adapter: Option<Files<'_>>, texts: &[String]) -> Result<Vec<f64>> {
        one_thread_a_lane();
        let layout = &self.base.layout;
        let adapter = match adapter {
            None => vec![0.0; layout.length],
            Some(Files { config, weights }) => peft::read(layout, config, weights).map_err(wrong)?,
        };
        let example = |text: &String| {
            let read = self.base.text_tokens(text, self.max_tokens);
            read.map(|(tokens, _)| Example::plain(tokens)).map_err(|(_, reason)| StageError::new(reason))
        };
        let examples = texts.iter().map(example).collect::<Result<Vec<_>>>()?;
        let member = Member { key: 0, start: &adapter, examples: &examples };
        round::nats(&self.base.share(), layout, &self.base.recipe, member).map_err(wrong)
    }
}
