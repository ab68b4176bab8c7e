"""`goldsieve serve` on a large lake: gallery pages, filters and stories by a real client, and hostile requests.

    python -m benchmarks.serve_scale LAKE [--requests 100]

Starts the command on a free port, asks one page after the other, prints the median and the 95th percentile of each kind, then
sends 50 hostile requests: all must be refused, and the lake must be as it was. Point 3 of docs/benchmarks.md.
"""

import argparse
import http.client
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from urllib.parse import quote

from manifests import open_lake

LIMIT_S = 1.0


def ask(port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
    for name, value in {**({"Content-Length": str(len(body))} if body is not None else {}), **(headers or {})}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def pages(number: int, last: int) -> dict[str, list[str]]:
    """Paths of each kind of page; the stories are filled in from the galleries."""
    random.seed(7)
    columns = ("sharpness", "brightness", "contrast", "entropy", "colourfulness")
    return {
        "gallery": [f"/?page={random.randint(1, last)}" for _ in range(number)],
        "filter": [
            "/?where="
            + quote(
                f"{random.choice(columns)} > {random.random() * 300:.1f} and caption ilike '%{random.choice(['dog', 'kite', 'tram'])}%'"
            )
            + f"&order={random.choice(columns)}+desc&page={random.randint(1, min(20, last))}"
            for _ in range(number)
        ],
    }


def hostile(sample: str) -> list[tuple[str, str, dict[str, str], bytes | None]]:
    """Fifty requests that nobody should make: (method, path, headers, body)."""
    queries = [
        *("drop table samples", "delete from labels", "insert into labels values (1)", "update tiers set tier = 'gold'", "attach 'x.db'"),
        *("copy wide to '/tmp/stolen.csv'", "select * from read_text('/etc/passwd')", "select * from '/etc/passwd'", "pragma version"),
        *(
            "select * from read_csv('/etc/passwd')",
            "select getenv('HOME')",
            "install httpfs",
            "set memory_limit = '1TB'",
            "call pragma_version()",
        ),
        *(
            "select 1; drop view wide",
            "create table x as select 1",
            "select * from glob('/*')",
            "select * from duckdb_secrets()",
            "checkpoint",
        ),
        *("select * from parquet_metadata('/x')", "export database '/tmp/x'", "select * from sniff_csv('/etc/passwd')", "load httpfs"),
    ]
    wheres = [
        "1; drop table x",
        "(select count(*) from wide) > 1",
        "sha256(read_text('/etc/passwd')) = ''",
        "a" * 7000,
        "((((" * 200,
        "true) or (true",
    ]
    found = [("GET", "/?sql=" + quote(q), {}, None) for q in queries]
    found += [("GET", "/?where=" + quote(w), {}, None) for w in wheres]
    found += [
        ("GET", path, {}, None)
        for path in ("/static/..%2f..%2fetc%2fpasswd", "/static/../app.py", "/thumb/..%2f..%2fetc", "/sample/1'or'1")
    ]
    found += [("GET", f"/?page={n}", {}, None) for n in ("999999999999", "-1", "0", "1e9", "2001", "%C2%B2")]
    body = b'{"sample_id": "' + sample.encode() + b'", "value": "good"}'
    found += [
        ("POST", "/label", {}, body),
        ("POST", "/label", {"Origin": "http://evil.example"}, body),
        ("POST", "/label", {"Origin": "null"}, body),
        ("PUT", "/label", {}, body),
        ("DELETE", f"/sample/{sample}", {}, None),
        ("GET", "/", {"Host": "evil.example"}, None),
        ("GET", "/", {"Host": "127.0.0.1.evil.example"}, None),
        ("GET", "/?where=" + "x" * 20_000, {}, None),
        ("POST", "/", {}, b"x" * 5000),
        ("TRACE", "/", {}, None),
        ("GET", "/picture/%00", {}, None),
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    parser.add_argument("--requests", type=int, default=100)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with open_lake(options.lake) as lake:
        before = lake.snapshot()
        total = lake.value("SELECT count(*) FROM refs WHERE NOT vanished")
    started = time.perf_counter()
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "serve", options.lake, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if line.startswith("http"):
                break
        print(f"{total:,} samples; ready after {time.perf_counter() - started:.1f} s")
        for _ in range(20):
            try:
                ask(port, "GET", "/")
                break
            except OSError:
                time.sleep(0.2)
        kinds = pages(options.requests, min(2000, -(-total // 60)))
        ids = re.findall(rb"/sample/([0-9a-f-]{36})", b"".join(ask(port, "GET", path)[1] for path in kinds["gallery"][:4]))
        kinds["story"] = [f"/sample/{i.decode()}" for i in random.sample(sorted(set(ids)), min(options.requests, len(set(ids))))]
        good = True
        for kind, paths in kinds.items():
            took = []
            for path in paths:
                begun = time.perf_counter()
                status, _ = ask(port, "GET", path)
                took.append(time.perf_counter() - begun)
                assert status == 200, (status, path)
            p95 = statistics.quantiles(took, n=20)[-1]
            good &= p95 < LIMIT_S
            print(f"{kind:<8} {len(took)} requests: median {statistics.median(took):.3f} s, p95 {p95:.3f} s (wanted: < {LIMIT_S:g} s)")
        requests = hostile(ids[0].decode())
        answered = [(ask(port, *request)[0], request) for request in requests]
        let_in = [(status, request[:2]) for status, request in answered if not 400 <= status < 500]
        with open_lake(options.lake) as lake:
            same = lake.snapshot() == before and lake.value("SELECT count(*) FROM refs WHERE NOT vanished") == total
        print(f"{len(requests)} hostile requests: {len(requests) - len(let_in)} refused; the lake is {'as it was' if same else 'CHANGED'}")
        for status, request in let_in:
            print("  answered", status, *request)
        good &= not let_in and same
        print("all as wanted" if good else "MISSED")
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
