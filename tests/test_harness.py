def test_the_sound_project_is_green(project):
    run = project.gate()

    assert run.report["verdict"] == "green", run.screen
    assert run.code == 0
    assert (project.folder / "run" / "preflight" / "clearance.json").is_file()


def test_a_planted_fault_is_found(project):
    run = project.set(training={"learning_rate": 0.5}).gate("-k", "CFG-105")

    assert run.outcome("CFG-105") == "failed"
    assert run.code == 1
    assert run.findings("CFG-105")[0]["where"].startswith("config.yaml:")
