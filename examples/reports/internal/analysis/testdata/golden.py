"""Computes golden.json from the vendored archive, and prints the hash of its rows.

It shares no code with the Go packages: it unpacks the archive by itself and
sorts where they count. Python 3.9 or later, standard library only:

    python3 examples/reports/internal/analysis/testdata/golden.py
"""
import csv
import datetime
import hashlib
import io
import json
import math
import pathlib
import zipfile

here = pathlib.Path(__file__).resolve().parent
archive = zipfile.ZipFile(here.parents[2] / "data" / "flights.zip")


def varints(packed):
    out, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 127) << shift
        if byte & 128:
            shift += 7
        else:
            out.append(value)
            value = shift = 0
    return out


meta = json.loads(archive.read("meta.json"))
n = meta["rows"]
routes = list(csv.reader(io.StringIO(archive.read("routes.csv").decode())))[1:]
first = datetime.datetime.fromisoformat(meta["first_day"])
when, minute = [], 0
for delta in varints(archive.read("departure")):
    minute += delta
    when.append(first + datetime.timedelta(minutes=minute))
packed = archive.read("route")
route = [routes[packed[i] | packed[n + i] << 8] for i in range(n)]
delay = [(v >> 1) ^ -(v & 1) for v in varints(archive.read("delay"))]


def quantile(ordered, tenths):
    """The smallest value that tenths/10 of all do not exceed."""
    return ordered[-(-tenths * len(ordered) // 10) - 1]


def statistics(values):
    ordered = sorted(values)
    return {
        "flights": len(values),
        "mean_delay": math.fsum(values) / len(values),
        "median_delay": quantile(ordered, 5),
        "p90_delay": quantile(ordered, 9),
        "late_share": 100 * sum(v >= 15 for v in values) / len(values),
    }


def groups(key, counts=lambda i: True):
    found = {}
    for i in range(n):
        if counts(i):
            found.setdefault(key(i), []).append(delay[i])
    return {k: statistics(v) for k, v in found.items() if len(v) >= 30}


def largest(found):
    return dict(sorted(found.items(), key=lambda item: -item[1]["flights"])[:12])


def band(miles):
    for low, high in ((0, 250), (250, 500), (500, 750), (750, 1000), (1000, 1500), (1500, 2000), (2000, 2500)):
        if miles < high:
            return f"{low} to {high - 1} mi" if low else f"under {high} mi"
    return "2500 mi and over"


def counts(i):
    return (
        datetime.date(2001, 2, 10) <= when[i].date() <= datetime.date(2001, 3, 20)
        and route[i][0] in ("BOS", "ORD")
        and 300 <= int(route[i][2]) <= 1000
    )


golden = {
    "all": groups(lambda i: "all"),
    "origin": largest(groups(lambda i: route[i][0])),
    "destination": largest(groups(lambda i: route[i][1])),
    "route": largest(groups(lambda i: route[i][0] + "-" + route[i][1])),
    "month": groups(lambda i: when[i].strftime("%Y-%m")),
    "weekday": groups(lambda i: when[i].strftime("%A")),
    "hour": groups(lambda i: when[i].strftime("%H:00")),
    "distance": groups(lambda i: band(int(route[i][2]))),
    "filtered": groups(lambda i: route[i][1], counts),
}
with (here / "golden.json").open("w") as out:
    json.dump(golden, out, indent=1, sort_keys=True)
    out.write("\n")
rows = hashlib.sha256()
for i in range(n):
    rows.update(f"{when[i]:%Y-%m-%d %H:%M},{route[i][0]},{route[i][1]},{route[i][2]},{delay[i]}\n".encode())
print(rows.hexdigest())
