//! Membership: columns are joined, rows of strangers and of devices that withdrew do not pass, and changes hold from the end
//! of their round on. The same on any number of workers and with any window.

mod forgetting;
mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use arrow::array::AsArray;
use headwater_contract::identity::IdentityColumns;
use headwater_contract::prelude::*;
use headwater_runtime::check::{Settings, check};
use headwater_runtime::plan::{OutPort, Plan};
use headwater_runtime::retry::plan_for;
use headwater_runtime::run::{Quarantine, Report, Tap, ready};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use proptest::strategy::Strategy;

use crate::ledger;
use crate::remembered::{Memory, attempt, memory};
use crate::wiring::{complete, finish, workers};
use kinds::{KINDS, values};

fn plan(text: &str) -> Arc<Plan> {
    let checked = check("test", text, KINDS, &Settings::default());
    let errors: Vec<_> = checked.diagnostics.iter().filter(|d| d.is_error()).collect();
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{errors:#?}")))
}

/// The rows of a port: device, seq and the words of some columns, sorted.
type Rows = Vec<(String, u64, Vec<String>)>;

fn inspect(stage: &str, columns: &'static [&'static str]) -> (Tap, Arc<Mutex<Rows>>) {
    let rows_seen: Arc<Mutex<Rows>> = Arc::default();
    let noted = rows_seen.clone();
    let inspect = move |batch: &RecordBatch| {
        let ids = IdentityColumns::of(batch).unwrap();
        let word = |row: usize, name: &str| match batch.column_by_name(name).unwrap().as_string_opt::<i32>() {
            Some(words) => words.value(row).to_owned(),
            None => values(batch).value(row).to_string(),
        };
        let rows = (0..ids.len()).map(|row| {
            let words = columns.iter().map(|name| word(row, name)).collect();
            (ids.device(row).to_owned(), ids.seq(row), words)
        });
        noted.lock().unwrap().extend(rows);
    };
    (Tap { stage: stage.into(), port: OutPort::Out(0), inspect: Arc::new(inspect) }, rows_seen)
}

/// Runs with every number of workers; what leaves the stages must be the same each time.
fn rows_seen(
    text: impl Fn(u64) -> String,
    stages: &[(&str, &'static [&'static str])],
) -> (Vec<Rows>, Report) {
    let mut first: Option<(Vec<Rows>, Report)> = None;
    for window in [1, 2, 4, 16] {
        let plan = plan(&text(window));
        for count in [1, 2, 3] {
            let (taps, rows_seen): (Vec<_>, Vec<_>) =
                stages.iter().map(|(stage, columns)| inspect(stage, columns)).unzip();
            let mut options = workers(&plan, count);
            options.taps = taps;
            let report = finish(&plan, options).unwrap_or_else(|f| panic!("{count} workers: {f}"));
            let found: Vec<Rows> = rows_seen
                .iter()
                .map(|rows_seen| {
                    let mut rows_seen = rows_seen.lock().unwrap().clone();
                    rows_seen.sort();
                    rows_seen
                })
                .collect();
            let counts = |r: &Report| -> Vec<_> {
                r.counts.stages.iter().map(|s| (s.rows_in, s.rows_out, s.rejected)).collect()
            };
            let (expected, before) = first.get_or_insert_with(|| (found.clone(), report.clone()));
            assert_eq!(*expected, found, "window {window}, {count} workers");
            assert_eq!(before.digests, report.digests, "window {window}, {count} workers");
            assert_eq!(counts(before), counts(&report), "window {window}, {count} workers");
        }
    }
    first.unwrap()
}

const DEVICES: &str = "
[members.devices]
device-0 = { gateway = 'harbour', region = 'north' }
device-1 = { gateway = 'orchard', region = 'north', consent = true }
device-2 = { gateway = 'foundry', region = 'south', consent = 'no' }
device-3 = { gateway = 'foundry', region = 'south', consent = 'yes' }
";

