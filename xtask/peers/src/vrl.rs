//! VRL, the language of Vector, as a library: the same job on the same payloads in the same process.

use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use vrl::compiler::prelude::*;
use vrl::compiler::{Program, TargetValue, TimeZone, runtime::Runtime, state::RuntimeState};
use vrl::diagnostic::Formatter;
use vrl::value::{Secrets, Value};

/// QID, name and severity, by event ID and event category.
pub(crate) type Qids = HashMap<(String, String), Value>;

/// Reads the QID map of a mapping folder.
pub(crate) fn qids(folder: &Path) -> anyhow::Result<Qids> {
    let mut records = BTreeMap::new();
    for row in csv::Reader::from_path(folder.join("qidmap.csv"))?.records() {
        let row = row?;
        let mut record = ObjectMap::new();
        record.insert("qid".into(), Value::Integer(row[0].parse()?));
        record.insert("name".into(), Value::from(&row[1]));
        record.insert("severity".into(), Value::Integer(row[3].parse()?));
        records.insert(row[0].to_owned(), Value::Object(record));
    }
    let mut qids = Qids::new();
    for row in csv::Reader::from_path(folder.join("event-mappings.csv"))?.records() {
        let row = row?;
        let record = records
            .get(&row[2])
            .context("an event mapping without a QID record")?;
        qids.insert((row[0].to_owned(), row[1].to_owned()), record.clone());
    }
    Ok(qids)
}

/// What Vector does with an enrichment table: a look-up in memory. It is no part of the language itself.
#[derive(Debug, Clone)]
struct Qid(Arc<Qids>);

impl Function for Qid {
    fn identifier(&self) -> &'static str {
        "qid"
    }

    fn usage(&self) -> &'static str {
        "Looks up the QID of an event ID and an event category."
    }

    fn category(&self) -> &'static str {
        Category::Map.as_ref()
    }

    fn return_kind(&self) -> u16 {
        kind::OBJECT
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("id", kind::BYTES, "The event ID."),
            Parameter::required("category", kind::BYTES, "The event category."),
        ];
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        _state: &state::TypeState,
        _ctx: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        Ok(QidFn {
            qids: Arc::clone(&self.0),
            id: arguments.required("id"),
            category: arguments.required("category"),
        }
        .as_expr())
    }
}

#[derive(Debug, Clone)]
struct QidFn {
    qids: Arc<Qids>,
    id: Box<dyn Expression>,
    category: Box<dyn Expression>,
}

impl FunctionExpression for QidFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let id = self.id.resolve(ctx)?.try_bytes_utf8_lossy()?.into_owned();
        let category = self
            .category
            .resolve(ctx)?
            .try_bytes_utf8_lossy()?
            .into_owned();
        let found = self.qids.get(&(id, category));
        Ok(found
            .cloned()
            .unwrap_or_else(|| Value::Object(ObjectMap::new())))
    }

    fn type_def(&self, _: &state::TypeState) -> TypeDef {
        TypeDef::object(Collection::any()).infallible()
    }
}

/// A compiled program that turns a payload into a line.
pub(crate) struct Vrl {
    program: Program,
    runtime: Runtime,
}

impl Vrl {
    pub(crate) fn new(source: &str, qids: Qids) -> anyhow::Result<Self> {
        let mut functions = vrl::stdlib::all();
        functions.push(Box::new(Qid(Arc::new(qids))));
        let program = match vrl::compiler::compile(source, &functions) {
            Ok(compiled) => compiled.program,
            Err(faults) => bail!("{}", Formatter::new(source, faults)),
        };
        Ok(Self {
            program,
            runtime: Runtime::new(RuntimeState::default()),
        })
    }

    pub(crate) fn line(&mut self, payload: &[u8]) -> anyhow::Result<Bytes> {
        let mut target = TargetValue {
            value: Value::Bytes(Bytes::copy_from_slice(payload)),
            metadata: Value::Object(ObjectMap::new()),
            secrets: Secrets::default(),
        };
        let line = self
            .runtime
            .resolve(&mut target, &self.program, &TimeZone::default());
        self.runtime.clear();
        let line = line.map_err(|error| anyhow::anyhow!("{error}"))?;
        line.try_bytes().context("the line is no string")
    }
}
