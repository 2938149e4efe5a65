//! The stage by itself, on slm-nano: which round is trained when, from what, and that a restart changes no bit.

use arrow::array::{
    Float32Array, Float64Array, ListArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::Float32Type;
use headwater_contract::columns::{list_items, list_row, typed_column};
use headwater_contract::identity::IdentityColumns;
use headwater_contract::testing::StageOutput;
use headwater_contract::units::{Epoch, Micros, Round};
use headwater_contract::{Barrier, PlannedStage, Role, StateTable, StateWriter};

use super::*;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/models/slm-nano");

const BASIC: &str = "model = 'MODEL'\nr = 2\nlayers = 'top:1'\ntarget_modules = ['q_proj', 'v_proj']\nsteps = 2\n\
                     batch = 2\ngroups = 2\nmax_tokens = 24\nholdout = 0.0\n";

fn config(more: &str) -> Train {
    // What `more` says goes before.
    let mut table: headwater_contract::toml::Table = BASIC.replace("MODEL", MODEL).parse().unwrap();
    table.extend(more.parse::<headwater_contract::toml::Table>().unwrap());
    Train::from_table(&table).unwrap()
}

/// (device, split, text)
type TextRecord = (&'static str, &'static str, &'static str);

/// The input of an epoch: texts, perhaps an adapter of a round, devices to be forgotten, and the end of the round.
#[derive(Clone, Default)]
struct EpochInput {
    said: Vec<TextRecord>,
    adapter: Option<(u64, Vec<u32>, Vec<f32>)>,
    forget: Vec<&'static str>,
    round_end: bool,
}

fn rows(seq: &mut u64, said: &[TextRecord]) -> RecordBatch {
    let column = |pick: fn(&TextRecord) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(said.iter().map(pick)))
    };
    let count = said.len() as u64;
    let columns: Vec<ArrayRef> = vec![
        column(|s| s.0),
        column(|_| "talk"),
        Arc::new(UInt64Array::from_iter_values(*seq..*seq + count)),
        Arc::new(UInt32Array::from(vec![0; said.len()])),
        Arc::new(TimestampMicrosecondArray::from(vec![0; said.len()]).with_timezone("UTC")),
        column(|s| s.2),
        column(|s| s.1),
    ];
    *seq += count;
    let mut fields = identity::fields();
    fields.extend([utf8("text"), utf8("split")]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn adapter_row(round: u64, tensors: Vec<u32>, adapter: Vec<f32>) -> RecordBatch {
    let mut fields = identity::fields();
    fields.extend([uint64("round"), u32_list("tensors"), f32_list("adapter")]);
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let number = |n: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![n])) };
    let columns: Vec<ArrayRef> = vec![
        text("all"),
        text("global"),
        number(round),
        Arc::new(UInt32Array::from(vec![0])),
        Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
        number(round),
        list_row(UInt32Array::from(tensors)).unwrap(),
        list_row(Float32Array::from(adapter)).unwrap(),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Runs epochs through the stage; with `restart`, it is built again from its state after each.
fn play(config: &Train, epochs: &[EpochInput], restart: bool) -> Vec<StageOutput> {
    let place = tempfile::tempdir().unwrap();
    let site =
        HostEnv { state: place.path().to_owned(), key_file: place.path().join("root.key"), is_peer: false };
    play_at(&site, config, epochs, restart)
}

fn play_at(site: &HostEnv, config: &Train, epochs: &[EpochInput], restart: bool) -> Vec<StageOutput> {
    play_on(site, config, epochs, restart).0
}

/// The same, with the state in the end.
fn play_on(
    site: &HostEnv,
    config: &Train,
    epochs: &[EpochInput],
    restart: bool,
) -> (Vec<StageOutput>, StateTable) {
    let signature = StageConfig::signature(config);
    let inputs = [rows(&mut 0, &[]).schema(), signature.inputs[1].needed(), signature.inputs[2].needed()];
    let outputs = signature.apply(&inputs).unwrap();
    let mut state = StateTable::default();
    let build = |saved: &StateTable| -> Box<dyn Stage> {
        let cx = BuildContext {
            id: "train",
            inputs: &inputs,
            outputs: &outputs,
            saved,
            host: site,
            round_delay: 2,
            live: false,
        };
        PlannedStage::build(config, cx).unwrap()
    };
    let mut stage = build(&state);
    let (mut round, mut seq) = (0, 0);
    let mut all = Vec::new();
    for (number, brought) in (0u64..).zip(epochs) {
        let mut made = StageOutput::default();
        let mut out = Outbox::new(&mut made);
        if !brought.said.is_empty() {
            stage.batch(0, &rows(&mut seq, &brought.said), &mut out).unwrap();
        }
        if let Some((round, tensors, values)) = brought.adapter.clone() {
            stage.batch(1, &adapter_row(round, tensors, values), &mut out).unwrap();
        }
        for device in &brought.forget {
            let named = rows(&mut 0, &[(*device, "", "")]).project(&[0, 1, 2, 3, 4]).unwrap();
            stage.batch(2, &named, &mut out).unwrap();
        }
        let barrier = Barrier {
            epoch: Epoch(number),
            round: Round(round),
            watermark: Some(Micros(7)),
            checkpoint: true,
            round_end: brought.round_end,
            end_of_input: false,
        };
        stage.epoch_end(&barrier, &mut out).unwrap();
        round += u64::from(brought.round_end);
        let mut writer = StateWriter::default();
        stage.save(&mut writer).unwrap();
        state.apply(writer.into_changes());
        if restart {
            stage = build(&state);
        }
        all.push(made);
    }
    (all, state)
}

/// One update: device, round, examples, tensors, delta.
type Update = (String, u64, u64, Vec<u32>, Vec<f32>);

fn updates(made: &StageOutput) -> Vec<Update> {
    let mut updates = Vec::new();
    for batch in made.of_port(0) {
        let ids = IdentityColumns::of(batch).unwrap();
        let number = |column: &str| typed_column::<UInt64Array>(batch, column).unwrap().value(0);
        let list = |column: &str| typed_column::<ListArray>(batch, column).unwrap();
        let tensors = list_items::<arrow::datatypes::UInt32Type>(list("tensors"), 0);
        let delta = list_items::<Float32Type>(list("delta"), 0);
        assert_eq!(tensors.iter().sum::<u32>() as usize, delta.len());
        updates.push((ids.device(0).to_owned(), number("round"), number("examples"), tensors, delta));
    }
    updates
}

/// One evaluation: device, round, tokens, and nats of base, start and own.
fn evaluations(made: &StageOutput) -> Vec<(String, u64, u64, [f64; 3])> {
    let mut all = Vec::new();
    for batch in made.of_port(1) {
        let number = |column: &str| typed_column::<UInt64Array>(batch, column).unwrap().value(0);
        let nats = |column: &str| typed_column::<Float64Array>(batch, column).unwrap().value(0);
        let device = IdentityColumns::of(batch).unwrap().device(0).to_owned();
        all.push((device, number("round"), number("tokens"), ["base", "start", "own"].map(nats)));
    }
    all
}

fn epoch(said: &[TextRecord], round_end: bool) -> EpochInput {
    EpochInput { said: said.to_vec(), round_end, ..EpochInput::default() }
}

/// Three rounds of two devices, and two barriers to flush.
fn three_rounds() -> Vec<EpochInput> {
    vec![
        epoch(&[("hall", "train", "The kettle is on."), ("loft", "heldout", "Oil the hinge.")], false),
        epoch(&[("hall", "heldout", "Who is there?"), ("loft", "train", "Two tins of tung oil.")], true),
        epoch(&[("hall", "train", "Call the nurse at noon.")], false),
        epoch(&[("hall", "train", "Lock the gate.")], true),
        epoch(&[("loft", "train", "The bell rings twice.")], true),
        epoch(&[], true),
        epoch(&[], true),
    ]
}

#[test]
fn texts_that_no_round_has_ended_for_are_held_back() {
    let config = config("rehearse = 0.0");
    let place = tempfile::tempdir().unwrap();
    let site =
        HostEnv { state: place.path().to_owned(), key_file: place.path().join("root.key"), is_peer: false };
    let waiting = |epochs: usize| {
        let (_, state) = play_on(&site, &config, &three_rounds()[..epochs], false);
        let held = StageConfig::held_back(&config, &state).unwrap();
        assert!(held.rows.is_empty(), "tokens are no rows");
        held.unfinished
    };
    assert_eq!((0..=7).map(waiting).collect::<Vec<_>>(), [0, 1, 2, 3, 2, 1, 0, 0]);
}

#[test]
fn a_round_is_sent_at_the_end_of_the_next_one() {
    let made = play(&config("rehearse = 0.0"), &three_rounds(), false);
    let sent: Vec<Vec<(String, u64, u64)>> =
        made.iter().map(|m| updates(m).into_iter().map(|(d, r, n, ..)| (d, r, n)).collect()).collect();
    let of = |device: &str, round: u64, examples: u64| (device.to_owned(), round, examples);
    let nothing = Vec::new();
    assert_eq!(
        sent,
        [
            nothing.clone(),
            nothing.clone(),
            nothing.clone(),
            vec![of("hall", 0, 1), of("loft", 0, 1)],
            vec![of("hall", 1, 2)],
            vec![of("loft", 2, 1)],
            nothing,
        ]
    );
    // No adapter came back, so that B is zero in all rounds: A has nothing to learn from.
    assert_eq!(trained(&made), [(0, "b"), (0, "b"), (1, "b"), (2, "b")]);
    // The base measures as the adapter that was not trained yet, and what is unchanged is not measured again.
    let first = evaluations(&made[3]);
    assert_eq!(first.len(), 2);
    for (_, round, tokens, [base, start, own]) in first {
        assert!(round == 0 && tokens > 3 && (base - start).abs() < 1e-4 && own != start);
    }
    assert_eq!(evaluations(&made[4]).iter().map(|e| e.0.as_str()).collect::<Vec<_>>(), ["hall"]);
    assert!(evaluations(&made[6]).is_empty(), "no device trained, and nothing came back");
}

/// The rounds of all updates, and what they train.
fn trained(made: &[StageOutput]) -> Vec<(u64, &'static str)> {
    let factor = |tensors: Vec<u32>| match tensors.iter().map(|n| *n > 0).collect::<Vec<_>>()[..] {
        [true, false, true, false] => "a",
        [false, true, false, true] => "b",
        _ => "both",
    };
    made.iter().flat_map(updates).map(|(_, round, _, tensors, _)| (round, factor(tensors))).collect()
}

/// Every second round trains the other factor, but A never while B is zero: however many rounds were empty, none is lost.
#[test]
fn a_is_never_trained_while_b_is_zero() {
    let said = |text: &'static str| epoch(&[("hall", "train", text)], true);
    let nothing = || epoch(&[], true);
    let first = updates(&play(&config(""), &three_rounds(), false)[3])[0].clone();
    let with_b =
        |brought: EpochInput| EpochInput { adapter: Some((0, first.3.clone(), first.4.clone())), ..brought };
    let check = |more: &str, epochs: &[EpochInput], expected: &[(u64, &str)]| {
        for restart in [false, true] {
            let made = play(&config(more), epochs, restart);
            assert_eq!(trained(&made), expected, "{more} {restart}");
            for (device, round, _, _, delta) in made.iter().flat_map(updates) {
                assert!(delta.iter().any(|value| *value != 0.0), "round {round} of {device} is lost: {more}");
            }
        }
    };
    let one = |text| [nothing(), said(text), nothing(), nothing()];
    check("", &one("Lock the gate."), &[(1, "b")]);
    check("", &[&[nothing(), nothing()][..], &one("Lock the gate.")].concat(), &[(3, "b")]);
    check("method = 'ffa'", &one("Lock the gate."), &[(1, "b")]);
    check("method = 'both'", &one("Lock the gate."), &[(1, "both")]);
    check("start = 'own'", &one("Lock the gate."), &[(1, "b")]);
    // What came back before an odd round starts makes it one of A.
    let back =
        [said("Lock the gate."), said("Oil the hinge."), with_b(said("Who is there?")), nothing(), nothing()];
    check("", &back, &[(0, "b"), (1, "a"), (2, "b")]);
    let late = [
        said("Lock the gate."),
        said("Oil the hinge."),
        nothing(),
        with_b(said("Who is there?")),
        nothing(),
        nothing(),
    ];
    check("", &late, &[(0, "b"), (1, "b"), (3, "a")]);
}

#[test]
fn a_restart_after_any_epoch_changes_no_bit() {
    let mut epochs = three_rounds();
    let tensors = updates(&play(&config(""), &epochs, false)[3])[0].3.clone();
    let change = vec![0.01; tensors.iter().sum::<u32>() as usize];
    epochs[4].adapter = Some((0, tensors, change));
    for more in
        ["rehearse = 0.5", "start = 'own'", "personal = true\nmethod = 'both'\ndropout = 0.2", "evaluate = 0"]
    {
        let (whole, restarted) = (play(&config(more), &epochs, false), play(&config(more), &epochs, true));
        for (epoch, (a, b)) in whole.iter().zip(&restarted).enumerate() {
            assert!(a.batches == b.batches, "{more}: epoch {epoch} sent something else");
        }
    }
}

#[test]
fn a_round_begins_with_what_came_back_before_it_starts() {
    let mut epochs = three_rounds();
    let plain = play(&config(""), &epochs, false);
    let tensors = updates(&plain[3])[0].3.clone();
    let change = vec![0.05; tensors.iter().sum::<u32>() as usize];
    // Round 1 closes in epoch 3 and starts in epoch 4: what comes in epoch 4 counts, what comes in epoch 5 does not.
    let delta = |at: usize| {
        let mut with = epochs.clone();
        with[at].adapter = Some((0, tensors.clone(), change.clone()));
        updates(&play(&config(""), &with, false)[4])[0].4.clone()
    };
    let before = updates(&plain[4])[0].4.clone();
    assert_ne!(delta(4), before);
    assert_eq!(delta(5), before);
    // It is measured once it is there.
    epochs[6].adapter = Some((2, tensors.clone(), change.clone()));
    let last = evaluations(&play(&config(""), &epochs, false)[6]);
    assert_eq!(last.len(), 2);
    assert!(last.iter().all(|(_, round, _, [base, start, _])| *round == 3 && base != start));
}

#[test]
fn what_cannot_be_learnt_from_is_set_aside_with_its_reason() {
    let check = |text: &'static str, code: &str| {
        let made = play(&config(""), &[epoch(&[("hall", "train", text)], false)], false);
        let codes: Vec<&str> = made[0].rejections.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [code], "{text:?}");
        assert!(text.trim().is_empty() || !made[0].rejections[0].1.contains(text.trim()));
    };
    check("", "empty_text");
    check(" \t\n", "empty_text");
    let long = "a long word ".repeat(400).leak();
    let made = play(&config(""), &[epoch(&[("hall", "train", long)], false)], false);
    assert_eq!((made[0].rejections.len(), made[0].metrics["cut"]), (0, 1));
    let mut epochs = vec![epoch(&[], false)];
    epochs[0].adapter = Some((0, vec![3], vec![0.0; 3]));
    assert_eq!(play(&config(""), &epochs, false)[0].rejections[0].0, "wrong_shape");
}

