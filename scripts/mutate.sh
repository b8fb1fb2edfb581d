#!/usr/bin/env bash
# Run mutation tests: bash scripts/mutate.sh WHAT TESTS...
#   bash scripts/mutate.sh src/colorgan/color tests/color
#   bash scripts/mutate.sh src/colorgan/metrics tests/metrics
#   bash scripts/mutate.sh src/colorgan/files.py tests/test_files.py
# Works in a copy of the checkout. Prints the mutants that no test detects; most should be equivalent to the original.
# Needs mutmut: pip install mutmut
set -euo pipefail
python=$(command -v "${PYTHON:-.venv/bin/python}")
python=$(realpath -s "$python")
what=$1
shift
[ -e "$what" ] || { echo "no such file or folder: $what" >&2; exit 2; }
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r src tests docs scripts mkdocs.yml pyproject.toml ./*.md LICENSE "$copy"
cd "$copy"
tests=$(printf '"%s", ' "$@")
cat >> pyproject.toml <<CONFIG

[tool.mutmut]
source_paths = ["$what"]
pytest_add_cli_args_test_selection = [${tests%, }]
also_copy = ["src", "tests", "docs", "scripts", "mkdocs.yml"]
CONFIG
# One process with one thread, since parallel ones wait for each other inside PyTorch.
OMP_NUM_THREADS=1 nice -n 10 "$python" -m mutmut run --max-children 1
"$python" -m mutmut results | sed -n 's/^ *\(.*\): \(survived\|no tests\|timeout\|suspicious\)$/\1 \2/p' | while read -r name how; do
    echo "== $name: $how"
    "$python" -m mutmut show "$name" | grep '^[-+][^-+]'
done
