# %% [markdown]
# # Reading an audit from Python
#
# Cells in percent format: open it in an editor that knows them, or run it whole:
# `python examples/notebook.py`. It needs the digits world (`python examples/digits/build.py`).

# %%
import tempfile
from pathlib import Path

import auditor
from auditor import stats

HERE = Path(__file__).parent
out = Path(tempfile.mkdtemp(prefix="digits-audit-"))

# %% [markdown]
# `plan` says what will run and what will not, and why, before any work.

# %%
for line in auditor.plan(HERE / "digits/world/audit.yaml"):
    print(line)

# %% [markdown]
# `run` measures, judges, writes `audit.json` and returns the record; nothing is rendered yet. The
# slow checks of the target hardware are left out here.

# %%
wanted = ("performance/overall", "performance/claims", "bias/subgroup-gap", "shift/properties")
record = auditor.run(HERE / "digits/world/audit.yaml", out=out, only=wanted)
print(record.verdict)

# %% [markdown]
# A finding names its measure (`finding.result` is its id; `record.measure` looks it up), and the
# measure holds the estimate: its value, its interval at any level and its p-value against any limit
# are functions of `auditor.stats`. Where nothing was measured `record.result(finding)` says why.

# %%
for finding in record.findings:
    measure = record.measure(finding)
    if measure is None:
        print(f"{finding.verdict or '-':13} {finding.id:60} {record.result(finding).reason}")
        continue
    ends = stats.interval(measure.estimate, level=0.9)
    shown = f"{stats.value(measure.estimate):.3f} [{ends.low:.3f}, {ends.high:.3f}]"
    print(f"{finding.verdict or '-':13} {finding.id:60} {shown}")

# %% [markdown]
# The same record under another policy: no model, no data, a moment.

# %%
strict = auditor.judge_again(out / "audit.json", policy="strict")
print(strict.verdict, [f.id for f in strict.findings if f.verdict == "FAIL"])

# %% [markdown]
# Renderings come from the record alone.

# %%
for path in auditor.render(record, out):
    print(path)