#[test]
fn numbers_that_are_none_drop_a_round_and_nothing_else() {
    let mut epochs = three_rounds();
    let tensors = updates(&play(&config(""), &epochs, false)[3])[0].3.clone();
    let change = vec![f32::MAX; tensors.iter().sum::<u32>() as usize];
    epochs[4].adapter = Some((0, tensors, change));
    let made = play(&config(""), &epochs, false);
    let dropped: u64 = made.iter().filter_map(|m| m.metrics.get("dropped")).sum();
    let sent = made.iter().flat_map(updates).count() as u64;
    assert_eq!(
        (sent, dropped),
        (2, 2),
        "an adapter that is too large to compute with came after the first round"
    );
    assert!(made.iter().flat_map(updates).all(|u| u.4.iter().all(|v| v.is_finite())));
}

#[test]
fn own_adapters_are_kept_and_what_a_device_sent_is_in_them() {
    let place = tempfile::tempdir().unwrap();
    let site =
        HostEnv { state: place.path().to_owned(), key_file: place.path().join("root.key"), is_peer: false };
    play_at(&site, &config("personal = true"), &three_rounds(), false);
    let key = headwater_vault::KeyFile::at(&site.key_file);
    let kept = personal::PersonalAdapters::read(&personal::folder(&site, "train"), &key).unwrap();
    let rounds: Vec<(&str, u64)> = kept.iter().map(|(device, own)| (device.as_str(), own.round)).collect();
    assert_eq!(rounds, [("hall", 1), ("loft", 2)]);
    assert_ne!(kept["hall"].weights, kept["loft"].weights);
    play_at(&site, &config(""), &three_rounds(), false);
}

