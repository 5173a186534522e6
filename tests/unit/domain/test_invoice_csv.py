"""What an invoice's file may look like, and what is said of one that cannot be read."""

import pytest

from tollway.domain.invoice_cells import InvoiceError
from tollway.domain.invoice_csv import read_invoice

HEAD = "at,provider,model,input_tokens,output_tokens,cost_usd"
DAY_S = 1_801_353_600  # 2027-01-31


def read(text, **options):
    raw = text if isinstance(text, bytes) else text.encode()
    return read_invoice(raw.splitlines(keepends=True), **options)


def charges(text):
    return [line.charge for line in read(text)[1]]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2027-01-31", DAY_S),
        ("2027-01-31T02:00:00Z", DAY_S + 7200),
        ("2027-01-31T02:00:00", DAY_S + 7200),
        ("2027-01-31 02:00:00+02:00", DAY_S),
        ("2027-01-30T19:00:00-05:00", DAY_S),
        (str(DAY_S), DAY_S),
    ],
)
def test_times(time, seconds):
    """With an offset they are turned to UTC, without one they are UTC."""
    (charge,) = charges(f"{HEAD}\n{time},main,gpt,1,2,0.5\n")
    assert charge.at_s == seconds


def test_a_file_as_spreadsheets_write_it():
    """A byte order mark, CRLF, quotes, capitals, commas inside, empty lines."""
    text = (
        '\ufeffAt,Model,Input_Tokens,Cost_USD\r\n"2027-01-31","gpt, the fourth","12.0","1e-9"\r\n'
        "\r\n,,,\r\n2027-02-01,b,,\r\n"
    )
    first, second = charges(text)
    assert (first.model, first.figures) == ("gpt, the fourth", (None, 12, None, None, None, 1))
    assert (second.line, second.figures) == (5, (None,) * 6)


def test_quoted_lines_count_as_in_the_file():
    """A cell of two lines moves the numbers of what follows."""
    text = f'{HEAD}\n2027-01-31,main,"a\nb",1,2,0.5\n2027-01-31,main,c,1,2,-1\n'
    with pytest.raises(InvoiceError, match="line 4: '-1' in 'cost_usd' cannot be a charge"):
        read(text)


def test_spans():
    """Days, hours and moments are told apart."""
    assert [line.span_s for line in read(f"{HEAD}\n2027-01-31,,a,1,2,3\n")[1]] == [86_400]
    assert [line.span_s for line in read("hour,requests\n2027-01-31T05:00Z,7\n")[1]] == [3600]
    assert [line.span_s for line in read("at,requests\n2027-01-31T05:00Z,7\n")[1]] == [0]


def test_openai_usage():
    """Cached input is taken out of input; an empty bucket is none."""
    form, lines = read(
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,"
        "input_tokens,output_tokens,input_cached_tokens\n"
        f"{DAY_S},{DAY_S + 60},x,y,proj,3.0,gpt-4o,4212,1673,1280\n"
        f"{DAY_S + 60},{DAY_S + 120},x,y,,,,,,\n"
    )
    assert (form.name, form.provider_kind) == ("OpenAI usage", "openai")
    assert [line.charge.figures for line in lines] == [(3, 2932, 1280, None, 1673, None)]
    assert lines[0].span_s == 60


def test_openai_cost():
    """Line items name the model before the kind of tokens."""
    form, lines = read(
        "start_time,end_time,amount_value,amount_currency,line_item\n"
        f'{DAY_S},{DAY_S + 86_400},0.5,usd,"gpt-5-nano, input_tokens"\n'
        f"{DAY_S},{DAY_S + 86_400},,,\n"
        f"{DAY_S},{DAY_S + 86_400},0.003835980000000000000000000000,usd,\n"
    )
    assert form.name == "OpenAI cost"
    assert [(line.charge.model, line.charge.figures[5]) for line in lines] == [
        ("gpt-5-nano", 500_000_000),
        ("*", 3_835_980),
    ]


