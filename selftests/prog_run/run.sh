#!/usr/bin/env bash
# run.sh BUILD - the data path in the kernel, packet by packet: builds what is missing, runs all of
# selftests/prog_run. Nothing is pinned or attached. 77: BPF programs cannot be loaded here.
set -uo pipefail
cd "$(dirname "$0")/../.."
O=${1:-${O:-build}}
make -s O="$O" prog-run || exit 1
rc=0
for t in selftests/prog_run/test_*.c; do
	name=$(basename "$t" .c)
	echo "# $name"
	timeout -k 5 300 "$O/prog_run/$name"
	r=$?
	if [ "$r" = 77 ]; then
		[ "$rc" != 0 ] || rc=77
	elif [ "$r" != 0 ]; then
		[ "$r" -lt 124 ] || echo "not ok $name: ended with $r"
		rc=1
	fi
done
exit $rc