/// 50 rows of the devices 0 to 4; 4 is no member.
fn head(window: u64, rest: &str) -> String {
    format!(
        "[pipeline]\nname = 'test'\nepoch = {{ rows = 4 }}\nwindow = {window}\n{rest}\n[stage.mic]\ntype = 'numbers'\nrows = 50\nbatch = 7\n"
    )
}

#[test]
fn columns_are_joined_and_strangers_do_not_pass() {
    for keyed in [false, true] {
        let text = |window: u64| {
            head(window, DEVICES)
                + &format!("[stage.tag]\ntype = 'tag'\nfrom = 'mic'\nkeyed = {keyed}\n")
                + "[stage.end]\ntype = 'watch'\nfrom = 'tag'\n[stage.aside]\ntype = 'watch'\nfrom = 'tag.rejected'\n"
        };
        let (found, report) =
            rows_seen(text, &[("tag", &["gateway", "value"]), ("aside", &["rejected_by", "rejected_code"])]);
        let gateways = ["harbour", "orchard", "", "foundry"];
        let rows = |devices: &[u64]| -> Vec<(u64, u64)> {
            devices.iter().flat_map(|device| (0..10).map(|seq| (*device, seq))).collect()
        };
        let passed: Rows = rows(&[0, 1, 3])
            .into_iter()
            .map(|(d, seq)| {
                (format!("device-{d}"), seq, vec![gateways[d as usize].into(), (seq * 5 + d).to_string()])
            })
            .collect();
        assert_eq!(found[0], passed);
        let code = |device: u64| if device == 2 { "no_consent" } else { "not_a_member" };
        let refused: Rows = rows(&[2, 4])
            .into_iter()
            .map(|(d, seq)| (format!("device-{d}"), seq, vec!["tag".into(), code(d).into()]))
            .collect();
        assert_eq!(found[1], refused);
        let tag = &report.counts.stages[1];
        assert_eq!((tag.rows_in, tag.rows_out, tag.rejected), (50, 30, 20), "none is lost");
    }
}

#[test]
fn a_row_of_a_gateway_is_joined_with_its_region() {
    let text = |window: u64| {
        head(window, DEVICES)
            + "[stage.gateways]\ntype = 'sum'\nfrom = 'mic'\nrejected = 'drop'\n"
            + "[stage.regions]\ntype = 'sum'\nby = 'region'\nfrom = 'gateways'\n"
            + "[stage.end]\ntype = 'watch'\nfrom = 'regions'\n"
    };
    let (found, _) = rows_seen(text, &[("gateways", &["value"]), ("regions", &["value"])]);
    let sum = |rows: &Rows| {
        let mut sums = BTreeMap::<String, i64>::new();
        rows.iter().for_each(|(group, _, words)| {
            *sums.entry(group.clone()).or_default() += words[0].parse::<i64>().unwrap();
        });
        sums
    };
    let of = |device: i64| (0..10).map(|seq| seq * 5 + device).sum::<i64>();
    let expected = [("foundry", of(3)), ("harbour", of(0)), ("orchard", of(1))];
    assert_eq!(sum(&found[0]), expected.map(|(g, n)| (g.to_owned(), n)).into());
    let expected = [("north", of(0) + of(1)), ("south", of(3))];
    assert_eq!(sum(&found[1]), expected.map(|(g, n)| (g.to_owned(), n)).into());
}

