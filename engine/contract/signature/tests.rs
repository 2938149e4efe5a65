//! Columns, misfits and labels through signatures.

use super::*;
use crate::columns::{uint32, utf8};

fn schema(columns: &[Field]) -> SchemaRef {
    Rows::Exactly(columns.to_vec()).apply(&[])
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().skip(5).map(|f| f.name().as_str()).collect()
}

#[test]
fn columns_flow_through() {
    let given = [schema(&[utf8("text"), uint32("n"), utf8("extra")])];
    let check = |signature: Signature, expected: &[&str]| {
        assert_eq!(names(&signature.apply(&given).unwrap()[0]), expected);
    };
    check(Signature::map([utf8("text")], []), &["text", "n", "extra"]);
    check(Signature::map([utf8("text")], [utf8("tone")]), &["text", "n", "extra", "tone"]);
    check(Signature::map([utf8("text")], [uint32("text")]), &["text", "n", "extra"]);
    check(Signature::map([utf8("text")], [utf8("tone")]).minus(&["n", "absent"]), &["text", "extra", "tone"]);
    check(Signature::map([], [utf8("n")]).minus(&["n"]), &["text", "extra", "n"]);
    check(Signature::source([utf8("a"), utf8("device")]), &["a"]);
}

#[test]
fn only_what_can_be_redacted_passes_a_redactor() {
    use crate::columns::f32_list;
    let given = [schema(&[utf8("text"), utf8("note"), uint32("n"), f32_list("samples"), f32_list("own")])];
    let map = Signature::map([utf8("text")], [f32_list("own")]);
    let check = |signature: Signature, expected: &[&str]| {
        assert_eq!(names(&signature.apply(&given).unwrap()[0]), expected);
    };
    check(map.clone(), &["text", "note", "n", "samples", "own"]);
    check(map.label(LabelRule::Redactor), &["text", "note", "n", "own"]);
}

#[test]
fn misfits_name_column_and_types() {
    let given = [schema(&[utf8("text")])];
    let signature =
        Signature::map([uint32("text"), utf8("gone")], []).routing(Routing::ByKey("group".into()));
    let misfits = signature.apply(&given).unwrap_err();
    let found: Vec<_> = misfits.iter().map(|m| (m.column.as_str(), m.found.is_some())).collect();
    assert_eq!(found, [("text", true), ("gone", false), ("group", false)]);
}

#[test]
fn labels_only_fall_where_the_rule_says() {
    use Label::{Public, Raw, Redacted, Update};
    let check = |rule: LabelRule, inputs: &[Label], expected: Label| {
        assert_eq!(rule.apply(inputs.iter().copied()), expected, "{rule:?} {inputs:?}");
    };
    check(LabelRule::Inherit, &[], Raw);
    check(LabelRule::Inherit, &[Public, Redacted], Redacted);
    check(LabelRule::Redactor, &[Raw], Redacted);
    check(LabelRule::Redactor, &[Public], Public);
    check(LabelRule::Trainer, &[Raw, Public], Raw);
    check(LabelRule::Trainer, &[Redacted, Public], Update);
    check(LabelRule::RootAggregate, &[Redacted], Redacted);
    check(LabelRule::RootAggregate, &[Update], Public);
}
