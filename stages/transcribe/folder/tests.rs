//! Folders of every layout, whole and broken. In: folders made here. Out: what is found, or each problem.

use serde_json::json;

use super::*;

/// A folder as exports make it, but for its graphs, which are empty files.
fn sample(folder: &Path) {
    let write = |name: &str, json: Value| std::fs::write(folder.join(name), json.to_string()).unwrap();
    write(
        "config.json",
        json!({
            "model_type": "whisper", "num_mel_bins": 80, "d_model": 8, "decoder_layers": 1,
            "decoder_attention_heads": 2, "vocab_size": 13, "max_source_positions": 1500,
            "max_target_positions": 448, "suppress_tokens": [9],
        }),
    );
    write(
        "generation_config.json",
        json!({
            "is_multilingual": true, "decoder_start_token_id": 6, "eos_token_id": 5,
            "no_timestamps_token_id": 12, "suppress_tokens": [1, -1, 2], "begin_suppress_tokens": null,
        }),
    );
    write(
        "preprocessor_config.json",
        json!({ "feature_size": 80, "hop_length": 160, "n_fft": 400, "sampling_rate": 16000, "n_samples": 480000 }),
    );
    let names =
        ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>"];
    let names = names.into_iter().chain(["<|nospeech|>", "<|notimestamps|>"]);
    let added: Vec<Value> = (5..).zip(names).map(|(id, name)| json!({ "id": id, "content": name })).collect();
    write("tokenizer.json", json!({ "model": { "vocab": { "a": 0 } }, "added_tokens": added }));
    for graph in ["encoder_model.onnx", "cross_kv.onnx", "decoder_step.onnx"] {
        std::fs::write(folder.join(graph), []).unwrap();
    }
}

#[test]
fn a_whole_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let read = read(folder.path()).unwrap();
    assert_eq!(read.architecture.width, 8);
    assert_eq!(read.suppressed, [1, 2]);
    assert_eq!(read.first_suppressed, [0usize; 0]);
    assert!(matches!(read.layout, Layout::Split { .. }));
}

#[test]
fn problems_name_the_file_and_what_was_found() {
    let check = |change: &dyn Fn(&Path), expected: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path());
        change(folder.path());
        let error = read(folder.path()).unwrap_err();
        let found: Vec<String> = error.problems.iter().map(|p| format!("{}: {}", p.file, p.found)).collect();
        assert_eq!(found, expected);
        assert!(error.problems.iter().all(|p| error.to_string().contains(&p.expected)));
    };
    let set = |file: &'static str, key: &'static str, value: Value| {
        move |folder: &Path| {
            let mut json: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
            json[key] = value.clone();
            std::fs::write(folder.join(file), json.to_string()).unwrap();
        }
    };
    let remove = |files: &'static [&'static str]| {
        move |folder: &Path| files.iter().for_each(|f| std::fs::remove_file(folder.join(f)).unwrap())
    };
    check(&remove(&["config.json"]), &["config.json: no such file"]);
    check(
        &remove(&["tokenizer.json", "cross_kv.onnx", "preprocessor_config.json"]),
        &[
            "preprocessor_config.json: no such file",
            "tokenizer.json: no such file",
            "*.onnx: decoder_step.onnx, encoder_model.onnx",
        ],
    );
    check(&set("config.json", "model_type", json!("wav2vec2")), &["config.json: model_type = \"wav2vec2\""]);
    check(&set("config.json", "d_model", json!("8")), &["config.json: d_model = \"8\""]);
    check(
        &set("config.json", "decoder_attention_heads", json!(3)),
        &["config.json: d_model = 8 and decoder_attention_heads = 3"],
    );
    check(
        &set("config.json", "num_mel_bins", json!(40)),
        &["config.json: num_mel_bins = 40", "preprocessor_config.json: feature_size = 80"],
    );
    check(
        &set("preprocessor_config.json", "sampling_rate", json!(8000)),
        &["preprocessor_config.json: sampling_rate = 8000"],
    );
    check(
        &set("generation_config.json", "eos_token_id", json!([4, 3])),
        &["generation_config.json: eos_token_id = [4,3]"],
    );
    check(
        &set("generation_config.json", "suppress_tokens", json!("none")),
        &["generation_config.json: suppress_tokens = \"none\""],
    );
    check(
        &|folder| std::fs::write(folder.join("config.json"), "{\"model_type\": ").unwrap(),
        &["config.json: no valid JSON (EOF while parsing a value at line 1 column 15)"],
    );
    check(
        &|folder| std::fs::write(folder.join("config.json"), "[]").unwrap(),
        &["config.json: JSON, but no object at its top"],
    );
}

#[test]
fn a_folder_that_is_none() {
    let error = read(Path::new("no/such/folder")).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert!(error.to_string().contains("no/such/folder"));
}

#[test]
fn layouts_are_told_by_their_files() {
    let check = |files: &[&str], expected: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("onnx")).unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), []).unwrap();
        }
        let found = find_layout(folder.path(), &mut Vec::new()).map(|layout| match layout {
            Layout::Split { step, .. } => step,
            Layout::Merged { decoder, .. } => decoder,
            Layout::Pair { with_past, .. } => with_past,
        });
        assert_eq!(found, expected.map(|e| folder.path().join(e)), "{files:?}");
    };
    check(&[], None);
    check(&["encoder_model.onnx", "decoder_model.onnx"], None);
    check(&["encoder_model_int8.onnx", "decoder_model_merged.onnx"], None);
    check(&["encoder_model.onnx", "decoder_model_merged.onnx"], Some("decoder_model_merged.onnx"));
    check(
        &[
            "onnx/encoder_model_fp16.onnx",
            "onnx/decoder_model_merged_fp16.onnx",
            "onnx/encoder_model_int8.onnx",
        ],
        Some("onnx/decoder_model_merged_fp16.onnx"),
    );
    check(
        &["encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"],
        Some("decoder_with_past_model.onnx"),
    );
}
