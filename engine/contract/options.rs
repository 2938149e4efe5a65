//! A stage's options: one definition gives the struct, its defaults, its checks, its help and its schema.
//!
//! In: a table of TOML values. Out: the typed options, or everything that is wrong with the table. It must not know
//! where the table stood: the engine adds file, line and column.

use std::path::PathBuf;
use std::time::Duration;

use crate::units::{Bytes, parse_duration, show_duration};

/// The form of an option's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Any text.
    Text,
    /// A path, relative to the working directory.
    Path,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A time such as `"10s"`.
    Duration,
    /// A size such as `"64MiB"`.
    Bytes,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A number, or one of these words.
    NumberOr(&'static [&'static str]),
    /// A list of values of one form.
    List(Box<Shape>),
    /// A table, which the option's type reads itself; what it holds, in words.
    Table(&'static str),
}

impl Shape {
    /// The message for a user that writes something else.
    pub fn expected(&self) -> String {
        match self {
            Shape::Text => "a string".into(),
            Shape::Path => "a path, as a string".into(),
            Shape::Switch => "true or false".into(),
            Shape::Integer => "a whole number".into(),
            Shape::Number => "a number".into(),
            Shape::Duration => "a time such as \"10s\"".into(),
            Shape::Bytes => "a size such as \"64MiB\"".into(),
            Shape::Choice(words) => words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" | "),
            Shape::NumberOr(words) => {
                words.iter().fold("a number".to_owned(), |shown, word| format!("{shown}, or \"{word}\""))
            }
            Shape::List(item) => format!("a list, each item {}", item.expected()),
            Shape::Table(holds) => format!("a table of {holds}"),
        }
    }

    /// A value of this form to show in a snippet.
    pub fn sample(&self) -> String {
        match self {
            Shape::Text => "\"...\"".into(),
            Shape::Path => "\"path\"".into(),
            Shape::Switch => "true".into(),
            Shape::Integer => "1".into(),
            Shape::Number => "1.0".into(),
            Shape::Duration => "\"10s\"".into(),
            Shape::Bytes => "\"64MiB\"".into(),
            Shape::Choice(words) => format!("\"{}\"", words.first().unwrap_or(&"")),
            Shape::NumberOr(words) => format!("\"{}\"", words.first().unwrap_or(&"")),
            Shape::List(item) => format!("[{}]", item.sample()),
            Shape::Table(holds) => holds.split_once("such as ").map_or("{ }", |(_, such)| such).into(),
        }
    }
}

/// One option of a kind: what check, help and the editors' schema all read.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    /// The key in the pipeline file.
    pub name: &'static str,
    /// The form of its value.
    pub shape: Shape,
    /// The default as TOML; nothing for an option that is required or may be omitted.
    pub default: Option<String>,
    /// True if it must be given.
    pub required: bool,
    /// The smallest and the largest value allowed.
    pub range: Option<(f64, f64)>,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// The meaning.
    pub meaning: String,
}

/// Something wrong with the value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The option's name.
    pub option: String,
    /// The problem.
    pub what: String,
    /// The remedy, if there is one.
    pub help: Option<String>,
}

impl ConfigError {
    /// Something wrong with the value of an option.
    pub fn new(option: &str, what: impl Into<String>) -> Self {
        ConfigError { option: option.into(), what: what.into(), help: None }
    }

    /// Adds the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A type that an option may have.
pub trait OptionType: Sized {
    /// True if it may be omitted although it has no default.
    const MAY_BE_ABSENT: bool = false;

    /// The form of its values.
    fn shape() -> Shape;

    /// Reads a value.
    ///
    /// # Errors
    /// The expected form.
    fn read(value: &toml::Value) -> Result<Self, String>;

    /// The value when the option is omitted: only for types that may be absent.
    fn absent() -> Option<Self> {
        None
    }

