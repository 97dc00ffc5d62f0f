#!/bin/bash
# Brings up a real Kubernetes 1.20.2 on this machine.  Safe to run again: what
# is there and alive is kept, what is missing is made.
#
#   up.sh [--control-plane-only] [--nodes N] [--overlay vxlan|hostgw]
#         [--cni bridge|ptp] [--no-workload]
#
#   --control-plane-only  etcd, kube-apiserver, kube-controller-manager; no nodes
#   --nodes N             1 to 9 nodes (default 2)
#   --overlay X           how pod traffic crosses nodes (default vxlan)
#   --cni X               bridge: pods on a bridge cni0; ptp: a routed veth each
#   --no-workload         without the namespaces x, y, z
#
# Environment: KUBE_LAB_DIR (all state and logs; default /tmp/cellwall-kube),
# KUBE_LAB_CACHE (binaries, images, source; default /var/cache/cellwall-kube),
# KUBE_LAB_NODES, KUBE_LAB_OVERLAY, KUBE_LAB_CNI (as the options above),
# KUBE_LAB_V (verbosity of the components), KUBE_LAB_NO_PROXY=1 (no kube-proxy),
# KUBE_LAB_DUALSTACK=1 (IPv4 and IPv6; alpha in 1.20, so behind its feature gate),
# KUBE_LAB_APISERVER_FLAGS, KUBE_LAB_FEATURE_GATES (e.g. BoundServiceAccountTokenVolume=true)
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/lib.sh"

cponly= workload=1
NODES=${KUBE_LAB_NODES:-2} OVERLAY=${KUBE_LAB_OVERLAY:-vxlan} CNI=${KUBE_LAB_CNI:-bridge}
while [ $# -gt 0 ]; do
	case $1 in
	--control-plane-only) cponly=1 ;;
	--nodes) NODES=$2; shift ;;
	--overlay) OVERLAY=$2; shift ;;
	--cni) CNI=$2; shift ;;
	--no-workload) workload= ;;
	*) sed -n '2,/^set -e/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
	esac
	shift
done
case $NODES in [1-9]) ;; *) die "--nodes: 1 to 9" ;; esac
case $OVERLAY in vxlan | hostgw) ;; *) die "--overlay: vxlan or hostgw" ;; esac
case $CNI in bridge | ptp) ;; *) die "--cni: bridge or ptp" ;; esac
[ -z "$cponly" ] || NODES=0
DS=${KUBE_LAB_DUALSTACK:-}
[ "$(id -u)" = 0 ] || die "needs root"
T0=$(date +%s.%N)
took() { echo "$(date +%s.%N) - $T0" | bc | sed 's/\(\.[0-9]\).*/\1/'; }

# --- programs -------------------------------------------------------------------
mkdir -p "$D"/{run,log,etcd} "$BIN" "$KUBE_LAB_CACHE/images"
apt_need etcd-server etcd-client jq openssl iproute2 bc curl
if [ $NODES -gt 0 ]; then
	apt_need containerd runc containernetworking-plugins iptables ipset conntrack socat \
		ebtables kmod busybox-static gcc libc6-dev
fi
if [ $NODES -gt 0 ]; then "$HERE/build.sh"; else "$HERE/build.sh" kube-apiserver kube-controller-manager kubectl; fi
log "programs ready ($(took) s)"

# --- certificates, cgroups ------------------------------------------------------
"$HERE/pki.sh" $NODES
cg_make cp

# --- underlay: a switch in its own namespace, this machine one of its ports ------
if ! ip netns list | grep -qw $SW; then
	ip netns add $SW
	ip -n $SW link set lo up
	ip -n $SW link add br0 type bridge
	ip -n $SW addr add $UNDER.254/24 dev br0
	[ -z "$DS" ] || ip -n $SW addr add ${UNDER6}254/64 dev br0 nodad
	ip -n $SW link set br0 up
	ip netns exec $SW sysctl -qw net.ipv4.ip_forward=0     # a dead end for all else
	ip netns exec $SW sh -c 'for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -f $f ] || echo 0 >$f; done'
