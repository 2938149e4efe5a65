//! The packets of a recording, whatever holds them: a container with an index, or frames that follow each other.
//!
//! The start of a file flows in; streams and their packets flow out.
//!
//! Knows nothing of samples.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::ProbeableFormat;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::formats::{
    AiffReader, CafReader, FlacReader, IsoMp4Reader, MkvReader, OggReader, WavReader,
};

use super::frames::{self, Frames, Head, Layer};
use super::info::Info;
use super::sniff::Start;
use super::{AudioError, Container, codecs};

/// The next item of a recording.
pub(super) enum Next {
    /// A packet, and how many samples of each channel it stands for.
    Packet(Packet, u64),
    /// Something that is none, in words.
    Gap(String),
    /// Packets of another stream follow.
    NewStream,
    /// The last packet is not whole.
    Truncated,
    /// Nothing.
    End,
}

/// Properties of packets that belong together.
pub(super) struct Stream {
    pub(super) params: AudioCodecParameters,
    pub(super) rate: u32,
    /// 0 where only the packets have it.
    pub(super) channels: usize,
    /// Frames that the header promises, where it does.
    pub(super) promised: Option<u64>,
    /// Frames in front, and at most behind, that the encoder added and no decoder drops.
    pub(super) delay: u64,
    pub(super) padding: u64,
}

/// A recording as packets.
pub(super) struct Packets {
    container: Container,
    origin: Origin,
    /// The remark on a file that is decodable nevertheless.
    remark: Option<String>,
    /// Bytes that the header promises and that there are, where there are fewer.
    short: Option<(u64, u64)>,
}

enum Origin {
    Indexed {
        format: Box<dyn FormatReader>,
        track: u32,
        /// Where the next packet begins, if none is missing.
        expected: Option<Timestamp>,
        /// A packet behind a gap.
        waiting: Option<Packet>,
    },
    Framed {
        frames: Frames,
        /// The header that all frames of the stream share, and the description in the first one.
        head: Head,
        info: Option<Info>,
        /// A frame that was read and belongs to the next call.
        waiting: Option<(Head, Vec<u8>)>,
    },
}

impl Packets {
    /// Opens what a file begins as.
    pub(super) fn open(start: Start) -> Result<Self, AudioError> {
        let Start { source, container, remark, short } = start;
        match container {
            Container::Mp2 | Container::Mp3 | Container::Aac => Self::framed(source, container),
            _ => Self::indexed(source, container, remark, short),
        }
    }

    fn indexed(
        source: Box<dyn MediaSource>,
        container: Container,
        remark: Option<String>,
        short: Option<(u64, u64)>,
    ) -> Result<Self, AudioError> {
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let options = FormatOptions::default();
        let format = match container {
            Container::Aiff => AiffReader::try_probe_new(stream, options),
            Container::Caf => CafReader::try_probe_new(stream, options),
            Container::Flac => FlacReader::try_probe_new(stream, options),
            Container::Mp4 => IsoMp4Reader::try_probe_new(stream, options),
            Container::Ogg => OggReader::try_probe_new(stream, options),
            Container::WebM => MkvReader::try_probe_new(stream, options),
            _ => WavReader::try_probe_new(stream, options),
        };
        let format = format.map_err(|error| header_error(container, &error))?;
        let origin = Origin::Indexed { format, track: 0, expected: None, waiting: None };
        Ok(Self { container, origin, remark, short })
    }

