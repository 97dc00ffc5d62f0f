#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""flows.py - standing flows of the end-to-end tests.

serve PORT LOG            echoes TCP and UDP; a TCP connection's end goes to LOG: "PORT reset|closed", the peer's port
hold ADDR PORT PROTO LOG  one flow, a line each 20 ms, answered or not; LOG is rewritten with
                          "ANSWERED STATE PORT": open, or how it ended (reset, closed, ERRNO); its own port
"""
import errno
import os
import selectors
import socket
import sys
import time


def state_of(err):
    if err.errno == errno.ECONNRESET:
        return "reset"
    return errno.errorcode.get(err.errno, str(err.errno))


def serve(port, log):
    sel = selectors.DefaultSelector()
    tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", port))
    sel.register(tcp, selectors.EVENT_READ)
    sel.register(udp, selectors.EVENT_READ)
    with open(log, "a", buffering=1) as out:
        while True:
            for key, _ in sel.select():
                s = key.fileobj
                if s is tcp:
                    c, peer = tcp.accept()
                    sel.register(c, selectors.EVENT_READ, peer)
                elif s is udp:
                    data, peer = udp.recvfrom(2048)
                    udp.sendto(data, peer)
                else:
                    try:
                        data = s.recv(2048)
                        if data:
                            s.send(data)
                            continue
                        end = "closed"
                    except OSError as err:
                        end = state_of(err)
                    out.write(f"{key.data[1]} {end}\n")
                    sel.unregister(s)
                    s.close()


def hold(addr, port, proto, log):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, kind)
    s.settimeout(5)
    s.connect((addr, port))
    own = s.getsockname()[1]
    s.setblocking(False)
    answered, state, at = 0, "open", 0.0
    while state == "open":
        try:
            s.send(b"x")
        except BlockingIOError:
            pass
        except OSError as err:
            state = state_of(err)
        time.sleep(0.02)
        try:
            while state == "open":
                data = s.recv(2048)
                if not data:
                    state = "closed"
                answered += len(data)
        except BlockingIOError:
            pass
        except OSError as err:
            state = state_of(err)
        if time.monotonic() - at > 0.05 or state != "open":
            at = time.monotonic()
            with open(log + ".new", "w") as out:
                out.write(f"{answered} {state} {own}\n")
            os.rename(log + ".new", log)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        hold(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
