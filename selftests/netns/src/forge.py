#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""forge.py - frames that only a hostile workload sends.

usage: forge.py IFACE KIND STREAM COUNT SRCMAC DSTMAC SRC DST DPORT
Sends COUNT frames of KIND through a packet socket, each with the numbered payload that the
counter looks for (src/wire.h), so that what gets through is seen at the other end.
"""
import socket
import struct
import sys

iface, kind, stream, count, smac, dmac, src, dst, dport = sys.argv[1:10]
stream, count, dport = int(stream), int(count), int(dport)
mac = lambda s: bytes.fromhex(s.replace(":", ""))
v6 = ":" in src
fam = socket.AF_INET6 if v6 else socket.AF_INET
s_ip, d_ip = socket.inet_pton(fam, src), socket.inet_pton(fam, dst)


def csum(b):
    if len(b) % 2:
        b += b"\0"
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def wire(seq):
    return struct.pack("!III", 0x43575431, stream, seq)


def udp(payload, port=dport):
    return struct.pack("!HHHH", 33333, port, 8 + len(payload), 0) + payload


def ip4(proto, payload, off=0, ident=7, opts=b"", ihl=None):
    n = 20 + len(opts)
    h = struct.pack("!BBHHHBBH4s4s", 0x40 | (ihl if ihl is not None else n // 4), 0, n + len(payload), ident, off,
                    64, proto, 0, s_ip, d_ip) + opts
    return h[:10] + struct.pack("!H", csum(h)) + h[12:] + payload


def ip6(nxt, payload, hops=64):
    return struct.pack("!IHBB", 0x60000000, len(payload), nxt, hops) + s_ip + d_ip + payload


def icmp6(body):
    ph = s_ip + d_ip + struct.pack("!II", len(body), 58)
    c = csum(ph + body)
    return body[:2] + struct.pack("!H", c) + body[4:]


def frame(seq):
    w = wire(seq)
    eth = mac(dmac) + mac(smac)
    ip = b"\x86\xdd" if v6 else b"\x08\x00"
    if kind in ("plain", "mac", "addr"):
        return eth + ip + (ip6(17, udp(w)) if v6 else ip4(17, udp(w)))
    if kind == "arp":  # says that src is at our MAC; the number is in the padding
        return eth + b"\x08\x06" + struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac(smac), s_ip, mac(dmac),
                                               d_ip) + w
    if kind == "na":  # the same for IPv6
        body = struct.pack("!BBHI16s", 136, 0, 0, 0x20000000, s_ip) + b"\x02\x01" + mac(smac) + w + b"\0" * 4
        return eth + ip + ip6(58, icmp6(body), 255)
    if kind == "ra":
        return eth + ip + ip6(58, icmp6(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + w), 255)
    if kind == "redirect":
        if v6:
            return eth + ip + ip6(58, icmp6(struct.pack("!BBHI", 137, 0, 0, 0) + d_ip + d_ip + w), 255)
        b = struct.pack("!BBH4s", 5, 1, 0, s_ip) + ip4(17, udp(w))
        return eth + ip + ip4(1, b[:2] + struct.pack("!H", csum(b)) + b[4:])
    if kind == "vxlan":
        return eth + ip + ip4(17, udp(b"\x08\0\0\0\0\0\1\0" + w, 4789))
    if kind == "ipip":
        return eth + ip + ip4(4, ip4(17, udp(w)))
    if kind == "orphan":  # a later fragment without its first
        return eth + ip + (ip6(44, struct.pack("!BBHI", 17, 0, 64 << 3 >> 3 << 3, seq) + w) if v6 else
                           ip4(17, w, off=64, ident=seq & 0xFFFF))
    if kind == "tiny":  # a first fragment that does not hold the ports
        return eth + ip + ip4(6, struct.pack("!HH", 33333, dport) + w[:12], off=0x2000, ident=seq & 0xFFFF)
    if kind == "srcroute":
        return eth + ip + ip4(17, udp(w), opts=b"\x83\x07\x04" + d_ip + b"\0")
    if kind == "ethertype":
        return eth + b"\x81\x37" + w + b"\0" * 40
    if kind == "vlan":
        return eth + b"\x81\x00\x00\x05" + ip + ip4(17, udp(w))
    if kind == "qinq":
        return eth + b"\x88\xa8\x00\x05\x81\x00\x00\x06" + ip + ip4(17, udp(w))
    if kind == "badihl":
        return eth + ip + ip4(17, udp(w), ihl=4)
    if kind == "rthdr0":
        return eth + ip + ip6(43, struct.pack("!BBBBI", 17, 2, 0, 1, 0) + d_ip + udp(w))
    if kind == "chain":  # more extension headers than anybody needs
        return eth + ip + ip6(60, b"".join(bytes([60 if i < 11 else 17, 0, 1, 4, 0, 0, 0, 0]) for i in range(12)) +
                              udp(w))
    if kind == "mapped":
        return eth + ip + ip6(17, udp(w))
    sys.exit("forge.py: unknown kind " + kind)


s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((iface, 0))
if "bypass" in sys.argv[10:]:
    s.setsockopt(263, 20, 1)  # SOL_PACKET, PACKET_QDISC_BYPASS
for i in range(count):
    s.send(frame(i))
