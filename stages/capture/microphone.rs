//! The default microphone as utterances, by cpal (built with the feature `microphone`; on Linux it needs
//! ALSA's headers: `apt-get install libasound2-dev pkg-config`).
//!
//! The sound card's callback hands blocks over a bounded channel and never waits; when the pipeline lags
//! for ten seconds, blocks are lost, and the loss is rejected by its length. What was heard cannot be heard
//! again: the position only numbers on, so that a later attempt repeats no identity.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{ErrorKind, FromSample, Sample, SampleFormat, SizedSample};
use headwater_contract::units::Micros;
use headwater_contract::{Feed, Result, StageError};
use headwater_datasets::audio::{SAMPLE_RATE, ToSixteenKilohertz};

use super::rows::Outlet;
use super::segment::{Segment, Segmenter};
use super::utterance::{Content, Place, Rejection, Tally, Utterance, Utterances};

/// Blocks between the sound card and the pipeline. A block is some 10 ms: ten seconds.
const BLOCKS: usize = 1024;

/// A running sound card gives a block every few milliseconds.
const SILENT_DEVICE: Duration = Duration::from_secs(10);

/// A message of the sound card.
enum Message {
    /// Mono samples at the card's rate.
    Block(Vec<f32>),
    /// It stopped, and why.
    Failed(String),
}

/// Listens until the sound card fails or the engine stops.
pub fn listen(device: Arc<str>, place: Place, mut outlet: Outlet, mut feed: Feed<'_>) -> Result {
    let microphone = cpal::default_host().default_input_device().ok_or_else(|| {
        StageError::new("there is no microphone").help("see whether `arecord -l` lists one")
    })?;
    let config = microphone.default_input_config().map_err(|error| failed(&error))?;
    let (sender, blocks) = sync_channel(BLOCKS);
    let lost = Arc::new(AtomicU64::new(0));
    let resampler = ToSixteenKilohertz::new(config.sample_rate())
        .map_err(|rate| StageError::new(format!("the microphone gives {rate}")))?;
    let stream = match config.sample_format() {
        SampleFormat::F32 => open::<f32>(&microphone, &config, sender, lost.clone()),
        SampleFormat::I16 => open::<i16>(&microphone, &config, sender, lost.clone()),
        SampleFormat::I32 => open::<i32>(&microphone, &config, sender, lost.clone()),
        SampleFormat::I8 => open::<i8>(&microphone, &config, sender, lost.clone()),
        SampleFormat::U8 => open::<u8>(&microphone, &config, sender, lost.clone()),
        SampleFormat::U16 => open::<u16>(&microphone, &config, sender, lost.clone()),
        other => {
            let what = format!("the microphone gives samples of the form {other}");
            return Err(StageError::new(what).expected("integers of 8, 16 or 32 bits or 32-bit floats"));
        }
    }?;
    stream.play().map_err(|error| failed(&error))?;
    let mut listening = MicrophoneStream::new(device, place, blocks, lost, resampler);
    let ending = listening.failure.clone();
    outlet.pour(&mut listening, |_| true, &mut feed)?;
    drop(stream);
    let why = ending.lock().ok().and_then(|mut failure| failure.take());
    Err(StageError::new(why.unwrap_or_else(|| "the microphone stopped".to_owned())))
}

fn failed(error: &cpal::Error) -> StageError {
    StageError::new(format!("the microphone cannot be used: {error}"))
}

fn open<T: SizedSample + 'static>(
    microphone: &cpal::Device,
    config: &cpal::SupportedStreamConfig,
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
) -> Result<cpal::Stream>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels()).max(1);
    let failures = sender.clone();
    let hear = move |data: &[T], _: &cpal::InputCallbackInfo| {
        let mix = |frame: &[T]| frame.iter().map(|s| f32::from_sample(*s)).sum::<f32>() / channels as f32;
        let mono: Vec<f32> = data.chunks_exact(channels).map(|frame| mix(frame).clamp(-1.0, 1.0)).collect();
        let length = mono.len() as u64;
        if sender.try_send(Message::Block(mono)).is_err() {
            lost.fetch_add(length, Ordering::Relaxed);
        }
    };
    let fail = move |error: cpal::Error| {
        // The stream continues after these.
        if !matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied) {
            // A full channel means that the pipeline lags; it will find the silence by its timeout.
            failures.try_send(Message::Failed(error.to_string())).ok();
        }
    };
    microphone.build_input_stream(config.config(), hear, fail, None).map_err(|error| failed(&error))
}