def test_anthropic_usage_and_cost():
    """Both durations of cache writes are one figure."""
    form, lines = read(
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
        "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
        "web_search_count,inference_geo,speed\n"
        "2027-01-31,claude-x,k,Default,standard,\u2264 200k,100,20,3,40,50,0,,\n"
    )
    assert form.name == "Anthropic usage"
    assert lines[0].charge.figures == (None, 100, 40, 23, 50, None)
    form, lines = read(
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,"
        "list_price_usd,cost_type\n"
        "2027-01-31,Claude X 4.5,Default,k,message,,input_no_cache,0.05,0.05,token\n"
        "2027-01-31,,Default,k,message,,,0.02,0.02,web_search\n"
    )
    assert form.name == "Anthropic cost"
    assert [(line.charge.model, line.charge.figures[5]) for line in lines] == [
        ("Claude X 4.5", 50_000_000),
        ("web_search", 20_000_000),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "The file is empty"),
        ("model,cost_usd\nx,1\n", "line 1: there is no column any of at, time"),
        ("at,model\n", "line 1: there is no column any of requests, input_tokens"),
        ("at;model;cost_usd\n", "line 1: there is no column"),
        ("at,cost_usd,at\n", "line 1: names the column 'at' twice"),
        (f"{HEAD}\n2027-01-31,m,g,1,2\n", "line 2: has 5 columns where the first line names 6"),
        (f"{HEAD}\n2027-01-31,m,g,1,2,3,4\n", "line 2: has 7 columns"),
        (f"{HEAD}\n2027-01-31,m,g,-1,2,3\n", "line 2: '-1' in 'input_tokens' is no count"),
        (f"{HEAD}\n2027-01-31,m,g,1.5,2,3\n", "line 2: '1.5' in 'input_tokens' is no count"),
        (f'{HEAD}\n2027-01-31,m,g,"1,000",2,3\n', "'1,000' in 'input_tokens' is no count"),
        (f"{HEAD}\n2027-01-31,m,g,{10**15},2,3\n", "in 'input_tokens' is no count"),
        (f"{HEAD}\n2027-01-31,m,g,1,2,$3\n", "'$3' in 'cost_usd' is no amount"),
        (f"{HEAD}\n2027-01-31,m,g,1,2,NaN\n", "'NaN' in 'cost_usd' cannot be a charge"),
        (f"{HEAD}\n2027-01-31,m,g,1,2,1e99999999\n", "in 'cost_usd' cannot be a charge"),
        (f"{HEAD}\n2027-01-31,m,g,1,2,{'9' * 99}\n", "in 'cost_usd' is no amount"),
        (f"{HEAD}\n31.1.2027,m,g,1,2,3\n", "line 2: '31.1.2027' in 'at' is no time"),
        (f"{HEAD}\n2027-01-31T09:00 CET,m,g,1,2,3\n", "in 'at' is no time"),
        (f"{HEAD}\n{DAY_S}000,m,g,1,2,3\n", "is no time"),
        (f"{HEAD}\n1970-01-31,m,g,1,2,3\n", "is not of this century"),
        (f"{HEAD}\n,m,g,1,2,3\n", "line 2: the column 'at' is empty"),
        (f"{HEAD}\n2027-01-31,m,g,1,2,3\n\n2027-01-31,m,g,1,2,3\n", "line 4: is the line 2 again"),
        (f'{HEAD}\n2027-01-31,m,"g,1,2,3\n', "is no CSV"),
        (f'{HEAD}\n2027-01-31,m,"g"x,1,2,3\n', "line 2: is no CSV"),
        (f"{HEAD}\n".encode() + b"2027-01-31,m,\xff,1,2,3\n", "line 2: is not UTF-8"),
        (f"{HEAD}\n".encode("utf-16"), "line 1: is not UTF-8"),
        (f"{HEAD}\n2027-01-31,m,\0,1,2,3\n", "line 2: has a NUL"),
        (
            "start_time,amount_value,amount_currency\n2027-01-31,1,eur\n",
            "line 2: 'eur' in 'amount_currency' is not US dollars",
        ),
        (
            (
                "start_time,num_model_requests,input_tokens,input_cached_tokens,output_tokens\n"
                "2027-01-31,1,5,6,7\n"
            ),
            "is more than input_tokens",
        ),
    ],
)
def test_what_cannot_be_read_is_named(text, words):
    """The line, what stands there, and what would be right."""
    with pytest.raises(InvoiceError) as caught:
        read(text)
    assert words in str(caught.value)


def test_a_request_twice():
    """The same request in two lines, whatever else they say; two attempts are two."""
    head = "at,request_id,attempt,cost_usd\n2027-01-31,a,1,5\n"
    assert len(read(f"{head}2027-01-31,a,2,6\n")[1]) == 2
    with pytest.raises(InvoiceError, match="line 3: is the line 2 again"):
        read(f"{head}2027-01-30,a,1,6\n")


def test_too_many_lines():
    """There is a bound, and the line at which it is reached."""
    text = "at,cost_usd\n" + "".join(f"2027-01-31,{number}\n" for number in range(5))
    assert len(read(text, most=5)[1]) == 5
    with pytest.raises(InvoiceError, match="line 6: more than 4 lines"):
        read(text, most=4)
