//! A stage that breaks the contract in each way, found each time.

use super::*;
use crate::prelude::*;

options! {
    /// Breaks the contract in the configured way.
    pub struct Breaker {
        /// The rule to break.
        fault: String;
    }
}

struct Broken {
    fault: String,
    schema: SchemaRef,
    seen: u64,
    held: Vec<RecordBatch>,
}

impl StageConfig for Breaker {
    const KIND: &'static str = "breaker";
    fn signature(&self) -> Signature {
        let signature = Signature::map([utf8("text")], []);
        if self.fault == "hides" { signature } else { signature.state(1, &[]) }
    }
    fn build(&self, cx: BuildContext<'_>) -> Result<impl Stage> {
        let seen = cx.saved.get(b"seen").map_or(0, |_| 1);
        Ok(Broken { fault: self.fault.clone(), schema: cx.output(0)?, seen, held: Vec::new() })
    }
}

impl Stage for Broken {
    fn batch(&mut self, _: Port, batch: &RecordBatch, out: &mut Outbox<'_>) -> Result {
        let rows = batch.num_rows() as u64;
        match self.fault.as_str() {
            "columns" => out.send(batch.project(&[0, 1, 2, 3, 4])?),
            "twice" => {
                out.send(batch.clone());
                out.send(batch.clone());
            }
            "batching" => out.send(batch.slice(0, 1)),
            "quotes" => {
                let text = text_column(batch, "text")?.value(0).to_owned();
                out.reject(0, batch, 0, "odd", format!("cannot read {text}"));
            }
            "order" | "forgets" | "remembers" => {
                let marked: StringArray = (0..rows).map(|n| Some((self.seen + n).to_string())).collect();
                let text = with_columns(batch, &self.schema, [("text", Arc::new(marked) as ArrayRef)])?;
                if self.fault == "remembers" { out.send(batch.clone()) } else { out.send(text) }
            }
            "hides" => self.held.push(batch.clone()),
            _ => out.send(batch.clone()),
        }
        self.seen += rows;
        Ok(())
    }
    fn epoch_end(&mut self, _: &Barrier, out: &mut Outbox<'_>) -> Result {
        self.held.drain(..).for_each(|batch| out.send(batch.clone()));
        Ok(())
    }
}

#[test]
fn each_fault_is_found() {
    let rows = text_rows(&[("a", "one thing"), ("a", "another"), ("b", "third")]).unwrap();
    let check = |fault: &str, expected: &str| {
        let broken = check_stage(&Breaker { fault: fault.into() }, std::slice::from_ref(&rows));
        match (broken, expected) {
            (Ok(_), "") => (),
            (Ok(_), _) => panic!("{fault} was not found"),
            (Err(broken), _) => {
                assert!(!expected.is_empty() && broken.join("\n").contains(expected), "{fault}: {broken:?}");
            }
        }
    };
    check("none", "");
    check("remembers", "");
    check("columns", "its signature says");
    check("twice", "holds device \"a\" source \"test\" seq 0 part 0 twice");
    check("batching", "rows given one by one: the results differ");
    check("order", "rows given in reverse order: the results differ");
    check("quotes", "quotes column `text`");
    check("hides", "only a stage with a state receives");
    check("forgets", "a restart between two epochs: the results differ");
}
