//! Texts as rows: a file, a folder or a pattern of files, or the standard input, read on from where an earlier attempt stopped.
//!
//! In: the options, a place, what is remembered of the files. Out: rows, file by file, in the order of each; with `watch` for ever what is
//! written to them, across rotation by renaming and by truncation. A text that is not what was taken in up to its place is refused, or with `watch` a
//! new one. It must not know formats from within: those are the readers'.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use headwater_contract::{Feed, Result, StageError, identity};
use headwater_datasets::regular;

use super::lines::{Ends, Lines};
use super::rows::Outlet;
use super::text::dates::Dates;
use super::text::{self, JsonRecords, ParquetRecordReader, ROWS, RecordReader, Records, UtteranceBuilder};
use super::utterance::{Place, Utterances};
use super::{Capture, Format, follow, recordings};

pub(super) mod ledger;
mod listing;
mod watched;

use ledger::{ChangedFile, Job, Ledger, REFUSED};
use listing::Listing;
use watched::{Open, Poll, WatchedFiles};

/// Checks that the texts are there; whether a single one has the columns.
pub(super) fn ready(capture: &Capture) -> Result {
    let (path, columns) = (capture.path(), capture.columns());
    let Listing { files, passed_over } = listing::list(path, capture.format())?;
    if !listing::is_single(path) {
        let format = capture.format();
        if passed_over > 0 {
            tracing::warn!(
                "{passed_over} files in {} are passed over: their names do not say {}",
                path.display(),
                format.word()
            );
        }
        if files.is_empty() && !capture.watch {
            return Err(StageError::new(format!("`{}` holds no texts", path.display()))
                .expected(format!("at least one file whose name says \"{}\"", format.word())));
        }
        return Ok(());
    }
    match capture.format() {
        Format::Parquet => text::open_parquet(path, &columns).map(drop),
        // With `watch` a header that is not written yet can come.
        Format::Csv if !capture.watch => {
            let mut lines = lines(capture, open(path)?, 0, 0);
            text::csv_header(&mut lines, capture.delimiter(), &columns, &path.display().to_string()).map(drop)
        }
        _ => open(path).map(drop),
    }
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let file = regular::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => recordings::absent(path),
        std::io::ErrorKind::InvalidInput => StageError::new(format!("`{}`: {error}", path.display()))
            .help("`path = \"-\"` reads what another program writes from the standard input"),
        _ => StageError::new(format!("`{}` cannot be read: {error}", path.display())),
    })?;
    let mut file = BufReader::new(file);
    let first = file.fill_buf().unwrap_or_default();
    text::refused(first, &path.display().to_string()).map_or(Ok(()), Err)?;
    Ok(file)
}

/// Lines of a text. In CSV a `\r` alone ends a row, too: what is behind it would be lost else.
fn lines<R: BufRead>(capture: &Capture, reader: R, byte: u64, line: u64) -> Lines<R> {
    let ends = if capture.format() == Format::Csv { Ends::Return } else { Ends::Newline };
    Lines::at(reader, byte, line).ending(ends)
}

/// Returns the reader for the records of these lines; of CSV it reads the header first.
fn records<R: BufRead>(
    capture: &Capture,
    lines: &mut Lines<R>,
    builder: &UtteranceBuilder,
) -> Result<Box<dyn Records>> {
    Ok(match capture.format() {
        Format::Csv => {
            Box::new(text::csv_header(lines, capture.delimiter(), &builder.columns, &builder.name)?)
        }
        _ => Box::new(JsonRecords),
    })
}

/// Reads on in the standard input: what an earlier attempt read is gone from there.
pub(super) fn read_standard_input(
    capture: &Capture,
    device: Arc<str>,
    place: Place,
    mut outlet: Outlet,
    mut feed: Feed<'_>,
) -> Result {
    let mut lines = lines(capture, BufReader::new(std::io::stdin()), place.byte, place.line);
    let name = capture.path().display().to_string();
    let builder = UtteranceBuilder {
        columns: capture.columns(),
        name,
        file: None,
        number: 0,
        device,
        dates: Dates::Numbered,
    };
    let records = records(capture, &mut lines, &builder)?;
    let mut reading = RecordReader::new(lines, records, builder, place);
    outlet.pour(&mut reading, |reading| reading.reader().buffer().is_empty(), &mut feed)
}