    /// The value as TOML.
    fn show(&self) -> String;
}

fn expected<T: OptionType>() -> String {
    format!("expected {}", T::shape().expected())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

macro_rules! text_type {
    ($type:ty, $shape:expr, |$text:ident| $read:expr, |$value:ident| $show:expr) => {
        impl OptionType for $type {
            fn shape() -> Shape {
                $shape
            }
            fn read(value: &toml::Value) -> Result<Self, String> {
                let $text = value.as_str().ok_or_else(expected::<Self>)?;
                $read
            }
            fn show(&self) -> String {
                let $value = self;
                quoted(&$show)
            }
        }
    };
}

text_type!(String, Shape::Text, |text| Ok(text.into()), |value| value);
text_type!(PathBuf, Shape::Path, |text| Ok(text.into()), |value| value.display().to_string());
text_type!(
    Duration,
    Shape::Duration,
    |text| parse_duration(text).map_err(|e| format!("expected {e}")),
    |value| show_duration(*value)
);
text_type!(Bytes, Shape::Bytes, |text| Bytes::parse(text).map_err(|e| format!("expected {e}")), |value| {
    value.to_string()
});

macro_rules! integer_type {
    ($($type:ty),*) => {$(
        impl OptionType for $type {
            fn shape() -> Shape {
                Shape::Integer
            }
            fn read(value: &toml::Value) -> Result<Self, String> {
                let number = value.as_integer().ok_or_else(expected::<Self>)?;
                Self::try_from(number).map_err(|_| format!("expected {} to {}", Self::MIN, Self::MAX))
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

integer_type!(u8, u16, u32, u64, usize, i32, i64);

impl OptionType for bool {
    fn shape() -> Shape {
        Shape::Switch
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(expected::<Self>)
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl OptionType for f64 {
    fn shape() -> Shape {
        Shape::Number
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        #[expect(clippy::cast_precision_loss, reason = "a whole number written for a float option")]
        let whole = value.as_integer().map(|n| n as f64);
        value.as_float().or(whole).filter(|n| n.is_finite()).ok_or_else(expected::<Self>)
    }
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl OptionType for f32 {
    fn shape() -> Shape {
        Shape::Number
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the nearest f32 is what the option's type says"
    )]
    fn read(value: &toml::Value) -> Result<Self, String> {
        f64::read(value).map(|n| n as f32)
    }
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl<T: OptionType> OptionType for Option<T> {
    const MAY_BE_ABSENT: bool = true;
    fn shape() -> Shape {
        T::shape()
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        T::read(value).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

impl<T: OptionType> OptionType for Vec<T> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
    fn read(value: &toml::Value) -> Result<Self, String> {
        value.as_array().ok_or_else(expected::<Self>)?.iter().map(T::read).collect()
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}

/// The options of a kind, as the [`options!`](crate::options!) macro defines them.
pub trait Options: Sized {
    /// The first lines of help: what the stage does.
    fn about() -> &'static str;

    /// Every option, in the order of definition.
    fn specs() -> Vec<OptionSpec>;

    /// Reads a table in which option names and values stand (not `type`, `from` and the like).
    ///
    /// # Errors
    /// Every option that is wrong, missing or unknown.
    fn from_table(table: &toml::Table) -> Result<Self, Vec<ConfigError>>;
}

/// Reads one option of a table; `None` with a new entry in `errors` when that fails. Used by `options!`.
#[doc(hidden)]
pub fn read_option<T: OptionType>(
    table: &toml::Table,
    spec: &OptionSpec,
    default: Option<T>,
    errors: &mut Vec<ConfigError>,
) -> Option<T> {
    let Some(value) = table.get(spec.name) else {
        let value = default.or_else(T::absent);
        if value.is_none() {
            errors.push(ConfigError::new(spec.name, format!("missing; expected {}", spec.shape.expected())));
        }
        return value;
    };
    if let Err(what) = in_range(value, spec) {
        errors.push(ConfigError::new(spec.name, what));
        return None;
    }
    T::read(value).map_err(|what| errors.push(ConfigError::new(spec.name, what))).ok()
}

/// Returns true if a number lies within an option's range; other values always do.
#[doc(hidden)]
pub fn in_range(value: &toml::Value, spec: &OptionSpec) -> Result<(), String> {
    let Some((low, high)) = spec.range else { return Ok(()) };
    #[expect(clippy::cast_precision_loss, reason = "ranges are far below 2^53")]
    let number = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    let unit = spec.unit.map(|u| format!(" {u}")).unwrap_or_default();
    match number {
        Some(n) if !(low..=high).contains(&n) => Err(format!("expected {low} to {high}{unit}")),
        _ => Ok(()),
    }
}

/// Names of the table that no option has. Used by `options!`.
#[doc(hidden)]
pub fn unknown_options(table: &toml::Table, specs: &[OptionSpec], errors: &mut Vec<ConfigError>) {
    for name in table.keys().filter(|name| !specs.iter().any(|s| s.name == **name)) {
        errors.push(ConfigError::new(name, "no such option"));
    }
}

/// Defines the options of a kind: a struct, its defaults, and their description for check, help and schema.
///
/// Each field reads `name: Type = default, in low ..= high, unit "seconds";`, of which the last three parts may be left
/// out. A field without default must be given, unless its type is an `Option`.
#[macro_export]
macro_rules! options {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derive:path),* $(,)?)])?
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $type:ty
                    $(= $default:expr)?
                    $(, in $low:literal ..= $high:literal)?
                    $(, unit $unit:literal)?
                ;
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, $($($derive),*)?)]
        $vis struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $crate::Options for $name {
            fn about() -> &'static str {
                concat!($($about, "\n"),+).trim()
            }

            fn specs() -> Vec<$crate::OptionSpec> {
                #[allow(unused_mut, unused_assignments, clippy::vec_init_then_push)]
                {
                    let mut specs = Vec::new();
                    $({
                        let mut default: Option<$type> = None;
                        $( default = Some($default); )?
                        let mut range: Option<(f64, f64)> = None;
                        $( range = Some(($low as f64, $high as f64)); )?
                        let mut unit: Option<&'static str> = None;
                        $( unit = Some($unit); )?
                        let required = default.is_none() && !<$type as $crate::OptionType>::MAY_BE_ABSENT;
                        specs.push($crate::OptionSpec {
                            name: stringify!($field),
                            shape: <$type as $crate::OptionType>::shape(),
                            default: default.as_ref().map($crate::OptionType::show).filter(|d| !d.is_empty()),
                            required,
                            range,
                            unit,
                            meaning: concat!($($doc, "\n"),+).trim().replace("\n ", "\n"),
                        });
                    })*
                    specs
                }
            }

            fn from_table(table: &$crate::toml::Table) -> ::std::result::Result<Self, Vec<$crate::ConfigError>> {
                let specs = <Self as $crate::Options>::specs();
                let mut errors = Vec::new();
                $crate::options::unknown_options(table, &specs, &mut errors);
                #[allow(unused_mut, unused_variables)]
                let mut specs = specs.iter();
                $(
                    #[allow(unused_mut, unused_assignments)]
                    let $field = {
                        let mut default: Option<$type> = None;
                        $( default = Some($default); )?
                        specs.next().and_then(|spec| $crate::options::read_option(table, spec, default, &mut errors))
                    };
                )*
                match ($($field,)*) {
                    ($(Some($field),)*) if errors.is_empty() => Ok($name { $($field),* }),
                    #[allow(unreachable_patterns)]
                    _ => Err(errors),
                }
            }
        }
    };
}

/// Defines an option whose value is one of some words.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        $vis:vis enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $name {
            /// The word that stands for it in a pipeline file.
            pub fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }
        }

        impl $crate::OptionType for $name {
            fn shape() -> $crate::Shape {
                $crate::Shape::Choice(&[$($word),+])
            }
            fn read(value: &$crate::toml::Value) -> ::std::result::Result<Self, String> {
                match value.as_str() {
                    $( Some($word) => Ok($name::$variant), )+
                    _ => Err(format!("expected {}", <Self as $crate::OptionType>::shape().expected())),
                }
            }
            fn show(&self) -> String {
                format!("\"{}\"", self.word())
            }
        }
    };
}

#[cfg(test)]
mod tests;
