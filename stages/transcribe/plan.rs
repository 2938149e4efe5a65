//! A checked folder in; three plans that run (encoder, cross-attention states, one decoder step) out.
//!
//! The plans are immutable and shared by all threads. Knows nothing of audio, of what tokens mean or of how text is
//! searched.

use std::path::Path;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractErrorContext as _, ensure, format_err};

pub use super::compile::Arithmetic;
use super::compile::{self, CrossPlan, EncoderPlan, Slot, StepInput, StepOutput, StepPlan};
use super::folder::{Architecture, FRAMES_PER_POSITION, Folder, Layout, ModelError, Problem};
use super::int8::Int8Matrix;

/// The compiled model.
#[derive(Debug)]
pub struct Plans {
    encoder: EncoderPlan,
    cross: CrossPlan,
    step: StepPlan,
    /// True if a step takes several tokens at once (some exports are right for one only).
    joint_prompt: bool,
    architecture: Architecture,
}

/// The input of cross-attention from the audio: per layer keys and values [1, heads, positions, head width].
#[derive(Debug, Clone)]
pub struct CrossStates(Vec<Tensor>);

/// The decoder's side of one transcription: the tokens so far, as attention states.
#[derive(Debug, Clone)]
pub struct Past {
    states: Vec<TValue>,
    tokens: usize,
}

impl Plans {
    /// Reads, rewrites and compiles the graphs of a folder, then runs each once.
    pub fn load(folder: &Folder, arithmetic: Arithmetic) -> Result<Plans, ModelError> {
        let wrong = |file: &Path, error: &TractError| {
            let file = file.strip_prefix(&folder.path).unwrap_or(file).display().to_string();
            let problem =
                Problem { file, found: reasons(error), expected: "a graph of this Whisper model".into() };
            ModelError { folder: folder.path.clone(), problems: vec![problem] }
        };
        let a = &folder.architecture;
        let (encoder_file, cross_file, step_file) = match &folder.layout {
            Layout::Split { encoder, cross, step } => (encoder, cross, step),
            Layout::Merged { encoder, decoder } => (encoder, decoder, decoder),
            Layout::Pair { encoder, first, with_past } => (encoder, first, with_past),
        };
        let mut problems = Vec::new();
        let mut keep = |error: ModelError| problems.extend(error.problems);
        let encoder =
            guarded(|| compile::encoder(encoder_file, a)).map_err(|e| keep(wrong(encoder_file, &e))).ok();
        let cross = guarded(|| compile::cross(cross_file, a)).map_err(|e| keep(wrong(cross_file, &e))).ok();
        let step =
            guarded(|| compile::step(step_file, a, arithmetic)).map_err(|e| keep(wrong(step_file, &e))).ok();
        let (Some(encoder), Some(cross), Some(step)) = (encoder, cross, step) else {
            return Err(ModelError { folder: folder.path.clone(), problems });
        };
        let mut plans = Plans { encoder, cross, step, joint_prompt: true, architecture: a.clone() };
        guarded(|| plans.try_out()).map_err(|e| wrong(step_file, &e))?;
        Ok(plans)
    }

    /// Positions that every window must have, where the encoder's file fixes them.
    pub fn fixed_positions(&self) -> Option<usize> {
        self.encoder.fixed_positions
    }

    /// The model's sizes.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The int8 projection, where it was taken out of the graph.
    pub fn head(&self) -> Option<&Int8Matrix> {
        self.step.head.as_ref()
    }

    /// Hidden states [1, positions, width] of a log-mel spectrogram [mel bands][2 * positions].
    pub fn encode(&self, mel: &[f32]) -> TractResult<Tensor> {
        let bands = self.architecture.mel_bins;
        let input = Tensor::from_shape(&[1, bands, mel.len() / bands], mel)?;
        let mut states = self.encoder.plan.run(tvec!(input.into_tvalue()))?;
        Ok(states.remove(0).into_tensor())
    }

    /// The cross-attention states of hidden states.
    pub fn cross(&self, states: Tensor) -> TractResult<CrossStates> {
        let made = self.cross.plan.run(tvec!(states.into_tvalue()))?;
        let mut slots: Vec<(Slot, Tensor)> =
            self.cross.outputs.iter().copied().zip(made.into_iter().map(IntoTensor::into_tensor)).collect();
        slots.sort_by_key(|(slot, _)| *slot);
        Ok(CrossStates(slots.into_iter().map(|(_, t)| t).collect()))
    }

    /// An empty past.
    pub fn start(&self) -> TractResult<Past> {
        let a = &self.architecture;
        let empty = Tensor::zero::<f32>(&[1, a.heads, 0, a.width / a.heads])?.into_arc_tensor();
        let states = (0..2 * a.decoder_layers).map(|_| empty.clone().into_tvalue()).collect();
        Ok(Past { states, tokens: 0 })
    }

