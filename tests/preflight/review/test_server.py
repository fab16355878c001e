"""The local page over plain HTTP: who may ask, what is answered, and what reaches the record."""

import json
import socket
import threading
import time
from html import unescape

import pytest

from preflight.review import record
from preflight.review.record import RecordError

HOSTILE = [
    "<script>alert(1)</script>",
    "</textarea></style></script><img src=x onerror=alert(1)>",
    "\" onfocus=alert(1) autofocus '",
    "\u202ereversed\u200b\x07",
]


@pytest.fixture
def site(sit, serve):
    return serve(sit())


@pytest.mark.parametrize(
    "path, headers, status, told",
    [
        pytest.param("{home}1", {}, 200, "1 of 5", id="the page itself"),
        pytest.param("{home}1", {"Host": "localhost:{port}"}, 200, "1 of 5", id="by its other name"),
        pytest.param("/", {}, 403, "the address lacks its token", id="no token"),
        pytest.param("/1", {}, 403, "the address lacks its token", id="a page without token"),
        pytest.param("/nonsense/1", {}, 403, "the address lacks its token", id="a wrong token"),
        pytest.param("/{half}/1", {}, 403, "the address lacks its token", id="half a token"),
        pytest.param("{home}1", {"Host": "evil.example:{port}"}, 403, "only at 127.0.0.1", id="DNS rebinding"),
        pytest.param("{home}1", {"Host": "127.0.0.1"}, 403, "only at 127.0.0.1", id="a host without the port"),
        pytest.param("{home}1", {"Host": ""}, 403, "only at 127.0.0.1", id="no host"),
        pytest.param("{home}0", {}, 404, "no such page", id="before the first"),
        pytest.param("{home}6", {}, 404, "no such page", id="behind the last"),
        pytest.param("{home}../../etc/passwd", {}, 404, "no such page", id="a file"),
        pytest.param("{home}99999999999999999999", {}, 404, "no such page", id="a huge number"),
        pytest.param("{home}summary?x=1", {}, 200, "5 rows to go", id="a query"),
    ],
)
def test_only_who_knows_the_address_sees_a_page(site, path, headers, status, told):
    words = {"home": site.home, "port": site.server.server_port, "half": site.server.token[:9]}
    sent = {name: value.format(**words) for name, value in headers.items()}

    got, _, text = site.ask("GET", path.format(**words), None, sent)

    assert got == status
    assert told in text


def test_it_listens_on_this_machine_only(site):
    assert site.server.socket.getsockname()[0] == "127.0.0.1"
    with socket.socket(socket.AF_INET6) as other, pytest.raises(OSError, match=r"refused|unreachable|assign"):
        other.connect(("::1", site.server.server_port))


def test_each_start_has_a_token_of_its_own(sit, serve):
    desk = sit()

    assert serve(desk).server.token != serve(desk).server.token
    assert len(serve(desk).server.token) >= 32


@pytest.mark.parametrize("path", ["1", "summary", "9"])
def test_every_answer_forbids_what_it_does_not_need(site, path):
    _, headers, text = site.get(path)

    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "http:" not in text
    assert "https:" not in text


@pytest.mark.parametrize(
    "headers, status",
    [
        pytest.param({}, 303, id="the page itself"),
        pytest.param({"Origin": "http://evil.example"}, 403, id="another site"),
        pytest.param({"Origin": "null"}, 403, id="a sandboxed page"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, 403, id="another port"),
        pytest.param({"Origin": "http://localhost:{port}"}, 403, id="another name"),
        pytest.param({"Origin": ""}, 403, id="no origin"),
        pytest.param({"Host": "evil.example", "Origin": "http://evil.example"}, 403, id="DNS rebinding"),
        pytest.param({"Content-Length": "99999999"}, 413, id="too long"),
        pytest.param({"Content-Length": "-1"}, 413, id="a negative length"),
        pytest.param({"Content-Length": "²"}, 413, id="a length that is no number"),
    ],
)
def test_only_the_page_itself_writes_to_the_record(site, headers, status):
    sent = {name: value.format(port=site.server.server_port) for name, value in headers.items()}
    sent = {name: value.encode().decode("latin-1") for name, value in sent.items()}

    assert site.post("1", {"do": "accept", "comment": ""}, **sent)[0] == status
    assert site.server.desk.path.exists() == (status == 303)


