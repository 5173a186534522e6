"""`tollway ledger reconcile`: clean on the ledger's own invoice, and exactly what was doctored."""

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import insert

from tests.fakes.database import NOW_S
from tests.fakes.receipts import an_outcome
from tollway.adapters.sql.engine import SqlOptions, open_engine, sqlite_url, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.migrate import upgrade
from tollway.adapters.sql.tables import providers
from tollway.cli.root import root

COLUMNS = (
    "at",
    "provider",
    "model",
    "request_id",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "cost_usd",
)
ENDINGS = [("reported", "finished", "provider")] * 8 + [
    ("estimated", "finished", "estimated"),
    ("failed", "failed", "none"),
]
DAY_S = 86_400
BEGIN_S = NOW_S - NOW_S % DAY_S - 3 * DAY_S


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(SqlOptions(sqlite_url(str(tmp_path / "tollway.db"))))
    upgrade(engine)
    with writing(engine) as connection:
        for number, (name, kind) in enumerate([("main", "openai"), ("other", "echo")], 1):
            connection.execute(
                insert(providers).values(
                    id=f"prv_{number}",
                    name=name,
                    kind=kind,
                    base_url="http://127.0.0.1:9",
                    enabled=True,
                    created_s=0,
                    version=1,
                )
            )
    yield engine
    engine.dispose()


def a_ledger(engine, count=600):
    """Attempts of four days at two providers, some corrected; what each came to in the end."""
    draw = random.Random(4)
    first, final = [], {}
    for number in range(count):
        started_s = BEGIN_S + draw.randrange(4 * DAY_S)
        day = datetime.fromtimestamp(started_s, UTC).strftime("%Y%m%d")
        payer, outcome, source = draw.choice(ENDINGS)
        used = source != "none"
        row = an_outcome(
            f"req_{day}{number:020x}",
            started_ns=started_s * 10**9 + 5,
            payer=payer,
            outcome=outcome,
            usage_source=source,
            provider_id="prv_1" if number % 10 else "prv_2",
            target_model=draw.choice(["gpt-4o", "gpt-4o-mini", "o3"]),
            input=draw.randrange(1, 500) if used else 0,
            cached_input=draw.randrange(1, 50) if used else None,
            output=draw.randrange(1, 500) if used else 0,
            reasoning=draw.randrange(1, 9) if used else None,
            cost_nusd=draw.randrange(1, 10**9) if used else 0,
        )
        first.append(row)
        final[row.request_id] = row
    SqlLedger(engine).append("a", first, (1, 1))
    later = [
        row._replace(output=row.output + 7, cost_nusd=row.cost_nusd + 3)
        for row in first[:50]
        if row.usage_source == "provider"
    ]
    SqlLedger(engine).append("a", later, (1, 2))
    final.update({row.request_id: row for row in later})
    return [row for row in final.values() if row.provider_id == "prv_1"]


def usd(nusd):
    return f"{nusd // 10**9}.{nusd % 10**9:09d}"


