# ./just lists these; ./just NAME runs one. Tools come from .venv (the wrapper put it first in PATH).

set positional-arguments := true

# list what follows
default:
    @just --list --unsorted

# the whole gateway on embedded NATS, PostgreSQL and S3, with a demonstration
up *ARGS:
    @exec saraban up --demo "$@"

# every test, two files at a time: what README promises and CI runs
test *ARGS:
    python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"

# format, ruff, mypy --strict, import contracts, schemas; and that every test can be read
check:
    ruff format --check gateway projections tests
    ruff check gateway projections tests
    mypy
    lint-imports
    python -m pytest -q tests/domain/test_schemas.py tests/architecture
    python -m pytest -q --collect-only --no-summary > /dev/null

# bring the files into the one format
format:
    ruff format gateway projections tests
    ruff check --fix gateway projections tests

# pure tests only, seconds
fast *ARGS:
    python -m pytest -q tests/mail tests/protocols tests/domain tests/architecture tests/test_settings.py "$@"

# memory and real adapters keep the same word
contracts *ARGS:
    python -m pytest tests/contracts "$@"

# the whole gateway with real clients, and with kills
e2e *ARGS:
    python -m pytest tests/e2e "$@"

# the acceptance tests of one issue at their full size; the report is docs/soak/ISSUE.md
soak ISSUE:
    python -m tests.soak "{{ ISSUE }}"

# coverage-guided fuzzing of a protocol core, e.g. `./just fuzz smtp 600`; what breaks it is written to var/fuzz
fuzz TARGET="smtp" SECONDS="60":
    mkdir -p var/fuzz/corpus-{{ TARGET }}
    python -m tests.fuzz.{{ TARGET }} -max_total_time={{ SECONDS }} -max_len=2000 -dict=tests/fuzz/{{ TARGET }}.dict -artifact_prefix=var/fuzz/ -print_final_stats=1 var/fuzz/corpus-{{ TARGET }}

# load the public corpus into the running gateway
demo-corpus *ARGS:
    python -m tests.corpus.load_corpus "$@"

# side by side with the peers that are installed: inbound or relay; or admin, 350,000 accounts with --accounts 350000; or queue
bench *ARGS:
    python -m tests.bench.bench "$@"

# write requirements.lock anew from pyproject.toml (needs uv)
lock:
    uv pip compile --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --extra dev --upgrade -o requirements.lock pyproject.toml
