#!/usr/bin/env bash
# latex_test.sh ANALYZE RECORD: every table of the record, and of the records beside it, is typeset as LaTeX without an
# error, and fits the width of an article.
set -euo pipefail

analyze=$1 records=$(dirname "$2")
if ! command -v pdflatex >/dev/null; then
  echo "skipped: pdflatex is not installed (texlive-latex-recommended)"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for record in "$records"/*.h5; do
  cp "$record" "$folder/record.h5"
  cd "$folder"
  "$analyze" record.h5 --format latex >tables.tex
  {
    echo '\documentclass{article}'
    sed -n '1s/^% //p' tables.tex # the packages, as the first line names them
    printf '%s\n' '\begin{document}' '\input{tables}' '\end{document}'
  } >document.tex
  if ! pdflatex -interaction=nonstopmode -halt-on-error document.tex >log.txt; then
    grep -A5 '^!' log.txt
    exit 1
  fi
  if grep '^Overfull' log.txt; then
    echo "$record: a table is wider than the page"
    exit 1
  fi
  tables=$(grep -c '\\begin{table}\|\\begin{longtable}' tables.tex)
  echo "$(basename "$record"): $tables tables: $(grep '^Output written' log.txt)"
  ((tables > 0))
done
