//! Whatever is in a file, the check answers: it never panics, and ends.

use headwater_runtime::check::{Settings, check, fuzz_pipeline};
use proptest::prelude::*;

use super::{files, kinds};

/// What pipelines are made of, and what they should not be made of.
const CRUMBS: &[&str] = &[
    "[stage.",
    "]",
    "[params]\n",
    "[pipeline]\n",
    "[privacy]\n",
    "type = ",
    "from = ",
    "\"capture\"",
    "\"a.rejected\"",
    "${",
    "}",
    "$${x}",
    "= ",
    "\n",
    "\r\n",
    "[[",
    "{ ",
    ", ",
    "'''",
    "\"\"\"",
    "\\u",
    "é",
    "\u{0}",
    "\t",
    "# ",
    "1e999",
    "99999999999999999999",
    "0x",
    "1979-05-27",
    "inf",
    "nan",
    "true",
    "stage.a.b",
    "window = 1",
    "epoch = { every = \"0s\" }",
    "tier = \"global\"",
    "rejected = \"drop\"",
    ".",
    "..",
    "\"",
    "'",
];

fn good_files() -> Vec<String> {
    files().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_pipeline(&bytes, kinds());
    }

    #[test]
    fn crumbs_in_any_order(picks in prop::collection::vec(prop::sample::select(CRUMBS), 0..60)) {
        fuzz_pipeline(picks.concat().as_bytes(), kinds());
    }

    #[test]
    fn pipelines_with_a_piece_replaced(
        file in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0usize..12,
        crumb in prop::sample::select(CRUMBS),
    ) {
        let files = good_files();
        let mut bytes = file.get(&files).clone().into_bytes();
        let start = from.index(bytes.len() + 1);
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, crumb.bytes());
        fuzz_pipeline(&bytes, kinds());
    }

    #[test]
    fn any_arguments(path in "[a-z.]{0,12}|stage\\.[a-z]{1,3}\\.[a-z]{1,6}", value in ".{0,12}") {
        let text = "[pipeline]\nname = \"x\"\n[stage.a]\ntype = \"store\"\nfrom = \"b\"\n";
        let settings = Settings { set: vec![(path, value)], ..Settings::default() };
        let checked = check("x", text, kinds(), &settings);
        prop_assert!(checked.has_errors());
    }
}
