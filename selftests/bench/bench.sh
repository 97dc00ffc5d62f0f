#!/usr/bin/env bash
# bench.sh - program prices next to the empty program and the reference sketch, in one run.
# BENCH_ROUNDS (9) and BENCH_ENTRIES ("10 10000 60000") choose how much. Results: $O/bench/*.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
O=${O:-build}
make -s O="$O" bench-tools
for n in ${BENCH_ENTRIES:-10 10000 60000}; do
	echo "== policy entries: $n"
	taskset -c $(($(nproc) - 1)) "$O/bench/prices" -r "${BENCH_ROUNDS:-9}" -n "$n" -j "$O/bench/prices-$n.json" \
		"$O/bpf/cw_tc.bpf.o" "$O/bench/ref.bpf.o" "$O/bench/walk.bpf.o"
done
make -s O="$O" bench-compile
make -s O="$O" bench-fleet