    fn framed(source: Box<dyn MediaSource>, container: Container) -> Result<Self, AudioError> {
        let mut frames = Frames::new(source);
        match frames.next().map_err(AudioError::Unreadable)? {
            frames::Next::Frame { head, bytes, skipped, zeros } => {
                let remark = (skipped > 0 && !zeros).then(|| {
                    format!("it begins in the middle of a frame: its first {skipped} bytes were skipped")
                });
                let container = match head.layer {
                    Layer::Two => Container::Mp2,
                    Layer::Three => Container::Mp3,
                    Layer::Aac => Container::Aac,
                };
                let info = Info::read(&head, &bytes);
                let waiting = info.is_none().then_some((head, bytes));
                Ok(Self {
                    container,
                    origin: Origin::Framed { frames, head, info, waiting },
                    remark,
                    short: None,
                })
            }
            frames::Next::Truncated | frames::Next::End { .. } => {
                let reason = "no two of its frames follow each other".to_owned();
                Err(AudioError::Corrupt { container, reason, seconds: 0.0 })
            }
        }
    }

    pub(super) fn container(&self) -> Container {
        self.container
    }

    pub(super) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Returns true if the end of the file is an end wherever it comes: no header promises a length.
    pub(super) fn ends_anywhere(&self) -> bool {
        matches!(self.container, Container::Wav | Container::Aiff | Container::Caf) && self.short.is_none()
    }

    /// The stream whose packets follow.
    pub(super) fn stream(&mut self) -> Result<Stream, AudioError> {
        let container = self.container;
        match &mut self.origin {
            Origin::Indexed { format, track, expected, .. } => {
                let unsupported = |what: &str| AudioError::Unsupported { container, what: what.to_owned() };
                let found = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("no audio"))?;
                (*track, *expected) = (found.id, None);
                let mut stream = stream_of(found, container).map_err(unsupported)?;
                if let (Some(promised), Some((bytes, there))) = (&mut stream.promised, self.short) {
                    let all = u128::from(*promised) * u128::from(bytes) / u128::from(there.max(1));
                    *promised = u64::try_from(all).unwrap_or(u64::MAX).max(*promised + 1);
                }
                Ok(stream)
            }
            Origin::Framed { head, info, .. } => Ok(stream_of_frames(head, info.as_ref())),
        }
    }

    /// The next item.
    pub(super) fn next(&mut self) -> Result<Next, Error> {
        match &mut self.origin {
            Origin::Indexed { format, track, expected, waiting } => {
                let packet = match waiting.take() {
                    Some(packet) => packet,
                    None => match next_of(format.as_mut(), *track) {
                        Ok(Some(packet)) => packet,
                        Ok(None) => return Ok(Next::End),
                        Err(Error::ResetRequired) => return Ok(Next::NewStream),
                        Err(error) => return Err(error),
                    },
                };
                let samples = packet.dur.get().saturating_add(packet.trim_start.get());
                // Pages of Ogg say where they are; what a page is late by is missing before it.
                if self.container == Container::Ogg {
                    let end = packet.pts.checked_add(packet.dur);
                    let late = expected.filter(|expected| packet.pts > *expected);
                    *expected = end;
                    if let Some(late) = late.map(|expected| packet.pts.abs_delta(expected).get())
                        && late > LATE
                    {
                        *waiting = Some(packet);
                        *expected = None;
                        return Ok(Next::Gap("pages are missing or damaged".to_owned()));
                    }
                }
                Ok(Next::Packet(packet, samples))
            }
            Origin::Framed { frames, head, info, waiting } => {
                let (next, bytes) = match waiting.take() {
                    Some(frame) => frame,
                    None => match frames.next().map_err(Error::IoError)? {
                        frames::Next::Frame { head, bytes, skipped: 0, .. } => (head, bytes),
                        frames::Next::Frame { head, bytes, skipped, .. } => {
                            *waiting = Some((head, bytes));
                            return Ok(Next::Gap(no_frames(skipped)));
                        }
                        frames::Next::Truncated => return Ok(Next::Truncated),
                        frames::Next::End { skipped: 0 } => return Ok(Next::End),
                        frames::Next::End { skipped } => return Ok(Next::Gap(no_frames(skipped))),
                    },
                };
                let found = Info::read(&next, &bytes);
                if found.is_some() || !next.is_like(head) {
                    *waiting = found.is_none().then_some((next, bytes));
                    (*head, *info) = (next, found);
                    return Ok(Next::NewStream);
                }
                let data = if next.layer == Layer::Aac {
                    bytes.get(next.front..).unwrap_or_default()
                } else {
                    &bytes
                };
                let samples = u64::from(next.samples);
                let packet = Packet::new(0, Timestamp::ZERO, Duration::from(samples), data);
                Ok(Next::Packet(packet, samples))
            }
        }
    }
}