#[test]
fn a_device_takes_part_when_it_said_enough() {
    let made = play(&config("min_examples = 2\nrehearse = 0.0"), &three_rounds(), false);
    let sent: Vec<(String, u64, u64)> = made
        .iter()
        .flat_map(updates)
        .map(|(device, round, examples, ..)| (device, round, examples))
        .collect();
    assert_eq!(sent, [("hall".to_owned(), 1, 3), ("loft".to_owned(), 2, 2)]);
}

#[test]
fn what_a_device_says_beyond_its_share_is_left_out() {
    let made = play(&config("max_examples = 1\nrehearse = 0.0"), &three_rounds(), false);
    let sent: Vec<u64> = made.iter().flat_map(updates).map(|(_, _, examples, ..)| examples).collect();
    assert_eq!(sent, [1, 1, 1], "the two texts of a round are still waiting when two of the next one come");
    let left: u64 = made.iter().filter_map(|m| m.metrics.get("left_out")).sum();
    assert_eq!(left, 2);
}

#[test]
fn options_are_held_to_what_can_be_trained() {
    assert!(matches!(KIND.sample(), Some(Role::Stage(_))));
    let check = |options: &str, expected: &str| {
        let errors = KIND.plan(&options.parse().unwrap()).err().unwrap();
        assert!(errors.iter().any(|w| format!("{} {}", w.option, w.what).contains(expected)), "{errors:?}");
    };
    check("", "model missing");
    check("model = 'x'\nlayers = 'low:3'", "layers expected \"all\" or \"top:N\"");
    check("model = 'x'\nholdout = 1.0", "holdout");
    assert_eq!(StageConfig::validate(&config("target_modules = []"))[0].option, "target_modules");
    check("model = 'x'\nmethod = 'lora'", "method expected");
    let message =
        |more: &str| StageConfig::ready(&config(more), &HostEnv::default()).unwrap_err().to_string();
    assert!(message("target_modules = ['query']").contains("names nothing"));
    assert!(message("layers = 'top:99'").contains("top:99"));
    assert!(message("max_tokens = 9999").contains("at most 256"));
    assert!(message("adapter = 'nowhere'").contains("adapter_config.json"));
}

