//! `dsmith parse`.

mod account;
mod inputs;
mod table;
mod work;

use crate::args::{Format, ParseArgs, SubstitutionArg};
use crate::{Exit, UsageError, terminal};
use account::{Account, events};
use anyhow::{Context, bail};
use authoring::folder::Library;
use dsm::output::leef::LeefOutput;
use indicatif::ProgressBar;
use inputs::Reading;
use leef::{Delimiter, Substitution, Version, WriterOptions};
use ordered::Sink;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;
use table::Table;
use work::{Batch, Job, Mappings, Worker};

pub(crate) fn run(args: ParseArgs) -> anyhow::Result<Exit> {
    let leef = LeefOutput::new(leef_options(&args)?)
        .map_err(|error| UsageError(format!("the options for LEEF do not go together: {error}")))?;
    let (inputs, refused) = inputs::inputs(&args)?;
    let mappings = Mappings::load(&args)?;
    let progress = inputs::progress(&args, &inputs);
    let mut writing = Writing {
        progress: progress.clone(),
        account: Account::default(),
        error: None,
    };
    writing.account.unread = refused;
    let table = Table::new(terminal::stdout_width());
    if args.format == Format::Table && !args.explain {
        write(format!("{}\n", table.headings()).as_bytes()).context(NOT_WRITTEN)?;
    }
    let threads = inputs::threads(&args, &inputs);
    let source = Reading::new(&args, inputs, progress.clone());
    let job = Arc::new(Job {
        received: args.received.unwrap_or_else(|| SystemTime::now().into()),
        args,
        mappings,
        leef,
        table,
    });
    let shared = Arc::clone(&job);
    let result = ordered::run(threads, source, writing, move |batches| {
        let mut worker = Worker::new(&shared);
        while let Some(batch) = batches.next_batch() {
            worker.work(batch);
        }
    });
    progress.finish_and_clear();
    let writing = result?;
    if let Some(error) = writing.error {
        return Err(error).context(NOT_WRITTEN);
    }
    finish(&job, &writing.account)
}

const NOT_WRITTEN: &str = "cannot write the events";

fn leef_options(args: &ParseArgs) -> anyhow::Result<WriterOptions> {
    let (version, delimiter) = if args.format == Format::Leef2 {
        let delimiter = Delimiter::new(args.delimiter)
            .map_err(|error| UsageError(format!("--delimiter: {error}")))?;
        (Version::V2_0, delimiter)
    } else {
        (Version::V1_0, Delimiter::TAB)
    };
    Ok(WriterOptions {
        version,
        delimiter,
        substitution: match args.substitution {
            SubstitutionArg::Space => Substitution::Space,
            SubstitutionArg::Drop => Substitution::Drop,
            SubstitutionArg::Percent => Substitution::Percent,
            SubstitutionArg::Fail => Substitution::Fail,
        },
        max_bytes: args.max_event,
        ..WriterOptions::default()
    })
}

/// Takes the events in the order of the input, and what there is to say about them.
struct Writing {
    progress: ProgressBar,
    account: Account,
    error: Option<io::Error>,
}

impl Sink<Batch> for Writing {
    fn take(&mut self, batch: &mut Batch) -> ControlFlow<()> {
        let account = std::mem::take(&mut batch.done.account);
        self.account.add(account, &self.progress);
        if let Some(error) = batch.unread.take() {
            self.progress.suspend(|| terminal::error(&error));
        }
        // Where nothing can be written, nothing more needs to be read.
        self.error = write(&batch.done.lines).err();
        if self.error.is_some() || self.account.explained.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Writes whole lines at once; somebody may be waiting for them at the other end of a pipe.
fn write(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines)?;
    out.flush()
}

fn finish(job: &Job, account: &Account) -> anyhow::Result<Exit> {
    let args = &job.args;
    account.finish();
    if account.is_some_unrecognised() {
        terminal::note(&how_to_name_the_type(&job.mappings.library));
    }
    if args.explain && account.explained.is_none() {
        bail!(
            "there is no event {}: the input has {}",
            args.event,
            events(account.seen)
        );
    }
    if !args.quiet && !args.explain {
        terminal::stderr(&account.summary());
    }
    Ok(if job.mappings.incomplete || account.is_incomplete() {
        Exit::Failure
    } else if args.strict && !account.is_all_mapped() {
        Exit::NotMapped
    } else {
        Exit::Success
    })
}

fn how_to_name_the_type(library: &Library) -> String {
    let known = library.slugs();
    if known.is_empty() {
        "there are no mappings to recognise payloads by".to_owned()
    } else {
        format!(
            "where no autodetection rule applies, name the type with --type: {}",
            known.join(", ")
        )
    }
}
