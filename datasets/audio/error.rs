//! Why a file could not be heard, or only in part. The messages name formats, positions and sizes, never
//! a sample or a byte of content.

use std::fmt;
use std::io;

use thiserror::Error;

/// The file formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// RIFF WAVE: PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64 bits.
    Wav,
    /// Free Lossless Audio Codec (RFC 9639).
    Flac,
    /// Vorbis I in Ogg (RFC 3533).
    Ogg,
    /// MPEG-1, 2 or 2.5 audio, layer III.
    Mp3,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
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
    /// The operating system would not read it.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// No bytes at all.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// Something else than the four formats.
    #[error("this is {found}, but WAV, FLAC, Ogg Vorbis or MP3 is needed")]
    NotAudio {
        /// What the first bytes look like.
        found: &'static str,
    },
    /// One of the formats, with something inside that cannot be read.
    #[error("{container} with {what} is not supported")]
    Unsupported {
        /// The container that was found.
        container: Container,
        /// What is inside.
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
        /// What contradicted it.
        reason: String,
        /// Seconds read before.
        seconds: f64,
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

impl AudioError {
    pub(super) fn from_open(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }

    /// A short, stable name of the reason, for tables and filters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "file_missing",
            Self::Unreadable(_) => "file_unreadable",
            Self::Empty => "file_empty",
            Self::NotAudio { .. } => "not_audio",
            Self::Unsupported { .. } => "audio_unsupported",
            Self::NoSamples { .. } => "audio_without_samples",
            Self::Corrupt { .. } => "audio_corrupt",
            Self::Truncated { .. } => "audio_truncated",
            Self::NotFinite { .. } => "audio_not_finite",
        }
    }

    /// Seconds of audio that were read before it happened.
    pub fn seconds_read(&self) -> f64 {
        match self {
            Self::Corrupt { seconds, .. }
            | Self::Truncated { seconds, .. }
            | Self::NotFinite { seconds, .. } => *seconds,
            _ => 0.0,
        }
    }
}
