#!/usr/bin/env bash
# run.sh BUILD - the catalogues of malformed input through every reader built under BUILD, case
# by case: "ok FILE: CASE" or "not ok FILE: CASE".
set -uo pipefail
cd "$(dirname "$0")/../.."
rc=0 n=0
while read -r t; do
	n=$((n + 1))
	ERROR_CASES_LIST=1 "$t" 2>&1 || rc=1
done < <(find "${1:-build}/test" -type f -perm -u+x -name 'test_errors*' | sort)
[ $n -gt 0 ] || { echo "not ok no catalogue test is built under ${1:-build}"; exit 1; }
exit $rc