/// The utterances of a running microphone.
struct MicrophoneStream {
    device: Arc<str>,
    blocks: Receiver<Message>,
    /// Samples at the card's rate that did not fit into the channel.
    lost: Arc<AtomicU64>,
    resampler: ToSixteenKilohertz,
    segmenter: Segmenter,
    /// When the first sample was heard.
    began: Option<Micros>,
    ready: VecDeque<std::result::Result<Utterance, Rejection>>,
    next_seq: u64,
    tally: Tally,
    failure: Arc<std::sync::Mutex<Option<String>>>,
}

impl MicrophoneStream {
    fn new(
        device: Arc<str>,
        place: Place,
        blocks: Receiver<Message>,
        lost: Arc<AtomicU64>,
        resampler: ToSixteenKilohertz,
    ) -> Self {
        Self {
            device,
            blocks,
            lost,
            resampler,
            segmenter: Segmenter::new(),
            began: None,
            ready: VecDeque::new(),
            next_seq: place.items,
            tally: Tally::default(),
            failure: Arc::default(),
        }
    }

    fn hear(&mut self, block: &[f32]) -> std::result::Result<(), String> {
        let began = *self.began.get_or_insert_with(|| Micros(jiff::Timestamp::now().as_microsecond()));
        let mut samples = Vec::new();
        self.resampler.push(block, &mut samples).map_err(|error| error.to_string())?;
        self.tally.samples_read += samples.len() as u64;
        let (device, ready, tally, seq) =
            (&self.device, &mut self.ready, &mut self.tally, &mut self.next_seq);
        self.segmenter.push(&samples, &mut |segment: Segment| {
            tally.samples_kept += segment.samples.len() as u64;
            ready.push_back(Ok(Utterance {
                device: device.clone(),
                seq: *seq,
                part: 0,
                captured_at: after(began, segment.start),
                file: None,
                content: Content::Samples(segment.samples),
            }));
            *seq += 1;
        });
        Ok(())
    }

    /// Reports blocks that the pipeline was too slow for.
    fn tell_of_loss(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        let began = self.began.unwrap_or(Micros(0));
        let reason = format!("{lost} samples were lost: the pipeline is slower than speech");
        let (device, seq) = (self.device.clone(), self.next_seq);
        let captured_at = after(began, self.tally.samples_read);
        self.next_seq += 1;
        self.tally.rejected += 1;
        self.ready.push_back(Err(Rejection { device, seq, captured_at, code: "samples_lost", reason }));
    }
}

impl Iterator for MicrophoneStream {
    type Item = std::result::Result<Utterance, Rejection>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Some(heard);
            }
            let ended = match self.blocks.recv_timeout(SILENT_DEVICE) {
                Ok(Message::Block(block)) => self.hear(&block).err(),
                Ok(Message::Failed(why)) => Some(format!("the microphone failed: {why}")),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    Some("the microphone gives nothing any more".to_owned())
                }
            };
            self.tell_of_loss();
            if let Some(why) = ended {
                if let Ok(mut failure) = self.failure.lock() {
                    *failure = Some(why);
                }
                return None;
            }
        }
    }
}

impl Utterances for MicrophoneStream {
    fn place(&self) -> Place {
        Place { items: self.next_seq, ..Place::default() }
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn after(began: Micros, samples: u64) -> Micros {
    let micros = u128::from(samples) * 1_000_000 / u128::from(SAMPLE_RATE);
    Micros(began.0.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX)))
}