def an_invoice(rows):
    """What the provider charges for: a line for each request that used anything."""
    return [
        {
            "at": datetime.fromtimestamp(row.started_ns // 10**9, UTC).isoformat(),
            "provider": "main",
            "model": row.target_model,
            "request_id": row.request_id,
            "input_tokens": row.input,
            "cached_input_tokens": row.cached_input,
            "output_tokens": row.output + row.reasoning,
            "cost_usd": usd(row.cost_nusd),
        }
        for row in rows
        if row.usage_source != "none"
    ]


def written(tmp_path, lines, columns=COLUMNS):
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    path = tmp_path / "invoice.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def run(tmp_path, path, *options):
    """Exit code and report."""
    given = ["ledger", "reconcile", "--invoice", str(path), "--data-dir", str(tmp_path), *options]
    result = CliRunner().invoke(root, [*given, "-o", "json"], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout) if result.exit_code < 2 else result.stderr


def test_the_ledgers_own_invoice_agrees(engine, tmp_path):
    """600 attempts, corrections added, failures that used nothing left out."""
    lines = an_invoice(a_ledger(engine))
    code, report = run(tmp_path, written(tmp_path, lines))
    assert (code, report["equal"], report["rows"]) == (0, True, [])
    assert not any(group["differs"] for group in report["groups"])
    assert len(report["groups"]) == 12
    assert len(lines) > 450


def test_a_doctored_invoice_shows_exactly_the_doctored_rows(engine, tmp_path):
    """Amounts, a dropped, an added, a swapped and a moved row: these, and nothing else."""
    lines = an_invoice(a_ledger(engine))
    cheaper, wordier, dropped, swapped, moved, cached = random.Random(7).sample(
        range(len(lines)), 6
    )
    expected = {}
    ids = {number: line["request_id"] for number, line in enumerate(lines)}
    lines[cheaper]["cost_usd"] = "7777.000000001"
    expected[ids[cheaper]] = ("differs", {"cost_nusd"})
    lines[wordier]["output_tokens"] += 1
    expected[ids[wordier]] = ("differs", {"output_tokens"})
    lines[cached]["cached_input_tokens"] -= 1
    expected[ids[cached]] = ("differs", {"cached_input_tokens"})
    lines[swapped]["model"] = "gpt-4.1"
    expected[ids[swapped]] = ("differs", {"model"})
    at = datetime.fromisoformat(lines[moved]["at"])
    later = at.timestamp() < BEGIN_S + DAY_S
    lines[moved]["at"] = (at + timedelta(days=1 if later else -1)).isoformat()
    expected[ids[moved]] = ("differs", {"day"})
    added = f"req_{ids[0][4:12]}{'f' * 20}"
    lines.append({**lines[0], "request_id": added})
    expected[added] = ("not_in_ledger", None)
    expected[ids[dropped]] = ("not_in_invoice", None)
    del lines[dropped]
    code, report = run(tmp_path, written(tmp_path, lines))
    found = {
        row["request_id"]: (
            row["what"],
            {field["name"] for field in row["fields"]} if row["what"] == "differs" else None,
        )
        for row in report["rows"]
    }
    assert (code, found) == (1, expected)
    for row in report["rows"]:
        if row["line"] is not None:
            assert lines[row["line"] - 2]["request_id"] == row["request_id"]


def test_totals_alone_when_no_request_is_named(engine, tmp_path):
    """A usage export by the day: the bucket, the model and the figure that differ."""
    rows = [row for row in a_ledger(engine) if row.usage_source != "none"]
    sums = {}
    for row in rows:
        day = int(row.started_ns // 10**9 // DAY_S * DAY_S)
        known = sums.setdefault((day, row.target_model), [0, 0, 0, 0])
        fresh = (1, row.input, row.cached_input, row.output + row.reasoning)
        sums[day, row.target_model] = [one + two for one, two in zip(known, fresh, strict=True)]
    lines = [
        {
            "start_time": day,
            "end_time": day + DAY_S,
            "num_model_requests": f"{requests}.0",
            "model": f"{model}-2024-08-06",
            "input_tokens": fresh + cached,
            "input_cached_tokens": cached,
            "output_tokens": output,
        }
        for (day, model), (requests, fresh, cached, output) in sums.items()
    ]
    lines.append({"start_time": BEGIN_S - DAY_S, "end_time": BEGIN_S})  # nothing was used
    columns = tuple(lines[0])
    code, report = run(tmp_path, written(tmp_path, lines, columns))
    assert (code, report["form"], len(report["groups"])) == (0, "OpenAI usage", 12)
    lines[3]["output_tokens"] += 100
    code, report = run(tmp_path, written(tmp_path, lines, columns))
    (wrong,) = [group for group in report["groups"] if group["differs"]]
    assert (code, wrong["differs"], report["rows"]) == (1, ["output_tokens"], [])
    assert wrong["difference"]["output_tokens"] == 100
    assert wrong["bucket"] == datetime.fromtimestamp(lines[3]["start_time"], UTC).date().isoformat()
    assert lines[3]["model"].startswith(wrong["model"])
    assert run(tmp_path, written(tmp_path, lines, columns), "--tolerance", "99%")[0] == 0


def test_costs_of_each_line_item(engine, tmp_path):
    """A cost export adds up to the ledger's cost by day and model, without tokens."""
    rows = [row for row in a_ledger(engine) if row.usage_source != "none"]
    lines = [
        {
            "start_time": int(row.started_ns // 10**9 // DAY_S * DAY_S),
            "amount_value": usd(row.cost_nusd),
            "amount_currency": "usd",
            "line_item": f"{row.target_model}, input",
            "organization_id": f"line {number}",
        }
        for number, row in enumerate(rows)
    ]
    path = written(tmp_path, lines, tuple(lines[0]))
    assert run(tmp_path, path)[0] == 0
    for line in lines:
        line["line_item"] = ""  # not told apart by model: the days still compare
    code, report = run(tmp_path, written(tmp_path, lines, tuple(lines[0])))
    assert (code, len(report["groups"])) == (0, 4)


def test_some_days_of_it(engine, tmp_path):
    """`--from` and `--to` bound both sides."""
    lines = an_invoice(a_ledger(engine))
    day = datetime.fromtimestamp(BEGIN_S + DAY_S, UTC).date().isoformat()
    path = written(tmp_path, lines)
    code, report = run(tmp_path, path, "--from", day, "--to", day)
    assert code == 0
    assert {group["bucket"] for group in report["groups"]} == {day}
    only = [line for line in lines if line["at"].startswith(day)]
    assert run(tmp_path, written(tmp_path, only))[0] == 0
    code, report = run(tmp_path, written(tmp_path, only), "--from", "2023-01-01")
    assert (code, {row["what"] for row in report["rows"]}) == (1, {"not_in_invoice"})


def test_lines_of_others_are_left_out(engine, tmp_path):
    """With `--provider`, a file of several providers is compared for one."""
    lines = an_invoice(a_ledger(engine))
    lines += [{**lines[0], "provider": "elsewhere", "request_id": "x"}]
    path = written(tmp_path, lines)
    assert run(tmp_path, path, "--provider", "main")[0] == 0
    code, words = run(tmp_path, path)
    assert code == 2
    assert "there is no provider 'elsewhere' (there are: main, other)" in words


def test_in_words(engine, tmp_path):
    """What people read: figures that differ, then the requests."""
    lines = an_invoice(a_ledger(engine))
    given = ["ledger", "reconcile", "--data-dir", str(tmp_path), "--invoice"]
    done = CliRunner().invoke(root, [*given, str(written(tmp_path, lines))])
    assert (done.exit_code, done.output) == (0, "12 groups agree.\n")
    gone = lines.pop(5)
    lines[9]["cost_usd"] = "100"
    done = CliRunner().invoke(root, [*given, str(written(tmp_path, lines))])
    assert done.exit_code == 1
    assert f"{gone['request_id']}: not in the invoice" in done.output
    assert f"{lines[9]['request_id']}: differs (line 11, " in done.output
    assert "cost_nusd 100 / " in done.output
    assert "of 12 groups and 2 requests differ." in done.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "tomorrow"], "--from is a day"),
        (["--tolerance", "lots"], "--tolerance is a percentage"),
        (["--provider", "nobody"], "there is no provider 'nobody'"),
        (["--from", "2030-01-02", "--to", "2030-01-01"], "2030-01-02 is after 2030-01-01"),
        (["--from", "2030-01-01", "--to", "2030-01-02"], "nothing of the days"),
    ],
)
def test_options_that_cannot_be(engine, tmp_path, options, words):
    """Exit code 2 and one line."""
    path = written(tmp_path, an_invoice(a_ledger(engine, 20)))
    code, error = run(tmp_path, path, *options)
    assert code == 2
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "The file is empty"),
        (b"at,cost_usd\n", "no line that charges anything"),
        (b"at,model,cost_usd\n2027-01-31,gpt-4o,x\n", "line 2: 'x' in 'cost_usd' is no amount"),
    ],
)
def test_files_that_cannot_be(engine, tmp_path, content, words):
    """Exit code 2, the file and the line."""
    path = tmp_path / "bad.csv"
    if content is not None:
        path.write_bytes(content)
    code, error = run(tmp_path, path)
    assert code == 2
    assert words in error
    assert "bad.csv" in error


def test_it_must_be_known_whose_invoice_it_is(engine, tmp_path):
    """Without a column for it, and of a kind nobody has."""
    lines = an_invoice(a_ledger(engine))
    columns = tuple(name for name in COLUMNS if name != "provider")
    path = written(tmp_path, lines, columns)
    code, error = run(tmp_path, path)
    assert (code, "Say whose invoice it is" in error) == (2, True)
    assert run(tmp_path, path, "--provider", "main")[0] == 0