    /// Feeds tokens; returns one row a token: logits, or hidden states where the head is out of the graph.
    pub fn step(&self, cross: &[TValue], past: &mut Past, tokens: &[u32]) -> TractResult<Vec<f32>> {
        ensure!(
            past.tokens + tokens.len() <= self.architecture.target_positions,
            "{} tokens after {} do not fit the decoder's {} positions",
            tokens.len(),
            past.tokens,
            self.architecture.target_positions
        );
        if self.joint_prompt || tokens.len() == 1 {
            return self.step_joint(cross, past, tokens);
        }
        let mut rows = Vec::new();
        for token in tokens {
            rows.extend(self.step_joint(cross, past, &[*token])?);
        }
        Ok(rows)
    }

    fn step_joint(&self, cross: &[TValue], past: &mut Past, tokens: &[u32]) -> TractResult<Vec<f32>> {
        let ids: Vec<i64> = tokens.iter().map(|t| i64::from(*t)).collect();
        let missing = || format_err!("the decoder asks for more layers than config.json states");
        let mut inputs = tvec!();
        for input in &self.step.inputs {
            inputs.push(match *input {
                StepInput::Tokens => Tensor::from_shape(&[1, ids.len()], &ids)?.into_tvalue(),
                StepInput::Positions => {
                    let at: Vec<i64> = (past.tokens..past.tokens + ids.len()).map(|p| p as i64).collect();
                    tensor1(&at).into_tvalue()
                }
                // Moved, not shared: the plan then may reuse the memory.
                StepInput::Past(slot) => std::mem::replace(
                    past.states.get_mut(slot).ok_or_else(missing)?,
                    tensor0(0f32).into_tvalue(),
                ),
                StepInput::Cross(slot) => cross.get(slot).ok_or_else(missing)?.clone(),
            });
        }
        let mut rows = Vec::new();
        for (output, value) in self.step.outputs.iter().zip(self.step.plan.run(inputs)?) {
            match *output {
                StepOutput::States => rows.extend(value.to_plain_array_view::<f32>()?.iter().copied()),
                StepOutput::Past(slot) => *past.states.get_mut(slot).ok_or_else(missing)? = value,
            }
        }
        past.tokens += tokens.len();
        Ok(rows)
    }

    /// Values of one row of `step`.
    pub fn row_width(&self) -> usize {
        self.step.head.as_ref().map_or(self.architecture.vocabulary, Int8Matrix::columns)
    }

    /// Runs every plan on a second of silence: a wrong graph is found at load, not at the first utterance.
    fn try_out(&mut self) -> TractResult<()> {
        let positions = self.encoder.fixed_positions.unwrap_or(50.min(self.architecture.source_positions));
        let mel = vec![-0.7f32; self.architecture.mel_bins * positions * FRAMES_PER_POSITION];
        let states = self.encode(&mel).context("running the encoder")?;
        ensure!(
            states.shape() == [1, positions, self.architecture.width],
            "the encoder gives {:?} where [1, {positions}, {}] was expected",
            states.shape(),
            self.architecture.width
        );
        let cross = self.cross(states).context("projecting for cross-attention")?.into_values();
        let (mut one_by_one, mut joint) = (self.start()?, self.start()?);
        let mut last = Vec::new();
        for token in [0, 1] {
            last = self.step_joint(&cross, &mut one_by_one, &[token]).context("running a step")?;
        }
        ensure!(
            last.len() == self.row_width(),
            "a step gives {} values where {} were expected",
            last.len(),
            self.row_width()
        );
        // Older exports trace one token and have no causal mask: for them a prompt goes in one by one.
        self.joint_prompt = self.step_joint(&cross, &mut joint, &[0, 1]).is_ok_and(|rows| {
            let tail = rows.get(rows.len() - last.len()..).unwrap_or_default();
            tail.iter().zip(&last).all(|(a, b)| (a - b).abs() <= 1e-3 * (1.0 + b.abs()))
        });
        Ok(())
    }
}

impl CrossStates {
    /// Positions of these states.
    pub fn positions(&self) -> usize {
        self.0.first().and_then(|t| t.shape().get(2).copied()).unwrap_or(0)
    }

    /// These states, then those of `tail` from the same position on.
    pub fn followed_by(self, tail: &CrossStates) -> TractResult<CrossStates> {
        let (from, to) = (self.positions(), tail.positions());
        if from >= to {
            return Ok(self);
        }
        let joined = self.0.into_iter().zip(&tail.0).map(|(own, tail)| {
            let rest = tail.slice(2, from, to)?;
            Tensor::stack_tensors(2, &[own, rest])
        });
        Ok(CrossStates(joined.collect::<TractResult<_>>()?))
    }

    /// For `Plans::step`, which shares them between the steps of one transcription.
    pub fn into_values(self) -> Vec<TValue> {
        self.0.into_iter().map(|t| t.into_arc_tensor().into_tvalue()).collect()
    }
}

/// A damaged file must not end the program: tract has places that panic on graphs that cannot be.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> TractResult<T> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    outcome.unwrap_or_else(|_| Err(format_err!("a graph that cannot be read (the reader gave up)")))
}

/// An error with its causes in one line.
fn reasons(error: &TractError) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}