#[test]
fn a_forgotten_device_takes_no_part_and_leaves_nothing() {
    let of = |made: &[StageOutput], device: &str| -> Vec<Update> {
        made.iter().flat_map(updates).filter(|update| update.0 == device).collect()
    };
    let whole = play(&config("personal = true"), &three_rounds(), false);
    // Round 0 closes in epoch 1, and starts at the end of epoch 2.
    for (at, sent) in [(2, 1), (3, 0), (4, 1), (6, 2)] {
        let mut epochs = three_rounds();
        epochs[at].forget = vec!["hall", "stranger"];
        for restart in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let site = HostEnv {
                state: place.path().to_owned(),
                key_file: place.path().join("root.key"),
                is_peer: false,
            };
            let (made, state) = play_on(&site, &config("personal = true"), &epochs, restart);
            let key = headwater_vault::KeyFile::at(&site.key_file);
            let own = personal::PersonalAdapters::read(&personal::folder(&site, "train"), &key).unwrap();
            let said_later = at == 2;
            assert_eq!(of(&made, "hall").len(), sent, "forgotten in epoch {at}");
            assert_eq!(own.contains_key("hall"), said_later, "forgotten in epoch {at}");
            let kept = state.iter().any(|(key, _)| key.windows(4).any(|word| word == b"hall"));
            assert_eq!(kept, said_later, "forgotten in epoch {at}");
            // The round that had begun with its texts rounds as it did; groups are those of before.
            assert_eq!(of(&made, "loft")[0], of(&whole, "loft")[0], "forgotten in epoch {at}");
            let forgotten: u64 = made.iter().filter_map(|m| m.metrics.get("forgotten_devices")).sum();
            assert_eq!(forgotten, 1);
        }
    }
}
