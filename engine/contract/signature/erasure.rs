//! The fate of a device's data when the device is forgotten: nothing flows here, stages declare it.

/// The fate of a device's data in a stage when the device is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Erasure {
    /// It lies apart from those of others, or there is none: an input [`Input::FORGET`](super::Input::FORGET), if the stage has one, drops
    /// it.
    #[default]
    Apart,
    /// It is mixed with those of others, and is taken out over the input [`Input::FORGET`](super::Input::FORGET); corrections follow.
    TakenOut,
    /// It is mixed with those of others, and corrections from a stage above are taken in. Where none come: the line of the
    /// pipeline file that lets the stage take shares out itself.
    Corrected(&'static str),
    /// It is mixed with those of others for good. The line of the pipeline file that would change this.
    Mixed(&'static str),
}