#[test]
fn what_learns_hears_devices_that_consent_and_no_groups() {
    let text = |window: u64| {
        let devices =
            "[members.devices]\ndevice-0 = {}\ndevice-1 = { consent = 'no' }\nx = { gateway = 'device-2' }\n";
        head(window, devices)
            + "[stage.study]\ntype = 'study'\nfrom = 'mic'\nfeedback = 'study'\n"
            + "[stage.end]\ntype = 'watch'\nfrom = 'study'\n[stage.aside]\ntype = 'watch'\nfrom = 'study.rejected'\n"
    };
    let (found, _) = rows_seen(text, &[("study", &[]), ("aside", &["rejected_code"])]);
    let devices = |rows_seen: &Rows| {
        rows_seen.iter().map(|(d, _, words)| (d.clone(), words.concat())).collect::<BTreeSet<_>>()
    };
    let of = |all: &[(&str, &str)]| {
        all.iter().map(|(d, w)| ((*d).to_owned(), (*w).to_owned())).collect::<BTreeSet<_>>()
    };
    assert_eq!((found[0].len(), devices(&found[0])), (10, of(&[("device-0", "")])));
    let refused =
        [1, 2, 3, 4].map(|d| (format!("device-{d}"), if d == 1 { "no_consent" } else { "not_a_member" }));
    let refused: Vec<(&str, &str)> = refused.iter().map(|(d, c)| (d.as_str(), *c)).collect();
    assert_eq!((found[1].len(), devices(&found[1])), (40, of(&refused)));
}

#[test]
fn without_members_nothing_is_asked() {
    let text = head(4, "")
        + "[stage.study]\ntype = 'study'\nfrom = 'mic'\n[stage.end]\ntype = 'watch'\nfrom = 'study'\n";
    let plan = plan(&text);
    assert!(plan.members.is_none() && plan.stages.iter().flat_map(|s| &s.inputs).all(|i| i.asks.is_none()));
    assert_eq!(complete(&plan, 2).counts.stages[1].rows_out, 50);
}

/// Rows of one device each second one; what each of them becomes as a change is said by its number.
fn changing(window: u64, epoch: u64, round: &str, rows: usize, script: &[&str], loop_back: bool) -> String {
    let script: Vec<String> = script.iter().map(|s| format!("'{s}'")).collect();
    let from = if loop_back { "tag" } else { "mic" };
    format!(
        "[pipeline]\nname = 'test'\nepoch = {{ rows = {epoch} }}\nwindow = {window}\n{round}\n[members]\nchanges = 'moves'\n\
         [members.devices]\ndevice-0 = {{ gateway = 'g0', region = 'r' }}\ndevice-1 = {{ gateway = 'g1', region = 'r' }}\n\
         [stage.mic]\ntype = 'numbers'\nrows = {rows}\nbatch = 5\ndevices = 3\n\
         [stage.moves]\ntype = 'moves'\nfrom = '{from}'\nscript = [{}]\n\
         [stage.tag]\ntype = 'tag'\nfrom = 'mic'\n[stage.end]\ntype = 'watch'\nfrom = 'tag'\n\
         [stage.aside]\ntype = 'watch'\nfrom = 'tag.rejected'\n",
        script.join(", ")
    )
}

/// Returns what a plain map gives for each row: the gateway it is joined with, or the code of its refusal.
fn model(
    epoch: usize,
    epochs_in_round: Option<usize>,
    rows: usize,
    script: &[&str],
) -> Vec<std::result::Result<String, &'static str>> {
    let mut members: BTreeMap<usize, (Option<String>, bool)> =
        [(0, (Some("g0".into()), true)), (1, (Some("g1".into()), true))].into();
    let mut open: Vec<(usize, Option<String>, &str)> = Vec::new();
    let mut lines = Vec::new();
    for row in 0..rows {
        lines.push(match members.get(&(row % 3)) {
            None => Err("not_a_member"),
            Some((_, false)) => Err("no_consent"),
            Some((None, true)) => Err("not_told"),
            Some((Some(gateway), true)) => Ok(gateway.clone()),
        });
        if let Some(said) = script.get(row).filter(|said| !said.is_empty()) {
            let cells: Vec<&str> = said.split(' ').collect();
            open.push((row % 3, Some(cells[0].to_owned()).filter(|w| w != "-"), cells[2]));
        }
        let closes = (row + 1) % epoch == 0;
        let round_ends = epochs_in_round.is_none_or(|epochs| ((row + 1) / epoch).is_multiple_of(epochs));
        if closes && round_ends {
            for (device, gateway, consent) in open.drain(..) {
                match consent {
                    "yes" => drop(members.insert(device, (gateway, true))),
                    "no" => drop(members.insert(device, (gateway, false))),
                    _ => drop(members.get_mut(&device).map(|known| known.1 = false)),
                }
            }
        }
    }
    lines
}

