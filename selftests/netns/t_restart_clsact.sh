# shellcheck shell=bash
# The same on clsact filters.
HOOK=clsact
. selftests/netns/t_restart.sh
