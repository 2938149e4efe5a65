//! The results as JUnit XML, which build servers read.

use headwater_evaluate::markup::escape;

use super::Tested;

/// The report: one suite for each file.
pub(super) fn report(all: &[Tested]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for Tested { file, ended } in all {
        let failed = ended.iter().filter(|ended| !ended.wrong.is_empty()).count();
        let seconds: f64 = ended.iter().map(|ended| ended.seconds).sum();
        let (file, tests) = (escape(file), ended.len());
        let head = format!("name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\" time=\"{seconds:.3}\"");
        text += &format!("  <testsuite {head}>\n");
        for ended in ended {
            let name = escape(&ended.name);
            let head = format!("classname=\"{file}\" name=\"{name}\" time=\"{:.3}\"", ended.seconds);
            if ended.wrong.is_empty() {
                text += &format!("    <testcase {head}/>\n");
                continue;
            }
            let wrong = ended.wrong.join("\n");
            let first = escape(wrong.lines().next().unwrap_or_default());
            text += &format!(
                "    <testcase {head}>\n      <failure message=\"{first}\">{}</failure>\n    </testcase>\n",
                escape(&wrong)
            );
        }
        text += "  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

#[cfg(test)]
mod tests {
    use super::super::Ended;
    use super::*;

    #[test]
    fn any_text_is_xml() {
        let ended = |name: &str, wrong: &[&str]| Ended {
            name: name.into(),
            seconds: 0.25,
            wrong: wrong.iter().map(|text| (*text).to_owned()).collect(),
        };
        let all = [Tested {
            file: "a&b.toml".into(),
            ended: vec![ended("fine", &[]), ended("\"<x>\" \u{1}", &["one <\ntwo", "three"])],
        }];
        let text = report(&all);
        let read = roxmltree::Document::parse(&text).unwrap();
        let suite = read.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
        assert_eq!((suite.attribute("name"), suite.attribute("failures")), (Some("a&b.toml"), Some("1")));
        let cases: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
        assert_eq!(cases[1].attribute("name"), Some("\"<x>\" \u{fffd}"));
        let failure = cases[1].children().find(|node| node.has_tag_name("failure")).unwrap();
        assert_eq!(
            (failure.attribute("message"), failure.text()),
            (Some("one <"), Some("one <\ntwo\nthree"))
        );
    }
}
