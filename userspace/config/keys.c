/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - every key of cellwalld.yaml, in the order it is printed. */
#include "config/config.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "base/log.h"

#define DAY_MS 86400000u

#define WORDS(name, ...) static const char *const name##_words[] = { __VA_ARGS__ }
#define VALUES(name, ...) static const uint64_t name##_values[] = { __VA_ARGS__ }
#define OF(name) .words = name##_words, .values = name##_values, .nwords = ARRAY_SIZE(name##_words)
#define AT(field) .offset = offsetof(struct config, field)

WORDS(role, "all", "agent", "controller");
VALUES(role, CONFIG_ROLE_ALL, CONFIG_ROLE_AGENT, CONFIG_ROLE_CONTROLLER);
WORDS(mode, "off", "learn", "alert", "enforce");
VALUES(mode, CW_MODE_OFF, CW_MODE_LEARN, CW_MODE_ALERT, CW_MODE_ENFORCE);
WORDS(unmatched, "block", "allow");
VALUES(unmatched, CW_ACT_BLOCK, CW_ACT_ALLOW);
WORDS(tiers, "networkpolicy", "admin");
VALUES(tiers, 1u << CW_TIER_NETWORKPOLICY, 1u << CW_TIER_ADMIN);
WORDS(local, "allow", "rules");
VALUES(local, CW_CTL_LOCAL_NODE_ALLOW, CW_CTL_LOCAL_NODE_RULES);
WORDS(hook, "auto", "tcx", "clsact");
VALUES(hook, CONFIG_HOOK_AUTO, CONFIG_HOOK_TCX, CONFIG_HOOK_CLSACT);
WORDS(expedite, "auto", "never");
VALUES(expedite, CONFIG_EXPEDITE_AUTO, CONFIG_EXPEDITE_NEVER);
WORDS(install, "never", "always");
VALUES(install, 0, 1);
WORDS(kube, "auto", "true", "false");
VALUES(kube, CONFIG_KUBE_AUTO, CONFIG_KUBE_ON, CONFIG_KUBE_OFF);
WORDS(yes, "true", "false");
VALUES(yes, 1, 0);
WORDS(level, "err", "warn", "info", "debug");
VALUES(level, LOG_L_ERR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG);
WORDS(format, "text", "json");
VALUES(format, CONFIG_LOG_TEXT, CONFIG_LOG_JSON);

