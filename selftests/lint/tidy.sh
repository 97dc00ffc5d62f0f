#!/usr/bin/env bash
# tidy.sh - clang-tidy (.clang-tidy lists each exception with its reason) and cppcheck.
set -uo pipefail
cd "$(dirname "$0")/../.."
O=${O:-build}
rc=0
srcs=$(git ls-files 'userspace/*.c' 'topology/*.c' 'cni-adapters/*.c')
flags="-std=gnu17 -D_GNU_SOURCE -DCW_VERSION=\"0\" -DCW_SYSCONFDIR=\"/etc\" -Iuserspace -I. -Ibpf/include -I$O/gen $(pkg-config --cflags libbpf libnl-3.0 libnl-route-3.0 libmnl libuv libcjson yaml-0.1 sqlite3 libwebsockets libcurl openssl 2>/dev/null)"
out=$(echo "$srcs" | xargs -P "$(nproc)" -n 12 sh -c 'clang-tidy --quiet "$@" -- '"$flags"' 2>/dev/null' _ | grep -E 'warning:|error:' | sort -u)
if [ -z "$out" ]; then echo "ok clang-tidy"; else echo "not ok clang-tidy"; head -40 <<<"$out"; rc=1; fi
out=$(cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -j "$(nproc)" \
	--suppressions-list=selftests/lint/cppcheck.txt -D_GNU_SOURCE -DCW_VERSION='"0"' -DCW_SYSCONFDIR='"/etc"' \
	-Iuserspace -I. -Ibpf/include $srcs 2>&1)
if [ -z "$out" ]; then echo "ok cppcheck"; else echo "not ok cppcheck"; head -40 <<<"$out"; rc=1; fi
exit $rc
