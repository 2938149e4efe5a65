//! The worth of a pipeline on a data set: its rows in, scores and a report out.
//!
//! [`outcome`] is what came of a trial; [`score`] makes figures of it, each module one kind; [`report`] puts them together, as JSON
//! (docs/formats/report.md), as a Parquet table and as one page of HTML. [`compare`] holds a report against another, [`condition`]
//! against what was asked of it.
//!
//! It must not know pipelines, stages or how anything is run; no clock, no randomness but what a seed gives. Reports hold no text of the
//! data set unless asked to show it.

pub mod bootstrap;
pub mod compare;
pub mod condition;
pub mod markup;
pub mod outcome;
pub mod page;
pub mod report;
pub mod score;
pub mod spans;
pub mod table;
