use super::*;

type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

#[test]
fn the_environment_is_read_only_when_it_may_be() {
    let text = "[pipeline]\nname = \"x\"\n[params]\np = { env = \"P\" }\n[stage.a]\ntype = \"nothing\"\npath = \"${p}\"\n";
    let codes = |environment: Option<Read<'_>>| -> Vec<&'static str> {
        let checked = check_with("x", text, &[], &Settings::default(), environment);
        checked.diagnostics.iter().map(|d| d.code).collect()
    };
    assert_eq!(codes(None), ["H0201"]);
    assert_eq!(codes(Some(&|_| None)), ["H0201", "H0104"]);
    assert_eq!(codes(Some(&|name| (name == "P").then(|| "v".to_owned()))), ["H0201"]);
}