fn agree(epoch: usize, round: Option<usize>, rows: usize, script: &[&str]) {
    let rule = round.map_or(String::new(), |epochs| format!("round = {{ epochs = {epochs} }}"));
    let text = |window: u64| changing(window, epoch as u64, &rule, rows, script, false);
    let (found, _) = rows_seen(text, &[("tag", &["gateway"]), ("aside", &["rejected_code"])]);
    let mut expected: [Rows; 2] = Default::default();
    for (row, lines) in model(epoch, round, rows, script).into_iter().enumerate() {
        let rows_seen = |word: &str| (format!("device-{}", row % 3), row as u64 / 3, vec![word.to_owned()]);
        match lines {
            Ok(gateway) => expected[0].push(rows_seen(&gateway)),
            Err(code) => expected[1].push(rows_seen(code)),
        }
    }
    expected.iter_mut().for_each(|rows_seen| rows_seen.sort());
    assert_eq!(found, expected, "epochs of {epoch}, rounds of {round:?}: {script:?}");
}

#[test]
fn a_withdrawal_holds_from_the_end_of_its_round_on() {
    // Rows 0, 3, 6, ... are of device 0; the change stands in row 3.
    let script = ["", "", "", "g0 r no"];
    agree(2, None, 20, &script);
    agree(2, Some(3), 30, &script);
    agree(1, Some(1), 9, &script);
    agree(7, Some(2), 40, &script);
}

/// Cut off after each commit and begun again: what changed the members, held or not yet, is remembered.
#[test]
fn changes_outlive_a_life() {
    let script =
        ["", "g7 r yes", "g5 r yes", "g0 r no", "g8 r yes", "", "", "- r yes", "g6 r no", "g1 r yes"];
    for (epoch, round) in [(2, "round = { epochs = 3 }"), (3, ""), (1, "round = { epochs = 4 }")] {
        let plan =
            plan(&changing(4, epoch, &format!("{round}\ncommit = {{ epochs = 1 }}"), 40, &script, false));
        let live = |folder: &Arc<Mutex<Memory>>, power, count| {
            let stages: [(&str, &'static [&'static str]); 2] =
                [("tag", &["gateway"]), ("aside", &["rejected_code"])];
            let (taps, rows_seen): (Vec<_>, Vec<_>) =
                stages.iter().map(|(stage, columns)| inspect(stage, columns)).unzip();
            let mut options = workers(&plan, count);
            options.taps = taps;
            options.attempt = Some(attempt(&plan, folder, power, &[]).unwrap_or_else(|e| panic!("{e:?}")));
            let ended = finish(&plan, options).is_ok();
            let rows_seen = rows_seen
                .iter()
                .flat_map(|rows_seen| rows_seen.lock().unwrap().clone())
                .collect::<BTreeSet<_>>();
            (ended, rows_seen)
        };
        let (ended, expected) = live(&memory(), None, 1);
        assert!(ended && expected.len() == 40);
        for power in 0..40 / epoch as usize {
            let folder = memory();
            let (_, mut rows_seen) = live(&folder, Some(power), 1 + power % 3);
            rows_seen.extend(live(&folder, None, 1 + (power + 1) % 3).1);
            assert_eq!(rows_seen, expected, "epochs of {epoch}, {round}, cut after {power}");
        }
    }
}

#[test]
fn the_last_change_of_an_epoch_and_of_a_round_counts() {
    // Device 1 in the rows 1, 4 and 7: of one epoch, of two, of one round.
    let script = ["", "g7 r yes", "", "", "g8 r yes", "", "", "g9 r yes"];
    for epoch in [1, 4, 8, 9] {
        agree(epoch, None, 24, &script);
        agree(epoch, Some(2), 40, &script);
    }
    // A stranger becomes a member; an empty cell changes nothing.
    agree(3, None, 24, &["", "", "g5 r yes", "- r yes"]);
}

