#!/usr/bin/env bash
# run.sh FUZZER SECONDS SEED - one fuzzer from its seeds; "ok" or "not ok", and where the input lies.
# SEED 0 draws a fresh one: what the checks run should not differ from run to run, what a person runs should.
set -uo pipefail
cd "$(dirname "$0")/../.."
fuzzer=$1 seconds=$2 seed=$3
name=${fuzzer#fuzz_}
work=$O/corpus/$name found=$O/found/$name log=$O/fuzz-$name.log
mkdir -p "$work" "$found"
args=(-max_total_time="$seconds" -seed="$seed" -timeout=10 -rss_limit_mb=2048 -max_len=16384
	-artifact_prefix="$found/" -print_final_stats=1)
[ ! -e "selftests/fuzz/$name.dict" ] || args+=(-dict="selftests/fuzz/$name.dict")
seeds=()
[ ! -d "selftests/fuzz/corpus/$name" ] || seeds=("selftests/fuzz/corpus/$name")
if "$O/bin/$fuzzer" "${args[@]}" "$work" "${seeds[@]}" >"$log" 2>&1; then
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	echo "ok $fuzzer: $runs runs in $seconds s"
else
	echo "not ok $fuzzer: input in $found, log in $log"
	grep -aE 'ERROR|Assertion|SUMMARY|runtime error' "$log" | head -5
	exit 1
fi