fi
plug() { # NETNS|- IFNAME IP: a veth from there to the switch
	local at=() n=${3##*.}
	[ "$1" = - ] || at=(-n "$1")
	ip "${at[@]}" link show "$2" >/dev/null 2>&1 && return
	ip link add "klp$n" type veth peer name "klq$n"
	ip link set "klp$n" netns $SW
	ip -n $SW link set "klp$n" master br0 up
	if [ "$1" = - ]; then ip link set "klq$n" name "$2"
	else ip link set "klq$n" netns "$1"; ip -n "$1" link set "klq$n" name "$2"; fi
	ip "${at[@]}" addr add "$3/24" dev "$2"
	[ -z "$DS" ] || ip "${at[@]}" addr add "$UNDER6$n/64" dev "$2" nodad
	ip "${at[@]}" link set "$2" up
}
plug - $HOSTIF $API
# nothing meant for the lab may leave by this machine's default route
[ -z "$DS" ] || for r in $POD6_CIDR $SVC6_CIDR; do ip -6 route replace blackhole $r; done
for r in $POD_CIDR $SVC_CIDR; do ip route show type blackhole | grep -qF "${r%/16}" || ip route add blackhole $r; done

# --- control plane ----------------------------------------------------------------
GATES=${KUBE_LAB_FEATURE_GATES:-} svc=$SVC_CIDR pods=$POD_CIDR
[ -z "$DS" ] || { GATES=${GATES:+$GATES,}IPv6DualStack=true svc=$svc,$SVC6_CIDR pods=$pods,$POD6_CIDR; }
FG=${GATES:+--feature-gates=$GATES}
V=${KUBE_LAB_V:-1}
start etcd /usr/bin/etcd --name lab --data-dir "$D/etcd" \
	--listen-client-urls http://127.0.0.1:$ETCD_PORT --advertise-client-urls http://127.0.0.1:$ETCD_PORT \
	--listen-peer-urls http://127.0.0.1:$((ETCD_PORT + 1)) \
	--initial-advertise-peer-urls http://127.0.0.1:$((ETCD_PORT + 1)) \
	--initial-cluster lab=http://127.0.0.1:$((ETCD_PORT + 1)) --heartbeat-interval=50 --election-timeout=500 \
	--initial-election-tick-advance=true
for ((i = 0; i < 300; i++)); do
	curl -fs http://127.0.0.1:$ETCD_PORT/health 2>/dev/null | grep -q true && break
	pid_of etcd >/dev/null || die "etcd ended, see $D/log/etcd.log"
	sleep 0.1
done
# shellcheck disable=SC2086
start kube-apiserver "$BIN/kube-apiserver" --v=$V $FG \
	--advertise-address=$API --bind-address=$API --secure-port=$API_PORT --insecure-port=0 \
	--etcd-servers=http://127.0.0.1:$ETCD_PORT --service-cluster-ip-range=$svc \
	--client-ca-file="$D/pki/ca.crt" --tls-cert-file="$D/pki/apiserver.crt" --tls-private-key-file="$D/pki/apiserver.key" \
	--kubelet-certificate-authority="$D/pki/ca.crt" --kubelet-client-certificate="$D/pki/apiserver-kubelet-client.crt" \
	--kubelet-client-key="$D/pki/apiserver-kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$D/pki/sa.pub" \
	--service-account-signing-key-file="$D/pki/sa.key" \
	--requestheader-client-ca-file="$D/pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
	--requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
	--requestheader-username-headers=X-Remote-User --proxy-client-cert-file="$D/pki/front-proxy-client.crt" \
	--proxy-client-key-file="$D/pki/front-proxy-client.key" --enable-aggregator-routing=true \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
	--profiling=false ${KUBE_LAB_APISERVER_FLAGS:-}
for ((i = 0; i < 600; i++)); do
	[ "$(kc get --raw /readyz 2>/dev/null)" = ok ] && break
	pid_of kube-apiserver >/dev/null || die "kube-apiserver ended, see $D/log/kube-apiserver.log"
	sleep 0.1
done
[ "$(kc get --raw /readyz 2>/dev/null)" = ok ] || die "kube-apiserver not ready, see $D/log/kube-apiserver.log"
log "kube-apiserver ready ($(took) s)"
# shellcheck disable=SC2086
start kube-controller-manager "$BIN/kube-controller-manager" --v=$V $FG \
	--kubeconfig="$D/kcm.kubeconfig" --authentication-kubeconfig="$D/kcm.kubeconfig" \
	--authorization-kubeconfig="$D/kcm.kubeconfig" --bind-address=127.0.0.1 --port=0 --leader-elect=false \
	--use-service-account-credentials=true --service-account-private-key-file="$D/pki/sa.key" \
	--root-ca-file="$D/pki/ca.crt" --cluster-signing-cert-file="$D/pki/ca.crt" \
	--cluster-signing-key-file="$D/pki/ca.key" --cluster-cidr=$pods --allocate-node-cidrs=false \
	--service-cluster-ip-range=$svc --requestheader-client-ca-file="$D/pki/front-proxy-ca.crt" \
	--kube-api-qps=200 --kube-api-burst=400
for ((i = 0; i < 300; i++)); do kc -n default get serviceaccount default >/dev/null 2>&1 && break; sleep 0.1; done
log "kube-controller-manager works ($(took) s)"
if [ $NODES = 0 ]; then
	log "control plane up in $(took) s; KUBECONFIG=$KUBECONFIG"
	exit 0
fi
# shellcheck disable=SC2086
start kube-scheduler "$BIN/kube-scheduler" --v=$V $FG --kubeconfig="$D/scheduler.kubeconfig" \
	--authentication-kubeconfig="$D/scheduler.kubeconfig" --authorization-kubeconfig="$D/scheduler.kubeconfig" \
	--bind-address=127.0.0.1 --port=0 --leader-elect=false
kc apply -f "$HERE/manifests/rbac.yaml" >/dev/null

# --- images -------------------------------------------------------------------------
I=$KUBE_LAB_CACHE/images
make_image() { # NAME COMMAND...
	local n=$1 r; shift
	[ "$I/$n.tar" -nt "$HERE/image/$n.c" ] && [ "$I/$n.tar" -nt "$HERE/mkimage.sh" ] && return
	r=$(mktemp -d)
	mkdir -p "$r/bin" "$r/tmp" "$r/etc"
	gcc -O2 -Wall -static -s -o "$r/bin/$n" "$HERE/image/$n.c"
	if [ "$n" = lab ]; then
		ln -s bin/lab "$r/agnhost"
		cp /bin/busybox "$r/bin/busybox"
		for a in $("$r/bin/busybox" --list); do [ -e "$r/bin/$a" ] || ln -s busybox "$r/bin/$a"; done
		echo 'root:x:0:0:root:/:/bin/sh' >"$r/etc/passwd"
	fi
	"$HERE/mkimage.sh" "lab.local/$n:1" "$r" "$I/$n.tar" "$@"
	rm -rf "$r"
}
make_image pause /bin/pause
make_image lab /bin/lab

# --- nodes --------------------------------------------------------------------------
[ -f "$D/run/sysctl" ] || for s in $KUBELET_SYSCTLS; do
	f=/proc/sys/${s//.//}; [ ! -f "$f" ] || echo "$f $(cat "$f")"
done >"$D/run/sysctl"
mac() { printf '02:6b:6c:00:00:%02x' "$1"; }
node_conf() { # N
	local R=$D/node$1 mtu=1500 c
	[ $OVERLAY = hostgw ] || mtu=1450
	mkdir -p "$R/conf" "$R/log"
	cat >"$R/conf/containerd.toml" <<E
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "lab.local/pause:1"
  # no negative oom_score_adj where this machine withholds CAP_SYS_RESOURCE
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
E
	c='{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"ipMasq":false,"mtu":'$mtu
	[ $CNI = bridge ] || c='{"type":"ptp","ipMasq":false,"mtu":'$mtu
	local r='[{"subnet":"10.244.'$1'.0/24"}]' d='{"dst":"0.0.0.0/0"}' g
	[ -z "$DS" ] || { r=$r',[{"subnet":"fd10:244:0:'$1'::/64"}]' d=$d',{"dst":"::/0"}'; }
	g=$(sed 's/=/: /g; s/,/, /g' <<<"$GATES")
	cat >"$R/conf/cni.conflist" <<E
{"cniVersion":"0.4.0","name":"lab","plugins":[
 $c,"ipam":{"type":"host-local","ranges":[$r],"routes":[$d]}},
 {"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}
E
	cat >"$R/conf/kubelet.yaml" <<E
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $D/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $D/pki/node$1-serving.crt
tlsPrivateKeyFile: $D/pki/node$1-serving.key
cgroupDriver: cgroupfs
cgroupRoot: /$CG/n$1
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: $R/conf/resolv.conf
failSwapOn: false
readOnlyPort: 0
featureGates: {$g}
nodeStatusUpdateFrequency: 2s
volumePluginDir: /var/lib/kubelet/volumeplugins
# the machine's disk may be fuller than kubelet likes; images cannot be pulled again
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
E
	cat >"$R/conf/kube-proxy.yaml" <<E
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: "$pods"
hostnameOverride: node$1
featureGates: {$g}
clientConnection: {kubeconfig: $D/kube-proxy.kubeconfig}
metricsBindAddress: 0.0.0.0:10249
# machine-wide conntrack settings are left alone
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
E
}
node_net() { # N
	local n=$1 ns ip m; ns=$(node_netns "$1"); ip=$(node_ip "$1")
	if ! ip netns list | grep -qw "$ns"; then
		ip netns add "$ns"
		ip -n "$ns" link set lo up
	fi
	plug "$ns" eth0 "$ip"
	ip -n "$ns" route replace default via $UNDER.254
	ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -f $f ] || echo 1 >$f; done'
	ip route replace "10.244.$n.0/24" via "$ip" dev $HOSTIF
	if [ -n "$DS" ]; then
		ip -n "$ns" -6 route replace default via "${UNDER6}254"
		ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
		ip -6 route replace "fd10:244:0:$n::/64" via "$UNDER6$((10 + n))" dev $HOSTIF
	fi
	if [ $OVERLAY = vxlan ] && ! ip -n "$ns" link show vx0 >/dev/null 2>&1; then
		ip -n "$ns" link add vx0 address "$(mac "$n")" mtu 1450 type vxlan id 1 local "$ip" dev eth0 dstport 4789 nolearning
		ip -n "$ns" addr add "10.244.$n.0/32" dev vx0
		[ -z "$DS" ] || ip -n "$ns" addr add "fd10:244:0:$n::/128" dev vx0 nodad
		ip -n "$ns" link set vx0 up
	fi
	for ((m = 1; m <= 9; m++)); do     # routes to every node that may come
		[ "$m" = "$n" ] && continue
		if [ $OVERLAY = vxlan ]; then
			ip netns exec "$ns" bridge fdb replace "$(mac $m)" dev vx0 dst "$(node_ip $m)" self permanent
			ip -n "$ns" neigh replace "10.244.$m.0" lladdr "$(mac $m)" dev vx0 nud permanent
			ip -n "$ns" route replace "10.244.$m.0/24" via "10.244.$m.0" dev vx0 onlink
		else
			ip -n "$ns" route replace "10.244.$m.0/24" via "$(node_ip $m)" dev eth0
		fi
		[ -n "$DS" ] || continue
		if [ $OVERLAY = vxlan ]; then
			ip -n "$ns" neigh replace "fd10:244:0:$m::" lladdr "$(mac $m)" dev vx0 nud permanent
			ip -n "$ns" -6 route replace "fd10:244:0:$m::/64" via "fd10:244:0:$m::" dev vx0 onlink
		else
			ip -n "$ns" -6 route replace "fd10:244:0:$m::/64" via "$UNDER6$((10 + m))" dev eth0
		fi
	done
}
started=() now=$(date -u +%FT%TZ)
for ((n = 1; n <= NODES; n++)); do
	pid_of "init$n" >/dev/null && continue
	started+=("$n")
	cg_remove "n$n" || true     # of an earlier life of the node
	cg_make "n$n/sys"
	node_conf $n
	node_net $n
	: >"$D/log/node$n.log"
	( cg_join "n$n/sys"
	  exec setsid nsenter --net="/run/netns/$(node_netns $n)" \
		unshare --mount --pid --uts --ipc --fork --kill-child=KILL "$HERE/node-init.sh" $n ) \
		</dev/null >>"$D/log/node$n.log" 2>&1 &
	record "node$n" $!
	p=
	for ((i = 0; i < 200 && !p; i++)); do     # the child that is PID 1 of a new PID namespace
		for c in $(cat "/proc/$!/task/$!/children" 2>/dev/null || true); do
			awk '/^NSpid:/ {exit !(NF > 2 && $NF == 1)}' "/proc/$c/status" 2>/dev/null && p=$c && break
		done
		[ -n "$p" ] || sleep 0.05
	done
	[ -n "$p" ] || die "node$n did not start, see $D/log/node$n.log"
	record "init$n" "$p"
done
for ((n = 1; n <= NODES; n++)); do
	for ((i = 0; i < 600; i++)); do
		kc get node "node$n" >/dev/null 2>&1 && break
		pid_of "init$n" >/dev/null || die "node$n ended, see $D/log/node$n.log"
		sleep 0.1
	done
	[ -n "$(kc get node "node$n" -o 'jsonpath={.spec.podCIDR}')" ] ||
		kc patch node "node$n" -p '{"spec":{"podCIDR":"10.244.'$n'.0/24","podCIDRs":["10.244.'$n'.0/24"'"${DS:+,\"fd10:244:0:$n::/64\"}"']}}' >/dev/null
done
# after a node's "reboot" the API still has its old state: wait for newer news
fresh() { # N: heartbeat, and every container of its pods, from after our start
	kc get node "node$1" -o json | jq -e --arg t "$now" \
		'[.status.conditions[]? | select(.type == "Ready" and .lastHeartbeatTime >= $t)] | length == 1' >/dev/null &&
	kc get pods -A --field-selector "spec.nodeName=node$1" -o json | jq -e --arg t "$now" \
		'[.items[].status | select(.phase == "Running") | .containerStatuses[]? | (.state.running.startedAt // "") | select(. < $t)] | length == 0' >/dev/null
}
for n in ${started[@]+"${started[@]}"}; do
	for ((i = 0; i < 300; i++)); do fresh "$n" && break; sleep 0.3; done
done
kc wait --for=condition=Ready node --all --timeout=90s >/dev/null || die "nodes not Ready, see $D/node*/log/kubelet.log"
log "$NODES nodes Ready ($(took) s)"

# --- the pods of the network policy tests ---------------------------------------------
if [ -n "$workload" ]; then
	"$HERE/manifests/xyz.sh" $NODES ${DS:+PreferDualStack} | kc apply -f - >/dev/null
	for ns in x y z; do
		kc -n $ns wait --for=condition=Available deployment --all --timeout=60s >/dev/null || die "pods of $ns not Ready"
	done
	log "9 pods Ready ($(took) s)"
fi
log "up in $(took) s; KUBECONFIG=$KUBECONFIG kubectl: $KUBECTL"
