# Shared by the lab's scripts; sourced, not run.
KUBE_LAB_DIR=${KUBE_LAB_DIR:-/tmp/cellwall-kube}
KUBE_LAB_CACHE=${KUBE_LAB_CACHE:-/var/cache/cellwall-kube}
KUBE_LAB_DIR=$(realpath -m "$KUBE_LAB_DIR") KUBE_LAB_CACHE=$(realpath -m "$KUBE_LAB_CACHE")
export KUBE_LAB_DIR KUBE_LAB_CACHE
# A node has its own /etc, /var, /opt, /run, /sys and /proc. It sees the machine's /var
# below its own, which is enough for the cache (read only there), not for the state.
for _d in "$KUBE_LAB_DIR" "$KUBE_LAB_CACHE"; do
	case $_d in
	/var/cache/?*) [ "$_d" = "$KUBE_LAB_CACHE" ] && [ "$_d" != "$KUBE_LAB_DIR" ] && continue ;;&
	/ | /etc* | /var* | /opt* | /run* | /sys* | /proc* | /dev*)
		echo "KUBE_LAB_DIR and KUBE_LAB_CACHE: not $_d" >&2; exit 2 ;;
	esac
done

log() { printf '[%s] %s\n' "$(date +%T)" "$*" >&2; }
die() { printf '[%s] ERROR: %s\n' "$(date +%T)" "$*" >&2; exit 1; }

# apt_need PKG...: install what is missing, by apt's ordinary client.
apt_need() {
	local p miss=()
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || miss+=("$p")
	done
	[ ${#miss[@]} -gt 0 ] || return 0
	mkdir -p "$KUBE_LAB_CACHE/log"
	log "apt: installing ${miss[*]}"
	local i=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y
		-o DPkg::Lock::Timeout=600 --no-install-recommends install "${miss[@]}")
	"${i[@]}" >>"$KUBE_LAB_CACHE/log/apt.log" 2>&1 || {
		apt-get -q -o DPkg::Lock::Timeout=600 update >>"$KUBE_LAB_CACHE/log/apt.log" 2>&1 || true
		"${i[@]}" >>"$KUBE_LAB_CACHE/log/apt.log" 2>&1 ||
			die "apt-get install ${miss[*]} failed, see $KUBE_LAB_CACHE/log/apt.log"
	}
}

# --- the lab's addresses (all of them on this machine, in namespaces made here) ---
SW=kl-sw                 # netns that holds the underlay switch (bridge br0)
HOSTIF=kl-host           # this machine's leg on the underlay
UNDER=10.222.0           # underlay /24: .1 this machine (API server), .10+N node N, .254 the switch
API=$UNDER.1
API_PORT=6443
POD_CIDR=10.244.0.0/16   # node N: 10.244.N.0/24
SVC_CIDR=10.96.0.0/16
UNDER6=fd10:222::        # the same in IPv6, with KUBE_LAB_DUALSTACK=1
POD6_CIDR=fd10:244::/48  # node N: fd10:244:0:N::/64
SVC6_CIDR=fd10:96::/112
DNS_IP=10.96.0.10        # nothing answers there unless you deploy it
ETCD_PORT=12379
CG=kubelab               # cgroup directory in every hierarchy

D=$KUBE_LAB_DIR
BIN=$KUBE_LAB_CACHE/bin
KUBECTL=$BIN/kubectl
export KUBECONFIG=$D/admin.kubeconfig
kc() { "$KUBECTL" "$@"; }
node_netns() { echo "kl-n$1"; }
node_ip() { echo "$UNDER.$((10 + $1))"; }
nodes_up() { ls "$D/run" 2>/dev/null | sed -n 's/^node\([0-9]*\)\.pid$/\1/p' | sort -n; }

# --- processes: recorded as "PID STARTTIME", so a reused PID is never taken for ours ---
starttime() { # of a live process; nothing for one that is gone or a zombie
	local s
	s=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
	case $s in [!ZX]*) cut -d' ' -f20 <<<"$s" ;; esac
}
record() { echo "$2 $(starttime "$2")" >"$D/run/$1.pid"; }
pid_of() { # NAME: prints the PID if it still is the process that was recorded
	local p s
	[ -f "$D/run/$1.pid" ] || return 1
	read -r p s <"$D/run/$1.pid" || return 1
	[ -n "$s" ] && [ "$(starttime "$p")" = "$s" ] && echo "$p"
}
start() { # NAME COMMAND...: in the background, in the lab's control-plane cgroup
	local n=$1; shift
	pid_of "$n" >/dev/null && return 0
	( cg_join cp; exec setsid "$@" ) </dev/null >>"$D/log/$n.log" 2>&1 &
	record "$n" $!
}
stop() { # NAME [SIGNAL [SECONDS]]
	local p i
	if p=$(pid_of "$1"); then
		kill -"${2:-TERM}" "$p" 2>/dev/null || true
		for ((i = 0; i < ${3:-5} * 10; i++)); do pid_of "$1" >/dev/null || break; sleep 0.1; done
		if p=$(pid_of "$1"); then kill -KILL "$p" 2>/dev/null || true; sleep 0.2; fi
	fi
	rm -f "$D/run/$1.pid"
}

# --- cgroups: v1 hierarchies or cgroup2, whatever is mounted under /sys/fs/cgroup ---
cg_dirs() { awk '$3=="cgroup" || $3=="cgroup2" {print $2}' /proc/mounts | grep ^/sys/fs/cgroup | sort -u; }
cg_make() { # PATH below $CG
	local h d p
	for h in $(cg_dirs); do
		p=$h
		for d in $CG ${1//\// }; do
			p=$p/$d
			[ -d "$p" ] || mkdir "$p"
			if [ -f "$p/cpuset.cpus" ] && [ -z "$(cat "$p/cpuset.cpus")" ]; then
				cat "${p%/*}/cpuset.cpus" >"$p/cpuset.cpus"
				cat "${p%/*}/cpuset.mems" >"$p/cpuset.mems"
			fi
		done
	done
}
cg_join() { local h; for h in $(cg_dirs); do echo "$BASHPID" >"$h/$CG/$1/cgroup.procs"; done; }
cg_remove() { # [PATH below $CG]: that and all below it, once nothing runs there
	local h i p=$CG${1:+/$1}
	for i in 1 2 3 4 5 6 7 8; do
		for h in $(cg_dirs); do
			[ ! -d "$h/$p" ] || find "$h/$p" -depth -type d -exec rmdir {} + 2>/dev/null || true
		done
		for h in $(cg_dirs); do [ ! -d "$h/$p" ] || { sleep 0.3; continue 2; }; done
		return 0
	done
	return 1
}
# rss_mib PATH: anonymous memory of a cgroup and all below it, MiB
rss_mib() {
	local f=/sys/fs/cgroup/memory/$CG/$1/memory.stat
	[ -f "$f" ] && awk '$1=="total_rss" {print int($2/1048576)}' "$f"
}
# kubelet writes these machine-wide settings; down.sh puts the old values back
KUBELET_SYSCTLS='vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes'