@pytest.mark.parametrize(
    "path, do", [("1", "delete"), ("1", ""), ("1", "done"), ("7", "accept"), ("summary", "accept")]
)
def test_what_no_button_says_is_refused(site, path, do):
    assert site.post(path, {"do": do})[0] == 404
    assert not site.server.desk.path.exists()


@pytest.mark.parametrize(
    "do, at, goes_to, verdict",
    [
        ("accept", "1", "2", "accept"),
        ("reject", "1", "2", "reject"),
        ("comment", "1", "1", None),
        ("back", "3", "2", None),
        ("back", "1", "1", None),
        ("on", "3", "4", None),
        ("on", "5", "summary", None),
        ("accept", "5", "1", "accept"),
    ],
)
def test_every_button_keeps_the_comment_and_goes_its_way(site, do, at, goes_to, verdict):
    desk = site.server.desk
    status, headers, _ = site.post(at, {"do": do, "comment": " why?\r\nbecause "})

    assert (status, headers["Location"]) == (303, site.home + goes_to)
    ((who, said),) = record.load(desk.path).said()
    assert (who, said.row, said.verdict) == ("Ada", desk.order[int(at) - 1], verdict)
    assert said.comment == "why?\nbecause"


def test_looking_around_writes_nothing(site):
    for path in ("1", "2", "summary", ""):
        site.get(path)
    for wish in ("back", "on", "comment"):
        site.post("2", {"do": wish, "comment": ""})

    assert not site.server.desk.path.exists()


def test_a_verdict_is_kept_when_a_comment_is_added_and_changed_when_another_is_given(site):
    site.post("1", {"do": "accept", "comment": ""})
    site.post("1", {"do": "comment", "comment": "well"})
    ((_, said),) = record.load(site.server.desk.path).said()
    assert (said.verdict, said.comment) == ("accept", "well")

    site.post("1", {"do": "reject", "comment": "well"})
    ((_, said),) = record.load(site.server.desk.path).said()
    assert (said.verdict, said.comment) == ("reject", "well")


def test_the_start_is_the_first_row_that_nobody_has_judged(site):
    assert site.get()[1]["Location"] == site.home + "1"
    for place in "13245":
        site.post(place, {"do": "accept", "comment": ""})
        assert site.get()[1]["Location"] == site.home + {"1": "2", "3": "2", "2": "4", "4": "5", "5": "summary"}[place]
    assert "All 5 rows reviewed" in site.get("summary")[2]
    assert record.load(site.server.desk.path).reviews[0].finished


def test_done_ends_it(site):
    site.post("1", {"do": "reject", "comment": "rude"})
    status, _, text = site.post("summary", {"do": "done"})

    assert status == 200
    assert "You can close this page" in text
    assert "1 of 5 rows reviewed, 1 rejected, by Ada" in text
    for _ in range(100):
        if site.server._BaseServer__is_shut_down.is_set():
            return
        time.sleep(0.02)
    pytest.fail("it still serves")


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_the_data_and_of_people_stays_text(project, sit, serve, text):
    row = {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}], text: text}
    project.set(name=text.replace("\x07", "").replace("\u202e", "").replace("\u200b", ""))
    project.rows([row] * 5)
    site = serve(sit(reviewer=text))
    site.post("1", {"do": "reject", "comment": text})

    for path in ("1", "summary"):
        _, _, page = site.get(path)
        assert text not in page
        assert page.count("<script>") == 1
        assert "<img" not in page
        assert not set("\u202e\u200b\x07") & set(unescape(page))


