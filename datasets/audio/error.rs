//! Why a file could not be heard, or only in part. The messages name formats, positions and sizes, never
//! a sample or a byte of content.

use std::fmt;
use std::io;

use thiserror::Error;

/// The file formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// RIFF WAVE or RF64: PCM, floats, A-law, mu-law or ADPCM.
    Wav,
    /// Audio Interchange File Format, and its AIFF-C.
    Aiff,
    /// Apple's Core Audio Format.
    Caf,
    /// Free Lossless Audio Codec (RFC 9639).
    Flac,
    /// Vorbis, Opus or FLAC in Ogg (RFC 3533).
    Ogg,
    /// Matroska or WebM.
    WebM,
    /// MPEG-4 or QuickTime: M4A, MP4, MOV.
    Mp4,
    /// AAC as frames (ADTS).
    Aac,
    /// MPEG-1, 2 or 2.5 audio, layer II.
    Mp2,
    /// MPEG-1, 2 or 2.5 audio, layer III.
    Mp3,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Aiff => "AIFF",
            Self::Caf => "CAF",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::WebM => "WebM",
            Self::Mp4 => "MP4",
            Self::Aac => "AAC",
            Self::Mp2 => "MP2",
            Self::Mp3 => "MP3",
        })
    }
}

/// Why a file gave no audio, or stopped giving it.
#[derive(Debug, Error)]
pub enum AudioError {
    /// There is no such file.
    #[error("the file does not exist")]
    Missing,
    /// A folder, a named pipe, a socket or a device.
    #[error("{0}")]
    NotAFile(#[source] io::Error),
    /// The operating system would not read it.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// No bytes at all.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// Something that is no recording.
    #[error("this is {found}, expected a recording: WAV, AIFF, CAF, FLAC, Ogg, WebM, M4A, AAC, MP3 or MP2")]
    NotAudio {
        /// The format that the first bytes look like.
        found: &'static str,
    },
    /// A recording in a format that nothing here decodes.
    #[error("{what} is not supported")]
    Foreign {
        /// The format.
        what: &'static str,
    },
    /// One of the formats, with something inside that cannot be read.
    #[error("{container} with {what} is not supported")]
    Unsupported {
        /// The container that was found.
        container: Container,
        /// The content.
        what: String,
    },
    /// A sound file whose header is whole and that holds no sample.
    #[error("the {container} file holds no samples")]
    NoSamples {
        /// The container that was found.
        container: Container,
    },
    /// The bytes contradict the format.
    #[error("the {container} data is damaged after {seconds:.3} s: {reason}")]
    Corrupt {
        /// The container that was found.
        container: Container,
        /// The contradiction.
        reason: String,
        /// Seconds read before.
        seconds: f64,
    },
    /// Some bytes contradict the format; those behind them were read.
    #[error("the {container} data is damaged at {seconds:.3} s{}: {reason}", more_places(*more))]
    Damaged {
        /// The container that was found.
        container: Container,
        /// Seconds before the first place.
        seconds: f64,
        /// The contradiction.
        reason: String,
        /// Further places.
        more: u64,
    },
    /// A channel was asked for that the file does not have.
    #[error("the {container} file has {}, but channel {channel} is asked for", counted(*channels))]
    NoChannel {
        /// The container that was found.
        container: Container,
        /// The channel, from 1.
        channel: usize,
        /// The number found.
        channels: usize,
    },
    /// The file ends before its own header says so.
    #[error("the {container} file is cut off after {seconds:.3} s{}", of_expected(*expected))]
    Truncated {
        /// The container that was found.
        container: Container,
        /// Seconds read before.
        seconds: f64,
        /// Seconds that the header promises, where it does.
        expected: Option<f64>,
    },
    /// A sample is NaN or infinite.
    #[error(
        "the {container} file holds a sample that is no finite number at frame {frame}, channel {channel} ({seconds:.3} s)"
    )]
    NotFinite {
        /// The container that was found.
        container: Container,
        /// Frame in the file, from 0.
        frame: u64,
        /// Channel, from 0.
        channel: usize,
        /// Seconds from the start.
        seconds: f64,
    },
}

fn of_expected(expected: Option<f64>) -> String {
    expected.map(|seconds| format!(" of the {seconds:.3} s that its header promises")).unwrap_or_default()
}

fn more_places(more: u64) -> String {
    match more {
        0 => String::new(),
        1 => " and at another place".to_owned(),
        more => format!(" and at {more} more places"),
    }
}

fn counted(channels: usize) -> String {
    if channels == 1 { "1 channel".to_owned() } else { format!("{channels} channels") }
}

impl AudioError {
    pub(super) fn from_open(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::InvalidInput => Self::NotAFile(error),
            _ => Self::Unreadable(error),
        }
    }

    /// A short, stable name of the reason, for tables and filters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "file_missing",
            Self::NotAFile(_) => "not_a_file",
            Self::Unreadable(_) => "file_unreadable",
            Self::Empty => "file_empty",
            Self::NotAudio { .. } => "not_audio",
            Self::Foreign { .. } | Self::Unsupported { .. } => "audio_unsupported",
            Self::NoSamples { .. } => "audio_without_samples",
            Self::Corrupt { .. } => "audio_corrupt",
            Self::Damaged { .. } => "audio_damaged",
            Self::NoChannel { .. } => "channel_missing",
            Self::Truncated { .. } => "audio_truncated",
            Self::NotFinite { .. } => "audio_not_finite",
        }
    }

    /// Returns true if the file is a recording that another program can convert.
    pub fn is_convertible(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Unsupported { .. })
    }

    /// Seconds of audio that were read before it happened.
    pub fn seconds_read(&self) -> f64 {
        match self {
            Self::Corrupt { seconds, .. }
            | Self::Damaged { seconds, .. }
            | Self::Truncated { seconds, .. }
            | Self::NotFinite { seconds, .. } => *seconds,
            _ => 0.0,
        }
    }
}
