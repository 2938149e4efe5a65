//! The channels of a recording that are read, and their devices.
//!
//! In: the option `channels`. Out: the channel that a reader is asked for, and the one after it.

use headwater_contract::{OptionType, Shape, toml};

/// The channels of a recording that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// All, as one.
    Mix,
    /// Each on its own, one after the other.
    Split,
    /// One, from 1.
    Only(u16),
}

impl Channels {
    /// The channel that is heard first (from 0), or all as one.
    pub fn first(self) -> Option<usize> {
        match self {
            Self::Mix => None,
            Self::Split => Some(0),
            Self::Only(channel) => Some(usize::from(channel).saturating_sub(1)),
        }
    }

    /// The channel that is heard after this one, in a recording that has so many.
    pub fn after(self, heard: Option<usize>, channels: usize) -> Option<usize> {
        let next = heard.filter(|_| self == Self::Split)? + 1;
        (next < channels).then_some(next)
    }

    /// The part that rows of a channel are of their recording: channels that are heard apart are numbered.
    pub fn part(self, heard: Option<usize>) -> u32 {
        let part = heard.filter(|_| self == Self::Split).unwrap_or(0);
        u32::try_from(part).unwrap_or(u32::MAX)
    }
}

impl OptionType for Channels {
    fn shape() -> Shape {
        Shape::NumberOr(&["mix", "split"])
    }

    fn read(value: &toml::Value) -> Result<Self, String> {
        match (value.as_str(), value.as_integer().and_then(|channel| u16::try_from(channel).ok())) {
            (Some("mix"), _) => Ok(Self::Mix),
            (Some("split"), _) => Ok(Self::Split),
            (None, Some(channel)) if channel > 0 => Ok(Self::Only(channel)),
            _ => Err(format!("expected \"mix\", \"split\", or the number of a channel, 1 to {}", u16::MAX)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Mix => "\"mix\"".into(),
            Self::Split => "\"split\"".into(),
            Self::Only(channel) => channel.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        let check = |text: &str, expected: Option<Channels>| {
            let table: toml::Table = format!("channels = {text}").parse().unwrap();
            let read = Channels::read(&table["channels"]);
            assert_eq!(read.clone().ok(), expected, "{text}");
            assert!(read.is_ok_and(|channels| channels.show() == text) || expected.is_none(), "{text}");
        };
        check("\"mix\"", Some(Channels::Mix));
        check("\"split\"", Some(Channels::Split));
        check("1", Some(Channels::Only(1)));
        check("6", Some(Channels::Only(6)));
        for error in ["0", "-1", "65536", "1.0", "\"left\"", "\"1\"", "true", "[1]"] {
            check(error, None);
        }
    }

    #[test]
    fn channels_are_heard_one_after_the_other() {
        let check = |channels: Channels, count: usize, expected: &[(Option<usize>, u32)]| {
            let mut heard = vec![(channels.first(), channels.part(channels.first()))];
            while let Some(next) = channels.after(heard[heard.len() - 1].0, count) {
                heard.push((Some(next), channels.part(Some(next))));
            }
            assert_eq!(heard, expected, "{channels:?} of {count}");
        };
        check(Channels::Mix, 2, &[(None, 0)]);
        check(Channels::Only(1), 2, &[(Some(0), 0)]);
        check(Channels::Only(6), 6, &[(Some(5), 0)]);
        check(Channels::Split, 1, &[(Some(0), 0)]);
        check(Channels::Split, 3, &[(Some(0), 0), (Some(1), 1), (Some(2), 2)]);
    }
}