def test_templates_in_the_data_are_not_run(project, sit, serve):
    text = "{{ 7 * 7 }}{% raw %}"
    project.rows([{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}]}])

    assert serve(sit()).get("1")[2].count(text) == 4  # twice in the chat, twice in the row as it stands in the file


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01", id="TLS"),
        pytest.param(b"GET /\xc3\xa9/1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", id="not ASCII"),
        pytest.param(b"PUT / HTTP/1.1\r\n\r\n", id="another method"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", id="many headers"),
        pytest.param(b"POST", id="half a request"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_request_harms_nothing(site, capfd, sent):
    with socket.create_connection(("127.0.0.1", site.server.server_port), timeout=10) as other:
        other.sendall(sent)
        other.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.0 200" not in other.recv(100)
    with socket.create_connection(("127.0.0.1", site.server.server_port), timeout=10) as gone:
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.sendall(f"GET {site.home}1 HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode())

    assert site.get("1")[0] == 200
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


def test_what_others_said_is_shown_beside_ones_own(sit, serve):
    ada, bo = serve(sit()), serve(sit("Bo"))
    ada.post("1", {"do": "reject", "comment": "rude"})

    _, _, page = bo.get("1")
    assert "Ada rejected it: rude" in page
    assert 'aria-pressed="true"' not in page
    assert "1 of 5 reviewed" in page

    bo.post("1", {"do": "accept", "comment": ""})
    assert [review.reviewer for review in record.load(ada.server.desk.path).reviews] == ["Ada", "Bo"]
    assert "2 rejected" not in bo.get("summary")[2]


def test_nothing_is_lost_when_several_write_at_once(sit, serve):
    sites = [serve(sit(name)) for name in ("Ada", "Bo", "Cy")]

    def judge(site):
        for place in range(1, 6):
            site.post(str(place), {"do": "accept", "comment": f"{place}"})

    threads = [threading.Thread(target=judge, args=(site,)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = record.load(sites[0].server.desk.path)
    assert {review.reviewer: len(review.verdicts) for review in kept.reviews} == {"Ada": 5, "Bo": 5, "Cy": 5}


def test_a_record_that_breaks_on_the_way_is_not_overwritten(site):
    path = site.server.desk.path
    path.write_text("{")

    for status, _, text in (site.get("1"), site.get(), site.post("1", {"do": "accept", "comment": ""})):
        assert status == 500
        assert "config.review.json" in text
    assert path.read_text() == "{"


def test_a_record_that_cannot_be_written_says_so(site):
    desk = site.server.desk
    desk.path.mkdir()

    status, _, text = site.post("1", {"do": "accept", "comment": ""})
    assert (status, "Is a directory" in text) == (500, True)


def test_a_sitting_goes_on_where_the_last_one_ended(sit):
    desk = sit(count=8)
    desk.say(desk.order[0], "accept", "")
    again = sit(count=5)

    assert again.order == desk.order
    assert again.next_place() == 2
    assert sit(count=10).order[:8] == desk.order
    with pytest.raises(RecordError, match="its sample was drawn with seed 0"):
        sit(seed=1)


def test_rows_that_are_held_out_can_be_drawn_too(project, sit):
    del project.config["data"]["validation"]
    project.set(data={"validation_split": 0.2})
    desk = sit(count=60)

    assert sorted(desk.items) == sorted(desk.order) == list(range(60))
    for row in desk.order:
        assert desk.items[row].row.value == json.loads(desk.as_written(row))
        assert desk.items[row].facts["where"] == f"train.jsonl:{row + 1}"
        said = "".join(piece.text for piece in desk.view(row).turns[-1].shown if piece.supervised)
        assert said == desk.items[row].row.value["messages"][-1]["content"] + "<|im_end|>"


def test_a_record_of_other_data_is_moved_aside_with_the_first_verdict(project, sit):
    desk = sit()
    desk.say(desk.order[0], "accept", "before")
    before = desk.path.read_text()
    lines = (project.folder / "train.jsonl").read_text().splitlines(keepends=True)
    project.text("".join(lines[1:]))

    desk = sit(seed=3)
    assert desk.next_place() == 1
    assert desk.path.read_text() == before

    desk.say(desk.order[0], "reject", "after")
    (aside,) = project.folder.glob("config.review.2*.json")
    assert aside.read_text() == before
    assert [said.comment for _, said in record.load(desk.path).said()] == ["after"]
    assert json.loads(desk.path.read_text())["seed"] == 3