#[test]
fn a_consent_that_cannot_be_read_is_none_and_the_row_is_kept_aside() {
    let script = ["g0 r maybe", "no/name r yes", "", "", "- no/name no"];
    agree(3, None, 24, &script[..1]);
    for count in [1, 3] {
        let plan = plan(&changing(4, 3, "", 24, &script, false));
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let mut options = workers(&plan, count);
        options.quarantine = Some(kept.clone());
        let report = finish(&plan, options).unwrap();
        // Both devices end without consent: one that cannot be read, one withdrawn by a row that is wrong otherwise.
        assert_eq!(report.counts.stages[2].rows_out, 3);
        let mut kept = kept.lock().unwrap().0.clone();
        kept.sort();
        let of =
            |device: &str, seq| ("[members]".to_owned(), device.to_owned(), seq, "bad_member".to_owned());
        assert_eq!(kept, [of("device-0", 0), of("device-1", 0), of("device-1", 1)]);
    }
}

/// Rejecting stage, device, seq and code of the quarantined rows.
#[derive(Default)]
struct Kept(Vec<(String, String, u64, String)>);

impl Quarantine for Kept {
    fn keep(&mut self, stage: &str, rows: &RecordBatch) -> Result {
        let (ids, codes) = (IdentityColumns::of(rows)?, text_column(rows, "rejected_code")?);
        self.0.extend((0..ids.len()).map(|row| {
            (stage.to_owned(), ids.device(row).to_owned(), ids.seq(row), codes.value(row).to_owned())
        }));
        Ok(())
    }
    fn sync(&mut self) -> Result {
        Ok(())
    }
}

#[test]
fn a_change_that_comes_from_below_what_it_changes_does_not_stall() {
    let script = ["g3 r yes", "", "", "", "", "", "g4 r no"];
    for round in ["", "round = { epochs = 2 }"] {
        let text = |window: u64| changing(window, 2, round, 30, &script, true);
        let (found, _) = rows_seen(text, &[("tag", &["gateway"])]);
        let of_first: BTreeSet<&str> = found[0]
            .iter()
            .filter(|(device, ..)| device == "device-0")
            .map(|(.., words)| words[0].as_str())
            .collect();
        assert_eq!(of_first, ["g0", "g3"].into());
    }
}

#[test]
fn groups_that_disagree_after_a_change_are_refused_where_it_matters() {
    let text = |window: u64| {
        changing(window, 2, "", 24, &["g1 s yes"], false)
            + "[stage.gateways]\ntype = 'sum'\nfrom = 'tag'\n[stage.regions]\ntype = 'sum'\nby = 'region'\nfrom = 'gateways'\n\
               [stage.end_regions]\ntype = 'watch'\nfrom = 'regions'\n[stage.aside_regions]\ntype = 'watch'\nfrom = 'regions.rejected'\n"
    };
    let (found, _) = rows_seen(text, &[("aside_regions", &["rejected_code"])]);
    assert!(!found[0].is_empty());
    assert!(found[0].iter().all(|(group, _, words)| group == "g1" && words[0] == "groups_disagree"));
}

#[test]
fn a_table_is_read_and_its_mistakes_are_told_with_their_lines() {
    let room = std::env::temp_dir().join(format!("headwater-members-{}", ledger::unique()));
    std::fs::create_dir_all(&room).unwrap();
    let table = room.join("members.csv");
    let text = head(4, &format!("[members]\ntable = '{}'", table.display()))
        + "[stage.tag]\ntype = 'tag'\ncolumn = 'region'\nfrom = 'mic'\nrejected = 'drop'\n[stage.end]\ntype = 'watch'\nfrom = 'tag'\n";
    let plan = plan(&text);
    let host = HostEnv::default();
    let lines = |content: &str| -> Vec<String> {
        std::fs::write(&table, content).unwrap();
        let failures = ready(&plan, &host).err().unwrap_or_default();
        failures.iter().map(|f| f.to_string().replace(&format!("{}", room.display()), "")).collect()
    };
    assert_eq!(lines("device,gateway,region\ndevice-0,g,r\n"), [""; 0]);
    assert_eq!(
        lines("device,region\n,r\na,r\n"),
        ["[members]: /members.csv:2: a device without a name [H0006]"]
    );
    std::fs::write(&table, "region,device,consent\nr,device-0,yes\nr,device-1,no\n").unwrap();
    assert_eq!(complete(&plan, 2).counts.stages[1].rows_out, 10);
    std::fs::remove_dir_all(&room).unwrap();
}

