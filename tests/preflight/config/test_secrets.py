from preflight.config import load_config


def test_a_token_is_in_nothing_that_is_written(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "model: {name_or_path: m}\ndata: {train: t.jsonl}\ntraining: {output_dir: run, hub_token: hf_verysecret}\n"
    )

    config = load_config(path)

    assert config.training["hub_token"] == "hf_verysecret"
    assert "hf_verysecret" not in str(config.resolved())
