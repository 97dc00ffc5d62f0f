#!/usr/bin/env bash
# check.sh - every suite, in order; ends with one line over all: N passed, N failed, N skipped.
#
# A suite is a command whose output holds cmocka summaries, or lines "ok NAME", "not ok NAME",
# "skip NAME: why". One that prints none of these counts as one test by its exit code (77: skip).
# CHECK_ONLY="unit netns" runs just those. Output of each goes to $O/check/NAME.log.
set -uo pipefail
cd "$(dirname "$0")/.."
O=${O:-build}
J=$(nproc)
mkdir -p "$O/check"
passed=0 failed=0 skipped=0
failures=()

count() { # LOG RC NAME
	local p f s
	p=$(( $(grep -aoE '^\[  PASSED  \] [0-9]+' "$1" | awk '{n+=$4} END {print n+0}') + $(grep -acE '^ok ' "$1") ))
	f=$(( $(grep -aoE '^\[  FAILED  \] [0-9]+ test' "$1" | awk '{n+=$4} END {print n+0}') + $(grep -acE '^not ok ' "$1") ))
	s=$(( $(grep -aoE '^\[  SKIPPED \] [0-9]+ test' "$1" | awk '{n+=$4} END {print n+0}') + $(grep -acE '^skip ' "$1") ))
	if [ $((p + f + s)) = 0 ]; then
		case $2 in 0) p=1 ;; 77) s=1 ;; *) f=1 ;; esac
	elif [ "$2" != 0 ] && [ "$2" != 77 ] && [ "$f" = 0 ]; then
		f=1 # died without saying so
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" != 0 ]; then
		failures+=("$3")
		grep -aE '^(not ok |\[  FAILED  \])|ERROR:|error:|Sanitizer' "$1" | head -20 | sed 's/^/    /'
		tail -n 15 "$1" | sed 's/^/    | /'
	fi
	grep -aE '^skip |^\[  SKIPPED \].*[a-z]' "$1" | sort -u | head -20 | sed 's/^/    /'
	printf '%-18s %5d passed %3d failed %3d skipped  %4ds\n' "$3" "$p" "$f" "$s" "$4"
}

suite() { # NAME COMMAND...
	local name=$1 t=$SECONDS rc
	shift
	[ -z "${CHECK_ONLY:-}" ] || [[ " $CHECK_ONLY " == *" $name "* ]] || return 0
	"$@" >"$O/check/$name.log" 2>&1 </dev/null
	rc=$?
	count "$O/check/$name.log" $rc "$name" $((SECONDS - t))
}

# What only computes runs beside what mostly waits, at the lowest priority; joined at the end.
beside() { # NAME COMMAND...
	local name=$1 t=$SECONDS
	shift
	[ -z "${CHECK_ONLY:-}" ] || [[ " $CHECK_ONLY " == *" $name "* ]] || return 0
	nice -n 19 "$@" >"$O/check/$name.log" 2>&1 </dev/null
	echo "$? $((SECONDS - t))" >"$O/check/$name.rc"
}
joined() { # NAME...
	local name rc t
	for name; do
		[ -z "${CHECK_ONLY:-}" ] || [[ " $CHECK_ONLY " == *" $name "* ]] || continue
		read -r rc t <"$O/check/$name.rc" || rc=1 t=0 # it did not come to its end
		count "$O/check/$name.log" "$rc" "$name" "$t"
	done
}

units() { # every unit test binary of a build directory
	local all=0 rc t log
	log=$(mktemp)
	while read -r t; do
		echo "# $t"
		timeout -k 5 300 "$t" >"$log" 2>&1
		rc=$?
		cat "$log"
		if [ "$rc" != 0 ]; then
			all=1
			grep -qaE '^\[  FAILED  \] [0-9]+ test' "$log" || echo "not ok $t: ended with $rc without a failed test"
		elif ! grep -qaE '^\[  (PASSED |SKIPPED) \] [0-9]+ test' "$log"; then
			all=1
			echo "not ok $t: no summary"
		fi
	done < <(find "$1/test" -type f -perm -u+x -name 'test_*' | sort)
	[ -s "$log" ] || { echo "not ok units: no test in $1/test"; all=1; }
	rm -f "$log"
	return $all
}

selftests/tools/leftovers.sh --before >"$O/check/before" 2>/dev/null

suite lint selftests/lint/lint.sh
suite build-gcc make -s -j"$J" O="$O" WERROR=1 all tests
suite build-clang make -s -j"$J" O="$O/clang" CC=clang WERROR=1 all
suite build-san make -s -j"$J" O="$O/san" SAN=address,undefined all tests
rm -f "$O"/check/*.rc
{ beside tidy make -s O="$O" tidy; beside fuzz make -s -k -j"$J" O="$O" fuzz FUZZ_FIXED=1; } &
compute=$!
trap 'kill -- "$compute" 2>/dev/null' EXIT
suite unit units "$O"
suite unit-san units "$O/san"
suite errors selftests/errors/run.sh "$O/san"
suite verifier make -s O="$O" verifier-report
suite prog_run selftests/prog_run/run.sh "$O"
suite judge selftests/judge/run.sh "$O"
suite judge-san env JUDGE_ENGINES=evaluator selftests/judge/run.sh "$O/san"
suite netns selftests/netns/run.sh "$O"
suite demo env O="$O" selftests/demo/demo.sh
suite cluster selftests/cluster/run.sh "$O"
wait "$compute"
joined tidy fuzz
suite leftovers env LEFTOVERS_BEFORE="$O/check/before" selftests/tools/leftovers.sh

echo
[ ${#failures[@]} = 0 ] || echo "failed suites: ${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
