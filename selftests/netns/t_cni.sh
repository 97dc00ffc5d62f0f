# shellcheck shell=bash
# The chained plugin with real plugins of the CNI project: each version of the specification, an
# agent that is away, dies in the middle or comes back, the node's configuration edited and put
# back, and a storm of starting workloads whose first packets nobody may miss.
CNIRUN=$BUILD/netns/cnirun
CONF=$W/net.d BIN=$W/bin
for d in /usr/lib/cni /opt/cni/bin; do [ -x $d/bridge ] && PLUGINS=$d; done
if [ -z "${PLUGINS:-}" ]; then
	skip "no CNI plugins here (Debian: containernetworking-plugins)"
	exit 0
fi
export CNI_PATH=$PLUGINS:$BUILD/bin CNIRUN_CACHE=$W/cache
mkdir -p $W $CONF $BIN $CNIRUN_CACHE
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0

conflist() { # FILE VERSION FIRST-PLUGINS [AGENTDOWN [TIMEOUT]]
	printf '{"cniVersion":"%s","name":"net","plugins":[%s,{"type":"cellwall-cni","socket":"%s","agentDown":"%s","timeout":"%s"}]}' \
		"$2" "$3" $SOCK "${4:-closed}" "${5:-20s}" >"$1"
}
ipam() { printf '{"type":"host-local","dataDir":"%s/ipam","ranges":[[{"subnet":"10.99.%s.0/24"}],[{"subnet":"fd99:%s::/64"}]],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}' $W "$1" "$1"; }
BRIDGE='{"type":"bridge","bridge":"cwcni0","isGateway":true,"ipMasq":false,"ipam":'$(ipam 1)'}'
sandbox() { ip netns add "$1"; quiet_v6 ip netns exec "$1"; }
pod_add() { "$CNIRUN" add "$1" "id-$2" "/run/netns/$2" eth0 shop "$2" "uid-$2"; }
pod_del() { "$CNIRUN" del "$1" "id-$2" "/run/netns/$2" eth0 shop "$2" "uid-$2"; }
announce() { # NAME: known to the controller before its sandbox is made
	must_post /v1/workloads "$(jq -nc --arg n "$1" '{namespace:"shop",name:$n,labels:{app:"web"},controller:{kind:"Deployment",name:"web"}}')"
}
guard_of() { get /v1/guards | jq -r --arg w "shop/pod/$1" '.items[]|select(.workload==$w)|.state'; }
cni_status() { get /v1/cni/status | jq -r ".$1"; }

