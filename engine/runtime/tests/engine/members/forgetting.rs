//! A device that withdraws is forgotten: when, once over all attempts, and written down before.

use super::*;

/// The diary of a pipeline whose devices change their minds as the script says.
fn diary(window: u64, epoch: u64, round: &str, rows: usize, script: &[&str]) -> String {
    changing(window, epoch, round, rows, script, false)
        .replace("[members]", "[members]\nforget = true")
        .replace("[stage.tag]", "[stage.diary]\ntype = 'diary'\nfrom = 'mic'\nrejected = 'drop'\n[stage.left]\ntype = 'watch'\nfrom = 'diary'\n[stage.tag]")
}

#[test]
fn who_withdraws_is_forgotten_from_the_next_round_on() {
    // Values count up over three devices; device 0 says 0, 3, 6, ... and withdraws in row 3, 1 in row 10 and 0 once more in row 21.
    let mut script = vec![""; 22];
    (script[3], script[10], script[15], script[21]) = ("g0 r no", "g1 r no", "g0 r yes", "g0 r no");
    let of = |device: &str, epoch: u64, kept: i64| (device.to_owned(), epoch, vec![kept.to_string()]);
    for (epoch, round, expected) in [
        // Epochs 0 (rows 0-3), 1 (4-7), 2 (8-11), 3 (12-15), 4 (16-19), 5 (20-23).
        (4, "", [of("device-0", 1, 3), of("device-0", 6, 18 + 21), of("device-1", 3, 1 + 4 + 7 + 10)]),
        // Rounds 0 (rows 0-7), 1 (8-15), 2 (16-23).
        (
            4,
            "round = { epochs = 2 }",
            [of("device-0", 2, 3 + 6), of("device-0", 6, 18 + 21), of("device-1", 4, 1 + 4 + 7 + 10 + 13)],
        ),
    ] {
        let text = |window: u64| diary(window, epoch, round, 30, &script);
        let (found, _) = rows_seen(text, &[("diary", &["value"])]);
        assert_eq!(found[0], expected, "{round}");
        // Cut off after each commit and begun again: each device is forgotten exactly once.
        let plan = plan(&text(4).replace("[pipeline]", "[pipeline]\ncommit = { epochs = 1 }"));
        for power in 0..8 {
            let folder = memory();
            let mut all = Rows::new();
            for (power, count) in [(Some(power), 1 + power % 3), (None, 1 + (power + 1) % 3)] {
                let (tap, rows_seen) = inspect("diary", &["value"]);
                let mut options = workers(&plan, count);
                options.taps = vec![tap];
                options.attempt =
                    Some(attempt(&plan, &folder, power, &[]).unwrap_or_else(|e| panic!("{e:?}")));
                let _ended = finish(&plan, options);
                all.extend(rows_seen.lock().unwrap().clone());
            }
            all.sort();
            all.dedup();
            assert_eq!(all, expected, "{round}, cut after {power}");
        }
    }
}

#[test]
fn who_is_forgotten_is_written_down_before() {
    let mut script = vec![""; 12];
    (script[3], script[10]) = ("g0 r no", "g1 r no");
    let plan = plan(&diary(2, 4, "", 30, &script));
    let written: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = written.clone();
    let mut options = workers(&plan, 2);
    options.before_forgetting = Some(Arc::new(move |device: &str| {
        notes.lock().unwrap().push(device.to_owned());
        Ok(())
    }));
    finish(&plan, options).unwrap();
    assert_eq!(*written.lock().unwrap(), ["device-0", "device-1"]);
    let mut options = workers(&plan, 2);
    options.before_forgetting = Some(Arc::new(|_: &str| Err(StageError::new("no room to write it down"))));
    let (tap, rows_seen) = inspect("diary", &["value"]);
    options.taps = vec![tap];
    let failure = finish(&plan, options).err().unwrap();
    assert!(failure.what.contains("no room to write it down"), "{failure}");
    assert!(rows_seen.lock().unwrap().is_empty(), "what is not written down is not done");
}

#[test]
fn what_cannot_forget_is_told() {
    let messages = |text: &str| -> Vec<String> {
        let checked = check("test", text, KINDS, &Settings::default());
        checked.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.code.to_owned()).collect()
    };
    let text = diary(2, 4, "", 30, &[]);
    assert_eq!(messages(&text), [""; 0]);
    assert_eq!(messages(&text.replace("type = 'diary'", "type = 'diary'\nmixes = true")), ["H0503"]);
    assert_eq!(messages(&text.replace("type = 'diary'", "type = 'study'")), ["H0503"]);
    assert_eq!(messages(&text.replace("forget = true", "forget = 'yes'")), ["H0005"]);
}