const struct config_key config_keys[] = {
	{ .path = "role", .type = CONFIG_WORD, AT(role), .dflt = "all", OF(role),
	  .doc_en = "What this process is: all (controller and agent of one node), agent (this node, for a controller "
		    "elsewhere) or controller (of agents elsewhere; needs no privileges).",
	  .doc_zh = "本进程的角色："
		    "all（单节点的管控端与节点代理）、agent（本节点的代理，管控端在别处）"
		    "或 controller（管理别处的代理，不需要特权）。" },
	{ .path = "cluster", .type = CONFIG_NAME, AT(cluster), .dflt = "local", .min = 1,
	  .doc_en = "Name shown in every answer.",
	  .doc_zh = "显示在每个回答中的集群名称。" },
	{ .path = "node", .type = CONFIG_NAME, AT(node), .dflt = "\"\"",
	  .doc_en = "Name of this node. Empty: the host's name.",
	  .doc_zh = "本节点的名称。为空时使用主机名。" },
	{ .path = "enforceAlways", .type = CONFIG_WORDS, AT(enforce_always), .dflt = "[]", OF(tiers),
	  .doc_en = "Tiers whose blocks drop in every mode but off, such as [networkpolicy, admin].",
	  .doc_zh = "除 off 外在所有模式下都执行阻断的策略层级，例如 [networkpolicy, admin]。" },
	{ .path = "clusterCIDRs", .type = CONFIG_PREFIXES, AT(cluster_cidrs), .dflt = "[]",
	  .doc_en = "Address ranges of the cluster: unresolved inside is unknown, outside is world.",
	  .doc_zh = "集群的地址范围：范围内未解析的地址为 unknown，范围外为 world。" },
	{ .path = "localNode", .type = CONFIG_WORD, AT(local_node), .dflt = "allow", OF(local),
	  .doc_en = "This node to its own workloads: allow, or judged by rules.",
	  .doc_zh = "本节点访问自身工作负载：allow 放行，rules 按策略判定。" },
	{ .path = "mode.default", .type = CONFIG_WORD, AT(mode), .dflt = "learn", OF(mode),
	  .doc_en = "Mode of what has no setting of its own. With learn, installing changes no traffic.",
	  .doc_zh = "没有单独设置时的模式。learn 表示安装不改变任何流量。" },
	{ .path = "mode.unmatched", .type = CONFIG_WORD, AT(unmatched), .dflt = "block", OF(unmatched),
	  .doc_en = "Verdict for what no rule matches, where no ModeProfile says otherwise.",
	  .doc_zh = "没有策略匹配时的默认判定，ModeProfile 可另行设置。" },

	{ .path = "learn.foldCIDRs", .type = CONFIG_PREFIXES, AT(fold_cidrs), .dflt = "[]",
	  .doc_en = "Addresses outside that are recorded as one range.",
	  .doc_zh = "合并记录为一个网段的外部地址。" },
	{ .path = "learn.ignoreLabels", .type = CONFIG_LABEL_KEYS, AT(ignore_labels),
	  .dflt = "[pod-template-hash, controller-revision-hash, pod-template-generation, "
		  "statefulset.kubernetes.io/pod-name, apps.kubernetes.io/pod-index, "
		  "batch.kubernetes.io/controller-uid, batch.kubernetes.io/job-name, controller-uid, job-name]",
	  .doc_en = "Labels left out of identities unless a rule names them.",
	  .doc_zh = "不计入身份标识的标签，策略中明确引用时除外。" },
	{ .path = "learn.scan.ports", .type = CONFIG_NUMBER, AT(scan_ports), .dflt = "100",
	  .min = 2, .max = 65535,
	  .doc_en = "A source that tries more ports within the window is held apart as a scan.",
	  .doc_zh = "来源在时间窗内尝试的端口数超过此值时，按扫描单独搁置。" },
	{ .path = "learn.scan.peers", .type = CONFIG_NUMBER, AT(scan_peers), .dflt = "50",
	  .min = 2, .max = 65535,
	  .doc_en = "The same for peers.",
	  .doc_zh = "对端数量的同类阈值。" },
	{ .path = "learn.scan.window", .type = CONFIG_DURATION, AT(scan_window_ms), .dflt = "60s",
	  .min = 1000, .max = DAY_MS,
	  .doc_en = "Window of the two figures above.",
	  .doc_zh = "以上两个阈值的时间窗。" },
	{ .path = "learn.drain", .type = CONFIG_DURATION, AT(drain_ms), .dflt = "1s",
	  .min = 100, .max = 60000,
	  .doc_en = "Time between two readings of the kernel's counters.",
	  .doc_zh = "两次读取内核计数之间的间隔。" },
	{ .path = "learn.accessesPerWorkload", .type = CONFIG_NUMBER, AT(share_accesses), .dflt = "0",
	  .max = 1u << 20,
	  .doc_en = "Distinct accesses one workload may have before ports fold. "
		    "0: its share of maps.accesses.",
	  .doc_zh = "单个工作负载可记录的不同网络访问数，超出后折叠端口。"
		    "0 表示按 maps.accesses 平分。" },
	{ .path = "learn.pairsPerWorkload", .type = CONFIG_NUMBER, AT(share_pairs), .dflt = "0",
	  .max = 1u << 20,
	  .doc_en = "Pairs one workload may have after that, before peers fold. "
		    "0: its share of maps.pairs.",
	  .doc_zh = "此后单个工作负载可记录的对端对数，超出后折叠对端。"
		    "0 表示按 maps.pairs 平分。" },

	{ .path = "start.unresolved", .type = CONFIG_CLOSED, AT(closed), .dflt = "open",
	  .doc_en = "What is attached but not resolved yet: open, or closed (DNS and probes only).",
	  .doc_zh = "已挂接但尚未解析的工作负载：open 放行，closed 仅允许 DNS 与探测。" },
	{ .path = "attach.hook", .type = CONFIG_WORD, AT(hook), .dflt = "auto", OF(hook),
	  .doc_en = "auto takes tcx where the kernel has it, else clsact.",
	  .doc_zh = "auto 在内核支持时使用 tcx，否则使用 clsact。" },
	{ .path = "attach.repair", .type = CONFIG_DURATION, AT(repair_ms), .dflt = "100ms",
	  .min = 10, .max = 60000,
	  .doc_en = "Time between two checks that nobody removed an attachment.",
	  .doc_zh = "检查挂接点是否被移除的间隔。" },
	{ .path = "attach.expedite", .type = CONFIG_WORD, AT(expedite), .dflt = "auto", OF(expedite),
	  .doc_en = "While a hook is put up or taken down, auto asks the kernel to end its RCU waits early "
		    "(/sys/kernel/rcu_expedited), so that it takes microseconds instead of tens of milliseconds.",
	  .doc_zh = "挂接或解除时，auto 让内核提前结束 RCU 等待（/sys/kernel/rcu_expedited），"
		    "使每次挂接从数十毫秒降到微秒级。" },
	{ .path = "cni.install", .type = CONFIG_WORD, AT(cni_install), .dflt = "never", OF(install),
	  .doc_en = "always keeps the chained plugin cellwall-cni in the node's network configuration; "
		    "`cellwalld --uninstall` takes it out.",
	  .doc_zh = "always 将链式插件 cellwall-cni 保持在节点的网络配置中，"
		    "由 `cellwalld --uninstall` 移除。" },
	{ .path = "cni.confDir", .type = CONFIG_PATH, AT(cni_conf_dir), .dflt = "/etc/cni/net.d", .min = 1, .max = 1024,
	  .doc_en = "The node's network configurations.",
	  .doc_zh = "节点的 CNI 网络配置目录。" },
	{ .path = "cni.binDir", .type = CONFIG_PATH, AT(cni_bin_dir), .dflt = "/opt/cni/bin", .min = 1, .max = 1024,
	  .doc_en = "The node's CNI plugins.",
	  .doc_zh = "节点的 CNI 插件目录。" },
	{ .path = "cni.plugin", .type = CONFIG_PATH, AT(cni_plugin), .dflt = "\"\"", .max = 1024,
	  .doc_en = "The program cellwall-cni that is copied there. Empty: the one that came with this program.",
	  .doc_zh = "复制到该目录的 cellwall-cni 程序。为空时使用随本程序安装的那个。" },
	{ .path = "cni.socket", .type = CONFIG_PATH, AT(cni_socket), .dflt = "\"\"", .max = 107,
	  .doc_en = "The API's socket as the plugin finds it on the node. Empty: api.socket.",
	  .doc_zh = "插件在节点上看到的 API 套接字路径。为空时同 api.socket。" },
	{ .path = "cni.agentDown", .type = CONFIG_CLOSED, AT(cni_closed), .dflt = "open",
	  .doc_en = "What starts while no agent answers: open starts it, and it is judged once the agent is back; "
		    "closed has the runtime try again.",
	  .doc_zh = "代理无应答时的处理：open 允许启动，代理恢复后开始判定；"
		    "closed 让运行时稍后重试。" },
	{ .path = "cni.timeout", .type = CONFIG_DURATION, AT(cni_timeout_ms), .dflt = "10s", .min = 100, .max = 120000,
	  .doc_en = "The plugin waits so long for the agent's answer.",
	  .doc_zh = "插件等待代理应答的时间。" },
	{ .path = "cni.wait", .type = CONFIG_DURATION, AT(cni_wait_ms), .dflt = "1s", .min = 1, .max = 60000,
	  .doc_en = "A starting workload waits so long until it is known who it is; after that start.unresolved says what "
		    "may pass.",
	  .doc_zh = "启动中的工作负载等待身份解析的时间，"
		    "超过后由 start.unresolved 决定放行范围。" },
	{ .path = "guard.probe", .type = CONFIG_DURATION, AT(probe_ms), .dflt = "10s", .max = 3600000,
	  .doc_en = "Time between two proofs, by packets of its own, that an attachment sees its traffic. 0s: never.",
	  .doc_zh = "两次用探测报文证明挂接点可见流量的间隔。0s 表示不探测。" },
	{ .path = "quarantine.shieldPackets", .type = CONFIG_NUMBER, AT(shield_pps), .dflt = "0",
	  .max = 100000000,
	  .doc_en = "A quarantined workload that sends more packets per second gets an XDP shield. 0: never.",
	  .doc_zh = "被隔离的工作负载每秒发包超过此值时启用 XDP 屏蔽。0 表示不启用。" },

	{ .path = "dns.resolvers", .type = CONFIG_PREFIXES, AT(resolvers), .dflt = "[]",
	  .doc_en = "Whose DNS answers rules with names go by. Empty: every address of the cluster, and none outside. "
		    "What stands here counts alone.",
	  .doc_zh = "域名策略采信其 DNS 应答的解析器。"
		    "为空表示集群内的所有地址，不含外部地址；填写后只采信所列地址。" },
	{ .path = "dns.minTTL", .type = CONFIG_DURATION, AT(dns_min_ttl_ms), .dflt = "60s",
	  .min = 1000, .max = DAY_MS,
	  .doc_en = "An address keeps its name at least so long, whatever the answer says.",
	  .doc_zh = "无论应答给出的 TTL 多短，地址与域名的对应至少保留这么久。" },
	{ .path = "dns.grace", .type = CONFIG_DURATION, AT(dns_grace_ms), .dflt = "300s",
	  .min = 1000, .max = DAY_MS,
	  .doc_en = "And so long after that, and after the last flow that used it.",
	  .doc_zh = "到期后以及最后一个使用它的连接结束后再保留的时间。" },
	{ .path = "dns.namesPerWorkload", .type = CONFIG_NUMBER, AT(dns_names), .dflt = "1000",
	  .min = 8, .max = CW_MAX_FQDNS,
	  .doc_en = "Addresses one workload may have names for. In enforce, an answer that does not fit is dropped "
		    "and asked again if a rule speaks of its name.",
	  .doc_zh = "单个工作负载可保留域名的地址数。在 enforce 模式下，"
		    "若策略涉及该域名而放不下，应答会被丢弃并由解析器重新查询。" },

	{ .path = "maps.policyEntries", .type = CONFIG_NUMBER, AT(policy_entries), .dflt = "65536",
	  .min = 1024, .max = 16u << 20,
	  .doc_en = "Room for identities that a group treats apart. A change that does not fit is refused whole.",
	  .doc_zh = "策略条目容量。放不下的变更会被整体拒绝。" },
	{ .path = "maps.rows", .type = CONFIG_NUMBER, AT(rows), .dflt = "4194304",
	  .min = 4096, .max = 64u << 20,
	  .doc_en = "Room for port intervals.",
	  .doc_zh = "端口区间容量。" },
	{ .path = "maps.groups", .type = CONFIG_NUMBER, AT(groups), .dflt = "16384",
	  .min = 64, .max = 1u << 20,
	  .doc_en = "Workload groups on this node.",
	  .doc_zh = "本节点的工作负载组容量。" },
	{ .path = "maps.endpoints", .type = CONFIG_NUMBER, AT(endpoints), .dflt = "4096",
	  .min = 16, .max = 65536,
	  .doc_en = "Guarded interfaces on this node.",
	  .doc_zh = "本节点受防护的接口容量。" },
	{ .path = "maps.addresses", .type = CONFIG_NUMBER, AT(addresses), .dflt = "262144",
	  .min = 1024, .max = 16u << 20,
	  .doc_en = "Known addresses, each family.",
	  .doc_zh = "已知地址容量（每个地址族）。" },
	{ .path = "maps.flows", .type = CONFIG_NUMBER, AT(flows), .dflt = "524288",
	  .min = 1024, .max = 64u << 20,
	  .doc_en = "Live flows.",
	  .doc_zh = "活动连接容量。" },
	{ .path = "maps.accesses", .type = CONFIG_NUMBER, AT(accesses), .dflt = "65536",
	  .min = 1024, .max = 1u << 20,
	  .doc_en = "Distinct accesses between two readings.",
	  .doc_zh = "两次读取之间的不同网络访问容量。" },
	{ .path = "maps.pairs", .type = CONFIG_NUMBER, AT(pairs), .dflt = "32768",
	  .min = 1024, .max = 1u << 20,
	  .doc_en = "Pairs of identities, used when a workload's accesses are over their share.",
	  .doc_zh = "身份对容量，在工作负载的访问数超出份额后使用。" },
	{ .path = "history.generations", .type = CONFIG_NUMBER, AT(generations), .dflt = "100",
	  .min = 2, .max = 10000,
	  .doc_en = "Generations that `change rollback` can make current again. The history itself is kept longer.",
	  .doc_zh = "`change rollback` 可以恢复的代次数量。变更历史本身保留得更久。" },
	{ .path = "events.bytes", .type = CONFIG_POWER, AT(event_bytes), .dflt = "1048576",
	  .min = 4096, .max = 256u << 20,
	  .doc_en = "Size of the event ring, a power of two. What is lost here is counted and recorded anyway.",
	  .doc_zh = "事件环大小，须为 2 的幂。此处丢失的事件仍被计数与记录。" },
	{ .path = "events.gap", .type = CONFIG_DURATION, AT(event_gap_ms), .dflt = "1s",
	  .min = 1, .max = 3600000,
	  .doc_en = "Least time between two events about one access and outcome.",
	  .doc_zh = "同一访问同一结果的两次事件之间的最短间隔。" },

	{ .path = "controller.address", .type = CONFIG_HOSTS, AT(controllers), .dflt = "[]",
	  .doc_en = "Where an agent finds its controllers, tried in order: HOST, HOST:PORT or [IPV6]:PORT. The port is 7946 "
		    "unless given.",
	  .doc_zh = "代理按顺序尝试的管控端地址：HOST、HOST:PORT 或 [IPV6]:PORT。端口默认为 7946。" },
	{ .path = "controller.listen", .type = CONFIG_HOSTS, AT(listen), .dflt = "[]", .max = 1,
	  .doc_en = "Where a controller waits for agents, such as [\":7946\"]. Empty: nowhere.",
	  .doc_zh = "管控端等待代理连接的地址，例如 [\":7946\"]。为空表示不监听。" },
	{ .path = "controller.names", .type = CONFIG_HOSTS, AT(host_names), .dflt = "[]",
	  .doc_en = "Names and addresses that agents reach this controller by, for the certificate it makes for itself. "
		    "The host's name is always one.",
	  .doc_zh = "代理访问此管控端所用的名称与地址，"
		    "写入其自行签发的证书。主机名总在其中。" },
	{ .path = "controller.tls.cert", .type = CONFIG_PATH, AT(tls_cert), .dflt = "\"\"", .max = 1024,
	  .doc_en = "Certificate of this end, PEM, read again when it changes. Empty: a controller makes its own, an agent "
		    "asks the controller for one.",
	  .doc_zh = "本端证书（PEM），变化时重新读取。"
		    "为空时管控端自行签发，代理向管控端申请。" },
	{ .path = "controller.tls.key", .type = CONFIG_PATH, AT(tls_key), .dflt = "\"\"", .max = 1024,
	  .doc_en = "Its private key.",
	  .doc_zh = "证书的私钥。" },
	{ .path = "controller.tls.ca", .type = CONFIG_PATH, AT(tls_ca), .dflt = "\"\"", .max = 1024,
	  .doc_en = "Certificate of the authority that the other end is checked against. Empty: the controller's own "
		    "authority; an agent needs it.",
	  .doc_zh = "校验对端所用的 CA 证书。管控端为空时使用自己的 CA；代理必须填写。" },
	{ .path = "controller.tls.authority", .type = CONFIG_PATH, AT(tls_authority), .dflt = "\"\"", .max = 1024,
	  .doc_en = "Directory of the controller's authority (ca.crt, ca.key). Empty: `ca` in the state directory, made "
		    "when needed.",
	  .doc_zh = "管控端 CA 的目录（ca.crt、ca.key）。"
		    "为空时使用状态目录下的 `ca`，需要时创建。" },
	{ .path = "controller.tls.token", .type = CONFIG_PATH, AT(tls_token), .dflt = "\"\"", .max = 1024,
	  .doc_en = "Service account token (audience `cellwall`) that an agent asks for its certificate with.",
	  .doc_zh = "代理申请证书时出示的服务账号令牌（audience 为 `cellwall`）。" },
	{ .path = "controller.lease", .type = CONFIG_NAME, AT(lease), .dflt = "\"\"",
	  .doc_en = "Name of a Kubernetes Lease in the controller's own namespace: of several controllers the one that "
		    "holds it leads, the others stand by. Empty: there is one.",
	  .doc_zh = "管控端所在命名空间中 Kubernetes Lease 的名称："
		    "多个管控端中持有者为主，其余待命。为空表示只有一个。" },
	{ .path = "controller.spool", .type = CONFIG_NUMBER, AT(spool_bytes), .dflt = "67108864",
	  .min = 1u << 20, .max = 16ull << 30,
	  .doc_en = "Bytes of reports that an agent keeps on disk while no controller takes them.",
	  .doc_zh = "没有管控端接收时，代理在磁盘上保留的上报数据字节数。" },

	{ .path = "kubernetes.enabled", .type = CONFIG_WORD, AT(kube), .dflt = "auto", OF(kube),
	  .doc_en = "Takes inventory and policy from a Kubernetes API server. auto: where this runs in a pod with a "
		    "service account, or kubernetes.kubeconfig is given.",
	  .doc_zh = "从 Kubernetes API 服务器获取清单与策略。auto 表示在带服务账号的 Pod 中运行"
		    "或指定了 kubernetes.kubeconfig 时启用。" },
	{ .path = "kubernetes.kubeconfig", .type = CONFIG_PATH, AT(kubeconfig), .dflt = "\"\"", .max = 1024,
	  .doc_en = "How to reach the API server. Empty: as the pod's service account.",
	  .doc_zh = "连接 API 服务器的 kubeconfig 文件。为空时使用 Pod 的服务账号。" },
	{ .path = "kubernetes.context", .type = CONFIG_TEXT, AT(kube_context), .dflt = "\"\"", .max = 1024,
	  .doc_en = "Context of that file. Empty: its current one.",
	  .doc_zh = "该文件中的上下文。为空时使用其当前上下文。" },
	{ .path = "kubernetes.writeRules", .type = CONFIG_WORD, AT(kube_write), .dflt = "true", OF(yes),
	  .doc_en = "Rules, modes and quarantines changed here are written to the API server as objects. false: they stay in "
		    "the local store.",
	  .doc_zh = "在此更改的策略、模式与隔离会作为对象写入 API 服务器。"
		    "false 表示只保存在本地存储。" },

	{ .path = "api.socket", .type = CONFIG_PATH, AT(socket), .dflt = "/run/cellwall/api.sock",
	  .min = 1, .max = 107,
	  .doc_en = "The API's unix socket. Nothing listens on the network.",
	  .doc_zh = "API 的 unix 套接字。不监听网络。" },
	{ .path = "api.writeUIDs", .type = CONFIG_IDS, AT(write_uids), .dflt = "[]",
	  .max = UINT32_MAX - 1,
	  .doc_en = "Users that may change things, beside root.",
	  .doc_zh = "除 root 外可进行更改的用户 ID。" },
	{ .path = "api.writeGIDs", .type = CONFIG_IDS, AT(write_gids), .dflt = "[]",
	  .max = UINT32_MAX - 1,
	  .doc_en = "The same for groups.",
	  .doc_zh = "可进行更改的用户组 ID。" },
	{ .path = "paths.state", .type = CONFIG_PATH, AT(state_dir), .dflt = "/var/lib/cellwall",
	  .min = 1, .max = 1024,
	  .doc_en = "Rules, accesses and history.",
	  .doc_zh = "策略、网络访问与历史记录的目录。" },
	{ .path = "paths.pins", .type = CONFIG_PATH, AT(pin_root), .dflt = CW_PIN_ROOT,
	  .min = 1, .max = 1024,
	  .doc_en = "Where programs and maps are pinned, on a BPF file system.",
	  .doc_zh = "程序与映射的固定路径，须在 BPF 文件系统上。" },
	{ .path = "paths.inventory", .type = CONFIG_PATH, AT(inventory), .dflt = "\"\"",
	  .max = 1024,
	  .doc_en = "Inventory file that is watched for workloads. Empty: none.",
	  .doc_zh = "被监视的工作负载清单文件。为空表示没有。" },
	{ .path = "log.level", .type = CONFIG_WORD, AT(log_level), .dflt = "info", OF(level),
	  .doc_en = "Least important line that is written.",
	  .doc_zh = "写出的最低日志级别。" },
	{ .path = "log.format", .type = CONFIG_WORD, AT(log_format), .dflt = "text", OF(format),
	  .doc_en = "text, or one JSON object a line.",
	  .doc_zh = "text，或每行一个 JSON 对象。" },
};
const size_t config_nkeys = ARRAY_SIZE(config_keys);

_Static_assert(ARRAY_SIZE(config_keys) <= CONFIG_KEYS_MAX, "room for the source of each value");
