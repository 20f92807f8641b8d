"""Networks of a run's own: a network namespace, into which a process moves with all that it starts.

Nothing of them is seen from outside, and they are gone with their last process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
_SET_FLAGS: Final = 0x8914
_UP: Final = 1
_TUN: Final = "/dev/net/tun"

_libc = ctypes.CDLL(None, use_errno=True)


class LinkError(Exception):
    """No link can be made here; the text says what is missing."""


def enter_own_network() -> None:
    """Move this process into an empty network with a loopback: only before it has threads.

    Whoever may not make one becomes root in a user namespace, where that is allowed.

    Raises:
        LinkError: neither is allowed, or there are no TUN devices.
    """
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEW_NETWORK):
        if ctypes.get_errno() != errno.EPERM or _libc.unshare(_NEW_NETWORK | _NEW_USER):
            why = os.strerror(ctypes.get_errno())
            raise LinkError(
                f"a network namespace is needed, and the kernel refuses one ({why}): run it as "
                "root; in a container: --cap-add SYS_ADMIN --cap-add NET_ADMIN"
            )
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    try:
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError as error:
        raise LinkError(
            f"TUN devices are needed, and {_TUN} cannot be opened ({error.strerror}): as root, "
            f"modprobe tun; in a container: --device {_TUN}"
        ) from error
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP))


def socket_in(pid: int, kind: socket.SocketKind) -> socket.socket:
    """A socket of the network in which that process is: it stays there.

    Raises:
        OSError: the process is gone, or we may not.
    """
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        _enter(there)
        try:
            return socket.socket(socket.AF_INET, kind)
        finally:
            _enter(here)
    finally:
        os.close(here)
        os.close(there)


def _enter(network: int) -> None:
    if _libc.setns(network, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def sent_again() -> int:
    """The segments of TCP that this process' network has sent more than once."""
    names, values = (
        line.split()
        for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()
        if line.startswith("Tcp:")
    )
    return int(values[names.index("RetransSegs")])


def not_queued(pid: int) -> int:
    """The packets for which the devices of that process' network had no room."""
    total = 0
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
        total += int(line.partition(":")[2].split()[11])
    return total