# CNI_STORM: how many; CNI_STORM_ONLY=1: nothing else.
functions() {
daemon_start start.unresolved=closed cni.wait=300ms maps.endpoints=2048 maps.groups=4096 \
	'clusterCIDRs=[10.99.0.0/16, "fd99::/16"]' mode.default=learn

# ---- every version: what comes out of the chain is what came in, in the version asked for ----------------
for v in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
	n=v${v//./}
	# Plugins of before 1.1.0 do not know it: a runtime asks them in the newest they know.
	conflist $W/c.conflist "$v" "$BRIDGE"
	conflist $W/plain.conflist "$v" "$BRIDGE"
	jq 'del(.plugins[-1])' $W/c.conflist >$W/plain.conflist
	known=$("$CNIRUN" version $W/plain.conflist | jq -r --arg v "$v" '.supportedVersions|index($v)!=null')
	if [ "$known" != true ]; then
		skip "the bridge plugin here does not know CNI $v; ours is asked alone"
		sandbox $n
		printf '{"cniVersion":"%s","name":"net","plugins":[{"type":"cellwall-cni","socket":"%s","prevResult":{"cniVersion":"%s","ips":[],"x":{"y":[1.50,12345678901234567890]}}}]}' $v $SOCK $v >$W/alone.conflist
		ip link add cwalone type veth peer name eth0 netns $n
		same "$v: result handed on byte for byte" "{\"cniVersion\":\"$v\",\"ips\":[],\"x\":{\"y\":[1.50,12345678901234567890]}}" \
			"$("$CNIRUN" add $W/alone.conflist id-$n /run/netns/$n eth0 shop $n uid-$n)"
		check "$v: STATUS" "$CNIRUN" status $W/alone.conflist
		check "$v: DEL" "$CNIRUN" del $W/alone.conflist id-$n /run/netns/$n eth0 shop $n uid-$n
		ip netns del $n
		continue
	fi
	announce $n
	sandbox $n
	r=$(pod_add $W/c.conflist $n) || { not_ok "$v: ADD: $r"; continue; }
	same "$v: the result's version" "$v" "$(jq -r .cniVersion <<<"$r")"
	same "$v: the interface in the sandbox" "eth0 /run/netns/$n" "$(jq -r '.interfaces[]|select(.sandbox!=null and .sandbox!="")|"\(.name) \(.sandbox)"' <<<"$r")"
	a=$(jq -r '.ips[].address' <<<"$r" | sed 's,/.*,,' | sort | tr '\n' ' ')
	same "$v: addresses in force when ADD returns" "$a" "$(get /v1/workloads/shop/$n | jq -r '.addresses[]' | sort | tr '\n' ' ')"
	same "$v: guarded when ADD returns" guarded "$(guard_of $n)"
	if [[ $v < 0.4 ]]; then
		like "$v: CHECK is refused" '"code":1' "$(CNI_PATH=$BUILD/bin "$CNIRUN" check <(jq '.plugins|=.[-1:]' $W/c.conflist) id-$n /run/netns/$n eth0 shop $n uid-$n 2>/dev/null)"
	else
		check "$v: CHECK" "$CNIRUN" check $W/c.conflist id-$n /run/netns/$n eth0 shop $n uid-$n
	fi
	check "$v: DEL" pod_del $W/c.conflist $n
	check "$v: DEL again" pod_del $W/c.conflist $n
	ip netns del $n
done
until_true 5 guards_up 0 || not_ok "attachments are left: $(get /v1/guards | jq -c .items)"
same "no note is left" "" "$(ls $W/cni)"

# ---- what cannot be ---------------------------------------------------------------------------------------------
conflist $W/c.conflist 1.0.0 "$BRIDGE"
alone() { env CNI_COMMAND="$1" CNI_CONTAINERID="${3:-x}" CNI_NETNS=/run/netns/none CNI_IFNAME="${4:-eth0}" CNI_ARGS="${5:-}" "$BUILD/bin/cellwall-cni" <<<"$2"; }
base='"cniVersion":"1.0.0","name":"n","type":"cellwall-cni","agentDown":"closed","socket":"'$SOCK'"'
like "unchained" '"code":7,"msg":"cellwall-cni must stand in a chain"' "$(alone ADD "{$base}")"
like "not JSON" '"code":6' "$(alone ADD "{$base")"
like "a version of tomorrow" '"code":1' "$(alone ADD '{"cniVersion":"2.0.0","name":"n","prevResult":{}}')"
like "an id with a slash" '"code":4' "$(alone ADD "{$base,\"prevResult\":{}}" ../../x)"
like "an interface with a slash" '"code":4' "$(alone ADD "{$base,\"prevResult\":{}}" x a/b)"
like "half a pod" '"code":4' "$(alone ADD "{$base,\"prevResult\":{}}" x eth0 'K8S_POD_NAME=x')"
like "no such sandbox" 'cannot open the sandbox' "$(alone ADD "{$base,\"prevResult\":{}}")"
like "GC before 1.1.0" '"code":1' "$(alone GC "{$base,\"cni.dev/valid-attachments\":[]}")"
same "refused: no note" "" "$(ls $W/cni)"
like "the node's own network" 'cni.host-network' "$(env CNI_COMMAND=ADD CNI_CONTAINERID=x CNI_NETNS=/proc/self/ns/net CNI_IFNAME=eth0 "$BUILD/bin/cellwall-cni" <<<"{$base,\"prevResult\":{}}")"

# ---- port forwarding and routed pairs beside it --------------------------------------------------------------------
conflist $W/ptp.conflist 0.4.0 '{"type":"ptp","ipMasq":false,"ipam":'$(ipam 2)'}'
announce r1
sandbox r1
if pod_add $W/ptp.conflist r1 >$W/r1.json; then
	same "ptp: guarded when ADD returns" guarded "$(guard_of r1)"
	check "ptp: CHECK" "$CNIRUN" check $W/ptp.conflist id-r1 /run/netns/r1 eth0 shop r1 uid-r1
	check "ptp: DEL" pod_del $W/ptp.conflist r1
else
	not_ok "ptp: ADD: $(cat $W/r1.json)"
fi
ip netns del r1
conflist $W/pm.conflist 1.0.0 "$BRIDGE,{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}"
announce m1
sandbox m1
if CNIRUN_CAP_ARGS='{"portMappings":[{"hostPort":18080,"containerPort":8080,"protocol":"tcp"}]}' pod_add $W/pm.conflist m1 >$W/m1.json 2>$W/m1.err; then
	same "portmap: guarded when ADD returns" guarded "$(guard_of m1)"
	pod_del $W/pm.conflist m1 || not_ok "portmap: DEL"
else
	skip "portmap does not work here: $(head -c 200 $W/m1.json) $(head -1 $W/m1.err)"
	pod_del $W/pm.conflist m1 >/dev/null 2>&1
fi
ip netns del m1

# ---- a sandbox of the same name, and garbage --------------------------------------------------------------------------
conflist $W/c11.conflist 1.1.0 "$BRIDGE"
announce s1
sandbox s1
pod_add $W/c.conflist s1 >/dev/null || not_ok "ADD of s1"
ip netns add s2
quiet_v6 ip netns exec s2
"$CNIRUN" add $W/c.conflist id-new /run/netns/s2 eth0 shop s1 uid-new >/dev/null || not_ok "ADD of the successor"
same "DEL of the former" 0 "$(pod_del $W/c.conflist s1 >/dev/null; echo $?)"
ip netns del s1
sleep 0.3
same "the successor stays guarded" guarded "$(guard_of s1)"
same "two attachments less one" 1 "$(cni_status attachments)"
gc() { "$CNIRUN" gc <(jq -c '.plugins|=.[-1:]|.cniVersion="1.1.0"' $W/c.conflist) "$@"; }
gc id-new/eth0 || not_ok GC
same "GC keeps what is valid" 1 "$(cni_status attachments)"
gc other/eth0 || not_ok GC
same "GC lets go what is not" 0 "$(cni_status attachments)"
same "GC: and its note" "" "$(ls $W/cni)"
ip netns del s2
del /v1/workloads/shop/s1 >/dev/null

# ---- the agent is away ---------------------------------------------------------------------------------------------------
conflist $W/open.conflist 1.0.0 "$BRIDGE" open
conflist $W/soon.conflist 1.0.0 "$BRIDGE" closed 1s
for n in d1 d2 d3; do announce $n; sandbox $n; done
pod_add $W/c.conflist d1 >/dev/null || not_ok "ADD of d1"
daemon_kill
like "closed: try again later" '"code":11' "$(pod_add $W/soon.conflist d2 2>/dev/null)"
"$CNIRUN" del $W/c.conflist id-d2 /run/netns/d2 eth0 shop d2 uid-d2 2>/dev/null || not_ok "DEL without an agent"
same "open: it starts" 0 "$(pod_add $W/open.conflist d3 >/dev/null 2>&1; echo $?)"
same "noted: what stands and what came meanwhile" "id-d1.eth0 id-d3.eth0" "$(ls $W/cni | tr '\n' ' ' | sed 's/ $//')"
like "closed: STATUS" '"code":50' "$(alone STATUS '{"cniVersion":"1.1.0","name":"n","type":"cellwall-cni","agentDown":"closed","timeout":"1s","socket":"'$SOCK'"}')"
same "open: STATUS" 0 "$(alone STATUS '{"cniVersion":"1.1.0","name":"n","type":"cellwall-cni","socket":"'$SOCK'"}' >/dev/null; echo $?)"
daemon_again
until_true 5 guards_up 2 || not_ok "not both are attached after the restart: $(get /v1/guards | jq -c .items)"
same "what started while it was away is guarded" guarded "$(guard_of d3)"

# Killed in the middle of an ADD, and back at once: the plugin asks again.
sandbox k1
announce k1
rm -f $W/k1.rc
(pod_add $W/c.conflist k1 >$W/k1.json 2>$W/k1.err; echo $? >$W/k1.rc) &
until_true 3 test -e $W/cni/id-k1.eth0
daemon_kill
daemon_again
until_true 10 test -s $W/k1.rc
same "killed during ADD" 0 "$(cat $W/k1.rc)"
same "killed during ADD: guarded when it returns" guarded "$(guard_of k1)"
for n in d1 d3 k1; do pod_del $W/c.conflist $n || not_ok "DEL $n"; ip netns del $n; del /v1/workloads/shop/$n >/dev/null; done
ip netns del d2
until_true 5 guards_up 0

# ---- the node's configuration ------------------------------------------------------------------------------------------
daemon_stop
printf '{\n  "name": "net",\n  "cniVersion": "1.0.0",\n  "unknown": 12345678901234567890,\n  "plugins": [\n    {\n      "type": "bridge",\n      "mtu": 1.50e3\n    },\n    { "type": "portmap" }\n  ]\n}\n' >$CONF/10-net.conflist
printf '{"name": "other", "type": "ptp"}\n' >$CONF/20-other.conf
printf 'not json' >$CONF/05-broken.conflist
chmod 640 $CONF/10-net.conflist
cp -a $CONF $W/net.d.before
daemon_start cni.install=always cni.confDir=$CONF cni.binDir=$BIN
installed() { jq -e '.plugins[-1].type=="cellwall-cni"' $CONF/10-net.conflist; }
until_true 5 installed >/dev/null || not_ok "the plugin is not in the chain: $(cat $CONF/10-net.conflist)"
same "mode kept" 640 "$(stat -c %a $CONF/10-net.conflist)"
same "text of others kept" "$(jq -S . $W/net.d.before/10-net.conflist)" "$(jq -S 'del(.plugins[-1])' $CONF/10-net.conflist)"
like "number kept as written" '12345678901234567890' "$(cat $CONF/10-net.conflist)"
check "the second file is left alone" cmp -s $CONF/20-other.conf $W/net.d.before/20-other.conf
check "what cannot be read is left alone" cmp -s $CONF/05-broken.conflist $W/net.d.before/05-broken.conflist
like "the program is there" "cellwall-cni" "$("$BIN/cellwall-cni" --version)"
cp $W/net.d.before/10-net.conflist $CONF/.new && mv $CONF/.new $CONF/10-net.conflist
until_true 3 installed >/dev/null || not_ok "not put back after the CNI wrote its file"
rm $CONF/10-net.conflist
wrapped() { jq -e '.name=="other" and .plugins[0].type=="ptp" and .plugins[1].type=="cellwall-cni"' $CONF/20-other.conflist; }
until_true 15 wrapped >/dev/null || not_ok "a lone plugin is not wrapped"
check "the lone file is set aside" cmp -s $CONF/20-other.conf.before-cellwall $W/net.d.before/20-other.conf
cp $W/net.d.before/10-net.conflist $CONF/10-net.conflist
until_true 3 installed >/dev/null
daemon_stop
"$BUILD/bin/cellwalld" --config $W/cellwalld.yaml --set paths.pins=/run/bpf/cw --set paths.state=$W/state --set api.socket=$SOCK \
	--set cni.install=always --set cni.confDir=$CONF --set cni.binDir=$BIN --uninstall >/dev/null || not_ok uninstall
same "uninstalled: the directory is as before" "" "$(diff -r $CONF $W/net.d.before 2>&1)"
same "uninstalled: the program is gone" "" "$(ls $BIN)"

}
[ -n "${CNI_STORM_ONLY:-}" ] || functions

# ---- storm -------------------------------------------------------------------------------------------------------------
# Packets go to a place that nobody guards, and none may pass: enforce, and no rule.
ip netns add sink
ip link add cwsink type veth peer name eth0 netns sink
ip link set cwsink up
ip addr add 192.0.2.1/24 dev cwsink
ip -n sink link set lo up
ip -n sink link set eth0 up
ip -n sink addr add 192.0.2.2/24 dev eth0
ip -n sink route add default via 192.0.2.1
sink_start() { ip netns exec sink "$CNIRUN" sink 192.0.2.2 7000 >"$W/$1.sink" & SINK=$!; until_true 5 listening sink 7000; }
sink_gone() { ! kill -0 $SINK 2>/dev/null; }
sink_stop() { kill -TERM $SINK; until_true 5 sink_gone; tail -1 "$W/$1.sink"; }
COUNT=${CNI_STORM:-60} JOBS=${CNI_JOBS:-8}
SIMPLE='{"type":"bridge","bridge":"cwcni9","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local","dataDir":"'$W'/ipam9","ranges":[[{"subnet":"10.99.128.0/20"}]],"routes":[{"dst":"0.0.0.0/0"}]}}'
storm() { # NAME CONFLIST MS; prints the last line
	"$CNIRUN" storm "$2" "$COUNT" $JOBS shop "$1" 192.0.2.2 7000 "$3" >"$W/$1.storm" 2>"$W/$1.err"
	tail -1 "$W/$1.storm"
}
spread() { # COLUMN FILE: median and worst in ms
	awk -v k="$1" '$1=="pod" {for (i = 1; i < NF; i++) if ($i == k) print $(i + 1)}' "$2" | sort -n |
		awk '{v[NR]=$1} END {if (NR) printf "median %.1f ms, p99 %.1f ms, worst %.1f ms", v[int((NR+1)/2)]/1000, v[int(NR*0.99+0.5)]/1000, v[NR]/1000}'
}
clear_storm() { # NAME
	local i
	for ((i = 0; i < COUNT; i++)); do ip netns del "$1$i" 2>/dev/null; done
	rm -rf "$W/ipam9"
	ip link del cwcni9 2>/dev/null
	until_true 20 guards_up 0 || note "guards left: $(get /v1/guards | jq '.items|length')"
}
announce_all() { # NAME
	must_post /v1/workloads "$(jq -nc --arg n "$1" --argjson c "$COUNT" \
		'{items:[range($c)|{namespace:"shop",name:"\($n)\(.)",labels:{app:"web"},controller:{kind:"Deployment",name:"web"}}]}')"
}
rm -rf $W/state
read -ra STORM_MORE <<<"${CNI_STORM_SETS:-}"
STORM_SETS=(start.unresolved=closed cni.wait=200ms maps.endpoints=2048 maps.groups=4096 maps.addresses=16384 "${STORM_MORE[@]}" 'clusterCIDRs=[10.99.0.0/16]' mode.default=enforce)
conflist $W/storm.conflist 1.0.0 "$SIMPLE"
jq -c 'del(.plugins[-1])' $W/storm.conflist >$W/gap.conflist

daemon_start "${STORM_SETS[@]}"
announce_all a
sink_start a
note "storm, known before: $(storm a $W/storm.conflist 20)"
sleep 0.3
same "storm of $COUNT, known before: packets that passed unjudged" "total 0 pods 0 alien 0" "$(sink_stop a)"
same "storm of $COUNT: every ADD" "$COUNT" "$(grep -c '^pod .* exit 0 ' $W/a.storm)"
same "storm of $COUNT: every one known when its ADD returned" "$COUNT 0" "$(cni_status adds) $(cni_status unresolved)"
note "whole ADD: $(spread add_us $W/a.storm); of it cellwall-cni: $(spread ours_us $W/a.storm)"
# Other daemons on this machine may be in the middle of an attachment of their own.
switched_back() { [ "$(cat /sys/kernel/rcu_expedited 2>/dev/null || echo 0)" = 0 ] && [ ! -e $W/state/agent/rcu-expedited ]; }
check "RCU waits are left as they were" until_true 5 switched_back
clear_storm a

# Closed: who is not known may ask for names, and the node may reach it.
sandbox u1
pod_add $W/storm.conflist u1 >/dev/null || not_ok "ADD of one that nobody knows"
ip netns exec sink "$T" serve 5353 53 &
until_true 5 listening sink 53
same "closed, unknown: names" "answered 3 of 3 ok" "$(t u1 ask 192.0.2.2 53 3 1000)"
same "closed, unknown: nothing else" "answered 0 of 1 timeout" "$(t u1 ask 192.0.2.2 5353 1 300)"
serve u1 8080
same "closed, unknown: probes of the node" ok "$("$T" tcp "$(ip -n u1 -4 -o addr show eth0 | awk '{print $4}' | cut -d/ -f1)" 8080 1000)"
announce u1
resolved() { [ "$(get /v1/workloads/shop/u1 | jq '.addresses|length')" -gt 0 ]; }
until_true 3 resolved || not_ok "made known later: $(get /v1/workloads/shop/u1)"
same "made known later: judged by rules" "answered 0 of 1 timeout" "$(t u1 ask 192.0.2.2 53 1 300)"
pod_del $W/storm.conflist u1 || not_ok "DEL u1"
ip netns pids u1 | xargs -r kill
ip netns del u1
until_true 10 guards_up 0

sink_start b
note "storm, known to nobody: $(storm b $W/storm.conflist 20)"
sleep 0.3
same "storm of $COUNT, known to nobody, closed: packets that passed" "total 0 pods 0 alien 0" "$(sink_stop b)"
note "whole ADD: $(spread add_us $W/b.storm); of it cellwall-cni: $(spread ours_us $W/b.storm)"
clear_storm b
daemon_stop

# Without the plugin: the agent sees the interface and attaches; what passes until then is the gap.
rm -rf $W/state
daemon_start "${STORM_SETS[@]}"
for ((i = 0; i < COUNT; i++)); do ip netns add g$i; done
must_post /v1/workloads "$(jq -nc --argjson c "$COUNT" \
	'{items:[range($c)|{namespace:"shop",name:"g\(.)",netns:"g\(.)",labels:{app:"web"},controller:{kind:"Deployment",name:"web"}}]}')"
sink_start g
note "storm without the plugin: $(storm g $W/gap.conflist 1000)"
sleep 0.3
r=$(sink_stop g)
note "without the plugin: $r; gap: $(spread last_us $W/g.sink)"
within "without the plugin packets pass: the sink does count, workloads" $((COUNT / 2)) "$COUNT" "$(awk '{print $4}' <<<"$r")"
clear_storm g