/// Samples by which a page of Ogg may be late before something is called missing: less than a page holds, more than rounding gives.
const LATE: u64 = 4_800;

fn no_frames(bytes: u64) -> String {
    format!("{bytes} bytes are no frames")
}

fn next_of(format: &mut dyn FormatReader, track: u32) -> Result<Option<Packet>, Error> {
    loop {
        match format.next_packet()? {
            Some(packet) if packet.track_id != track => {}
            packet => return Ok(packet),
        }
    }
}

/// The stream that a track describes.
fn stream_of(track: &Track, container: Container) -> Result<Stream, &'static str> {
    let params = track.codec_params.as_ref().and_then(|params| params.audio()).ok_or("an unknown codec")?;
    let is_opus = params.codec == CODEC_ID_OPUS;
    // Matroska can say which rate Opus was made from; it is always decoded at 48 kHz.
    let rate = if is_opus { Some(48_000) } else { params.sample_rate };
    let rate = rate.ok_or_else(|| codecs::name(params, None))?;
    let begins = u64::try_from(track.start_ts.get()).unwrap_or(0);
    let promised = match container {
        // In units of a clock that need not be the sample rate; rounding may be a packet.
        Container::Mp4 => track.time_base.zip(track.duration).map(|(base, length)| {
            let ticks = u128::from(length.get()) * u128::from(base.numer.get()) * u128::from(rate);
            u64::try_from(ticks / u128::from(base.denom.get())).unwrap_or(u64::MAX).saturating_sub(2_048)
        }),
        // How long a film is says no more of its sound than about.
        Container::WebM => None,
        Container::Ogg if is_opus => {
            let before = begins + u64::from(track.delay.unwrap_or(0));
            track.num_frames.map(|frames| frames.saturating_sub(before))
        }
        Container::Ogg => track.num_frames.map(|frames| frames.saturating_sub(begins)),
        _ => track.num_frames,
    };
    let channels = params.channels.as_ref().map_or(0, Channels::count);
    Ok(Stream { params: params.clone(), rate, channels, promised, delay: 0, padding: 0 })
}

/// The stream as its first frame describes it.
fn stream_of_frames(head: &Head, info: Option<&Info>) -> Stream {
    let mut params = AudioCodecParameters::new();
    params.for_codec(match head.layer {
        Layer::Two => CODEC_ID_MP2,
        Layer::Three => CODEC_ID_MP3,
        Layer::Aac => CODEC_ID_AAC,
    });
    params.with_sample_rate(head.rate);
    if let Some(position) = Position::from_count(u32::from(head.channels)) {
        params.with_channels(Channels::Positioned(position));
    }
    Stream {
        params,
        rate: head.rate,
        channels: usize::from(head.channels),
        promised: info.and_then(|info| info.frames),
        delay: info.map_or(0, |info| info.delay),
        padding: info.map_or(0, |info| info.padding),
    }
}

/// A header that starts as audio and is none.
fn header_error(container: Container, error: &Error) -> AudioError {
    match error {
        Error::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            AudioError::Truncated { container, seconds: 0.0, expected: None }
        }
        Error::IoError(io) => AudioError::Unreadable(std::io::Error::new(io.kind(), io.to_string())),
        other => {
            let reason = other.to_string();
            let unfinished = "its index (moov) is missing: it was never finished";
            let reason = if reason.contains("missing moov") { unfinished.to_owned() } else { reason };
            AudioError::Corrupt { container, reason, seconds: 0.0 }
        }
    }
}