/// Reads files of text.
pub(super) struct Texts<'c> {
    pub(super) capture: &'c Capture,
    /// The device of rows that name none.
    pub(super) device: Arc<str>,
    pub(super) ledger: Ledger,
    pub(super) outlet: Outlet,
}

impl Texts<'_> {
    /// Reads what earlier attempts did not read of the files; with `watch` for ever what comes.
    pub(super) fn run(mut self, mut feed: Feed<'_>) -> Result {
        let (path, format) = (self.capture.path(), self.capture.format());
        if !self.capture.watch {
            let poll = Poll { changed: listing::list(path, format)?.files, unchanged: Vec::new() };
            return self.read(poll, &mut WatchedFiles::default(), &mut feed);
        }
        let mut watched = WatchedFiles::default();
        loop {
            self.read_on(&mut watched, &mut feed)?;
            match listing::list(path, format) {
                Ok(listing) => {
                    let poll = watched.poll(listing.files, format, &mut self.ledger);
                    self.read(poll, &mut watched, &mut feed)?;
                }
                // A file between its old and its new name, or a folder that is absent for a moment.
                Err(_) if listing::is_single(path) => {}
                Err(error) => tracing::warn!(%error, "the folder cannot be listed now"),
            }
            feed.rest(follow::POLL_INTERVAL)?;
        }
    }

    /// Reads files from where they were left.
    fn read(&mut self, poll: Poll, watched: &mut WatchedFiles, feed: &mut Feed<'_>) -> Result {
        if poll.changed.is_empty() {
            return Ok(());
        }
        let (capture, single) = (self.capture, listing::is_single(self.capture.path()));
        let beside = || if single && capture.watch { listing::rotated(capture.path()) } else { Vec::new() };
        let (jobs, changed) = self.ledger.jobs(poll, &watched.numbers(), beside);
        match changed.first() {
            Some(changed) if !capture.watch => return Err(refused(changed, capture.format())),
            Some(_) => {
                let count = changed.len();
                tracing::info!(
                    "texts truncated or replaced since they were read: {count}; they are taken in as new ones"
                );
            }
            None => {}
        }
        for job in jobs {
            if capture.format() == Format::Parquet {
                self.read_parquet(&job, feed)?;
            } else {
                self.read_lines(job, watched, feed)?;
            }
        }
        Ok(())
    }

    /// Reads on in files that are open.
    fn read_on(&mut self, watched: &mut WatchedFiles, feed: &mut Feed<'_>) -> Result {
        for mut open in watched.take_grown() {
            self.pour(&mut open, feed)?;
            watched.keep(open);
        }
        Ok(())
    }

    fn read_lines(&mut self, job: Job, watched: &mut WatchedFiles, feed: &mut Feed<'_>) -> Result {
        let is_read = !job.is_new && job.file.stat.len <= job.place.byte;
        if is_read && (!self.capture.watch || job.place.line == REFUSED) {
            return Ok(());
        }
        let (stat, path) = (job.file.stat, job.file.path.clone());
        match self.open_lines(&job) {
            Ok(Some(reading)) => {
                let mut open = Open::new(path, stat, reading);
                self.pour(&mut open, feed)?;
                if self.capture.watch {
                    watched.keep(open);
                }
                Ok(())
            }
            // It is being written, or was renamed since it was listed.
            Ok(None) => Ok(()),
            Err(error) if listing::is_single(self.capture.path()) && !self.capture.watch => Err(error),
            Err(error) => self.reject(&job, &error, feed),
        }
    }

    /// The reading of a file from its place on. Nothing where a new file has no whole header yet.
    fn open_lines(&self, job: &Job) -> Result<Option<RecordReader<BufReader<File>>>> {
        let (capture, place) = (self.capture, job.place);
        let mut lines = lines(capture, open(&job.file.path)?, 0, 0);
        let builder = self.builder(job)?;
        let records = records(capture, &mut lines, &builder);
        if capture.watch
            && job.is_new
            && (lines.byte() == 0 || lines.is_cut_off())
            && capture.format() == Format::Csv
        {
            return Ok(None);
        }
        let name = builder.name.clone();
        let is_same = lines.pass_to(place).map_err(|error| {
            StageError::new(format!("`{name}` cannot be read from where it was left: {error}"))
        })?;
        if !is_same {
            let (file, format) = (job.file.clone(), capture.format());
            return if capture.watch { Ok(None) } else { Err(refused(&ChangedFile { file, place }, format)) };
        }
        let seek = |file: &mut BufReader<File>, byte| file.seek(SeekFrom::Start(byte)).map(drop);
        Ok(Some(RecordReader::new(lines, records?, builder, place).in_growing_file(seek)))
    }

    fn builder(&self, job: &Job) -> Result<UtteranceBuilder> {
        let Job { file, place, .. } = job;
        Ok(UtteranceBuilder {
            columns: self.capture.columns(),
            name: file.path.display().to_string(),
            file: Some(file.file.clone()),
            number: place.file,
            device: self.device.clone(),
            dates: self.ledger.dates(place.file, &file.path, place.byte)?,
        })
    }

    /// Gives what is in an open file, and remembers how far it was read.
    fn pour(&mut self, open: &mut Open, feed: &mut Feed<'_>) -> Result {
        open.begin_pass(self.capture.watch);
        self.ledger.came_to(&open.path, open.reading.place(), &open.head());
        self.remember(feed)?;
        self.outlet.goes_on(open.reading.tally());
        self.outlet.pour(&mut open.reading, |_| false, feed)?;
        open.end_pass();
        let place = open.reading.place();
        self.ledger.came_to(&open.path, place, &open.head());
        self.remember(feed)
    }

    fn read_parquet(&mut self, job: &Job, feed: &mut Feed<'_>) -> Result {
        if job.place.line == REFUSED {
            return Ok(());
        }
        let (path, place) = (&job.file.path, job.place);
        let builder = self.builder(job)?;
        let opened = text::open_parquet(path, &builder.columns)
            .and_then(|file| Ok((file, text::parquet_content(path)?)));
        let (file, content) = match opened {
            Ok(opened) => opened,
            Err(error) if listing::is_single(self.capture.path()) && !self.capture.watch => {
                return Err(error);
            }
            Err(error) => return self.reject(job, &error, feed),
        };
        let mut reading = ParquetRecordReader::new(file, builder, place, content);
        self.ledger.came_to(path, reading.place(), &[]);
        self.remember(feed)?;
        self.outlet.goes_on(reading.tally());
        self.outlet.pour(&mut reading, |_| false, feed)?;
        self.ledger.came_to(path, reading.place(), &[]);
        self.remember(feed)
    }

    /// Rejects a whole file, once.
    fn reject(&mut self, job: &Job, error: &StageError, feed: &mut Feed<'_>) -> Result {
        // As it is, it is not read again.
        let before = text::parquet_content(&job.file.path).ok();
        let place =
            Place { items: job.place.items + 1, line: REFUSED, byte: job.file.stat.len, before, ..job.place };
        let seq = place.file.saturating_mul(ROWS).saturating_add(job.place.items);
        let captured_at = self.ledger.dates(place.file, &job.file.path, 0)?.of(seq, 0);
        let id = identity::RowId { device: self.device.clone(), source: self.outlet.source(), seq, part: 0 };
        feed.reject(id, captured_at, "text_unreadable", error.to_string())?;
        self.ledger.came_to(&job.file.path, place, &[]);
        self.remember(feed)
    }

    fn remember(&mut self, feed: &mut Feed<'_>) -> Result {
        while let Some((key, row)) = self.ledger.note() {
            feed.remember(key, row)?;
        }
        Ok(())
    }
}

/// A text of which an earlier attempt took in something else than what is there now.
fn refused(changed: &ChangedFile, format: Format) -> StageError {
    let ChangedFile { file, place } = changed;
    let (taken, expected) = if format == Format::Parquet {
        (format!("{} rows were taken in", place.items), "the same file")
    } else {
        (format!("lines 1 to {} were taken in", place.line), "the same lines, and new ones behind them")
    };
    StageError::new(format!("`{}` is not what it was: {taken}", file.path.display()))
        .expected(expected)
        .help("put the text back, or what is new into a file of its own; or begin again: run --fresh")
}

#[cfg(test)]
mod tests;
