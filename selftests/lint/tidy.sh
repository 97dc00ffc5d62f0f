#!/usr/bin/env bash
# tidy.sh - clang-tidy (.clang-tidy lists each exception with its reason) and cppcheck.
# Wants the generated headers: `make tidy`. FILES="userspace/base/buf.c" looks at those only.
set -uo pipefail
cd "$(dirname "$0")/../.."
export O=${O:-build}
rc=0
srcs=${FILES:-$(git ls-files 'userspace/*.c' 'topology/*.c' 'cni-adapters/*.c')}
for tool in clang-tidy cppcheck; do
	command -v $tool >/dev/null || { echo "not ok $tool: not installed (make deps-check)"; exit 1; }
done
verdict() { # NAME, findings on stdin
	local l
	l=$(cat)
	if [ -z "$l" ]; then echo "ok $1"; else echo "not ok $1"; head -40 <<<"$l"; rc=1; fi
}
pkgs=$(pkg-config --cflags libbpf libnl-3.0 libnl-route-3.0 libmnl libuv libcjson yaml-0.1 sqlite3 libwebsockets libcurl openssl)
export pkgs
tidy() { # FILE. A tool that dies without a word is a finding too.
	local out
	# shellcheck disable=SC2086
	out=$(clang-tidy --quiet "$1" -- -std=gnu17 -D_GNU_SOURCE '-DCW_VERSION="0"' '-DCW_SYSCONFDIR="/etc"' \
		-Iuserspace -I. -Ibpf/include -I"$O/gen" $pkgs 2>/dev/null) || [ -n "$out" ] || echo "error: clang-tidy died at $1"
	grep -E '(warning|error):' <<<"$out"
}
export -f tidy
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Beside the many of clang-tidy: it takes a tenth of their time. (Each file alone: -j.)
# shellcheck disable=SC2086
cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr -j 2 \
	--suppressions-list=selftests/lint/cppcheck.txt -D_GNU_SOURCE -DCW_VERSION='"0"' -DCW_SYSCONFDIR='"/etc"' \
	-Iuserspace -I. -Ibpf/include $srcs >"$tmp/cppcheck" 2>&1 &
cpp=$!
# One file at a time and the long ones first, so that no processor is left alone with a late batch.
# shellcheck disable=SC2086
wc -l $srcs | sed '/ total$/d' | sort -rn | awk '{ print $2 }' >"$tmp/files"
verdict clang-tidy < <(xargs -P "$(nproc)" -n 1 bash -c 'tidy "$1"' _ <"$tmp/files" | sort -u)
wait "$cpp" || [ -s "$tmp/cppcheck" ] || echo "error: cppcheck died" >"$tmp/cppcheck"
verdict cppcheck <"$tmp/cppcheck"
exit $rc