#[test]
fn a_run_that_is_stopped_loses_no_row_that_waits() {
    for (count, live) in [(1, false), (2, true), (3, false)] {
        let text = changing(2, 8, "round = { epochs = 3 }", 100_000, &["g0 r no"], false);
        let plan = plan(&text.replace("devices = 3", &format!("devices = 3\nlive = {live}")));
        let mut options = workers(&plan, count);
        let (stopping, rows) = (options.stopping.clone(), AtomicUsize::new(0));
        let inspect = Arc::new(move |batch: &RecordBatch| {
            if rows.fetch_add(batch.num_rows(), Relaxed) >= 150 {
                stopping.store(true, Relaxed);
            }
        });
        options.taps = vec![Tap { stage: "mic".into(), port: OutPort::Out(0), inspect }];
        let report = finish(&plan, options).unwrap();
        let [mic, _, tag, ..] = report.counts.stages.as_slice() else { panic!("stages") };
        assert!(report.stopped && mic.rows_out >= 150);
        assert_eq!((tag.rows_in, tag.rows_out + tag.rejected), (mic.rows_out, mic.rows_out));
    }
}

#[test]
fn what_was_set_aside_is_joined_anew_when_it_is_tried_again() {
    let text = |more: &str| {
        head(4, &format!("{DEVICES}{more}"))
            + "[stage.tag]\ntype = 'tag'\nfrom = 'mic'\n[stage.end]\ntype = 'watch'\nfrom = 'tag'\n"
    };
    let rows: Arc<Mutex<Vec<RecordBatch>>> = Arc::default();
    let kept = rows.clone();
    let inspect = Arc::new(move |batch: &RecordBatch| kept.lock().unwrap().push(batch.clone()));
    let first = plan(&text(""));
    let mut options = workers(&first, 2);
    options.taps = vec![Tap { stage: "mic".into(), port: OutPort::Out(0), inspect }];
    finish(&first, options).unwrap();
    let rows = rows.lock().unwrap().clone();
    let of = |more: &str| {
        let plan = check("test", &text(more), KINDS, &Settings::default()).plan.unwrap();
        let again = Arc::new(plan_for(plan, "tag", rows.clone()).unwrap());
        let tag = complete(&again, 2).counts.stages[1].clone();
        (tag.rows_in, tag.rows_out, tag.rejected)
    };
    assert_eq!(of(""), (50, 30, 20));
    assert_eq!(of("device-4 = { gateway = 'harbour' }\n"), (50, 40, 10));
}

fn scripts() -> impl Strategy<Value = Vec<String>> {
    let change =
        (0..4_u8, 0..4_u8, any::<bool>()).prop_map(|(kind, gateway, consents)| match (kind, gateway) {
            (0 | 1, _) => String::new(),
            (2, 0) => "- r yes".to_owned(),
            (_, gateway) => format!("g{gateway} r {}", if consents { "yes" } else { "no" }),
        });
    prop::collection::vec(change, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_changes_do_what_a_plain_map_says(script in scripts(), epoch in 1..8_usize, round in 0..4_usize, rows in 1..30_usize) {
        let script: Vec<&str> = script.iter().map(String::as_str).collect();
        agree(epoch, Some(round).filter(|r| *r > 0), rows, &script);
    }
}
