#!/usr/bin/env bash
# run.sh FUZZER SECONDS SEED [RUNS] - one fuzzer from its seeds; "ok" or "not ok", and where the input lies.
# SEED 0 draws a fresh one, for a person's search. With RUNS the inputs are the same ones each time, however
# fast the machine is, so that a check does not fail today on what it did not try yesterday.
set -uo pipefail
cd "$(dirname "$0")/../.."
fuzzer=$1 seconds=$2 seed=$3 runs=${4:-}
name=${fuzzer#fuzz_}
work=$O/corpus/$name found=$O/found/$name log=$O/fuzz-$name.log
fixed=()
if [ -n "$runs" ]; then
	# What earlier runs kept and where the loader puts the program would both lead it elsewhere.
	rm -rf "$work"
	seed=1
	fixed=(setarch "$(uname -m)" -R)
	"${fixed[@]}" true 2>/dev/null || fixed=()
	args=(-runs="$runs" -max_total_time=600 -reload=0)
else
	args=(-max_total_time="$seconds")
fi
mkdir -p "$work" "$found"
args+=(-seed="$seed" -timeout=20 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix="$found/" -print_final_stats=1)
[ ! -e "selftests/fuzz/$name.dict" ] || args+=(-dict="selftests/fuzz/$name.dict")
seeds=()
[ ! -d "selftests/fuzz/corpus/$name" ] || seeds=("selftests/fuzz/corpus/$name")
begin=$SECONDS
if "${fixed[@]}" "$O/bin/$fuzzer" "${args[@]}" "$work" "${seeds[@]}" >"$log" 2>&1; then
	ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	echo "ok $fuzzer: $ran runs in $((SECONDS - begin)) s"
else
	echo "not ok $fuzzer: input in $found, log in $log"
	grep -aE 'ERROR|Assertion|SUMMARY|runtime error' "$log" | head -5
	exit 1
fi
