BPF_OBJECTS += cw_tc cw_xdp
