//! WAV files written by hand, so that the reader is not tested against itself.

/// The encoding of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Int8,
    Int16,
    Int24,
    Int32,
    Float32,
    Float64,
}

impl Encoding {
    pub const ALL: [Self; 6] =
        [Self::Int8, Self::Int16, Self::Int24, Self::Int32, Self::Float32, Self::Float64];

    fn bits(self) -> u16 {
        match self {
            Self::Int8 => 8,
            Self::Int16 => 16,
            Self::Int24 => 24,
            Self::Int32 | Self::Float32 => 32,
            Self::Float64 => 64,
        }
    }

    fn store(self, sample: f64, out: &mut Vec<u8>) {
        let scaled = |bits: u32| (sample * f64::from(1u32 << (bits - 1))).round() as i64;
        match self {
            Self::Int8 => out.push((scaled(8) + 128).clamp(0, 255) as u8),
            Self::Int16 => out.extend((scaled(16) as i16).to_le_bytes()),
            Self::Int24 => out.extend(&(scaled(24) as i32).to_le_bytes()[..3]),
            Self::Int32 => out.extend((scaled(32) as i32).to_le_bytes()),
            Self::Float32 => out.extend((sample as f32).to_le_bytes()),
            Self::Float64 => out.extend(sample.to_le_bytes()),
        }
    }
}

/// A sound to be written: frames of one sample per channel.
pub struct Wav {
    pub encoding: Encoding,
    pub rate: u32,
    pub frames: Vec<Vec<f64>>,
}

impl Wav {
    /// One second of 440 Hz at half of full scale, the same in all channels.
    pub fn tone(encoding: Encoding, rate: u32, channels: usize) -> Self {
        let step = std::f64::consts::TAU * 440.0 / f64::from(rate);
        let frames = (0..rate).map(|n| vec![0.5 * (step * f64::from(n)).sin(); channels]).collect();
        Self { encoding, rate, frames }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_of(self.frames[0].len() as u16)
    }

    pub fn bytes_of(&self, channels: u16) -> Vec<u8> {
        let mut data = Vec::new();
        for sample in self.frames.iter().flatten() {
            self.encoding.store(*sample, &mut data);
        }
        let float = matches!(self.encoding, Encoding::Float32 | Encoding::Float64);
        let align = channels * self.encoding.bits() / 8;
        let mut bytes = Vec::new();
        bytes.extend(b"RIFF");
        bytes.extend((36 + data.len() as u32).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16u32.to_le_bytes());
        bytes.extend(if float { 3u16 } else { 1 }.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend(self.rate.wrapping_mul(u32::from(align)).to_le_bytes());
        bytes.extend(align.to_le_bytes());
        bytes.extend(self.encoding.bits().to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }
}
