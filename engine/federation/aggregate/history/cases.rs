//! Histories that go back, are corrected, and are kept: what they lead to.

use super::*;
use crate::aggregate::server::Rule;
use crate::aggregate::{Examples, Values};

const SHAPE: Shape = Shape { parameters: 1, layout: [0; 8] };

fn settings() -> Settings {
    let server = Server::new(Rule::Momentum { momentum: 0.5 }, 1.0).unwrap();
    Settings { server, quorum: Quorum { devices: 1, updates: 1, available: 0 } }
}

fn sum(round: u64, updates: &[f32]) -> Sum {
    let mut sum = Sum::empty(Round(round), SHAPE);
    for value in updates {
        sum.add(Values::Dense(&[*value]), Examples::new(1).unwrap()).unwrap();
    }
    sum
}

fn lived(rounds: &[(u64, &[f32])]) -> History {
    let mut history = History::new(settings());
    for (round, updates) in rounds {
        history.close(&[1], &sum(*round, updates), 9).unwrap();
    }
    history
}

fn adapter(history: &History) -> f32 {
    history.adapter(SHAPE.layout).unwrap()[0]
}

#[test]
fn going_back_forgets_what_the_rule_remembers_too() {
    let mut history = lived(&[(0, &[1.0]), (1, &[2.0]), (2, &[8.0, 8.0])]);
    let dropped = history.go_back_to(Some(Round(1))).unwrap();
    assert_eq!(dropped.into_iter().collect::<Vec<_>>(), [(Round(2), 2)]);
    let expected = lived(&[(0, &[1.0]), (1, &[2.0])]);
    assert_eq!(adapter(&history), adapter(&expected));
    history.close(&[1], &sum(3, &[1.0]), 9).unwrap();
    assert_eq!(adapter(&history), adapter(&lived(&[(0, &[1.0]), (1, &[2.0]), (3, &[1.0])])));
    assert!(history.close(&[1], &sum(3, &[1.0]), 9).is_err());
    let counts = |from, before| history.counts(Round(from), Round(before));
    assert_eq!(
        [counts(0, 9), counts(2, 3), counts(2, 4), counts(4, 9), counts(3, 2)],
        [true, false, true, false, false]
    );
    history.go_back_to(None).unwrap();
    assert_eq!(adapter(&history), 0.0);
}

#[test]
fn corrections_count_once_and_where_there_is_something() {
    let mut history = lived(&[(0, &[1.0, 3.0]), (1, &[2.0])]);
    let mut check = |id: &str, part: Sum, expected: Result<bool, &str>, after: f32| {
        let result = history.take_out(id, &part).map_err(|e| match e {
            HistoryError::Refused(refusal) => refusal.code(),
            _ => "other",
        });
        history.replay().unwrap();
        assert_eq!(result, expected, "{id}");
        assert_eq!(adapter(&history), after, "{id}");
    };
    check("a", sum(0, &[3.0]), Ok(true), 3.5);
    check("a", sum(0, &[3.0]), Ok(false), 3.5);
    check("b", sum(0, &[3.0]), Err("not_contained"), 3.5);
    check("c", sum(7, &[3.0]), Err("not_contained"), 3.5);
    history.go_back_to(Some(Round(0))).unwrap();
    assert_eq!(history.take_out("d", &sum(1, &[2.0])), Ok(false));
    assert!(history.is_applied("a") && history.is_applied("d") && !history.is_applied("b"));
}

#[test]
fn what_was_kept_leads_to_the_same() {
    let mut history = lived(&[(0, &[1.0, 3.0]), (1, &[2.0]), (2, &[-8.0])]);
    history.take_out("a", &sum(0, &[3.0])).unwrap();
    history.go_back_to(Some(Round(1))).unwrap();
    let middle = RobustMean { round: Round(3), values: &[0.5], devices: 3, examples: 9 };
    history.close_middle(&[1], SHAPE, middle, 3).unwrap();
    let kept: Vec<_> = history.changes().into_iter().map(|(at, entry)| (at, entry.clone())).collect();
    assert_eq!((kept.len(), history.changes().len()), (4, 0));
    assert_eq!(History::of(settings(), kept, ["a".into()]).unwrap(), history);
    let middle = RobustMean { round: Round(3), values: &[-0.5], devices: 2, examples: 9 };
    history.replace_middle(SHAPE, middle).unwrap();
    let before = adapter(&history);
    history.replay().unwrap();
    assert_eq!(adapter(&history), before - 1.0);
    assert_eq!(history.entry(Round(3), SHAPE.layout).unwrap().available, 2);
    assert!(history.replace_middle(SHAPE, RobustMean { round: Round(0), ..middle }).is_err());
}
